use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::Response;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::http::header::{self, HeaderValue};
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connections::Slot;
use super::progress::{AnswerBody, Progress, Watched};

/// The size of the largest request line with headers, in bytes. A connection needs
/// no more memory than this while its request arrives.
const MAX_HEADERS: usize = 64 * 1024;

/// The time without traffic after which the system asks whether the client is still
/// there, and the time between two further questions.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// One connection of a client.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) endpoint: Arc<BoxEndpoint<'static, Response>>,
    /// Cancelled when the server was told to stop. From then on, no connection is kept.
    pub(super) stopping: CancellationToken,
}

impl Connection {
    /// Serves the connection until it ends, takes too long, or must give way to
    /// another. After `closing`, it ends with the running request.
    pub(super) async fn serve(self, slot: Slot, closing: CancellationToken) {
        let must_close = slot.must_close();
        tokio::select! {
            () = self.serve_in_time(slot, closing) => {}
            () = must_close.cancelled() => {}
        }
    }

    async fn serve_in_time(self, slot: Slot, closing: CancellationToken) {
        set_options(&self.stream);
        let progress = Progress::new(slot);
        let stream = Watched {
            stream: self.stream,
            progress: progress.clone(),
        };
        let (client, server) = (self.client, self.server);
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let answering = progress.answering();
            let from = (
                request,
                LocalAddr(server.into()),
                RemoteAddr(client.into()),
                Scheme::HTTP,
            );
            // Within the block below, the request would be copied with it.
            let answered = DynEndpoint::call(&**self.endpoint, from.into());
            let (stopping, progress) = (&self.stopping, &progress);
            async move {
                let answered = answered.await;
                let mut response = answered.unwrap_or_else(poem::Error::into_response);
                if stopping.is_cancelled() || progress.gives_way() {
                    close_after(&mut response);
                }
                let response: hyper::Response<_> = response.into();
                Ok::<_, Infallible>(response.map(|body| AnswerBody {
                    body,
                    _answering: answering,
                }))
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(MAX_HEADERS)
            .header_read_timeout(None) // `Progress` tells idle from slow
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut closing = pin!(closing.cancelled());
        let mut is_closing = false;
        let mut out_of_time = pin!(sleep_until(Instant::now()));

        poll_fn(|context| {
            // First it reads what has come: a connection that has read nothing would be closed.
            let mut polled = connection.as_mut().poll(context);
            if polled.is_pending() && !is_closing && closing.as_mut().poll(context).is_ready() {
                is_closing = true;
                progress.closing();
                connection.as_mut().graceful_shutdown();
                polled = connection.as_mut().poll(context);
            }
            if let Poll::Ready(ended) = polled {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke");
                }
                return Poll::Ready(());
            }
            // All that moves the deadline has just happened, in this very task.
            let Some(deadline) = progress.deadline() else {
                return Poll::Pending;
            };
            if out_of_time.deadline() != deadline {
                out_of_time.as_mut().reset(deadline);
            }
            out_of_time.as_mut().poll(context)
        })
        .await;
    }
}

/// Says in the response that the connection ends after it, so that the client does not send
/// another request on it.
pub fn close_after(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
}

/// Sets the options of the socket. A connection works without them too.
fn set_options(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(TCP_KEEPALIVE)
        .with_interval(TCP_KEEPALIVE_INTERVAL);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);
}
