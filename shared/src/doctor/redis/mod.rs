//! What a program needs of Redis.

mod connection;
mod permissions;
mod server;

use std::net::IpAddr;

use redis::{ConnectionAddr, ConnectionInfo};

use super::steps::{Steps, skip};
use super::{Finding, look_up};
use crate::clock::Clock;
use crate::config::{RedisConfig, RedisServers};

const NAME: &str = "redis.name";
const CONNECTION: &str = "redis.connection";
const TLS: &str = "redis.tls";
const VERSION: &str = "redis.version";
const MODE: &str = "redis.mode";
const EVICTION: &str = "redis.eviction";
const CLOCK: &str = "redis.clock";
const PERMISSIONS: &str = "redis.permissions";

/// The checks that need a connection.
const QUESTIONS: [&str; 5] = [VERSION, MODE, EVICTION, CLOCK, PERMISSIONS];

/// Checks Redis.
pub(super) async fn check(config: Option<&RedisConfig>, clock: &Clock) -> Vec<Finding> {
    let Some(config) = config else {
        let why = "a setting for Redis is invalid";
        return [skip(&[NAME, CONNECTION, TLS], why), skip(&QUESTIONS, why)].concat();
    };
    let mut findings = Vec::new();
    let mut is_found = false;
    for server in named(&config.servers) {
        let (name, addresses) = find(server.addr()).await;
        findings.push(name);
        is_found |= !addresses.is_empty();
    }
    if !is_found {
        findings.extend(skip(&[CONNECTION], "no server's name was found"));
        findings.extend(skip(&[TLS], "there is no connection"));
        findings.extend(skip(&QUESTIONS, "there is no connection"));
        return findings;
    }
    let mut opened = match connection::open(config).await {
        Ok(opened) => opened,
        Err(finding) => {
            findings.push(finding);
            findings.extend(skip(&[TLS], "there is no connection"));
            findings.extend(skip(&QUESTIONS, "there is no connection"));
            return findings;
        }
    };
    findings.push(opened.finding);
    let (_, addresses) = find(&opened.address).await;
    findings.push(connection::check_tls(&opened.address, &addresses));
    let redis = &mut opened.redis;
    let mut steps = Steps::default();
    steps.run(VERSION, server::check_version(redis)).await;
    steps
        .run(MODE, server::check_mode(redis, &config.servers))
        .await;
    steps.run(EVICTION, server::check_eviction(redis)).await;
    steps.run(CLOCK, server::check_clock(redis, clock)).await;
    steps
        .run(PERMISSIONS, permissions::check(redis, &config.prefix))
        .await;
    findings.extend(steps.findings);
    findings
}

/// Returns the servers that the URL names.
fn named(servers: &RedisServers) -> Vec<&ConnectionInfo> {
    match servers {
        RedisServers::Single(client) => vec![client.get_connection_info()],
        RedisServers::Sentinel { sentinels, .. } => sentinels.iter().collect(),
        RedisServers::Cluster(servers) => servers.iter().collect(),
    }
}

/// Looks up the name of a server.
async fn find(address: &ConnectionAddr) -> (Finding, Vec<IpAddr>) {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => {
            look_up(NAME, host).await
        }
        _ => {
            let name = Finding::ok(NAME, "a socket of this machine");
            (name, vec![[127, 0, 0, 1].into()])
        }
    }
}
