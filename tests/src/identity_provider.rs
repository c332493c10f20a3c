//! A simulated identity provider: an HTTP server with a JWKS document. It counts
//! the requests, and a test can make it misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::eventually;
use crate::signing_key::SigningKey;

/// A way in which the provider responds to requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// Responds with the JWKS document.
    Serving,
    /// Responds with the JWKS document and this status and headers. Each line,
    /// also the last, ends with `\r\n`.
    With(&'static str),
    /// Responds with this body instead of the JWKS document.
    Saying(String),
    /// Redirects to this URL.
    SendingTo(String),
    /// Closes the connection without a response.
    Closing,
    /// Closes the connection before the end of the JWKS document.
    CutOff,
    /// Does not respond until the mood changes.
    Waiting,
    /// Responds with the JWKS document, at one byte per second.
    Trickling,
}

/// A running provider, which stops when this is dropped.
pub struct IdentityProvider {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    mood: watch::Sender<Mood>,
    document: Mutex<String>,
    calls: watch::Sender<usize>,
}

impl IdentityProvider {
    /// Starts a provider with these keys on a free port.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        Self::listen("127.0.0.1:0", None, keys).await
    }

    /// Starts a provider with these keys on this port.
    pub async fn start_at(port: u16, keys: &[&SigningKey]) -> Self {
        Self::listen(&format!("127.0.0.1:{port}"), None, keys).await
    }

    /// Starts a provider that accepts only TLS connections, with this certificate
    /// and private key, both in PEM format.
    pub async fn start_tls(certificate: &str, key: &str, keys: &[&SigningKey]) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        shared::runtime::init(); // installs the cryptography provider of rustls
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        Self::listen("127.0.0.1:0", Some(tls), keys).await
    }

    async fn listen(address: &str, tls: Option<TlsAcceptor>, keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/jwks", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            mood: watch::Sender::new(Mood::Serving),
            document: Mutex::default(),
            calls: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        let provider = Self {
            url,
            shared,
            accepting,
        };
        provider.publish(keys);
        provider
    }

    /// Returns the URL of the JWKS document.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Replaces the published keys with these keys.
    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.publish_document(&json!({"keys": keys}).to_string());
    }

    /// Replaces the JWKS document with this text, which may be invalid.
    pub fn publish_document(&self, document: &str) {
        document.clone_into(&mut self.shared.document.lock().unwrap());
    }

    /// Sets the mood for all further responses, including those of pending requests.
    pub fn is(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// Returns the number of requests so far.
    pub fn calls(&self) -> usize {
        *self.shared.calls.borrow()
    }

    /// Waits until the provider has received this many requests in total.
    pub async fn called(&self, times: usize) {
        let calls = || async { self.calls() };
        eventually(
            "the provider has received the requests",
            Duration::from_secs(10),
            calls,
            |calls| *calls >= times,
        )
        .await;
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, tls.clone(), Arc::clone(&shared)));
    }
}

/// Serves one connection. Ignores errors, because some clients disconnect or reject
/// the certificate on purpose.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    match tls {
        None => shared.respond(stream).await.unwrap_or_default(),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                shared.respond(stream).await.unwrap_or_default();
            }
        }
    }
}

impl Shared {
    /// Reads one request and responds to it according to the mood.
    async fn respond(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        self.calls.send_modify(|calls| *calls += 1);
        let mut moods = self.mood.subscribe();
        let mood = moods.wait_for(|mood| *mood != Mood::Waiting).await;
        let mood = mood.unwrap().clone();

        let document = self.document.lock().unwrap().clone();
        let with_head = |head: &str, body: &str| {
            let length = body.len();
            format!("HTTP/1.1 {head}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        };
        let ok = "200 OK\r\ncontent-type: application/json\r\n";
        let response = match &mood {
            Mood::Serving | Mood::CutOff | Mood::Trickling => with_head(ok, &document),
            Mood::With(head) => with_head(head, &document),
            Mood::Saying(body) => with_head(ok, body),
            Mood::SendingTo(url) => with_head(&format!("302 Found\r\nlocation: {url}\r\n"), ""),
            Mood::Closing | Mood::Waiting => return Ok(()),
        };
        match mood {
            Mood::CutOff => {
                stream
                    .write_all(&response.as_bytes()[..response.len() - 10])
                    .await?;
            }
            Mood::Trickling => {
                for byte in response.bytes() {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            _ => stream.write_all(response.as_bytes()).await?,
        }
        stream.shutdown().await
    }
}
