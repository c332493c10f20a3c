//! An identity provider, as far as this service sees one: an HTTP server with a
//! JWKS document. It counts its calls, and misbehaves as told.

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

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// With its keys.
    Serving,
    /// With this status line and headers, each with its line end, and its keys.
    With(&'static str),
    /// With this document in place of its keys.
    Saying(String),
    /// With a redirect to this address.
    SendingTo(String),
    /// By closing the connection.
    Closing,
    /// By closing the connection in the middle of its keys.
    CutOff,
    /// Not until it is told something else.
    Waiting,
    /// With its keys, a byte a second.
    Trickling,
}

/// A running provider. Dropping it ends it.
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
    /// Starts one with these keys.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        Self::listen("127.0.0.1:0", None, keys).await
    }

    /// Starts one at this address.
    pub async fn start_at(port: u16, keys: &[&SigningKey]) -> Self {
        Self::listen(&format!("127.0.0.1:{port}"), None, keys).await
    }

    /// Starts one that speaks TLS, with this certificate and key, both PEM.
    pub async fn start_tls(certificate: &str, key: &str, keys: &[&SigningKey]) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        shared::runtime::init(); // installs the cryptography
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

    /// Where its keys are.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Publishes these keys in place of those before.
    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.publish_document(&json!({"keys": keys}).to_string());
    }

    /// Publishes anything.
    pub fn publish_document(&self, document: &str) {
        document.clone_into(&mut self.shared.document.lock().unwrap());
    }

    /// From now on it answers like this, also those that wait.
    pub fn is(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// How often it was asked for its keys.
    pub fn calls(&self) -> usize {
        *self.shared.calls.borrow()
    }

    /// Waits until it was asked so often.
    pub async fn called(&self, times: usize) {
        let calls = || async { self.calls() };
        eventually(
            "the provider is asked",
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
        tokio::spawn(answer(stream, tls.clone(), Arc::clone(&shared)));
    }
}

/// A client that goes away, or does not trust us, is no error.
async fn answer(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    match tls {
        None => shared.answer(stream).await.unwrap_or_default(),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                shared.answer(stream).await.unwrap_or_default();
            }
        }
    }
}

impl Shared {
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
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
        let answer = match &mood {
            Mood::Serving | Mood::CutOff | Mood::Trickling => with_head(ok, &document),
            Mood::With(head) => with_head(head, &document),
            Mood::Saying(body) => with_head(ok, body),
            Mood::SendingTo(url) => with_head(&format!("302 Found\r\nlocation: {url}\r\n"), ""),
            Mood::Closing | Mood::Waiting => return Ok(()),
        };
        match mood {
            Mood::CutOff => {
                stream
                    .write_all(&answer.as_bytes()[..answer.len() - 10])
                    .await?;
            }
            Mood::Trickling => {
                for byte in answer.bytes() {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            _ => stream.write_all(answer.as_bytes()).await?,
        }
        stream.shutdown().await
    }
}
