//! The HTTP client that fetches public keys.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use shared::http_client;
use url::Url;

use super::KeySet;

/// The time limit of a fetch, from the DNS lookup to the last byte. Requests may be
/// waiting for it.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The size of the largest document that is read, in bytes. A key with its
/// certificates takes 4 kB, and publishers have a few.
const MAX_DOCUMENT: usize = 256 * 1024;

/// A client for the document of one publisher.
pub(super) struct Publisher {
    http: Client,
    url: Url,
}

/// The HTTP client could not be created, because the CA certificates are unusable.
#[derive(Debug, thiserror::Error)]
#[error("could not create the HTTP client that fetches public keys: {0}")]
pub struct ClientError(#[from] pub(super) reqwest::Error);

/// The reason why a fetch failed. It is logged, so it must not contain the URL,
/// whose query may be secret.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There was no answer in time.
    #[error("{0}")]
    NoAnswer(String),
    /// The status is not 200.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// The document is larger than [`MAX_DOCUMENT`].
    #[error("the answer is larger than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// The document has another format than this one.
    #[error("the answer is not {0}")]
    OtherFormat(&'static str),
}

impl Publisher {
    /// Creates a client for the document at `url`.
    pub(super) fn new(url: &Url) -> Result<Self, ClientError> {
        let client = http_client::for_server(url)
            // Minutes pass between two fetches, so no connection is kept.
            .pool_max_idle_per_host(0)
            .timeout(TIMEOUT);
        Ok(Self {
            http: client.build()?,
            url: url.clone(),
        })
    }

    /// Fetches the current keys.
    pub(super) async fn fetch<S: KeySet>(&self) -> Result<S, FetchError> {
        let json = HeaderValue::from_static("application/json");
        let request = self.http.get(self.url.clone()).header(ACCEPT, json);
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let document = read(response).await?;
        S::parse(&document).ok_or(FetchError::OtherFormat(S::FORMAT))
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

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(http_client::describe(error))
    }
}
