use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, Response};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::connections::{Connections, Slot};

/// The time that requests in flight have to finish once the server is told to
/// stop. Only a portal request for which both Svix and the database need all of
/// their time limits takes longer, or a report of many leaked keys to a slow database.
/// Orchestrators kill the process after 10 s.
const DRAIN: Duration = Duration::from_millis(8500);

/// The time that the connections accepted last have to send their request before
/// idle connections are closed. From the signal on, answers say `Connection: close`, so a client
/// that sends a request in this time does not send the next one on a closed connection.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// The pause after the system refused to accept a connection, for instance because
/// the process has no descriptors left. Without it, the loop would use a whole
/// processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The number of new connections that the system may keep until they are accepted; Linux
/// allows at most `net.core.somaxconn`, by default 4,096. Clients beyond them try again after a
/// second.
const BACKLOG: u32 = 4096;

/// The time between two log lines about the same trouble.
const LOG_PAUSE: Duration = Duration::from_mins(1);

/// The listeners of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// For everybody.
    Public,
    /// For the platform's other services.
    Internal,
    /// For operators.
    Admin,
}

impl Listener {
    /// Returns the name that metrics have.
    fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    /// Returns the variable that sets the address.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Public => "LISTEN_ADDR",
            Self::Internal => "INTERNAL_ADDR",
            Self::Admin => "ADMIN_ADDR",
        }
    }
}

/// A listener's address is in use, or not of this machine.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot listen on {address}", .listener.variable())]
pub struct BindError {
    listener: Listener,
    address: SocketAddr,
    source: io::Error,
}

/// A listening socket. Connections wait until [`Bound::serve`] accepts them.
pub struct Bound {
    socket: TcpListener,
    listener: Listener,
    /// The address, with the port that the system chose if none was asked for.
    pub address: SocketAddr,
}

