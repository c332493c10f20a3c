use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Finding;
use super::steps::LIMIT;
use crate::server::Listener;

/// The size of the longest answer that is read, in bytes.
const MOST: u64 = 4096;

/// Tries to listen on each address, as a program that starts does.
pub(super) async fn check(addresses: &[(Listener, SocketAddr)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, (listener, address)) in addresses.iter().enumerate() {
        let taken = addresses.iter().take(place);
        let taken = taken.copied().find(|(_, taken)| overlap(*taken, *address));
        findings.push(match taken {
            Some(taken) => is_taken(taken, *listener, *address),
            None => try_to_listen(*listener, *address).await,
        });
    }
    findings
}

fn name_of_check(listener: Listener) -> &'static str {
    match listener {
        Listener::Public => "listen.public",
        Listener::Internal => "listen.internal",
        Listener::Admin => "listen.admin",
    }
}

/// Returns whether only one socket can listen on both. By default, `[::]` includes all addresses
/// of IPv4 in Linux.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let includes =
        |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    let is_same = ip == other_ip || includes(ip, other_ip) || includes(other_ip, ip);
    is_same && one.port() == other.port() && one.port() != 0 // 0 is any free port
}

fn is_taken(taken: (Listener, SocketAddr), listener: Listener, address: SocketAddr) -> Finding {
    let (by, by_address) = taken;
    let (by, variable) = (by.variable(), listener.variable());
    let message = format!("{variable}: cannot listen on {address}: {by} uses {by_address}");
    let fix = format!("give {variable} another port");
    Finding::error(name_of_check(listener), message, fix)
}

async fn try_to_listen(listener: Listener, address: SocketAddr) -> Finding {
    let check = name_of_check(listener);
    let variable = listener.variable();
    let Err(error) = TcpListener::bind(address).await else {
        return Finding::ok(check, format!("{address} is free"));
    };
    let message = format!("{variable}: cannot listen on {address}: {error}");
    match error.kind() {
        ErrorKind::AddrInUse if is_served_by_us(address).await => {
            let message = format!("{address} is served by a partner-keys process that runs");
            Finding::ok(check, message)
        }
        ErrorKind::AddrInUse => {
            let fix = format!("stop the other program (`ss -ltnp` names it), or change {variable}");
            Finding::error(check, message, fix)
        }
        ErrorKind::PermissionDenied => {
            let fix = format!("use a port from 1024 on in {variable}");
            Finding::error(check, message, fix)
        }
        _ => {
            let fix = format!("set {variable} to an address of this machine, or to 0.0.0.0");
            Finding::error(check, message, fix)
        }
    }
}

/// Asks who listens there. The doctor often runs beside the service.
async fn is_served_by_us(address: SocketAddr) -> bool {
    let answer = timeout(LIMIT, ask(address)).await;
    let ours =
        |answer: String| answer.contains(r#""request_id""#) || answer.contains(r#""status""#);
    answer.is_ok_and(|answer| answer.is_ok_and(ours))
}

async fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /healthz HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_if_one_port_of_one_address_is_in_both() {
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::]:80", "[::1]:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            let [a, b] = [one, other].map(|address| address.parse().unwrap());
            assert_eq!(overlap(a, b), expected, "{one} {other}");
            assert_eq!(overlap(b, a), expected, "{other} {one}");
        }
    }
}
