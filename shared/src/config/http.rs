use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use url::Url;

use super::{Checker, GithubArgs, Invalid, LimitArgs, LimitConfig, RotationArgs};
use crate::{runtime, server};

/// The default of `MAX_CONNECTIONS`, if the process may open that many descriptors.
const MAX_CONNECTIONS: usize = 10_000;

/// The flags of the HTTP server.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Address to listen on [default: 0.0.0.0:$PORT if PORT is set, else 127.0.0.1:8080]
    #[arg(long = "listen", env = "LISTEN_ADDR", value_name = "ADDR")]
    pub listen_addr: Option<String>,

    /// Port to listen on at all addresses, if `LISTEN_ADDR` is not set
    #[arg(long, env = "PORT", value_name = "PORT")]
    pub port: Option<String>,

    /// Name of the session cookie [default: session]
    #[arg(long, env = "SESSION_COOKIE", value_name = "NAME")]
    pub session_cookie: Option<String>,

    /// Other origins that may show the dashboard in a frame and send requests with
    /// the session cookie, separated by commas; their pages cannot read the answers
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ORIGINS")]
    pub allowed_origins: Option<String>,

    /// Page to which the dashboard sends people whose session has ended: a URL,
    /// or a path of this site
    #[arg(long, env = "LOGIN_URL", value_name = "URL")]
    pub login_url: Option<String>,

    /// Proxies whose X-Forwarded-For names the client: addresses or networks,
    /// separated by commas, for instance 10.0.0.0/8 [default: none]
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,

    /// Maximum number of open connections at `LISTEN_ADDR`, and as many again at
    /// `INTERNAL_ADDR` [default: 10000, or what the descriptors allow]
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<String>,

    /// on, or off to serve no /docs page [default: on]
    #[arg(long, env = "DOCS", value_name = "MODE")]
    pub docs: Option<String>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "its type explains it")]
    pub rotation: RotationArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "its type explains it")]
    pub github: GithubArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "its type explains it")]
    pub limits: LimitArgs,
}

/// The settings of the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The session cookie's name.
    pub session_cookie: String,
    /// Other origins, in their canonical form, that may act with the session cookie.
    pub allowed_origins: Vec<String>,
    /// The address of the platform's login: `http(s)://…`, or a path.
    pub login_url: Option<String>,
    /// The networks of the proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The maximum number of open connections of each listener for clients.
    pub max_connections: usize,
    /// Whether `/docs` is served.
    pub docs: bool,
    /// The time for which a key that was replaced still works, unless a request asks for
    /// another.
    pub rotation_overlap: Duration,
    /// The URL of the keys with which GitHub signs its reports, if they are accepted.
    pub github_keys: Option<Url>,
    /// The limits on what one caller may do.
    pub limits: LimitConfig,
}

impl HttpArgs {
    /// Returns the number of open connections of each listener that is asked for, also if the
    /// process may not open that many.
    pub fn wanted_connections(&self) -> usize {
        let given = self.max_connections.as_deref();
        given
            .and_then(|text| text.parse().ok())
            .unwrap_or(MAX_CONNECTIONS)
    }

