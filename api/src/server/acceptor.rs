use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// An acceptor that stops at `shutdown`. It then accepts the connections that
/// the operating system has already established, and closes the socket: later
/// connections are refused, so that their clients try another process.
pub struct UntilShutdown {
    /// The socket; `None` once it is closed.
    listener: Option<TcpListener>,
    address: SocketAddr,
    shutdown: CancellationToken,
    /// The connections that were waiting when the socket was closed.
    waiting: VecDeque<(TcpStream, SocketAddr)>,
}

impl UntilShutdown {
    /// Creates an acceptor for the socket, which listens on `address`.
    pub fn new(listener: TcpListener, address: SocketAddr, shutdown: CancellationToken) -> Self {
        Self {
            listener: Some(listener),
            address,
            shutdown,
            waiting: VecDeque::new(),
        }
    }

    /// Accepts the waiting connections and closes the socket.
    ///
    /// Uses the socket without tokio, which might not have been notified of them yet.
    fn close(&mut self) -> io::Result<()> {
        if let Some(listener) = self.listener.take() {
            let listener = listener.into_std()?;
            while let Ok((connection, client)) = listener.accept() {
                connection.set_nonblocking(true)?;
                let connection = TcpStream::from_std(connection)?;
                self.waiting.push_back((connection, client));
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
        let Some((connection, client)) = accepted.or_else(|| self.waiting.pop_front()) else {
            return std::future::pending().await;
        };
        let (address, client) = (LocalAddr(self.address.into()), RemoteAddr(client.into()));
        Ok((connection, address, client, Scheme::HTTP))
    }
}
