//! Finds the server that has the queue now: the only one, the master that Sentinels know, or
//! the owner of the queue's slot in a cluster.

use std::time::Duration;

use futures_util::future::select_ok;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind,
    RedisError, RedisResult, ServerErrorKind,
};

use crate::config::RedisServers;

/// The time limit for opening a connection, and for the answer to a command.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The number of times that one server of a cluster may refer to another one. The first to be
/// asked knows the owner, unless a failover or a move of the slot is under way.
const MAX_REFERRALS: usize = 3;

/// Returns a client of the server that has this key, one of the queue's.
pub async fn primary(servers: &RedisServers, key: &str) -> RedisResult<Client> {
    match servers {
        RedisServers::Single(client) => Ok(client.clone()),
        RedisServers::Sentinel {
            sentinels,
            master,
            node,
        } => {
            let (sentinels, node) = (sentinels.clone(), Some(node.clone()));
            let kind = SentinelServerType::Master;
            let mut sentinel = SentinelClient::build(sentinels, master, node, kind)?;
            sentinel.async_get_client().await
        }
        RedisServers::Cluster(servers) => {
            // All at once, so that one that does not answer delays nothing.
            let owners = servers.iter().map(|server| Box::pin(owner(server, key)));
            let (owner, _others) = select_ok(owners).await?;
            Ok(owner)
        }
    }
}

/// Returns the time limits of a connection.
pub fn limits() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT))
}

/// Asks this server for the key, and then the servers to which they refer. Returns a client of
/// the one that has the key's slot.
async fn owner(server: &ConnectionInfo, key: &str) -> RedisResult<Client> {
    let mut server = server.clone();
    for _ in 0..=MAX_REFERRALS {
        let client = Client::open(server.clone())?;
        let mut redis = client
            .get_multiplexed_async_connection_with_config(&limits())
            .await?;
        match redis.exists::<_, bool>(key).await {
            Ok(_) => return Ok(client),
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) => {
                server = referred(&server, &error).ok_or(error)?;
            }
            Err(error) => return Err(error),
        }
    }
    let error = "the servers of the cluster refer to each other";
    Err(RedisError::from((ErrorKind::Client, error)))
}

/// Returns the server to which another one refers, with the same login and TLS.
fn referred(by: &ConnectionInfo, error: &RedisError) -> Option<ConnectionInfo> {
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    // A server that does not know its own name refers to the host that was asked.
    let host = |asked: &String| match host {
        "" => asked.clone(),
        known => known.to_owned(),
    };
    let address = match by.addr() {
        ConnectionAddr::Tcp(asked, _) => ConnectionAddr::Tcp(host(asked), port),
        ConnectionAddr::TcpTls {
            host: asked,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: host(asked),
            port,
            insecure: false,
            tls_params: tls_params.clone(),
        },
        _ => return None,
    };
    Some(by.clone().set_addr(address))
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    fn address(asked: &str, referral: &'static str) -> Option<String> {
        let by = asked.into_connection_info().unwrap();
        let error = redis::parse_redis_value(format!("-MOVED 7 {referral}\r\n").as_bytes());
        let error = error.unwrap().extract_error().unwrap_err();
        referred(&by, &error).map(|server| server.addr().to_string())
    }

    #[test]
    fn a_referral_names_a_host_or_only_a_port() {
        let plain = "redis://user:password@10.0.0.1:7000";
        assert_eq!(address(plain, "10.0.0.2:7001").unwrap(), "10.0.0.2:7001");
        assert_eq!(address(plain, ":7001").unwrap(), "10.0.0.1:7001");
        assert_eq!(address(plain, "redis-2:7001").unwrap(), "redis-2:7001");
        assert_eq!(address(plain, "10.0.0.2"), None);
        let by = "rediss://user:password@10.0.0.1:7000";
        assert_eq!(address(by, "10.0.0.2:7001").unwrap(), "10.0.0.2:7001");
    }
}
