use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Accepts connections until `shutdown`; then takes those that the system has
/// already made for us, and closes the socket, so that further ones are refused
/// and their clients go elsewhere.
pub struct UntilShutdown {
    /// None once the socket is closed.
    listener: Option<TcpListener>,
    address: SocketAddr,
    shutdown: CancellationToken,
    /// The last connections, taken when the socket was closed.
    last: VecDeque<(TcpStream, SocketAddr)>,
}

impl UntilShutdown {
    pub fn new(listener: TcpListener, address: SocketAddr, shutdown: CancellationToken) -> Self {
        Self {
            listener: Some(listener),
            address,
            shutdown,
            last: VecDeque::new(),
        }
    }

    /// Asks the system itself what is left: tokio would wait to be told.
    fn close(&mut self) -> io::Result<()> {
        if let Some(listener) = self.listener.take() {
            let listener = listener.into_std()?;
            while let Ok((connection, client)) = listener.accept() {
                connection.set_nonblocking(true)?;
                let connection = TcpStream::from_std(connection)?;
                self.last.push_back((connection, client));
            }
        }
        Ok(())
    }
}

impl Acceptor for UntilShutdown {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, LocalAddr, RemoteAddr, Scheme)> {
        let mut accepted = None;
        if let Some(listener) = &self.listener {
            tokio::select! {
                connection = listener.accept() => accepted = Some(connection?),
                () = self.shutdown.cancelled() => self.close()?,
            }
        }
        let Some((connection, client)) = accepted.or_else(|| self.last.pop_front()) else {
            return std::future::pending().await;
        };
        let (address, client) = (LocalAddr(self.address.into()), RemoteAddr(client.into()));
        Ok((connection, address, client, Scheme::HTTP))
    }
}