    /// Checks the settings of a process that has this many listeners for clients.
    pub fn check(&self, checker: &mut Checker, listeners: usize) -> Result<HttpConfig, Invalid> {
        let address = checker
            .setting(
                "LISTEN_ADDR",
                self.listen_addr.as_deref(),
                "an address and a port, for instance 127.0.0.1:8080",
            )
            .optional(|text| text.parse().ok());
        let port = checker
            .setting("PORT", self.port.as_deref(), "a port, 0 to 65535")
            .optional(|text| text.parse().ok());
        let session_cookie = checker
            .setting(
                "SESSION_COOKIE",
                self.session_cookie.as_deref(),
                "a cookie name: letters, digits, - and _",
            )
            .or_default("session".to_owned(), |name| {
                is_cookie_name(name).then(|| name.to_owned())
            });
        let allowed_origins = checker
            .setting(
                "ALLOWED_ORIGINS",
                self.allowed_origins.as_deref(),
                "origins without wildcards, separated by commas, for instance \
                 https://dashboard.example.com",
            )
            .or_default(Vec::new(), |text| {
                let origins = text.split(',').map(str::trim);
                origins.map(canonical_origin).collect()
            });
        let login_url = checker
            .setting(
                "LOGIN_URL",
                self.login_url.as_deref(),
                "an http:// or https:// URL, or a path that begins with one /",
            )
            .optional(|text| is_link(text).then(|| text.to_owned()));
        let trusted_proxies = checker
            .setting(
                "TRUSTED_PROXIES",
                self.trusted_proxies.as_deref(),
                "addresses or networks separated by commas, for instance 10.0.0.0/8",
            )
            .or_default(Vec::new(), |text| {
                text.split(',').map(str::trim).map(network).collect()
            });
        let available = available_connections(listeners);
        let max_connections = checker
            .setting(
                "MAX_CONNECTIONS",
                self.max_connections.as_deref(),
                "a whole number of at least 1, for which the process may open enough \
                 descriptors (ulimit -n) beside those it needs itself; as many again if \
                 INTERNAL_ADDR is set",
            )
            .or_default(available.min(MAX_CONNECTIONS), |text| {
                text.parse().ok().filter(|n| (1..=available).contains(n))
            });
        let docs = checker.switch("DOCS", self.docs.as_deref(), true);
        let rotation_overlap = self.rotation.check(checker);
        let github_keys = self.github.check(checker);
        let limits = self.limits.check(checker);
        Ok(HttpConfig {
            listen: listen_address(address?, port?),
            session_cookie: session_cookie?,
            allowed_origins: allowed_origins?,
            login_url: login_url?,
            trusted_proxies: trusted_proxies?,
            max_connections: max_connections?,
            docs: docs?,
            rotation_overlap: rotation_overlap?,
            github_keys: github_keys?,
            limits: limits?,
        })
    }
}

/// Returns the number of connections of each listener for which there are descriptors, at least 1.
fn available_connections(listeners: usize) -> usize {
    let descriptors = runtime::max_descriptors();
    let for_clients = descriptors - server::RESERVED_DESCRIPTORS.min(descriptors / 2);
    (for_clients / listeners).max(1)
}

/// Parses a network, or an address as the network of that address alone.
fn network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
}

/// Returns the address to listen on. A port alone means all addresses, as
/// platforms that set `PORT` expect.
fn listen_address(address: Option<SocketAddr>, port: Option<u16>) -> SocketAddr {
    match (address, port) {
        (Some(address), _) => address,
        (None, Some(port)) => SocketAddr::from(([0, 0, 0, 0], port)),
        (None, None) => SocketAddr::from(([127, 0, 0, 1], 8080)),
    }
}

fn is_cookie_name(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Returns the origin as browsers send it: in lower case, without a default port.
fn canonical_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_origin =
        matches!(url.scheme(), "http" | "https") && is_bare && url.username().is_empty();
    // The frame policy of the dashboard would understand a wildcard.
    let has_wildcard = url.host_str().is_none_or(|host| host.contains('*'));
    (is_origin && !has_wildcard).then(|| url.origin().ascii_serialization())
}

/// Returns whether a page may link to this address. A path that begins with `//` or
/// `/\` leads to another site, and `javascript:` is a URL too.
fn is_link(text: &str) -> bool {
    let is_path = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_url = || Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    is_printable && (is_path || is_url())
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
        for invalid in [
            "dash.example.com",
            "https://a.example/path",
            "ftp://a.example",
            "https://*.example.com",
            "https://*",
            "",
            "null",
        ] {
            assert_eq!(canonical_origin(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn the_login_is_a_web_address_or_a_path_of_this_site() {
        for valid in ["/login", "/", "/a?b=c", "https://id.example.com/in?x=1&y=2"] {
            assert!(is_link(valid), "{valid}");
        }
        for invalid in [
            "login",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/log in",
            "",
        ] {
            assert!(!is_link(invalid), "{invalid}");
        }
    }

    #[test]
    fn the_port_is_used_only_without_an_address() {
        let listen = |address: Option<&str>, port: Option<&str>| {
            let args = HttpArgs {
                listen_addr: address.map(Into::into),
                port: port.map(Into::into),
                ..HttpArgs::default()
            };
            let mut checker = Checker::default();
            let config = args.check(&mut checker, 1);
            let config = checker.finish(|| config);
            config.map(|config| config.listen.to_string()).ok()
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
