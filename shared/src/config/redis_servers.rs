use redis::sentinel::SentinelNodeConnectionInfo;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, TlsMode};
use url::Url;

/// The port of a Redis server whose URL names none.
const REDIS_PORT: u16 = 6379;
/// The port of a Sentinel whose URL names none.
const SENTINEL_PORT: u16 = 26379;

/// What a URL of one server looks like, and of other ways to run Redis.
pub(super) const EXPECTED: &str = "a Redis URL, redis://host:port/db, redis+sentinel://host:port,…/\
                                   MASTER/db or redis+cluster://host:port,…, with rediss for TLS";
/// What a URL of Sentinels looks like.
const EXPECTED_SENTINELS: &str = "redis+sentinel://user:password@host:port,…/MASTER/db?\
                                  sentinel_username=…&sentinel_password=…, of which only the hosts and the \
                                  name of the master are required";
/// What a URL of a cluster looks like.
const EXPECTED_CLUSTER: &str =
    "redis+cluster://user:password@host:port,… without a database and options";

/// Where the queue is, and how to find it. Passwords are in it.
#[derive(Clone)]
pub enum RedisServers {
    /// One server, or one address behind which somebody else fails over.
    Single(Client),
    /// A master with replicas, which Sentinels watch.
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<ConnectionInfo>,
        /// The name by which they know the master.
        master: String,
        /// How to connect to the master.
        node: SentinelNodeConnectionInfo,
    },
    /// Some of the servers of a cluster. They know the others.
    Cluster(Vec<ConnectionInfo>),
}

impl RedisServers {
    /// Parses a URL. The error says what was expected.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or(EXPECTED)?;
        let (protocol, mode) = match scheme.split_once('+') {
            None => (scheme, None),
            Some((protocol, mode)) => (protocol, Some(mode)),
        };
        if protocol != "redis" && protocol != "rediss" {
            return Err(EXPECTED);
        }
        let parts = Parts::of(protocol, rest);
        match mode {
            None => single(url, &parts).ok_or(EXPECTED),
            Some("sentinel") => sentinel(&parts).ok_or(EXPECTED_SENTINELS),
            Some("cluster") => cluster(&parts).ok_or(EXPECTED_CLUSTER),
            Some(_) => Err(EXPECTED),
        }
    }
}

/// The parts of a URL that may name several hosts.
struct Parts<'a> {
    protocol: &'a str,
    /// User and password, with `@` at its end, or empty.
    login: &'a str,
    hosts: Vec<&'a str>,
    /// Path, query and fragment.
    tail: &'a str,
}

impl<'a> Parts<'a> {
    fn of(protocol: &'a str, rest: &'a str) -> Self {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Self {
            protocol,
            login,
            hosts: hosts.split(',').collect(),
            tail,
        }
    }

    /// Returns how to connect to each host, as this user.
    fn servers(&self, login: &str, default_port: u16) -> Option<Vec<ConnectionInfo>> {
        let server = |host: &&str| {
            let mut url = Url::parse(&format!("{}://{login}{host}/", self.protocol)).ok()?;
            let port = url.port().unwrap_or(default_port);
            url.set_port(Some(port)).ok()?;
            url.into_connection_info().ok()
        };
        self.hosts.iter().map(server).collect()
    }

    /// Returns the URL without its hosts, for its path and query.
    fn tail(&self) -> Option<Url> {
        let url = Url::parse(&format!("redis://host{}", self.tail)).ok()?;
        url.fragment().is_none().then_some(url)
    }
}

fn single(url: &str, parts: &Parts) -> Option<RedisServers> {
    let client = Client::open(url).ok()?;
    (parts.hosts.len() == 1).then_some(RedisServers::Single(client))
}

fn cluster(parts: &Parts) -> Option<RedisServers> {
    let tail = parts.tail()?;
    let is_plain = matches!(tail.path(), "" | "/") && tail.query().is_none();
    let servers = parts.servers(parts.login, REDIS_PORT)?;
    is_plain.then_some(RedisServers::Cluster(servers))
}