/// Listens on the address. Call it within a runtime.
pub fn bind(listener: Listener, address: SocketAddr) -> Result<Bound, BindError> {
    let refused = |source| BindError {
        listener,
        address,
        source,
    };
    let socket = listen(address).map_err(refused)?;
    let address = socket.local_addr().map_err(refused)?;
    Ok(Bound {
        socket,
        listener,
        address,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted process need not wait until the system has forgotten old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Bound {
    /// Serves the endpoint until `shutdown`, on at most `max_connections` connections
    /// at a time, then finishes the accepted requests. Returns when all connections
    /// are closed, at most some nine seconds after `shutdown`.
    pub async fn serve(
        self,
        endpoint: impl Endpoint<Output = Response> + 'static,
        max_connections: usize,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        let server = Arc::new(Server {
            endpoint: Arc::new(endpoint.boxed()),
            address: self.address,
            connections: Connections::new(max_connections, self.listener.as_str()),
            stopping: shutdown,
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let unserved = server.accept_all(&self.socket).await;
        let last = unserved.into_iter().chain(established(self.socket)?);
        let admitting = Arc::clone(&server).serve_all(last.collect());
        server.tasks.spawn(admitting);
        sleep(LAST_REQUESTS).await;
        server.drain().await;
        Ok(())
    }
}

/// Accepts the connections that the system has already established, and closes the
/// socket: later connections are refused, so that their clients try another process.
///
/// Uses the socket without tokio, which might not have been notified of them yet.
fn established(listener: TcpListener) -> io::Result<Vec<Accepted>> {
    let listener = listener.into_std()?;
    let mut waiting = Vec::new();
    while let Ok((stream, client)) = listener.accept() {
        stream.set_nonblocking(true)?;
        waiting.push((TcpStream::from_std(stream)?, client));
    }
    Ok(waiting)
}

/// A connection that was accepted, with the client's address.
type Accepted = (TcpStream, SocketAddr);

struct Server {
    endpoint: Arc<BoxEndpoint<'static, Response>>,
    address: SocketAddr,
    connections: Arc<Connections>,
    /// Cancelled when the server was told to stop.
    stopping: CancellationToken,
    /// Cancelled when idle connections must close.
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Accepts connections until the server is told to stop. Returns the one that waited for room
    /// then.
    async fn accept_all(&self, listener: &TcpListener) -> Option<Accepted> {
        let mut trouble = Trouble::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stopping.cancelled() => return None,
            };
            match accepted {
                Ok(accepted) => tokio::select! {
                    slot = self.connections.admit() => self.serve(accepted, slot),
                    () = self.stopping.cancelled() => return Some(accepted),
                },
                // The client has gone before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    trouble.log(|| tracing::error!(%error, "connections cannot be accepted"));
                    self.connections.metrics.refused.inc();
                    self.connections.evict_one();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves the connections in the background, each once there is room for it.
    async fn serve_all(self: Arc<Self>, accepted: Vec<Accepted>) {
        for accepted in accepted {
            let slot = self.connections.admit().await;
            self.serve(accepted, slot);
        }
    }

    /// Serves the connection in the background.
    fn serve(&self, (stream, client): Accepted, slot: Slot) {
        let connection = Connection {
            stream,
            client,
            server: self.address,
            endpoint: Arc::clone(&self.endpoint),
            stopping: self.stopping.clone(),
        };
        self.tasks
            .spawn(connection.serve(slot, self.closing.clone()));
    }

    /// Closes idle connections, and gives the others the time to finish.
    async fn drain(&self) {
        self.closing.cancel();
        self.tasks.close();
        if timeout(DRAIN, self.tasks.wait()).await.is_err() {
            self.connections.abort();
            self.tasks.wait().await;
        }
    }
}

/// Logs a recurring trouble at most once in [`LOG_PAUSE`].
#[derive(Default)]
pub(super) struct Trouble(Option<Instant>);

impl Trouble {
    pub(super) fn log(&mut self, write: impl FnOnce()) {
        if self.0.is_none_or(|last| last.elapsed() >= LOG_PAUSE) {
            self.0 = Some(Instant::now());
            write();
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::metrics::ConnectionMetrics;

    /// A server of at most one connection, whose answers wait for a permit each.
    struct Waiting {
        address: SocketAddr,
        asked: Arc<Semaphore>,
        permits: Arc<Semaphore>,
        shutdown: CancellationToken,
        ended: JoinHandle<io::Result<()>>,
    }

    impl Waiting {
        fn start() -> Self {
            let bound = bind(Listener::Public, ([127, 0, 0, 1], 0).into()).unwrap();
            let address = bound.address;
            let (asked, permits) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let endpoint = {
                let (asked, permits) = (Arc::clone(&asked), Arc::clone(&permits));
                make(move |_| {
                    let permits = Arc::clone(&permits);
                    asked.add_permits(1);
                    async move { permits.acquire().await.unwrap().forget() }
                })
            };
            let shutdown = CancellationToken::new();
            let ended = tokio::spawn(bound.serve(endpoint.map_to_response(), 1, shutdown.clone()));
            Self {
                address,
                asked,
                permits,
                shutdown,
                ended,
            }
        }

        async fn ask(&self) -> TcpStream {
            let mut client = TcpStream::connect(self.address).await.unwrap();
            client.write_all(REQUEST).await.unwrap();
            client
        }

        async fn is_asked(&self) {
            self.asked.acquire().await.unwrap().forget();
        }
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// Reads the head of an answer without a body, in lower case.
    async fn answer(client: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let read = client.read_buf(&mut answer).await.unwrap();
            assert_ne!(read, 0, "the connection was closed");
        }
        String::from_utf8(answer).unwrap().to_lowercase()
    }

    #[tokio::test]
    async fn once_told_to_stop_the_server_says_that_connections_end() {
        let server = Waiting::start();
        let mut client = server.ask().await;
        server.permits.add_permits(1);
        let kept = answer(&mut client).await;
        assert!(!kept.contains("connection: close"), "{kept}");

        client.write_all(REQUEST).await.unwrap();
        server.is_asked().await;
        server.is_asked().await;
        server.shutdown.cancel();
        server.permits.add_permits(1);
        let last = answer(&mut client).await;
        assert!(last.contains("connection: close"), "{last}");
        server.ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_waits_for_room_is_served_before_the_server_stops() {
        let server = Waiting::start();
        let mut first = server.ask().await;
        server.is_asked().await;
        let full = || ConnectionMetrics::of(Listener::Public.as_str()).full.get();
        let before = full();
        let mut second = server.ask().await;
        while full() == before {
            tokio::task::yield_now().await;
        }
        server.shutdown.cancel();
        server.permits.add_permits(2);
        for client in [&mut first, &mut second] {
            let answer = answer(client).await;
            assert!(answer.starts_with("http/1.1 200"), "{answer}");
        }
        server.ended.await.unwrap().unwrap();
    }
}
