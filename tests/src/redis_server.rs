//! A Redis server of a test's own, to fill, kill, freeze and restart.

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Process, free_port, listening};
use crate::scratch;

/// A private redis-server, ended when dropped. It keeps nothing on disk: a
/// restart finds it empty.
pub struct RedisServer {
    dir: TempDir,
    scheme: &'static str,
    port: u16,
    args: Vec<String>,
    process: Process,
}

impl RedisServer {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with further arguments to redis-server.
    pub async fn start_with(args: &[&str]) -> Self {
        let port = free_port();
        let mut all = vec!["--port".to_owned(), port.to_string()];
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        Self::launch("redis", scratch(), port, all).await
    }

    /// Starts one that takes TLS connections alone, with this certificate chain
    /// and private key, both PEM.
    pub async fn start_tls(certificate: &str, key: &str) -> Self {
        let (dir, port) = (scratch(), free_port());
        let file = |name: &str, content| {
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let args = vec![
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
        Self::launch("rediss", dir, port, args).await
    }

    async fn launch(scheme: &'static str, dir: TempDir, port: u16, args: Vec<String>) -> Self {
        let process = spawn(&dir, &args);
        listening(port).await;
        Self {
            dir,
            scheme,
            port,
            args,
            process,
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/", self.scheme, self.port)
    }

    /// What it has logged since it was last started.
    pub fn log(&self) -> String {
        self.process.output() + &self.process.log()
    }

    /// The directory that it works in, and saves to if told to.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// A connection to look at it with.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Kills it; what it held is lost.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again on the same port, empty.
    pub async fn restart(&mut self) {
        self.process = spawn(&self.dir, &self.args);
        listening(self.port).await;
    }

    /// Sends it a signal: `STOP` and `CONT` freeze and thaw it.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }
}

fn spawn(dir: &TempDir, args: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(dir.path())
        .arg("--pidfile")
        .arg(dir.path().join("redis.pid"))
        .args(args);
    Process::spawn(dir.path(), "redis-server", command)
}
