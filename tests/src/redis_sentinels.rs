//! A private Redis master with a replica and three Sentinels, all of which speak TLS only.

use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Process, free_port, listening};
use crate::redis_server::PASSWORD;
use crate::wait::eventually;
use crate::{PrivateCa, RedisServer, report, scratch};

/// The deadline for the servers to agree.
const PATIENCE: Duration = Duration::from_mins(1);
/// The name by which the Sentinels know the master.
const MASTER: &str = "keys-master";
/// The password of the service for the Sentinels.
const SENTINEL_PASSWORD: &str = "sentinel+password/of:the@service";
/// What a client of Sentinels needs.
const SENTINEL_USERS: &str = include_str!("../../deploy/redis/sentinel-users.acl");

/// The servers, which stop when this is dropped.
pub struct RedisSentinels {
    /// The first master and its replica.
    pub servers: [RedisServer; 2],
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    process: Process,
    /// It is dropped after the process, whose logs and settings are in it.
    _dir: TempDir,
}

impl RedisSentinels {
    /// Starts the servers with certificates of this CA, and waits until the Sentinels know each
    /// other and the replica.
    pub async fn start(ca: &PrivateCa) -> Self {
        let began = tokio::time::Instant::now();
        let dir = scratch();
        let trusted = ca.write(dir.path());
        let trusted = trusted.to_str().unwrap();
        let (certificate, key) = ca.issue("127.0.0.1");
        let both = ["--tls-replication", "yes", "--tls-ca-cert-file", trusted];
        let both = [&both[..], &["--repl-diskless-sync-delay", "0"]].concat();
        let master = RedisServer::start_tls_with(&certificate, &key, &both).await;
        let port = master.port().to_string();
        let replica = [&both[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replica = RedisServer::start_tls_with(&certificate, &key, &replica).await;

        let start = |_| Sentinel::start(&certificate, &key, trusted, master.port());
        let sentinels = join_all((0..3).map(start)).await;
        for sentinel in &sentinels {
            let knows_all = || async {
                let log = sentinel.process.output();
                let sentinels = log.matches("+sentinel sentinel").count();
                log.contains("+slave slave") && sentinels == 2
            };
            eventually("the Sentinel knows all", PATIENCE, knows_all, |it| *it).await;
        }
        report(&format!("Redis Sentinels work after {:?}", began.elapsed()));
        Self {
            servers: [master, replica],
            sentinels,
        }
    }

    /// Returns the URL of the Sentinels for the service.
    pub fn service_url(&self) -> String {
        let hosts: Vec<String> = (self.sentinels.iter())
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port))
            .collect();
        let password = SENTINEL_PASSWORD.replace('+', "%2B").replace('/', "%2F");
        let password = password.replace(':', "%3A").replace('@', "%40");
        format!(
            "rediss+sentinel://partner_keys:{PASSWORD}@{}/{MASTER}/0?sentinel_username=partner_keys\
             &sentinel_password={password}",
            hosts.join(",")
        )
    }

    /// Kills the Sentinel that the URL names first.
    pub async fn kill_a_sentinel(&mut self) {
        self.sentinels[0].process.kill().await;
    }
}

impl Sentinel {
    async fn start(certificate: &str, key: &str, ca: &str, master: u16) -> Self {
        let (dir, port) = (scratch(), free_port());
        let file = |name: &str, content: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let (certificate, key) = (file("server.crt", certificate), file("server.key", key));
        let users = SENTINEL_USERS.replace("PASSWORD", SENTINEL_PASSWORD);
        let users = file("users.acl", &users);
        let settings = format!(
            "bind 127.0.0.1
             port 0
             tls-port {port}
             tls-cert-file {certificate}
             tls-key-file {key}
             tls-ca-cert-file {ca}
             tls-auth-clients no
             tls-replication yes
             aclfile {users}
             sentinel monitor {MASTER} 127.0.0.1 {master} 2
             sentinel down-after-milliseconds {MASTER} 500
             sentinel failover-timeout {MASTER} 3000
            "
        );
        let mut command = Command::new("redis-server");
        let settings = file("sentinel.conf", &settings);
        command.args([&*settings, "--sentinel"]);
        let process = Process::spawn(dir.path(), "redis-sentinel", command);
        listening(port).await;
        Self {
            port,
            process,
            _dir: dir,
        }
    }
}
