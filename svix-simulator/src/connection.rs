//! Connections that can be reset, with or without TLS.
//!
//! This module terminates TLS itself. With poem's `rustls` feature, the other
//! dependencies would decide which crypto provider is used; here it is aws-lc-rs.

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::simulator::SimulatorError;
use super::state::lock;

/// The client addresses of the connections to reset at the next write.
#[derive(Default)]
pub(super) struct Resets(Mutex<HashSet<SocketAddr>>);

impl Resets {
    pub(super) fn mark(&self, client: SocketAddr) {
        lock(&self.0).insert(client);
    }

    fn contains(&self, client: SocketAddr) -> bool {
        lock(&self.0).contains(&client)
    }

    fn remove(&self, client: SocketAddr) {
        lock(&self.0).remove(&client);
    }
}

/// Creates a TLS acceptor from a certificate chain and its private key, both in
/// PEM format.
pub(super) fn tls_acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, SimulatorError> {
    let invalid = |error: &dyn Display| SimulatorError::Tls(error.to_string());
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| invalid(&error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| invalid(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// An acceptor for HTTP or HTTPS connections. TLS handshakes run concurrently, so
/// a client that stalls does not block the others.
pub(super) struct ConnectionAcceptor {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    resets: Arc<Resets>,
    handshakes: JoinSet<io::Result<Connection>>,
}

impl ConnectionAcceptor {
    /// Listens on the address. Returns the acceptor and the actual address, which
    /// differs if the port was 0.
    pub(super) async fn bind(
        listen: SocketAddr,
        tls: Option<TlsAcceptor>,
        resets: Arc<Resets>,
    ) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let acceptor = Self {
            listener,
            address,
            tls,
            resets,
            handshakes: JoinSet::new(),
        };
        Ok((acceptor, address))
    }
}

impl Acceptor for ConnectionAcceptor {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let (tcp, client) = accepted?;
                    let (tls, resets) = (self.tls.clone(), self.resets.clone());
                    self.handshakes.spawn(Connection::establish(tcp, client, tls, resets));
                }
                Some(handshake) = self.handshakes.join_next() => {
                    // Ignore a failed handshake. The client reports it.
                    let Ok(Ok(connection)) = handshake else { continue };
                    let client = RemoteAddr(connection.client.into());
                    let scheme = if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
                    return Ok((connection, LocalAddr(self.address.into()), client, scheme));
                }
            }
        }
    }
}

enum Io {
    Plain(TcpStream),
    // Boxed because it is about a kilobyte larger than the other variant.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection from a client.
pub(super) struct Connection {
    io: Io,
    client: SocketAddr,
    resets: Arc<Resets>,
}

impl Connection {
    async fn establish(
        tcp: TcpStream,
        client: SocketAddr,
        tls: Option<TlsAcceptor>,
        resets: Arc<Resets>,
    ) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let io = match tls {
            None => Io::Plain(tcp),
            Some(tls) => Io::Tls(Box::new(tls.accept(tcp).await?)),
        };
        Ok(Self { io, client, resets })
    }

    fn stream(&mut self) -> Pin<&mut dyn ByteStream> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp),
            Io::Tls(tls) => Pin::new(tls),
        }
    }

    /// Makes the connection end with a reset (TCP RST) when it is closed.
    fn reset_on_close(&self) -> io::Result<()> {
        match &self.io {
            Io::Plain(tcp) => tcp.set_zero_linger(),
            Io::Tls(tls) => tls.get_ref().0.set_zero_linger(),
        }
    }
}

/// The operations that both kinds of connection have.
trait ByteStream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> ByteStream for T {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Keep the mark. After the error poem polls again for a graceful end, and
        // the response must not be sent then either.
        if self.resets.contains(self.client) {
            self.reset_on_close()?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A later connection can have the same address.
        self.resets.remove(self.client);
    }
}
