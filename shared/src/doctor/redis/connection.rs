use std::net::IpAddr;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ErrorKind, RedisError};
use tokio::time::timeout;

use super::{CONNECTION, TLS};
use crate::config::{RedisConfig, RedisServers};
use crate::doctor::Finding;
use crate::doctor::server_name::judge_exposed;
use crate::doctor::steps::LIMIT;
use crate::queue::redis::{find_primary, queue_name};

/// Looks whether others can read or change what goes over the connection.
pub(super) fn check_tls(address: &ConnectionAddr, addresses: &[IpAddr]) -> Finding {
    let fix = "use rediss:// in REDIS_URL";
    match address {
        ConnectionAddr::TcpTls { insecure: true, .. } => Finding::error(
            TLS,
            "the server is not verified",
            "remove #insecure from REDIS_URL",
        ),
        ConnectionAddr::TcpTls { .. } => Finding::ok(TLS, "encrypted, and the server is verified"),
        _ => judge_exposed(TLS, "not encrypted", addresses, fix),
    }
}

/// A connection to the server that has the queue.
pub(super) struct Opened {
    pub(super) redis: MultiplexedConnection,
    pub(super) address: ConnectionAddr,
    pub(super) finding: Finding,
}

/// Finds the server that has the queue, connects, signs in and asks for a sign of life. An
/// error is the finding.
pub(super) async fn open(config: &RedisConfig) -> Result<Opened, Finding> {
    let asked = match &config.servers {
        RedisServers::Single(client) => client.get_connection_info().addr().to_string(),
        RedisServers::Sentinel { master, .. } => format!("the master {master}"),
        RedisServers::Cluster(_) => "the cluster".to_owned(),
    };
    // Its own limits are longer than ours, which says what to do.
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(2 * LIMIT))
        .set_response_timeout(Some(2 * LIMIT));
    let key = format!("{}:doctor", queue_name(&config.prefix));
    let connect = async {
        let client = find_primary(&config.servers, &key).await?;
        let connect = client.get_multiplexed_async_connection_with_config(&limits);
        let mut redis = connect.await?;
        redis::cmd("PING").query_async::<()>(&mut redis).await?;
        Ok::<_, RedisError>((redis, client.get_connection_info().addr().clone()))
    };
    match timeout(LIMIT, connect).await {
        Ok(Ok((redis, address))) => Ok(Opened {
            redis,
            finding: Finding::ok(CONNECTION, format!("{address} answers")),
            address,
        }),
        Ok(Err(error)) => {
            let message = format!("could not use {asked}: {error}");
            Err(Finding::error(CONNECTION, message, remedy(&error)))
        }
        Err(_) => {
            let message = format!("{asked} did not answer within {LIMIT:?}");
            let fix = "allow connections from this machine (firewall, NetworkPolicy), correct host \
                       and port in REDIS_URL, or use redis:// if the server has no TLS and \
                       rediss:// if it has";
            Err(Finding::error(CONNECTION, message, fix))
        }
    }
}

fn remedy(error: &RedisError) -> &'static str {
    let code = error.code().unwrap_or_default();
    if error.kind() == ErrorKind::AuthenticationFailed || matches!(code, "NOAUTH" | "WRONGPASS") {
        return "correct user and password in REDIS_URL: redis://user:password@host/";
    }
    if error.kind() == ErrorKind::MasterNameNotFoundBySentinel {
        return "correct the name of the master at the end of REDIS_URL, or the Sentinels' hosts";
    }
    if error.is_connection_refusal() {
        return "start Redis, or correct host and port in REDIS_URL";
    }
    if error.to_string().contains("certificate") {
        return "add the server's CA to the file of SSL_CERT_FILE, or correct the host in REDIS_URL";
    }
    match code {
        "LOADING" => "wait until Redis has loaded its data",
        "NOPERM" => "give the user the rights of deploy/redis/users.acl",
        _ => {
            "look at the server's log, and at REDIS_URL: redis:// if the server has no TLS, and \
             rediss:// if it has"
        }
    }
}
