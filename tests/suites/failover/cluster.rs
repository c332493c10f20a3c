//! Two PostgreSQL servers behind HAProxy, with the sample configuration and an agent for each.

use tempfile::TempDir;
use tests::process::{free_port, listening};
use tests::{PrivatePostgres, Process, eventually, scratch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::SOON;

const SAMPLE: &str = include_str!("../../../deploy/postgres/haproxy.cfg");

/// A primary with a synchronous standby, and HAProxy, which leads to the primary.
pub struct Cluster {
    pub primary: PrivatePostgres,
    pub standby: PrivatePostgres,
    port: u16,
    agents: Vec<JoinHandle<()>>,
    _haproxy: Process,
    /// It is dropped after the process, whose logs are in it.
    _dir: TempDir,
}

impl Cluster {
    pub async fn start() -> Self {
        let primary = PrivatePostgres::start().await;
        let standby = primary.start_standby().await;
        let (dir, port) = (scratch(), free_port());
        let mut settings = SAMPLE.to_owned();
        let mut agents = Vec::new();
        let mut set = |sample: &str, ours: &str| {
            assert!(settings.contains(sample), "{sample}");
            settings = settings.replace(sample, ours);
        };
        set("127.0.0.1:5000", &format!("127.0.0.1:{port}"));
        // On a busy machine, two checks within 200 ms may both be slow, so that a live primary would
        // count as dead.
        set("inter 1s fall 2", "inter 100ms fall 10");
        for (address, server) in [("10.0.0.10", &primary), ("10.0.0.11", &standby)] {
            let (agent_port, agent) = agent(server.url()).await;
            agents.push(agent);
            let ours = format!("127.0.0.1:{} port {agent_port}", server.port());
            set(&format!("{address}:5432 port 8008"), &ours);
        }
        std::fs::write(dir.path().join("haproxy.cfg"), settings).unwrap();
        let mut command = Command::new("haproxy");
        // Debian keeps it off a user's PATH.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        command.env("PATH", path).args(["-db", "-f", "haproxy.cfg"]);
        command.current_dir(dir.path());
        let mut haproxy = Process::spawn(dir.path(), "haproxy", command);
        listening(port).await;
        // Until its first checks, HAProxy takes both servers for primaries, and leads to them in
        // turns. It closes the connections to the standby when it knows better.
        haproxy.logged("Server partner-keys/two is DOWN").await;
        let cluster = Self {
            primary,
            standby,
            port,
            agents,
            _haproxy: haproxy,
            _dir: dir,
        };
        let url = cluster.url();
        let look = || PrivatePostgres::is_primary(&url);
        eventually("HAProxy leads to the primary", SOON, look, |is| *is).await;
        cluster
    }

    /// Returns the URL of the database `postgres` of the server that is the primary.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for agent in &self.agents {
            agent.abort();
        }
    }
}

/// Starts an agent that answers each request with 200 if the server at this URL is a primary, and
/// else with 503. Returns its port.
async fn agent(url: String) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let status = if PrivatePostgres::is_primary(&url).await {
                "200 OK"
            } else {
                "503 Service Unavailable"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    (port, serving)
}
