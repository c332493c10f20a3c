//! Mistakes with Redis.

use tests::RedisServer;
use tests::process::free_port;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::{Diagnosis, diagnose, with};

async fn diagnose_with(url: &str) -> Diagnosis {
    diagnose("worker", &with(&[("REDIS_URL", url)])).await
}

/// Starts a server that answers as Redis 5 with a clock from the past. Returns its URL.
async fn old_redis() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://:hunter2@{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                // A command is `*N`, and for each word `$LENGTH` and the word.
                while let Ok(Some(head)) = lines.next_line().await {
                    let words: usize = head.trim_start_matches('*').parse().unwrap();
                    let mut name = String::new();
                    for i in 0..2 * words {
                        let line = lines.next_line().await.unwrap().unwrap();
                        if i == 1 {
                            name = line;
                        }
                    }
                    let answer = match &*name.to_uppercase() {
                        "HELLO" => "-ERR unknown command `HELLO`\r\n",
                        "TIME" => "*2\r\n$10\r\n1000000000\r\n$1\r\n0\r\n",
                        "INFO" => "$27\r\nmaxmemory_policy:noeviction\r\n",
                        _ => "+OK\r\n",
                    };
                    write.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn what_is_wrong_with_redis_is_named() {
    let bus = free_port().to_string();
    let cluster_args = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let (server, replica, cluster, old) = tokio::join!(
        RedisServer::start(),
        RedisServer::start_with(&[
            "--replicaof",
            "127.0.0.1 1",
            "--maxmemory-policy",
            "allkeys-lru"
        ]),
        RedisServer::start_with(&cluster_args),
        old_redis(),
    );
    let mut admin = server.connection().await;
    // The rights that were enough for the queue alone, and too few of them.
    let rights =
        "resetkeys ~partner-keys:* resetchannels -@all +@read +@connection +@scripting +@pubsub";
    let mut limited = ::redis::cmd("ACL");
    limited.arg(&["SETUSER", "limited", "on", ">hunter2"][..]);
    limited.arg(rights.split(' ').collect::<Vec<_>>());
    limited.query_async::<()>(&mut admin).await.unwrap();

    let address = format!("127.0.0.1:{}", server.port());
    let (limited, wrong_password, no_name, no_tls) = (
        format!("redis://limited:hunter2@{address}/"),
        format!("redis://partner_keys:hunter2@{address}/"),
        "redis://:hunter2@nothing.invalid/",
        format!("rediss://partner_keys:hunter2@{address}/"),
    );
    let (no_cluster, no_sentinel) = (
        server.service_url().replace("redis://", "redis+cluster://"),
        server
            .service_url()
            .replace("redis://", "redis+sentinel://")
            + "the-master",
    );
    let (limited, wrong_password, no_name, no_tls, replica, cluster, old, no_cluster, no_sentinel) = tokio::join!(
        diagnose_with(&limited),
        diagnose_with(&wrong_password),
        diagnose_with(no_name),
        diagnose_with(&no_tls),
        async { diagnose_with(&replica.service_url()).await },
        async { diagnose_with(&cluster.service_url()).await },
        diagnose_with(&old),
        diagnose_with(&no_cluster),
        diagnose_with(&no_sentinel),
    );
    limited.finds("redis.eviction", "warning", "the user may not run INFO");
    limited.finds("redis.clock", "warning", "the user may not run TIME");
    let lacks = "may not write the keys partner-keys:*; nor publish to the channels partner-keys:*";
    limited.finds("redis.permissions", "error", lacks);
    wrong_password.finds("redis.connection", "error", "could not use");
    wrong_password.finds("redis.version", "skipped", "there is no connection");
    no_name.finds(
        "redis.name",
        "error",
        "the name nothing.invalid was not found",
    );
    no_tls.finds("redis.connection", "error", "");
    replica.finds("redis.mode", "error", "which only reads");
    replica.finds("redis.eviction", "warning", "the policy is allkeys-lru");
    cluster.finds("redis.mode", "error", "a node of Redis Cluster");
    no_cluster.finds("redis.mode", "error", "is not a node of Redis Cluster");
    no_sentinel.finds(
        "redis.connection",
        "error",
        "could not use the master the-master",
    );
    old.finds("redis.version", "error", "older than 6.0");
    old.finds("redis.clock", "error", "behind this machine's");
}
