//! A private Redis Cluster of three masters, each with a replica.

use std::time::Duration;

use futures_util::future::join_all;
use redis::FromRedisValue;

use crate::process::free_port;
use crate::redis_server::PASSWORD;
use crate::wait::eventually;
use crate::{RedisServer, report};

/// The deadline for the servers to agree.
const PATIENCE: Duration = Duration::from_mins(1);
/// The slots of each master.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// A private cluster, which stops when this is dropped.
pub struct RedisCluster {
    /// The servers: the masters, then a replica of each.
    pub servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts a cluster, and waits until it works.
    pub async fn start() -> Self {
        let began = tokio::time::Instant::now();
        let start = |_| async {
            let bus = free_port().to_string();
            let args = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            // A failover takes some four times as long as this.
            let timeout = ["--cluster-node-timeout", "500"];
            let replicas = ["--repl-diskless-sync-delay", "0"];
            let args = [&args[..], &timeout, &replicas].concat();
            (RedisServer::start_with(&args).await, bus)
        };
        let started = join_all((0..2 * SLOTS.len()).map(start)).await;
        let (servers, buses): (Vec<_>, Vec<_>) = started.into_iter().unzip();
        let cluster = Self { servers };
        cluster.create(&buses).await;
        report(&format!(
            "a Redis Cluster works after {:?}",
            began.elapsed()
        ));
        cluster
    }

    async fn create(&self, buses: &[String]) {
        let (masters, replicas) = self.servers.split_at(SLOTS.len());
        let mut ids = Vec::new();
        for (number, (first, last)) in SLOTS.iter().enumerate() {
            let master = &masters[number];
            let epoch = (number + 1).to_string();
            let () = cluster(master, &["SET-CONFIG-EPOCH", &epoch]).await;
            let () = cluster(master, &["ADDSLOTSRANGE", first, last]).await;
            ids.push(cluster::<String>(master, &["MYID"]).await);
        }
        for (server, bus) in self.servers.iter().zip(buses).skip(1) {
            let port = server.port().to_string();
            let () = cluster(&masters[0], &["MEET", "127.0.0.1", &port, bus]).await;
        }
        for (replica, id) in replicas.iter().zip(&ids) {
            // It refuses until it has heard of the master.
            let follow = || async {
                let mut command = redis::cmd("CLUSTER");
                command.arg(&["REPLICATE", id]);
                let mut redis = replica.connection().await;
                command.query_async::<()>(&mut redis).await.is_ok()
            };
            eventually("the replica knows its master", PATIENCE, follow, |it| *it).await;
        }
        for server in &self.servers {
            let works = || async {
                let info: String = cluster(server, &["INFO"]).await;
                let nodes: String = cluster(server, &["NODES"]).await;
                let replicas = nodes.lines().filter(|line| line.contains("slave"));
                info.contains("cluster_state:ok") && replicas.count() == SLOTS.len()
            };
            eventually("the server knows the cluster", PATIENCE, works, |it| *it).await;
        }
        for replica in replicas {
            eventually(
                "the replica follows",
                PATIENCE,
                || follows(replica),
                |it| *it,
            )
            .await;
        }
    }

    /// Returns the URL of the masters for the service.
    pub fn service_url(&self) -> String {
        let masters = self.servers[..SLOTS.len()].iter();
        let hosts: Vec<String> = masters
            .map(|server| format!("127.0.0.1:{}", server.port()))
            .collect();
        format!(
            "redis+cluster://partner_keys:{PASSWORD}@{}",
            hosts.join(",")
        )
    }

    /// Moves the slot of this key to another master, as for a new one.
    pub async fn move_slot(&self, key: &str, from: usize, to: usize) {
        let slot = self.slot(key).await.to_string();
        let (from, to) = (&self.servers[from], &self.servers[to]);
        let source: String = cluster(from, &["MYID"]).await;
        let target: String = cluster(to, &["MYID"]).await;
        let () = cluster(to, &["SETSLOT", &slot, "IMPORTING", &source]).await;
        let () = cluster(from, &["SETSLOT", &slot, "MIGRATING", &target]).await;
        let port = to.port().to_string();
        loop {
            let keys: Vec<String> = cluster(from, &["GETKEYSINSLOT", &slot, "100"]).await;
            if keys.is_empty() {
                break;
            }
            let mut command = redis::cmd("MIGRATE");
            command.arg(&["127.0.0.1", &port, "", "0", "5000", "KEYS"]);
            let mut redis = from.connection().await;
            let () = command.arg(keys).query_async(&mut redis).await.unwrap();
        }
        for server in [to, from] {
            let () = cluster(server, &["SETSLOT", &slot, "NODE", &target]).await;
        }
    }

    async fn slot(&self, key: &str) -> u16 {
        cluster(&self.servers[0], &["KEYSLOT", key]).await
    }

    /// Returns the number of the master that has this key at first.
    pub async fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key).await;
        let has_it = |(first, last): &(&str, &str)| {
            (first.parse().unwrap()..=last.parse().unwrap()).contains(&slot)
        };
        SLOTS.iter().position(has_it).unwrap()
    }

    /// Returns the replica of the master with this number.
    pub fn replica(&self, master: usize) -> &RedisServer {
        &self.servers[SLOTS.len() + master]
    }

    /// Returns the master with this number and its replica, which a test may kill.
    pub fn pair(&mut self, master: usize) -> (&RedisServer, &mut RedisServer) {
        let (masters, replicas) = self.servers.split_at_mut(SLOTS.len());
        (&masters[master], &mut replicas[master])
    }
}

/// Runs a `CLUSTER` command on one server.
async fn cluster<T: FromRedisValue>(server: &RedisServer, arguments: &[&str]) -> T {
    let mut command = redis::cmd("CLUSTER");
    command.arg(arguments);
    let mut redis = server.connection().await;
    command.query_async(&mut redis).await.unwrap()
}

/// Returns whether the replica has all data of its master.
async fn follows(replica: &RedisServer) -> bool {
    let mut command = redis::cmd("INFO");
    let mut redis = replica.connection().await;
    let info: String = command
        .arg("replication")
        .query_async(&mut redis)
        .await
        .unwrap();
    info.contains("master_link_status:up")
}
