//! An OTLP collector: it decodes what it is sent with the protocol's own types, and a test
//! can make it fail.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::eventually;

/// The time within which something must have been sent.
const PATIENCE: Duration = Duration::from_secs(20);

/// A way in which the collector answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes everything.
    Taking,
    /// Refuses everything, with 503.
    Refusing,
    /// Never answers.
    Hanging,
}

/// A request to the collector.
#[derive(Debug, Clone)]
struct Request {
    /// The request line and the header lines.
    head: String,
    body: Vec<u8>,
}

/// A span, with its ids in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The `service.name` of the process.
    pub service: String,
    /// The name.
    pub name: String,
    /// The kind.
    pub kind: otlp::span::SpanKind,
    /// The trace.
    pub trace: String,
    /// The id.
    pub id: String,
    /// The id of the parent; empty if the span begins the trace.
    pub parent: String,
    /// Whether it failed.
    pub has_failed: bool,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

/// A running collector, which stops when this is dropped.
pub struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: JoinHandle<()>,
}

impl Collector {
    /// Starts a collector on a free port.
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::default();
        let received = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = serve(stream, mood, Arc::clone(&received));
                // A process may end in the middle of a request.
                tokio::spawn(async move { connection.await.unwrap_or_default() });
            }
        });
        Self {
            url,
            requests,
            accepting,
        }
    }

    /// Returns the variables of a process that sends to it, without delay.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        env(&self.url)
    }

    /// Returns its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns all that it was sent, with the headers.
    pub fn received(&self) -> Vec<u8> {
        let requests = self.requests.lock().unwrap();
        let bytes = requests
            .iter()
            .flat_map(|request| [request.head.as_bytes(), &request.body]);
        bytes.collect::<Vec<_>>().concat()
    }

    /// Returns all spans that it was sent.
    pub fn spans(&self) -> Vec<Span> {
        let messages = self.bodies("/v1/traces");
        let messages = messages
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(&**body).unwrap());
        let mut spans = Vec::new();
        for sent in messages.flat_map(|message| message.resource_spans) {
            let service = service(&sent.resource.unwrap().attributes);
            let all = sent.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(all.map(|span| Span::new(&service, span)));
        }
        spans
    }

    /// Waits for a span. Returns it.
    pub async fn span(&self, what: &str, is_meant: impl Fn(&Span) -> bool) -> Span {
        let find = || async { self.spans().into_iter().find(&is_meant) };
        let found = eventually(what, PATIENCE, find, Option::is_some).await;
        found.unwrap()
    }

    /// Waits for a span with this name in this trace. Returns it.
    pub async fn span_of(&self, trace: &str, name: &str) -> Span {
        let what = format!("the span {name} in the trace {trace}");
        self.span(&what, |span| span.trace == trace && span.name == name)
            .await
    }

    /// Returns the metrics that this service sent last.
    pub fn metrics(&self, service_name: &str) -> Vec<Metric> {
        let messages = self.bodies("/v1/metrics");
        let messages = messages
            .iter()
            .rev()
            .map(|body| ExportMetricsServiceRequest::decode(&**body).unwrap());
        // Another collector may pass on what several services have sent in one message.
        let mut sent = messages.flat_map(|message| message.resource_metrics.into_iter().rev());
        let last = sent.find(|sent| {
            let resource = sent.resource.as_ref().unwrap();
            service(&resource.attributes) == service_name
        });
        let scopes = last.into_iter().flat_map(|sent| sent.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let line = format!("POST {path} ");
        let requests = self.requests.lock().unwrap();
        let of_path = requests.iter().filter(|it| it.head.starts_with(&line));
        of_path.map(|request| request.body.clone()).collect()
    }
}

/// Returns the variables of a process that sends to the collector at this URL, without delay.
pub fn env(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200".to_owned()),
    ]
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Span {
    fn new(service: &str, span: otlp::Span) -> Self {
        let kind = span.kind();
        let failed = otlp::status::StatusCode::Error;
        Self {
            service: service.to_owned(),
            kind,
            trace: hex::encode(&span.trace_id),
            id: hex::encode(&span.span_id),
            parent: hex::encode(&span.parent_span_id),
            has_failed: span.status.is_some_and(|status| status.code() == failed),
            attributes: attributes(&span.attributes),
            name: span.name,
        }
    }

    /// Returns an attribute. Panics if it is not there.
    #[track_caller]
    pub fn get(&self, attribute: &str) -> &str {
        let value = self.attributes.get(attribute);
        value.unwrap_or_else(|| panic!("no {attribute} in {self:?}"))
    }
}

/// Returns attributes as text.
pub fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = match attribute.value.clone()?.value? {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((attribute.key.clone(), value))
    };
    attributes.iter().filter_map(text).collect()
}

fn service(resource: &[KeyValue]) -> String {
    attributes(resource).remove("service.name").unwrap()
}

/// Serves one connection, one request after the other.
async fn serve(
    stream: TcpStream,
    mood: Mood,
    requests: Arc<Mutex<Vec<Request>>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length, mut is_compressed) = (String::new(), 0, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            let lower = line.to_lowercase();
            if let Some(text) = lower.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
            is_compressed |= lower.starts_with("content-encoding: gzip");
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        if is_compressed {
            let mut plain = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut plain)?;
            body = plain;
        }
        requests.lock().unwrap().push(Request { head, body });
        let status = match mood {
            Mood::Taking => "200 OK",
            Mood::Refusing => "503 Service Unavailable",
            Mood::Hanging => {
                std::future::pending::<()>().await;
                return Ok(());
            }
        };
        // An empty message says that all was taken.
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
    }
}
