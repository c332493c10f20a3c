//! The identity provider, as far as it gives its keys.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use shared::config::is_this_machine;
use url::Url;

use super::jwks::KeySet;

/// How long a fetch may take, from the look-up of the name to the last byte:
/// somebody may be waiting for it.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The largest document that is read, in bytes. A key with its certificates
/// takes 4 kB, and providers have a handful.
const MAX_DOCUMENT: usize = 256 * 1024;

/// Fetches the keys.
pub struct Provider {
    http: Client,
    url: Url,
}

/// The HTTP client could not be made: the CA certificates are no use.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the identity provider's keys: {0}")]
pub struct ProviderError(#[from] reqwest::Error);

/// Why there are no keys. For the log: it holds nothing of the URL's query.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, or not in time.
    #[error("{0}")]
    NoAnswer(String),
    /// Not 200.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// Too much.
    #[error("the answer is larger than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// No key that signs sessions.
    #[error("the answer has no key for RS256, ES256 or EdDSA")]
    NoKeys,
}

impl Provider {
    /// That publishes its keys here.
    pub fn new(url: &Url) -> Result<Self, ProviderError> {
        let client = Client::builder()
            .user_agent(concat!("partner-keys/", env!("CARGO_PKG_VERSION")))
            // Where the keys are is a setting, not for an answer to say.
            .redirect(redirect::Policy::none())
            // Minutes lie between two fetches: no connection waits for the next.
            .pool_max_idle_per_host(0)
            .timeout(TIMEOUT);
        let client = if is_this_machine(url) {
            client.no_proxy() // from a proxy, "this machine" is another
        } else {
            client
        };
        // Read here, and not left to the client: SSL_CERT_FILE counts on every system.
        let trusted = rustls_native_certs::load_native_certs().certs;
        let trusted = trusted
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok());
        Ok(Self {
            http: client.tls_certs_only(trusted).build()?,
            url: url.clone(),
        })
    }

    /// The keys it has now.
    pub async fn fetch(&self) -> Result<KeySet, FetchError> {
        let json = HeaderValue::from_static("application/json");
        let request = self.http.get(self.url.clone()).header(ACCEPT, json);
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let document = read(response).await?;
        KeySet::parse(&document).ok_or(FetchError::NoKeys)
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if document.len() + chunk.len() > MAX_DOCUMENT {
            return Err(FetchError::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

/// With its causes, which say more than it does, and without its URL.
impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::NoAnswer(text)
    }
}
