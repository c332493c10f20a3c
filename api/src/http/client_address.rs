//! The address of the client, also behind proxies.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use poem::Request;
use poem::http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address from which a request comes. It is that of the connection or, if the
/// connection is a trusted proxy's, the one that the proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ClientAddress {
    /// Returns the address that a request is from; the unspecified one if it came
    /// over no network.
    pub fn of(request: &Request) -> Self {
        let found = request.extensions().get::<Self>().copied();
        found.unwrap_or(Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
    }

    /// Returns the address as one caller: of an IPv6 address only the network, because
    /// each customer has at least a whole one.
    #[must_use]
    pub fn as_caller(self) -> Self {
        match self.0 {
            IpAddr::V4(_) => self,
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
        }
    }
}

/// Adds the client's address to the request.
pub fn find(trusted: &[IpNet], request: &mut Request) {
    let connection = request.remote_addr().as_socket_addr();
    if let Some(connection) = connection.map(std::net::SocketAddr::ip) {
        let address = client(connection, request.headers(), trusted);
        request
            .extensions_mut()
            .insert(ClientAddress::from(address));
    }
}

/// Returns whether the request comes straight from a trusted proxy.
pub(super) fn is_from_proxy(trusted: &[IpNet], request: &Request) -> bool {
    let connection = request.remote_addr().as_socket_addr();
    connection.is_some_and(|connection| is_trusted(trusted, connection.ip()))
}

fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// Returns the client's address. Each proxy adds to the end of `X-Forwarded-For` the
/// address that it got the request from. So the addresses are read from the end, as far
/// as trusted proxies have written them.
pub(super) fn client(connection: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = connection;
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or("-").rsplit(','));
    for hop in hops {
        if !is_trusted(trusted, client) {
            break;
        }
        let Some(address) = parse(hop.trim_matches([' ', '\t'])) else {
            break; // what no proxy writes
        };
        client = address;
    }
    client
}

/// Parses an address. Some proxies add the port.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse().ok();
    bare.or_else(|| Some(hop.parse::<std::net::SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn client_of(connection: &str, lines: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8::/32"]
            .map(|n| n.parse().unwrap())
            .into();
        let headers = lines.iter().map(|line| {
            let value = HeaderValue::from_str(line).unwrap();
            (X_FORWARDED_FOR, value)
        });
        client(connection.parse().unwrap(), &headers.collect(), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_the_first_other_address_is_the_client() {
        let forged = "198.51.100.9";
        for (connection, lines, client) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &[forged], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &[forged, "192.0.2.1 , 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1:5000"], "192.0.2.1"),
            ("2001:db8::1", &["[2001:4860::7]:5000"], "2001:4860::7"),
            ("10.0.0.1", &["10.0.0.3,10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["192.0.2.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(
                client_of(connection, lines),
                client,
                "{connection} {lines:?}"
            );
        }
    }

    #[test]
    fn an_ipv6_network_is_one_caller() {
        let caller = |text: &str| ClientAddress::from(text.parse::<IpAddr>().unwrap()).as_caller();
        assert_eq!(caller("2001:db8:1:2::7"), caller("2001:db8:1:2:ffff::1"));
        assert_ne!(caller("2001:db8:1:2::7"), caller("2001:db8:1:3::7"));
        assert_ne!(caller("192.0.2.1"), caller("192.0.2.2"));
        assert_eq!(caller("::ffff:192.0.2.1"), caller("192.0.2.1"));
    }
}
