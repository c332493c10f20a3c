use std::io::{self, ErrorKind};
use std::net::SocketAddr;

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
    for (listener, address) in addresses {
        findings.push(try_to_listen(*listener, *address).await);
    }
    findings
}

async fn try_to_listen(listener: Listener, address: SocketAddr) -> Finding {
    let check = match listener {
        Listener::Public => "listen.public",
        Listener::Internal => "listen.internal",
        Listener::Admin => "listen.admin",
    };
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