fn sentinel(parts: &Parts) -> Option<RedisServers> {
    let tail = parts.tail()?;
    let mut path = tail.path_segments()?;
    let master = path.next().filter(|name| is_master_name(name))?.to_owned();
    let db: i64 = match path.next() {
        None | Some("") => 0,
        Some(db) => db.parse().ok().filter(|db| *db >= 0)?,
    };
    if path.next().is_some() {
        return None;
    }

    // The login of the URL is the master's.
    let mut of_master = parts.servers(parts.login, SENTINEL_PORT)?;
    let login = of_master.pop()?.redis_settings().clone().set_db(db);
    let mut node = SentinelNodeConnectionInfo::default().set_redis_connection_info(login);
    if parts.protocol == "rediss" {
        node = node.set_tls_mode(TlsMode::Secure);
    }

    let mut sentinels = parts.servers("", SENTINEL_PORT)?;
    for (option, value) in tail.query_pairs() {
        for sentinel in &mut sentinels {
            let login = sentinel.redis_settings().clone();
            let login = match &*option {
                "sentinel_username" => login.set_username(&value),
                "sentinel_password" => login.set_password(&value),
                _ => return None,
            };
            *sentinel = sentinel.clone().set_redis_settings(login);
        }
    }
    Some(RedisServers::Sentinel {
        sentinels,
        master,
        node,
    })
}

/// Returns whether Sentinel takes this as the name of a master.
fn is_master_name(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(servers: &[ConnectionInfo]) -> Vec<String> {
        let address = |server: &ConnectionInfo| server.addr().to_string();
        servers.iter().map(address).collect()
    }

    #[test]
    fn a_url_names_one_server() {
        for valid in [
            "redis://host",
            "rediss://user:a,b@host:1/2",
            "redis://[::1]",
        ] {
            let parsed = RedisServers::parse(valid);
            assert!(matches!(parsed, Ok(RedisServers::Single(_))), "{valid}");
        }
        for invalid in [
            "host",
            "http://host",
            "redis:/host",
            "redis://",
            "redis://one,two/",
            "redis://host/x",
            "redis://host:x",
            "redis+other://host",
            "valkey://host",
        ] {
            assert_eq!(
                RedisServers::parse(invalid).err(),
                Some(EXPECTED),
                "{invalid}"
            );
        }
    }

    #[test]
    fn a_url_names_servers_of_a_cluster() {
        let parsed = RedisServers::parse("rediss+cluster://user:p%40@one,two:7000,[::1]:1/");
        let Ok(RedisServers::Cluster(servers)) = parsed else {
            panic!("it is a cluster");
        };
        assert_eq!(addresses(&servers), ["one:6379", "two:7000", "::1:1"]);
        for server in servers {
            assert_eq!(server.redis_settings().username(), Some("user"));
            assert_eq!(server.redis_settings().password(), Some("p@"));
            assert!(matches!(
                server.addr(),
                redis::ConnectionAddr::TcpTls {
                    insecure: false,
                    ..
                }
            ));
        }
        for invalid in ["", "one,", "one:x", "one/0", "one?a=b", "one/#insecure"] {
            let parsed = RedisServers::parse(&format!("redis+cluster://{invalid}"));
            assert_eq!(parsed.err(), Some(EXPECTED_CLUSTER), "{invalid}");
        }
    }

    #[test]
    fn a_url_names_sentinels_and_their_master() {
        let options = "sentinel_username=s%2B&sentinel_password=t";
        let url = format!("redis+sentinel://user:password@one,two:1/the.master/2?{options}");
        let Ok(RedisServers::Sentinel {
            sentinels, master, ..
        }) = RedisServers::parse(&url)
        else {
            panic!("they are Sentinels");
        };
        assert_eq!(addresses(&sentinels), ["one:26379", "two:1"]);
        assert_eq!(master, "the.master");
        for sentinel in sentinels {
            assert_eq!(sentinel.redis_settings().username(), Some("s+"));
            assert_eq!(sentinel.redis_settings().password(), Some("t"));
        }
        assert!(RedisServers::parse("rediss+sentinel://one/m").is_ok());
        for invalid in [
            "one",
            "one/",
            "one//1",
            "one/m/x",
            "one/m/-1",
            "one/m/1/2",
            "one/m?a=b",
        ] {
            let parsed = RedisServers::parse(&format!("redis+sentinel://{invalid}"));
            assert_eq!(parsed.err(), Some(EXPECTED_SENTINELS), "{invalid}");
        }
    }
}
