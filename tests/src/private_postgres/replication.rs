//! A synchronous standby of a private server.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use super::{PrivatePostgres, TIME_LIMIT, program};
use crate::tool::succeeds;
use crate::{eventually, scratch};

impl PrivatePostgres {
    /// Starts a standby of this server and waits until it is synchronous: from then on, what this
    /// server has committed is on the standby too.
    pub async fn start_standby(&self) -> Self {
        let dir = scratch();
        let mut backup = Command::new(program("pg_basebackup"));
        backup
            .env_clear()
            .args(["--dbname", &self.url(), "--write-recovery-conf"])
            .args(["--checkpoint", "fast", "--no-sync", "--pgdata"])
            .arg(dir.path().join("data"));
        succeeds("pg_basebackup", &mut backup, TIME_LIMIT).await;
        let standby = Self::launch_in(dir, &[], None).await;
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .await;
        self.execute("SELECT pg_reload_conf()").await;
        let states = || async {
            let select = "SELECT sync_state FROM pg_stat_replication";
            let mut connection = PgConnection::connect(&self.url()).await.unwrap();
            let states = sqlx::query_scalar(select).fetch_all(&mut connection).await;
            states.unwrap()
        };
        let is_synchronous = |states: &Vec<String>| *states == ["sync"];
        let what = "the standby is synchronous";
        eventually(what, TIME_LIMIT, states, is_synchronous).await;
        standby
    }

    /// Makes a standby a primary, as an operator does when the primary is lost.
    pub async fn promote(&self) {
        self.execute("SELECT pg_promote()").await;
    }

    /// Returns whether the server runs and is a primary.
    pub async fn is_primary(url: &str) -> bool {
        let asked = async {
            let mut connection = PgConnection::connect(url).await?;
            let select = "SELECT NOT pg_is_in_recovery()";
            sqlx::query_scalar(select).fetch_one(&mut connection).await
        };
        let asked = tokio::time::timeout(Duration::from_secs(1), asked).await;
        matches!(asked, Ok(Ok(true)))
    }

    /// Runs a statement as the superuser, also while the server takes no writes.
    pub async fn execute(&self, statement: &'static str) {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        let done = sqlx::raw_sql(statement).execute(&mut connection).await;
        done.unwrap();
    }
}
