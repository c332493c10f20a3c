//! A private Redis server, which a test can fill, kill, freeze and restart.

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{PATIENCE, Process, free_port, listening};
use crate::scratch;

/// The settings file that all private Redis servers share.
const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/redis.conf");

/// The password of the service.
pub(crate) const PASSWORD: &str = "redis_password_of_the_service";
/// The user of the service.
const USERS: &str = include_str!("../../deploy/redis/users.acl");

/// A private Redis server, which stops when this is dropped. It stores nothing on
/// disk, so it is empty after a restart.
pub struct RedisServer {
    scheme: &'static str,
    port: u16,
    args: Vec<String>,
    process: Process,
    /// It is dropped after the process, whose logs are in it.
    dir: TempDir,
}

impl RedisServer {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with additional `redis-server` arguments.
    pub async fn start_with(args: &[&str]) -> Self {
        let port = free_port();
        let mut all_args = vec!["--port".to_owned(), port.to_string()];
        all_args.extend(args.iter().map(|arg| (*arg).to_owned()));
        Self::launch("redis", scratch(), port, all_args).await
    }

    /// Starts a server that accepts only TLS connections, with this certificate
    /// chain and private key, both in PEM format.
    pub async fn start_tls(certificate: &str, key: &str) -> Self {
        Self::start_tls_with(certificate, key, &[]).await
    }

    /// Starts a server that accepts only TLS connections, with additional `redis-server`
    /// arguments.
    pub async fn start_tls_with(certificate: &str, key: &str, args: &[&str]) -> Self {
        let more_args = args;
        let (dir, port) = (scratch(), free_port());
        let file = |name: &str, content| {
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let mut args = vec![
            "--port".to_owned(),
            "0".to_owned(),
            "--tls-port".to_owned(),
            port.to_string(),
            "--tls-cert-file".to_owned(),
            file("server.crt", certificate),
            "--tls-key-file".to_owned(),
            file("server.key", key),
            "--tls-auth-clients".to_owned(),
            "no".to_owned(),
        ];
        args.extend(more_args.iter().map(|arg| (*arg).to_owned()));
        Self::launch("rediss", dir, port, args).await
    }

    async fn launch(scheme: &'static str, dir: TempDir, port: u16, mut args: Vec<String>) -> Self {
        // Redis takes a file of users or a password, not both.
        let has_password = args.iter().any(|arg| arg == "--requirepass");
        let users = dir.path().join("users.acl");
        std::fs::write(&users, USERS.replace("PASSWORD", PASSWORD)).unwrap();
        if !has_password {
            args.extend(["--aclfile".to_owned(), users.to_str().unwrap().to_owned()]);
        }
        // Sentinels let a server rewrite its settings file.
        std::fs::copy(SETTINGS, dir.path().join("redis.conf")).unwrap();
        let process = spawn(&dir, &args);
        listening(port).await;
        Self {
            scheme,
            port,
            args,
            process,
            dir,
        }
    }

    /// Returns the port on which the server listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of the server for the service, whose user has no more than its
    /// privileges.
    pub fn service_url(&self) -> String {
        format!(
            "{}://partner_keys:{PASSWORD}@127.0.0.1:{}/",
            self.scheme, self.port
        )
    }

    /// Returns the URL of the server for a user who may do everything.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/", self.scheme, self.port)
    }

    /// Returns the log of the server since its last start.
    pub fn log(&self) -> String {
        self.process.output() + &self.process.log()
    }

    /// Returns the working directory of the server. `SAVE` also writes the data there.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Opens a connection, so that a test can read and change the data. Its time limits only
    /// catch hangs: by default a command may take half a second, and some take longer on a busy
    /// machine.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        let limits = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let opened = client.get_multiplexed_async_connection_with_config(&limits);
        opened.await.unwrap()
    }

    /// Kills the server. Its data is lost.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts the server again on the same port, without data.
    pub async fn restart(&mut self) {
        self.process = spawn(&self.dir, &self.args);
        listening(self.port).await;
    }

    /// Sends a signal to the server. `STOP` freezes it and `CONT` resumes it.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }
}

fn spawn(dir: &TempDir, args: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command
        .arg(dir.path().join("redis.conf"))
        .arg("--dir")
        .arg(dir.path())
        .args(args);
    Process::spawn(dir.path(), "redis-server", command)
}
