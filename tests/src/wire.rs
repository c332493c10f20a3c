//! A TCP proxy between a process and PostgreSQL. It reads the messages that pass through
//! it, and so knows how many statements and round trips each operation costs.

mod messages;

use std::collections::VecDeque;
use std::io::{Error, Result};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use self::messages::{Message, Requests, read_body};
use crate::TestDatabase;

/// The code of a request for TLS, in place of a protocol version.
const SSL_REQUEST: u32 = 80_877_103;
/// The code of a request for GSSAPI encryption, in place of a protocol version.
const GSSENC_REQUEST: u32 = 80_877_104;

/// One exchange that a client waits for: from `Sync` or `Query` to `ReadyForQuery`.
///
/// It is empty if the client only tests the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundTrip {
    /// The statements that were prepared in it (`Parse`).
    pub prepared: Vec<Arc<str>>,
    /// The statements that were executed in it (`Execute` and `Query`).
    pub executed: Vec<Arc<str>>,
}

/// What has passed through a wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The number of connections that were opened. Their start is not a round trip.
    pub connections: usize,
    /// The completed round trips of all connections.
    pub round_trips: Vec<RoundTrip>,
    /// The number of times that the server has planned a statement. It is 0 unless
    /// [`TestDatabase::tell_plans`] was called.
    pub plans: usize,
}

impl Traffic {
    /// Returns the statements that were executed, in their order.
    pub fn executed(&self) -> impl Iterator<Item = &str> {
        let statements = self.round_trips.iter().flat_map(|trip| &trip.executed);
        statements.map(|statement| &**statement)
    }

    /// Returns the statements that were prepared, in their order.
    pub fn prepared(&self) -> impl Iterator<Item = &str> {
        let statements = self.round_trips.iter().flat_map(|trip| &trip.prepared);
        statements.map(|statement| &**statement)
    }
}

/// A running proxy, which stops when this is dropped.
pub struct Wire {
    port: u16,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    /// The host and port of the server.
    server: String,
    passed: Mutex<Passed>,
}

#[derive(Default)]
struct Passed {
    traffic: Traffic,
    /// The number of round trips that the server has not completed.
    unanswered: usize,
    latency: Duration,
}

