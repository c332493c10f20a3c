//! An HTTP relay between a client and the server. A test can make it change the
//! requests and responses that pass through it.

use std::io::{Error, Result};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A change that the relay makes to a request or its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passing {
    /// Changes nothing.
    Unchanged,
    /// Adds headers to the request, and replaces its body.
    With {
        /// The header lines. Each ends with `\r\n`.
        headers: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// Adds a member that is not in the OpenAPI document to each object in the
    /// response.
    AddingMembers,
    /// Gives each member with this name in the response this value.
    Replacing(&'static str, Value),
    /// Removes these members from each object in the response.
    Without(&'static [&'static str]),
    /// Replaces the status of the response with this one.
    As(u16),
    /// Responds with an HTML page and this status, as a proxy does. The request does
    /// not reach the server.
    Page(u16),
}

/// A response of the server, before the relay changed it.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The status code.
    pub status: u16,
    /// The value of the header `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The body, parsed as JSON.
    pub body: Value,
}

/// A running relay, which stops when this is dropped.
pub struct Relay {
    url: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    /// The host and port of the server.
    server: String,
    passing: Mutex<Passing>,
    said: Mutex<Said>,
}

impl Relay {
    /// Starts a relay in front of the server at this URL.
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            server: server.strip_prefix("http://").unwrap().to_owned(),
            passing: Mutex::new(Passing::Unchanged),
            said: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Errors are ignored: the client may disconnect early.
                    let _ = relay(client, &state).await;
                });
            }
        });
        Self {
            url,
            state,
            accepting,
        }
    }

    /// Returns the last response of the server.
    pub fn said(&self) -> Said {
        self.state.said.lock().unwrap().clone()
    }

    /// Returns the URL of the relay.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the change for all further requests.
    pub fn passes(&self, passing: Passing) {
        *self.state.passing.lock().unwrap() = passing;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Relays one request. Each request uses a new connection to the relay and a new one
/// to the server.
async fn relay(mut client: TcpStream, state: &State) -> Result<()> {
    let passing = &state.passing.lock().unwrap().clone();
    let request = read_head(&mut client).await?;
    let (line, headers) = request
        .split_once("\r\n")
        .ok_or(Error::other("the request has no headers"))?;
    let length = header_value(headers, "content-length").map_or(Ok(0), str::parse);
    let mut body = vec![0; length.map_err(Error::other)?];
    client.read_exact(&mut body).await?;
    if let Passing::Page(status) = passing {
        let status = format!("HTTP/1.1 {status} Proxy Error");
        return respond(&mut client, &status, "Content-Type: text/html\r\n", PAGE).await;
    }
    let mut headers = without(headers, &["connection", "content-length"]);
    if let Passing::With {
        headers: added_headers,
        body: new_body,
    } = passing
    {
        headers += added_headers;
        body.clone_from(new_body);
    } else if !body.is_empty() {
        headers = format!("{headers}Content-Length: {}\r\n", body.len());
    }
    let mut upstream = TcpStream::connect(&state.server).await?;
    let request = format!("{line}\r\n{headers}Connection: close\r\n\r\n");
    upstream.write_all(request.as_bytes()).await?;
    // The server may reject the request and close the connection before it has read
    // the body.
    let _ = upstream.write_all(&body).await;

    let response = read_head(&mut upstream).await?;
    let (status, headers) = response
        .split_once("\r\n")
        .ok_or(Error::other("the response has no headers"))?;
    let mut body = Vec::new();
    // A server that did not read the whole request may reset the connection after its
    // response.
    let _ = upstream.read_to_end(&mut body).await;
    let mut body: Value = serde_json::from_slice(&body)?;
    *state.said.lock().unwrap() = Said {
        status: status[9..12].parse().map_err(Error::other)?,
        retry_after: header_value(headers, "retry-after").and_then(|text| text.parse().ok()),
        body: body.clone(),
    };
    for_each_object(&mut body, &|members| change(members, passing));
    let headers = without(headers, &["connection", "content-length"]);
    let status = match passing {
        Passing::As(code) => format!("HTTP/1.1 {code} Changed by Relay"),
        _ => status.to_owned(),
    };
    respond(&mut client, &status, &headers, &body.to_string()).await
}

/// The body of the page that the relay returns in place of the server's response.
const PAGE: &str = "<html><body><h1>Proxy Error</h1></body></html>";

/// Reads up to and including the empty line. Returns all lines before it.
async fn read_head(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    head.truncate(head.len() - 2);
    String::from_utf8(head).map_err(Error::other)
}

/// Returns the value of a header.
fn header_value<'a>(headers: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = headers.lines().filter_map(|line| line.split_once(": "));
    let header = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
    header.map(|(_, value)| value)
}

/// Returns the headers without those in `names`.
fn without(headers: &str, names: &[&str]) -> String {
    let is_kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        !names
            .iter()
            .any(|removed| name.eq_ignore_ascii_case(removed))
    };
    headers.split_inclusive("\r\n").filter(is_kept).collect()
}

async fn respond(client: &mut TcpStream, status: &str, headers: &str, body: &str) -> Result<()> {
    let length = body.len();
    let response =
        format!("{status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    client.write_all(response.as_bytes()).await?;
    client.shutdown().await
}

/// Calls `change` for each object in the value, at any depth.
fn for_each_object(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|member| for_each_object(member, change));
            change(members);
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| for_each_object(item, change)),
        _ => {}
    }
}

/// Changes the members of one object of the response.
fn change(members: &mut Map<String, Value>, passing: &Passing) {
    match passing {
        Passing::AddingMembers => {
            let added = serde_json::json!({"of": "a later version", "list": [1, null]});
            members.insert("added_later".to_owned(), added);
        }
        Passing::Without(names) => members.retain(|name, _| !names.contains(&name.as_str())),
        Passing::Replacing(name, value) => {
            if let Some(member) = members.get_mut(*name) {
                *member = value.clone();
            }
        }
        _ => {}
    }
}
