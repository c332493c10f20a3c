use std::io;

use poem::http::uri::Scheme;
use poem::listener::{Acceptor, TcpAcceptor};
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Accepts connections until `shutdown`; then takes those that the system has
/// already made for us, and closes the socket, so that further ones are refused
/// and their clients go elsewhere.
pub struct UntilShutdown {
    /// None once the socket is closed.
    inner: Option<TcpAcceptor>,
    address: Vec<LocalAddr>,
    shutdown: CancellationToken,
}

impl UntilShutdown {
    pub fn new(inner: TcpAcceptor, shutdown: CancellationToken) -> Self {
        let address = inner.local_addr();
        Self {
            inner: Some(inner),
            address,
            shutdown,
        }
    }
}

impl Acceptor for UntilShutdown {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.address.clone()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, LocalAddr, RemoteAddr, Scheme)> {
        if let Some(inner) = &mut self.inner {
            tokio::select! {
                biased; // what is there to accept comes before the shutdown
                accepted = inner.accept() => return accepted,
                () = self.shutdown.cancelled() => self.inner = None,
            }
        }
        std::future::pending().await
    }
}
