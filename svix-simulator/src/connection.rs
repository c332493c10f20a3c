//! Connections that can be reset, with or without TLS.
//!
//! TLS is ended here and not by poem's `rustls` feature, so that the crypto
//! provider is aws-lc-rs whatever else is in the tree.

use std::collections::HashSet;
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

use super::{SimulatorError, lock};

/// The connections, by the client's address, that are to be reset when the
/// next byte would be sent.
#[derive(Default)]
pub(super) struct Resets(Mutex<HashSet<SocketAddr>>);

impl Resets {
    pub(super) fn mark(&self, client: SocketAddr) {
        lock(&self.0).insert(client);
    }

    fn has(&self, client: SocketAddr) -> bool {
        lock(&self.0).contains(&client)
    }

    fn forget(&self, client: SocketAddr) {
        lock(&self.0).remove(&client);
    }
}

/// Reads the certificate chain and key, both PEM.
pub(super) fn tls_acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, SimulatorError> {
    let tls = |error: &dyn std::fmt::Display| SimulatorError::Tls(error.to_string());
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| tls(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| tls(&error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| tls(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts connections; handshakes run beside each other, so that a client
/// that stalls in its own keeps nobody waiting.
pub(super) struct Incoming {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    resets: Arc<Resets>,
    handshakes: JoinSet<io::Result<Connection>>,
}

impl Incoming {
    pub(super) async fn bind(
        listen: SocketAddr,
        tls: Option<TlsAcceptor>,
        resets: Arc<Resets>,
    ) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let incoming = Self {
            listener,
            address,
            tls,
            resets,
            handshakes: JoinSet::new(),
        };
        Ok((incoming, address))
    }
}

impl Acceptor for Incoming {
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
                // A handshake that failed is the client's to report.
                Some(Ok(Ok(connection))) = self.handshakes.join_next() => {
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
    // Boxed: a TLS session is a kilobyte, a plain connection has none.
    Tls(Box<TlsStream<TcpStream>>),
}

/// One client's connection.
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

    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp),
            Io::Tls(tls) => Pin::new(tls),
        }
    }

    /// Makes the coming close a reset (RST): the client sees no orderly end.
    fn abort(&self) -> io::Result<()> {
        match &self.io {
            Io::Plain(tcp) => tcp.set_zero_linger(),
            Io::Tls(tls) => tls.get_ref().0.set_zero_linger(),
        }
    }
}

/// What both kinds of connection are.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

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
        // The mark stays: after the error poem polls once more for its graceful
        // end, and the answer must not go out then.
        if self.resets.has(self.client) {
            self.abort()?;
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
        // A later connection may have the same address.
        self.resets.forget(self.client);
    }
}
