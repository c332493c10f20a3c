//! The settings, grouped by what they configure.

use std::net::SocketAddr;

use clap::Args;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{Checker, Secret};
use crate::svix::SvixConfig;
use crate::telemetry::{LogConfig, LogFormat};

/// The database.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// PostgreSQL: postgres://user:password@host:port/database, with
    /// ?sslmode=verify-full&sslrootcert=FILE for verified TLS
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<Secret>,

    /// Connections that this process opens at most [default: 20]
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", value_name = "N")]
    pub database_max_connections: Option<String>,
}

impl DatabaseArgs {
    /// How to connect, and the most connections.
    pub fn check(&self, checker: &mut Checker) -> Option<(PgConnectOptions, u32)> {
        let url = checker.secret(
            "DATABASE_URL",
            self.database_url.as_ref(),
            "a PostgreSQL URL, postgres://user:password@host:port/database",
            |url| {
                let scheme = url.split("://").next()?;
                let known = matches!(scheme, "postgres" | "postgresql");
                let options: PgConnectOptions = url.parse().ok().filter(|_| known)?;
                Some(options.disable_statement_logging())
            },
        );
        let max = checker.optional(
            "DATABASE_MAX_CONNECTIONS",
            self.database_max_connections.as_deref(),
            "a whole number from 1 to 1000",
            |text| text.parse().ok().filter(|n| (1..=1000).contains(n)),
        );
        Some((url?, max?.unwrap_or(20)))
    }
}

/// Redis.
#[derive(Debug, Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// redis://[user:password@]host:port/db, or rediss:// for TLS
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<Secret>,
}

impl RedisArgs {
    /// A client; it has not connected yet.
    pub fn check(&self, checker: &mut Checker) -> Option<redis::Client> {
        checker.secret(
            "REDIS_URL",
            self.redis_url.as_ref(),
            "a Redis URL, redis://host:port/db or rediss://…",
            |url| {
                let known = url.starts_with("redis://") || url.starts_with("rediss://");
                redis::Client::open(url).ok().filter(|_| known)
            },
        )
    }
}

/// Svix.
#[derive(Debug, Args)]
#[command(next_help_heading = "Svix")]
pub struct SvixArgs {
    /// The Svix API token
    #[arg(long, env = "SVIX_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub svix_token: Option<Secret>,

    /// The Svix server [default: the cloud region that the token names]
    #[arg(long, env = "SVIX_SERVER_URL", value_name = "URL")]
    pub svix_server_url: Option<String>,
}

impl SvixArgs {
    /// Where Svix is and who we are there.
    pub fn check(&self, checker: &mut Checker) -> Option<SvixConfig> {
        let token = checker.secret(
            "SVIX_TOKEN",
            self.svix_token.as_ref(),
            "a Svix API token: printable ASCII without spaces",
            |token| {
                let fits = token.bytes().all(|b| b.is_ascii_graphic());
                fits.then(|| Secret::from(token.to_owned()))
            },
        );
        let server_url = checker.optional_hidden(
            "SVIX_SERVER_URL",
            self.svix_server_url.as_deref(),
            "an http:// or https:// URL without user, query or fragment",
            |text| {
                let url = Url::parse(text).ok()?;
                let plain = url.username().is_empty() && url.password().is_none();
                let fits = matches!(url.scheme(), "http" | "https")
                    && plain
                    && url.query().is_none()
                    && url.fragment().is_none();
                fits.then(|| text.trim_end_matches('/').to_owned())
            },
        );
        Some(SvixConfig {
            token: token?,
            server_url: server_url?,
        })
    }

    /// Whether any of them is set.
    pub fn is_set(&self) -> bool {
        let token = self.svix_token.as_ref().map(Secret::expose);
        let set = |value: Option<&str>| value.is_some_and(|value| !value.is_empty());
        set(token) || set(self.svix_server_url.as_deref())
    }
}

/// The HTTP server.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Address to listen on [default: 0.0.0.0:$PORT if PORT is set, else 127.0.0.1:8080]
    #[arg(long = "listen", env = "LISTEN_ADDR", value_name = "ADDR")]
    pub listen_addr: Option<String>,

    /// Port to listen on at all addresses, where `LISTEN_ADDR` is not set
    #[arg(long, env = "PORT", value_name = "PORT")]
    pub port: Option<String>,

    /// Name of the session cookie [default: session]
    #[arg(long, env = "SESSION_COOKIE", value_name = "NAME")]
    pub session_cookie: Option<String>,

    /// Origins, besides our own, whose pages may use the session cookie to
    /// create and revoke keys; separated by commas
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ORIGINS")]
    pub allowed_origins: Option<String>,

    /// Where the dashboard page sends people whose session has ended: a URL, or
    /// a path of this site
    #[arg(long, env = "LOGIN_URL", value_name = "URL")]
    pub login_url: Option<String>,
}

/// How to serve HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The session cookie's name.
    pub session_cookie: String,
    /// Origins, in their canonical form, that may act with the session cookie.
    pub allowed_origins: Vec<String>,
    /// The address of the platform's login: `http(s)://…`, or a path.
    pub login_url: Option<String>,
}

