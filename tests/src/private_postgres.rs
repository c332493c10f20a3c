//! A private PostgreSQL server, which a test can kill, stop, freeze and restart.

mod replication;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::{TestDatabase, eventually, scratch};

/// The program that starts the server.
const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres");

/// The time limit for the server to start, including recovery after a crash, and
/// to stop.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A private PostgreSQL server. All its processes are stopped when this is
/// dropped. The data survives a restart.
///
/// It accepts connections with TLS and without.
pub struct PrivatePostgres {
    port: u16,
    settings: Vec<String>,
    /// The directory of the server's programs; `None` for that of the machine.
    programs: Option<PathBuf>,
    process: Process,
    /// It is dropped after the process, whose logs are in it.
    dir: TempDir,
}

impl PrivatePostgres {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with additional settings, for example
    /// `("max_connections", "20")`. PostgreSQL reserves three of these connections for
    /// superusers. The only user of this server is a superuser.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::launch(settings, &[]).await
    }

    /// Starts a server of this major version. The servers come from npm: see `tests/postgres`.
    pub async fn start_version(version: u32, settings: &[(&str, &str)]) -> Self {
        let package = format!("../tests/postgres/node_modules/postgres-{version}/native/bin");
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
        assert!(
            programs.join("postgres").exists(),
            "PostgreSQL {version} is not installed: run `make needed`, on Linux for x86-64"
        );
        Self::launch_in(scratch(), settings, Some(programs)).await
    }

    /// Starts a server that also accepts TLS, with this certificate chain and
    /// private key, both in PEM format. It still accepts connections without TLS, so
    /// that a test can detect a client that falls back to plain text.
    pub async fn start_tls(certificate: &str, key: &str) -> Self {
        let files = [("server.crt", certificate), ("server.key", key)];
        let settings = [
            ("ssl", "on"),
            ("ssl_cert_file", "../server.crt"), // relative to the data directory
            ("ssl_key_file", "../server.key"),
        ];
        Self::launch(&settings, &files).await
    }

    async fn launch(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let dir = scratch();
        for (name, content) in files {
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            // The server rejects a key file that other users can read.
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        }
        Self::launch_in(dir, settings, None).await
    }

    async fn launch_in(dir: TempDir, settings: &[(&str, &str)], programs: Option<PathBuf>) -> Self {
        let settings: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let started = Instant::now();
        loop {
            // If another process takes the port first, try the next one.
            let port = free_port();
            let mut process = spawn(dir.path(), port, &settings, programs.as_deref());
            if accepts_connections(&mut process).await {
                return Self {
                    port,
                    settings,
                    programs,
                    process,
                    dir,
                };
            }
            assert!(started.elapsed() < TIME_LIMIT, "{}", process.log());
        }
    }

    /// Returns the port on which the server listens at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Migrates the database `postgres` to the current schema and returns it.
    pub async fn migrated(&self) -> TestDatabase {
        TestDatabase::at(self.url()).with_schema_and_users().await
    }

    /// Returns the whole content of the database `postgres` as SQL.
    pub async fn dump(&self) -> String {
        let mut dump = tokio::process::Command::new(program("pg_dump"));
        dump.env_clear().args(["--dbname", &self.url()]);
        let (status, dump, errors) = Process::spawn(self.dir.path(), "pg_dump", dump).run().await;
        assert!(status.success(), "{errors}");
        dump
    }

    /// Returns the log of the server since its last start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Kills all processes of the server, as a crash of the machine does. Committed
    /// data is available again after [`Self::restart`].
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.process.ended().await;
    }

    /// Stops the server, which ends all sessions and rolls back their transactions.
    pub async fn stop(&mut self) {
        self.process.signal("INT");
        self.process.ended().await;
    }

    /// Starts the server again on the same port, with the same data. If it is running,
    /// stops it first.
    pub async fn restart(&mut self) {
        if self.process.is_running() {
            self.stop().await;
        }
        let started = Instant::now();
        loop {
            let programs = self.programs.as_deref();
            self.process = spawn(self.dir.path(), self.port, &self.settings, programs);
            if accepts_connections(&mut self.process).await {
                return;
            }
            // The start fails until all processes of a killed server have ended.
            assert!(started.elapsed() < TIME_LIMIT, "{}", self.log());
        }
    }

    /// Sends a signal to all processes of the server. `STOP` freezes the server and
    /// `CONT` resumes it.
    pub fn signal(&self, signal: &str) {
        let Some(first) = self.process.id() else {
            panic!("PostgreSQL has ended:\n{}", self.log());
        };
        // A frozen first process cannot start other processes.
        send("STOP", &[first.to_string()]);
        send(signal, &children(first));
        send(signal, &[first.to_string()]);
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let Some(first) = self.process.id().filter(|_| self.process.is_running()) else {
            return;
        };
        // On QUIT the server stops immediately and frees its shared memory. On KILL it
        // does not free the memory.
        let children = children(first);
        send("QUIT", &[first.to_string()]);
        send("CONT", &[first.to_string()]);
        send("CONT", &children);
        let requested = Instant::now();
        while self.process.is_running() {
            if requested.elapsed() > TIME_LIMIT {
                send("KILL", &[first.to_string()]);
                send("KILL", &children);
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Returns the path of one of the programs of the machine's PostgreSQL.
fn program(name: &str) -> PathBuf {
    let programs = Command::new(LAUNCHER).arg("--bin").output().unwrap();
    let programs = String::from_utf8(programs.stdout).unwrap();
    Path::new(programs.trim()).join(name)
}

/// Starts the server. The returned process becomes the first process of the server.
fn spawn(dir: &Path, port: u16, settings: &[String], programs: Option<&Path>) -> Process {
    let mut postgres = tokio::process::Command::new(LAUNCHER);
    postgres.arg(dir).arg(port.to_string()).args(settings);
    if let Some(programs) = programs {
        postgres.env("POSTGRES_BIN", programs);
    }
    // `with-services` may kill the process group of the tests, which would leave shared
    // memory behind. It stops a server that has its own process group properly.
    postgres.process_group(0);
    Process::spawn(dir, "postgres", postgres)
}

/// Waits until the server accepts connections. Returns false if it ended.
///
/// It looks for this in the log, because another server may be listening on the port.
async fn accepts_connections(process: &mut Process) -> bool {
    let look = || {
        // A standby accepts read-only connections.
        let is_ready = process.log().contains("ready to accept");
        std::future::ready((is_ready, process.is_running()))
    };
    let done = |(is_ready, is_running): &(bool, bool)| *is_ready || !is_running;
    let (is_ready, _) = eventually(
        "PostgreSQL accepts connections or ends",
        TIME_LIMIT,
        look,
        done,
    )
    .await;
    is_ready
}

/// Returns the ids of the child processes. Each has its own session, so only the
/// parent id shows that they belong to the server.
fn children(parent: u32) -> Vec<String> {
    let output = Command::new("pgrep")
        .args(["-P", &parent.to_string()])
        .output()
        .unwrap();
    let pids = String::from_utf8(output.stdout).unwrap();
    pids.split_whitespace().map(str::to_owned).collect()
}

/// Sends a signal to processes. Ignores processes that have ended.
fn send(signal: &str, pids: &[String]) {
    if !pids.is_empty() {
        let _ = Command::new("kill")
            .args(["-s", signal])
            .args(pids)
            .stderr(Stdio::null())
            .status();
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection};

    use super::*;

    async fn committed_rows(server: &PrivatePostgres) -> i64 {
        let mut connection = PgConnection::connect(&server.url()).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM survivors")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn committed_rows_survive_every_fault_and_drop_ends_all_processes() {
        let mut server = PrivatePostgres::start_with(&[("max_connections", "20")]).await;
        let mut connection = PgConnection::connect(&server.url()).await.unwrap();
        let limit: String = sqlx::query_scalar("SHOW max_connections")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(limit, "20");
        let create = "CREATE TABLE survivors AS SELECT 1";
        sqlx::query(create).execute(&mut connection).await.unwrap();

        server.signal("STOP");
        let frozen = tokio::time::timeout(Duration::from_millis(300), connection.ping()).await;
        assert!(frozen.is_err(), "the server answered while it was frozen");
        server.signal("CONT");
        assert_eq!(committed_rows(&server).await, 1);

        server.kill().await;
        assert!(PgConnection::connect(&server.url()).await.is_err());
        server.restart().await;
        assert_eq!(committed_rows(&server).await, 1);
        server.stop().await;
        assert!(PgConnection::connect(&server.url()).await.is_err());
        server.restart().await;
        assert_eq!(committed_rows(&server).await, 1);
        server.restart().await;
        assert_eq!(committed_rows(&server).await, 1);

        // Dropping a frozen server also stops it.
        server.signal("STOP");
        let first = server.process.id().unwrap();
        let mut all = children(first);
        all.push(first.to_string());
        assert!(all.len() > 3, "{all:?}");
        drop(server);
        let left = || {
            let mut ps = Command::new("ps");
            ps.args(["-o", "pid=,stat=,comm=", "-p", &all.join(",")]);
            let listed = String::from_utf8(ps.output().unwrap().stdout).unwrap();
            let lines = listed.lines().map(str::to_owned);
            // Orphans stay listed as zombies if no process reaps them.
            let left: Vec<String> = lines.filter(|line| !line.contains(" Z")).collect();
            std::future::ready(left)
        };
        eventually(
            "all processes of the server have ended",
            TIME_LIMIT,
            left,
            Vec::is_empty,
        )
        .await;
    }
}
