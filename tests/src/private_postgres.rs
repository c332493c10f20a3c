//! A PostgreSQL server of a test's own, to kill, stop, freeze and restart.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::{TestDatabase, eventually, scratch};

/// The program that starts the server.
const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres");

/// The time that the server may take to start, after a crash for instance, and
/// to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A private PostgreSQL server. All its processes are ended when this is
/// dropped. The data lasts from one start to the next.
///
/// It accepts connections with TLS and without.
pub struct PrivatePostgres {
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Process,
}

impl PrivatePostgres {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with more settings, `("max_connections", "20")` for
    /// instance. Three of those connections are reserved for superusers, and the
    /// only user of this server is one.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::launch(settings, &[]).await
    }

    /// Starts a server that also accepts TLS, with this certificate chain and
    /// private key, both PEM. It still accepts connections without TLS: a client
    /// that falls back to one is served, and the test can notice it.
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
            // The server refuses a key that others can read.
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        }

        let settings: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let started = Instant::now();
        loop {
            // Another server may take the port first. Then the next one is tried.
            let port = free_port();
            let mut process = spawn(dir.path(), port, &settings);
            if accepts_connections(&mut process).await {
                return Self {
                    dir,
                    port,
                    settings,
                    process,
                };
            }
            assert!(started.elapsed() < PATIENCE, "{}", process.log());
        }
    }

    /// Returns the port that it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Creates our schema in its database `postgres` and returns that database.
    pub async fn migrated(&self) -> TestDatabase {
        let database = TestDatabase::at(self.url());
        shared::store::Store::migrate(&database.store())
            .await
            .unwrap();
        database
    }

    /// Returns all that is in its database `postgres`, as SQL.
    pub async fn dump(&self) -> String {
        let programs = Command::new(LAUNCHER).arg("--bin").output().unwrap();
        let programs = String::from_utf8(programs.stdout).unwrap();
        let mut dump = tokio::process::Command::new(Path::new(programs.trim()).join("pg_dump"));
        dump.env_clear().args(["--dbname", &self.url()]);
        let (status, dump, errors) = Process::spawn(self.dir.path(), "pg_dump", dump).run().await;
        assert!(status.success(), "{errors}");
        dump
    }

    /// Returns what it has logged since it was last started.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Kills all its processes, as if the machine went down. Committed data is
    /// there after [`Self::restart`].
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.process.ended().await;
    }

    /// Stops it. Sessions are ended and their transactions rolled back.
    pub async fn stop(&mut self) {
        self.process.signal("INT");
        self.process.ended().await;
    }

    /// Starts it again on the same port, with the same data. Stops it first if it
    /// is running.
    pub async fn restart(&mut self) {
        if self.process.is_running() {
            self.stop().await;
        }
        let started = Instant::now();
        loop {
            self.process = spawn(self.dir.path(), self.port, &self.settings);
            if accepts_connections(&mut self.process).await {
                return;
            }
            // Processes of a killed server may take a moment to end.
            assert!(started.elapsed() < PATIENCE, "{}", self.log());
        }
    }

    /// Sends a signal to all its processes: `STOP` freezes it and `CONT` thaws it.
    pub fn signal(&self, signal: &str) {
        let Some(first) = self.process.id() else {
            panic!("PostgreSQL has ended:\n{}", self.log());
        };
        // While the first process is frozen it starts no others.
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
        // It obeys QUIT at once and frees its shared memory. KILL would not free it.
        let children = children(first);
        send("QUIT", &[first.to_string()]);
        send("CONT", &[first.to_string()]);
        send("CONT", &children);
        let asked = Instant::now();
        while self.process.is_running() {
            if asked.elapsed() > PATIENCE {
                send("KILL", &[first.to_string()]);
                send("KILL", &children);
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Starts the server. The process that this returns becomes the server's first
/// process.
fn spawn(dir: &Path, port: u16, settings: &[String]) -> Process {
    let mut postgres = tokio::process::Command::new(LAUNCHER);
    postgres.arg(dir).arg(port.to_string()).args(settings);
    // A killed process group would leave shared memory behind. In a group of its
    // own, `with-services` stops the server properly.
    postgres.process_group(0);
    Process::spawn(dir, "postgres", postgres)
}

/// Waits until the server accepts connections. Returns false if it ended.
///
/// It reads this in the server's log, because another server may have taken the
/// port.
async fn accepts_connections(process: &mut Process) -> bool {
    let look = || {
        let is_ready = process.log().contains("ready to accept connections");
        std::future::ready((is_ready, process.is_running()))
    };
    let done = |(is_ready, is_running): &(bool, bool)| *is_ready || !is_running;
    let (is_ready, _) = eventually("PostgreSQL accepts", PATIENCE, look, done).await;
    is_ready
}

/// Returns its other processes. Each is in a session of its own, so only their
/// parent shows that they belong to it.
fn children(parent: u32) -> Vec<String> {
    let output = Command::new("pgrep")
        .args(["-P", &parent.to_string()])
        .output()
        .unwrap();
    let pids = String::from_utf8(output.stdout).unwrap();
    pids.split_whitespace().map(str::to_owned).collect()
}

/// Sends a signal to processes. Those that have ended are ignored.
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
    async fn committed_rows_survive_every_fault_and_no_process_is_left() {
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
        assert!(frozen.is_err(), "it answered while frozen");
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

        // It also ends when it is frozen.
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
            // Where nothing reaps orphans, they stay listed as zombies.
            let left: Vec<String> = lines.filter(|line| !line.contains(" Z")).collect();
            std::future::ready(left)
        };
        eventually("all have ended", PATIENCE, left, Vec::is_empty).await;
    }
}