impl HttpArgs {
    /// How to serve.
    pub fn check(&self, checker: &mut Checker) -> Option<HttpConfig> {
        let listen = checker.optional(
            "LISTEN_ADDR",
            self.listen_addr.as_deref(),
            "an address and a port, 127.0.0.1:8080 for instance",
            |text| text.parse().ok(),
        );
        let port = checker.optional("PORT", self.port.as_deref(), "a port, 0 to 65535", |text| {
            text.parse::<u16>().ok()
        });
        let session_cookie = checker.optional(
            "SESSION_COOKIE",
            self.session_cookie.as_deref(),
            "a cookie name: letters, digits, - and _",
            |name| {
                let fits = name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
                fits.then(|| name.to_owned())
            },
        );
        let allowed_origins = checker.optional(
            "ALLOWED_ORIGINS",
            self.allowed_origins.as_deref(),
            "origins separated by commas, https://dashboard.example.com for instance",
            |text| {
                text.split(',')
                    .map(|origin| canonical_origin(origin.trim()))
                    .collect()
            },
        );
        let login_url = checker.optional(
            "LOGIN_URL",
            self.login_url.as_deref(),
            "an http:// or https:// URL, or a path that begins with one /",
            |text| is_link(text).then(|| text.to_owned()),
        );
        let (listen, port) = (listen?, port?);
        let on_port = port.map(|port| SocketAddr::from(([0, 0, 0, 0], port)));
        Some(HttpConfig {
            listen: listen
                .or(on_port)
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            session_cookie: session_cookie?.unwrap_or_else(|| "session".into()),
            allowed_origins: allowed_origins?.unwrap_or_default(),
            login_url: login_url?,
        })
    }
}

/// The origin as browsers send it: lower case, without a default port.
fn canonical_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let fits = matches!(url.scheme(), "http" | "https") && bare && url.username().is_empty();
    fits.then(|| url.origin().ascii_serialization())
}

/// Whether a page may link to it. A path that begins with `//` or `/\` names
/// another site, and `javascript:` is a URL too.
fn is_link(text: &str) -> bool {
    let is_path = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_url = || Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    printable && (is_path || is_url())
}

/// The worker.
#[derive(Debug, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// Jobs that this process works on at once [default: 64]
    #[arg(long, env = "WORKER_CONCURRENCY", value_name = "N")]
    pub worker_concurrency: Option<String>,
}

impl WorkerArgs {
    /// Jobs at once.
    pub fn check(&self, checker: &mut Checker) -> Option<usize> {
        let concurrency = checker.optional(
            "WORKER_CONCURRENCY",
            self.worker_concurrency.as_deref(),
            "a whole number from 1 to 1024",
            |text| text.parse().ok().filter(|n| (1..=1024).contains(n)),
        );
        Some(concurrency?.unwrap_or(64))
    }
}

/// The worker's health endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub struct HealthArgs {
    /// Address to serve /healthz on [default: none]
    #[arg(long, env = "HEALTH_ADDR", value_name = "ADDR")]
    pub health_addr: Option<String>,
}

impl HealthArgs {
    /// The address, if there is one.
    #[allow(clippy::option_option)] // a problem, or a setting that may be missing
    pub fn check(&self, checker: &mut Checker) -> Option<Option<SocketAddr>> {
        checker.optional(
            "HEALTH_ADDR",
            self.health_addr.as_deref(),
            "an address and a port, 0.0.0.0:8081 for instance",
            |text| text.parse().ok(),
        )
    }
}

/// Logs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// What is logged, in tracing's syntax: info, debug, worker=debug,info [default: info]
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", global = true)]
    pub rust_log: Option<String>,

    /// human, or json: one object a line [default: human]
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
}

impl LogArgs {
    /// What is logged, and how.
    pub fn check(&self, checker: &mut Checker) -> Option<LogConfig> {
        let filter = checker.optional(
            "RUST_LOG",
            self.rust_log.as_deref(),
            "a tracing filter, info or worker=debug,info for instance",
            |text| EnvFilter::try_new(text).ok(),
        );
        let format = checker.optional(
            "LOG_FORMAT",
            self.log_format.as_deref(),
            "human or json",
            |text| match text {
                "human" => Some(LogFormat::Human),
                "json" => Some(LogFormat::Json),
                _ => None,
            },
        );
        Some(LogConfig {
            filter: filter?.unwrap_or_else(|| EnvFilter::new("info")),
            format: format?.unwrap_or(LogFormat::Human),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_send_it() {
        assert_eq!(
            canonical_origin("HTTPS://Dash.Example.com:443/").as_deref(),
            Some("https://dash.example.com")
        );
        for bad in [
            "dash.example.com",
            "https://a.example/path",
            "ftp://a.example",
            "",
            "null",
        ] {
            assert_eq!(canonical_origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_login_is_a_web_address_or_a_path_of_this_site() {
        for good in ["/login", "/", "/a?b=c", "https://id.example.com/in?x=1&y=2"] {
            assert!(is_link(good), "{good}");
        }
        for bad in [
            "login",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/log in",
            "",
        ] {
            assert!(!is_link(bad), "{bad}");
        }
    }

    #[test]
    fn the_port_is_used_only_without_an_address() {
        let listen = |addr: Option<&str>, port: Option<&str>| {
            let args = HttpArgs {
                listen_addr: addr.map(Into::into),
                port: port.map(Into::into),
                session_cookie: None,
                allowed_origins: None,
                login_url: None,
            };
            let mut checker = Checker::default();
            let config = args.check(&mut checker);
            checker
                .finish(config)
                .map(|config| config.listen.to_string())
                .ok()
        };
        assert_eq!(listen(None, None).as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(listen(None, Some("5000")).as_deref(), Some("0.0.0.0:5000"));
        assert_eq!(
            listen(Some("[::1]:80"), Some("5000")).as_deref(),
            Some("[::1]:80")
        );
        assert_eq!(listen(Some("localhost"), None), None);
        assert_eq!(listen(None, Some("70000")), None);
    }
}
