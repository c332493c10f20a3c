//! A Redis server of a test's own, to fill, kill, freeze and restart.

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Process, free_port, listening};
use crate::scratch;

/// A private redis-server, ended when dropped. It keeps nothing on disk: a
/// restart finds it empty.
pub struct RedisServer {
    dir: TempDir,
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
        let (dir, port) = (scratch(), free_port());
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let process = spawn(&dir, port, &args);
        listening(port).await;
        Self {
            dir,
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
        format!("redis://127.0.0.1:{}/", self.port)
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
        self.process = spawn(&self.dir, self.port, &self.args);
        listening(self.port).await;
    }

    /// Sends it a signal: `STOP` and `CONT` freeze and thaw it.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }
}

fn spawn(dir: &TempDir, port: u16, args: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(dir.path())
        .arg("--pidfile")
        .arg(dir.path().join("redis.pid"))
        .args(args);
    Process::spawn(dir.path(), "redis-server", command)
}
