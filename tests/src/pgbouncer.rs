//! PgBouncer in transaction mode, which a test can kill and restart.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Process, free_port, listening};
use crate::scratch;

const SAMPLE: &str = include_str!("../../deploy/postgres/pgbouncer.ini");

/// The users that may connect. The servers of the tests need no passwords.
const USERS: &str =
    "\"postgres\" \"\"\n\"test_api\" \"\"\n\"test_worker\" \"\"\n\"test_login\" \"\"\n";

/// The number of connections to the server for each user and database: fewer than an api or a
/// worker opens.
pub const SESSIONS: usize = 2;

/// A running PgBouncer, with the sample configuration. It stops when this is dropped.
pub struct PgBouncer {
    port: u16,
    process: Process,
    /// It is dropped after the process, whose logs are in it.
    dir: TempDir,
}

impl PgBouncer {
    /// Starts PgBouncer in front of the server at this host and port, for all its databases.
    pub async fn start(server: &str) -> Self {
        let (dir, port) = (scratch(), free_port());
        let (host, server_port) = server.rsplit_once(':').unwrap();
        let users = dir.path().join("users.txt");
        std::fs::write(&users, USERS).unwrap();
        let mut settings = SAMPLE.to_owned();
        for (sample, ours) in [
            (
                "partner_keys = host=10.0.0.10 port=5432",
                format!("* = host={host} port={server_port}"),
            ),
            ("10.0.0.11", "127.0.0.1".to_owned()),
            ("listen_port = 6432", format!("listen_port = {port}")),
            ("scram-sha-256", "trust".to_owned()),
            ("/etc/pgbouncer/userlist.txt", users.display().to_string()),
            ("_size = 20", format!("_size = {SESSIONS}")),
        ] {
            assert!(settings.contains(sample), "{sample}");
            settings = settings.replace(sample, &ours);
        }
        // It refuses to run as root.
        if std::fs::metadata(dir.path()).unwrap().uid() == 0 {
            settings += "user = postgres\n";
        }
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(dir.path().join("pgbouncer.ini"), settings).unwrap();
        let process = spawn(dir.path());
        listening(port).await;
        Self { port, process, dir }
    }

    /// Returns the port at 127.0.0.1 on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it. All connections through it end.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again on the same port.
    pub async fn restart(&mut self) {
        self.process = spawn(self.dir.path());
        listening(self.port).await;
    }
}

fn spawn(dir: &Path) -> Process {
    let mut command = Command::new("pgbouncer");
    // Debian keeps it off a user's PATH.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    command.env("PATH", path).arg(dir.join("pgbouncer.ini"));
    Process::spawn(dir, "pgbouncer", command)
}
