//! A PostgreSQL server of a test's own, to kill, stop, freeze and restart.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::{TestDatabase, eventually, scratch, variable};

/// How long it may take to start, after a crash for instance, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who may connect, and how: a superuser `postgres` that needs no password, with
/// TLS or without.
const HBA: &str = "host all all 127.0.0.1/32 trust\n";

/// A private PostgreSQL server, ended when dropped, with all its processes.
/// Its data lasts from one start to the next.
pub struct PrivatePostgres {
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Process,
}

impl PrivatePostgres {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with further settings, `("max_connections", "20")` for instance
    /// (three of them are kept for superusers, and so for this server's only user).
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::launch(settings, &[]).await
    }

    /// Starts one that also takes TLS connections, with this certificate chain and
    /// private key, both PEM. Those without TLS it takes all the same: a client
    /// that fell back to them would be served, and so found out.
    pub async fn start_tls(certificate: &str, key: &str) -> Self {
        let files = [("server.crt", certificate), ("server.key", key)];
        let settings = [
            ("ssl", "on"),
            ("ssl_cert_file", "../server.crt"), // seen from the data directory
            ("ssl_key_file", "../server.key"),
        ];
        Self::launch(&settings, &files).await
    }

    async fn launch(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let dir = scratch();
        if let Some(user) = user() {
            chown(dir.path(), Some(user), None).unwrap();
        }
        init(dir.path()).await;
        std::fs::write(dir.path().join("data/pg_hba.conf"), HBA).unwrap();
        for (name, content) in files {
            // The server refuses a key that others can read.
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
            if let Some(user) = user() {
                chown(&file, Some(user), None).unwrap();
            }
        }

        let settings: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let started = Instant::now();
        loop {
            // Another server may take the port first: then the next one is tried.
            let port = free_port();
            let mut process = spawn(dir.path(), port, &settings);
            if accepts(&mut process, dir.path()).await {
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

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its database `postgres`, with our schema.
    pub async fn migrated(&self) -> TestDatabase {
        let database = TestDatabase::at(self.url());
        shared::store::Store::migrate(&database.store())
            .await
            .unwrap();
        database
    }

    /// All that is in its database `postgres`, as SQL.
    pub async fn dump(&self) -> String {
        let mut dump = program("pg_dump", self.dir.path());
        dump.args(["--dbname", &self.url()]);
        let (status, dump, errors) = Process::spawn(self.dir.path(), "pg_dump", dump).run().await;
        assert!(status.success(), "{errors}");
        dump
    }

    /// What it has logged since it was last started.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Kills all its processes, as a machine that goes down. What was committed
    /// is there after [`Self::restart`].
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.process.ended().await;
    }

    /// Stops it: sessions are ended, their transactions rolled back.
    pub async fn stop(&mut self) {
        self.process.signal("INT");
        self.process.ended().await;
    }

    /// Starts it again on the same port, with the same data; stops it first if
    /// it runs.
    pub async fn restart(&mut self) {
        if self.process.is_running() {
            self.stop().await;
        }
        let started = Instant::now();
        loop {
            self.process = spawn(self.dir.path(), self.port, &self.settings);
            if accepts(&mut self.process, self.dir.path()).await {
                return;
            }
            // Processes of the killed server may take a moment to be gone.
            assert!(started.elapsed() < PATIENCE, "{}", self.log());
        }
    }

    /// Sends all its processes a signal: `STOP` and `CONT` freeze and thaw it.
    pub fn signal(&self, signal: &str) {
        // While the first process is frozen it starts no others.
        let Some(first) = self.process.id() else {
            panic!("PostgreSQL has ended:\n{}", self.log());
        };
        send("STOP", &[first.to_string()]);
        send(signal, &children(first));
        send(signal, &[first.to_string()]);
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // QUIT, which it obeys at once, lets it free its shared memory; KILL would not.
        let Some(first) = self.process.id().filter(|_| self.process.is_running()) else {
            return;
        };
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

/// The user that runs it, where we are root: PostgreSQL refuses to run as root.
fn user() -> Option<u32> {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse::<u32>().expect("a user `postgres`")
    };
    (id(&["-u"]) == 0).then(|| id(&["-u", "postgres"]))
}

/// A program of PostgreSQL's, to run as the right user and with no settings of ours.
fn program(name: &str, dir: &Path) -> tokio::process::Command {
    let bin = variable("POSTGRES_BIN");
    let mut command = tokio::process::Command::new(format!("{bin}/{name}"));
    command.current_dir(dir).env_clear().env("LC_ALL", "C");
    command.process_group(0); // Ctrl-C is for the test
    if let Some(user) = user() {
        command.uid(user);
    }
    command
}

async fn init(dir: &Path) {
    let mut initdb = program("initdb", dir);
    initdb.args(["--pgdata", "data", "--username", "postgres"]);
    initdb.args(["--auth", "trust", "--encoding", "UTF8", "--locale", "C"]);
    initdb.arg("--no-sync");
    let (status, output, errors) = Process::spawn(dir, "initdb", initdb).run().await;
    assert!(status.success(), "{output}{errors}");
}

fn spawn(dir: &Path, port: u16, settings: &[String]) -> Process {
    let mut postgres = program("postgres", dir);
    postgres.arg("-D").arg(dir.join("data"));
    let port = format!("port={port}");
    // fsync guards against a crash of the machine, which this data does not outlive.
    let ours = ["listen_addresses=127.0.0.1", &port, "fsync=off"];
    let socket = ["unix_socket_directories="]; // none: TCP alone
    let settings = settings.iter().map(String::as_str);
    for setting in ours.into_iter().chain(socket).chain(settings) {
        postgres.args(["-c", setting]);
    }
    Process::spawn(dir, "postgres", postgres)
}

/// Waits until it accepts connections; false if it ended instead.
///
/// It says so itself, in the last line of its pid file. To ask the port might
/// reach another server that took it first.
async fn accepts(process: &mut Process, dir: &Path) -> bool {
    let pid = process.id().unwrap_or_default().to_string();
    let file = dir.join("data/postmaster.pid");
    let look = || {
        let state = std::fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<&str> = state.lines().map(str::trim).collect();
        let is_ready = lines.first() == Some(&&*pid) && lines.get(7) == Some(&"ready");
        std::future::ready((is_ready, process.is_running()))
    };
    let done = |(is_ready, is_running): &(bool, bool)| *is_ready || !is_running;
    let (is_ready, _) = eventually("PostgreSQL accepts", PATIENCE, look, done).await;
    is_ready
}

/// Its other processes. Each is in a session of its own, so that only their
/// parent tells whose they are.
fn children(parent: u32) -> Vec<String> {
    let output = Command::new("pgrep")
        .args(["-P", &parent.to_string()])
        .output()
        .unwrap();
    let pids = String::from_utf8(output.stdout).unwrap();
    pids.split_whitespace().map(str::to_owned).collect()
}

fn send(signal: &str, pids: &[String]) {
    if !pids.is_empty() {
        // A process that has ended by now needs no signal.
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

    async fn committed(server: &PrivatePostgres) -> i64 {
        let mut connection = PgConnection::connect(&server.url()).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM survivors")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn it_survives_what_is_done_to_it_and_leaves_no_process_behind() {
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
        assert_eq!(committed(&server).await, 1);

        server.kill().await;
        assert!(PgConnection::connect(&server.url()).await.is_err());
        server.restart().await;
        assert_eq!(committed(&server).await, 1);
        server.stop().await;
        assert!(PgConnection::connect(&server.url()).await.is_err());
        server.restart().await;
        assert_eq!(committed(&server).await, 1);
        server.restart().await;
        assert_eq!(committed(&server).await, 1);

        // Frozen, it ends all the same.
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
            // Where nobody reaps orphans they stay listed, as Z.
            let left: Vec<String> = lines.filter(|line| !line.contains(" Z")).collect();
            std::future::ready(left)
        };
        eventually("all have ended", PATIENCE, left, Vec::is_empty).await;
    }
}
