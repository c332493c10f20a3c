use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use tokio::runtime::Handle;
use tokio::time::Instant;
use url::Url;

use super::OtlpConfig;
use crate::{http_client, metrics};

/// The size of the largest answer that is read, in bytes. A collector says how much it has
/// refused, and perhaps why.
const MAX_ANSWER: usize = 64 * 1024;

/// The time between two log lines about a collector that fails.
const WARN_EVERY: Duration = Duration::from_mins(5);

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

/// Sends one signal to the collector. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Sender(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Client,
    url: Url,
    signal: Signal,
    /// Where the requests run. The SDK's own thread belongs to no runtime.
    runtime: Handle,
    last_warning: Mutex<Option<Instant>>,
}

/// The reason why an export failed. It is logged, so it has neither the URL nor what the
/// collector says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{0}")]
    NoAnswer(String),
    #[error("the answer's status is {0}")]
    Status(StatusCode),
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(http_client::describe(error))
    }
}

impl Sender {
    /// Creates a sender. It opens no connection yet.
    pub(super) fn new(config: &OtlpConfig, signal: Signal) -> Result<Self, reqwest::Error> {
        let mut url = config.endpoint.clone();
        let base = url.path().trim_end_matches('/');
        let path = format!("{base}/v1/{}", signal.as_str());
        url.set_path(&path);
        let http = http_client::for_server(&url)
            .default_headers(config.headers.clone())
            .timeout(config.timeout)
            .build()?;
        Ok(Self(Arc::new(Inner {
            http,
            url,
            signal,
            runtime: Handle::current(),
            last_warning: Mutex::default(),
        })))
    }

    /// Returns the URL that it sends to.
    pub(super) fn url(&self) -> String {
        self.0.url.to_string()
    }

    /// Sends a message without content, which is valid. A failure is not counted or logged.
    pub(super) async fn send_empty(&self) -> Result<(), SendError> {
        let status = self.0.post(Bytes::new()).await?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(SendError::Status(status))
        }
    }

    /// Sends an encoded message. A failure is counted, and logged from time to time.
    pub(super) async fn send(&self, message: Bytes) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.post(message).await;
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.0.has_failed(&SendError::Status(answer.status())),
            Err(error) => self.0.has_failed(error),
        }
        Ok(answer?)
    }
}

impl Inner {
    async fn post(&self, message: Bytes) -> Result<Response<Bytes>, SendError> {
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        let request = self.http.post(self.url.clone()).body(message);
        let mut received = request.header(CONTENT_TYPE, protobuf).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = received.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER {
                body.clear(); // no collector's answer
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = received.status();
        if let Some(after) = received.headers().get(RETRY_AFTER) {
            answer.headers_mut().insert(RETRY_AFTER, after.clone());
        }
        Ok(answer)
    }

    fn has_failed(&self, error: &SendError) {
        let signal = self.signal.as_str();
        metrics::export_failed(signal);
        let mut last = self
            .last_warning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= WARN_EVERY) {
            *last = Some(Instant::now());
            tracing::warn!(signal, %error, "the OTLP collector fails; what it should get is dropped");
        }
    }
}

/// The SDK's exporter of traces makes its requests through this.
#[async_trait]
impl HttpClient for Sender {
    /// Sends the message. The exporter reads headers from the environment too, so those of
    /// its request are ignored: ours are marked as secret.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sender = self.clone();
        let sending = async move { sender.send(request.into_body()).await };
        self.0.runtime.spawn(sending).await?
    }
}