impl Wire {
    /// Starts a proxy in front of the server of this database.
    pub async fn start(database: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server: database.address(),
            passed: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Errors are ignored: either side may disconnect.
                    let _ = pass(client, &state).await;
                });
            }
        });
        Self {
            port,
            state,
            accepting,
        }
    }

    /// Returns the port at 127.0.0.1 on which the proxy listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Forgets what has passed, so that [`Self::traffic`] starts with nothing.
    pub fn forget(&self) {
        self.state.passed.lock().unwrap().traffic = Traffic::default();
    }

    /// Returns what has passed since the start, or since the last [`Self::forget`].
    pub fn traffic(&self) -> Traffic {
        self.state.passed.lock().unwrap().traffic.clone()
    }

    /// Returns the number of round trips that the server has not completed.
    pub fn unanswered(&self) -> usize {
        self.state.passed.lock().unwrap().unanswered
    }

    /// Makes each further round trip take this much longer, as if the server were far
    /// away.
    pub fn slow_down(&self, latency: Duration) {
        self.state.passed.lock().unwrap().latency = latency;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Connects to the server, and passes on what both sides send until one disconnects.
async fn pass(client: TcpStream, state: &State) -> Result<()> {
    let server = TcpStream::connect(&state.server).await?;
    // Small messages must not wait for each other.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut client = Side::new(from_client, to_client);
    let mut server = Side::new(from_server, to_server);

    start(&mut client, &mut server).await?;
    state.passed.lock().unwrap().traffic.connections += 1;
    let pending = Mutex::default();
    let requests = pass_requests(&mut client.from, &mut server.to, state, &pending);
    let responses = pass_responses(&mut server.from, &mut client.to, state, &pending);
    let ended = tokio::select! {
        ended = requests => ended,
        ended = responses => ended,
    };
    let lost = pending.lock().unwrap().len();
    state.passed.lock().unwrap().unanswered -= lost;
    ended
}

/// The two directions of a connection.
struct Side {
    from: BufReader<OwnedReadHalf>,
    to: BufWriter<OwnedWriteHalf>,
}

impl Side {
    fn new(from: OwnedReadHalf, to: OwnedWriteHalf) -> Self {
        Self {
            from: BufReader::new(from),
            to: BufWriter::new(to),
        }
    }
}

/// Passes the start-up message on, and any request for encryption before it.
async fn start(client: &mut Side, server: &mut Side) -> Result<()> {
    loop {
        let length = client.from.read_u32().await?;
        let code = client.from.read_u32().await?;
        let body = read_body(&mut client.from, length, 8).await?;
        server.to.write_u32(length).await?;
        server.to.write_u32(code).await?;
        server.to.write_all(&body).await?;
        server.to.flush().await?;
        if !matches!(code, SSL_REQUEST | GSSENC_REQUEST) {
            return Ok(());
        }
        let answer = server.from.read_u8().await?;
        client.to.write_u8(answer).await?;
        client.to.flush().await?;
        if answer != b'N' {
            return Err(Error::other("encrypted messages cannot be read"));
        }
    }
}

/// The round trips of a connection that the server has not completed, oldest first.
type Pending = Mutex<VecDeque<RoundTrip>>;

async fn pass_requests(
    from: &mut BufReader<OwnedReadHalf>,
    to: &mut BufWriter<OwnedWriteHalf>,
    state: &State,
    pending: &Pending,
) -> Result<()> {
    let mut requests = Requests::default();
    loop {
        let message = Message::read(from).await?;
        if let Some(round_trip) = requests.read(&message)? {
            // The server may complete it as soon as it has the message.
            pending.lock().unwrap().push_back(round_trip);
            state.passed.lock().unwrap().unanswered += 1;
        }
        message.write(from, to).await?;
    }
}

async fn pass_responses(
    from: &mut BufReader<OwnedReadHalf>,
    to: &mut BufWriter<OwnedWriteHalf>,
    state: &State,
    pending: &Pending,
) -> Result<()> {
    loop {
        let message = Message::read(from).await?;
        if message.tag == b'Z' {
            let latency = state.passed.lock().unwrap().latency;
            if latency > Duration::ZERO {
                tokio::time::sleep(latency).await;
            }
            // The first one ends the start of the connection.
            let completed = pending.lock().unwrap().pop_front();
            if let Some(round_trip) = completed {
                let mut passed = state.passed.lock().unwrap();
                passed.unanswered -= 1;
                passed.traffic.round_trips.push(round_trip);
            }
        }
        if message.tells_of_a_plan() {
            state.passed.lock().unwrap().traffic.plans += 1;
        }
        message.write(from, to).await?;
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection};

    use super::*;
    use crate::Role;

    fn trip(prepared: &[&str], executed: &[&str]) -> RoundTrip {
        let texts = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect();
        RoundTrip {
            prepared: texts(prepared),
            executed: texts(executed),
        }
    }

    #[tokio::test]
    async fn all_that_a_client_waits_for_is_counted() {
        let database = TestDatabase::migrated().await;
        let wire = Wire::start(&database).await;
        let database = database.through(Role::Api, wire.port());
        let mut connection = PgConnection::connect(&database.url_for(Role::Api))
            .await
            .unwrap();
        assert_eq!(wire.traffic().connections, 1);
        wire.forget();

        for _ in 0..2 {
            let sum: i32 = sqlx::query_scalar("SELECT\n  $1 + 1")
                .bind(1)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(sum, 2);
        }
        connection.ping().await.unwrap();
        connection.begin().await.unwrap().rollback().await.unwrap();
        let select = "SELECT $1 + 1";
        let expected = Traffic {
            connections: 0,
            round_trips: vec![
                trip(&[select], &[]),
                trip(&[], &[select]),
                trip(&[], &[select]),
                trip(&[], &[]),
                trip(&[], &["BEGIN"]),
                trip(&[], &["ROLLBACK"]),
            ],
            plans: 0,
        };
        assert_eq!(wire.traffic(), expected);
        assert_eq!(wire.unanswered(), 0);
    }
}
