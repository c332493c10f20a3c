//! A relay between a client and the server: what stands in between changes what
//! goes through, as it is told.

use std::io::{Error, Result};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it does with a request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passing {
    /// Nothing.
    Unchanged,
    /// The request gets headers, and what follows them.
    With {
        /// Each with its line end.
        headers: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// Each object in the answer has a member that no document knows.
    AddingMembers,
    /// The objects in the answer lack these members.
    Without(&'static [&'static str]),
    /// The answer has another status.
    As(u16),
    /// The server is not asked: a proxy's page, with this status.
    Page(u16),
}

/// What the client was answered last.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// Seconds, of the header `Retry-After`.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Value,
}

/// A running relay. Dropping it ends it.
pub struct Relay {
    url: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    /// The address of the server.
    server: String,
    passing: Mutex<Passing>,
    said: Mutex<Said>,
}

impl Relay {
    /// Starts one in front of the server at this URL.
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
                    // A client that goes away is no failure of the relay's.
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

    /// What the server answered last.
    pub fn said(&self) -> Said {
        self.state.said.lock().unwrap().clone()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on it does this.
    pub fn passes(&self, passing: Passing) {
        *self.state.passing.lock().unwrap() = passing;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Relays one request. Each has a connection of its own, on both sides.
async fn relay(mut client: TcpStream, state: &State) -> Result<()> {
    let passing = &state.passing.lock().unwrap().clone();
    let request = head(&mut client).await?;
    let (line, headers) = request.split_once("\r\n").ok_or(Error::other("no line"))?;
    if let Passing::Page(status) = passing {
        let status = format!("HTTP/1.1 {status} Of the proxy");
        return answer(&mut client, &status, "Content-Type: text/html\r\n", PAGE).await;
    }
    let mut headers = without(headers, &["connection", "content-length"]);
    let mut body = &b""[..];
    if let Passing::With {
        headers: more,
        body: new,
    } = passing
    {
        headers += more;
        body = new;
    }
    let mut upstream = TcpStream::connect(&state.server).await?;
    let request = format!("{line}\r\n{headers}Connection: close\r\n\r\n");
    upstream.write_all(request.as_bytes()).await?;
    // The server may refuse it before it has read it.
    let _ = upstream.write_all(body).await;

    let reply = head(&mut upstream).await?;
    let (status, headers) = reply.split_once("\r\n").ok_or(Error::other("no status"))?;
    let mut body = Vec::new();
    // A server that refuses what it has not read may cut off after its answer.
    let _ = upstream.read_to_end(&mut body).await;
    let mut body: Value = serde_json::from_slice(&body)?;
    *state.said.lock().unwrap() = Said {
        status: status[9..12].parse().map_err(Error::other)?,
        retry_after: value(headers, "retry-after").and_then(|text| text.parse().ok()),
        body: body.clone(),
    };
    each_object(&mut body, &|members| change(members, passing));
    let headers = without(headers, &["connection", "content-length"]);
    let status = match passing {
        Passing::As(other) => format!("HTTP/1.1 {other} Of the relay"),
        _ => status.to_owned(),
    };
    answer(&mut client, &status, &headers, &body.to_string()).await
}

const PAGE: &str = "<html><body><h1>Of the proxy</h1></body></html>";

/// Reads up to the empty line, and gives all but that line.
async fn head(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    head.truncate(head.len() - 2);
    String::from_utf8(head).map_err(Error::other)
}

/// A header's value.
fn value<'a>(headers: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = headers.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

/// The headers but for these.
fn without(headers: &str, names: &[&str]) -> String {
    let stays = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        !names.iter().any(|gone| name.eq_ignore_ascii_case(gone))
    };
    headers.split_inclusive("\r\n").filter(stays).collect()
}

async fn answer(client: &mut TcpStream, status: &str, headers: &str, body: &str) -> Result<()> {
    let length = body.len();
    let answer =
        format!("{status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

fn each_object(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|member| each_object(member, change));
            change(members);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        _ => {}
    }
}

fn change(members: &mut Map<String, Value>, passing: &Passing) {
    match passing {
        Passing::AddingMembers => {
            let later = serde_json::json!({"of": "a later version", "list": [1, null]});
            members.insert("added_later".to_owned(), later);
        }
        Passing::Without(names) => members.retain(|name, _| !names.contains(&name.as_str())),
        _ => {}
    }
}
