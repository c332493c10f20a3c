//! What a connection is doing, and until when it may take to do it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connections::Slot;

/// The time in which the first byte of the first request must come, and in which a
/// request's headers must be complete after their first byte.
const HEADERS: Duration = Duration::from_secs(10);

/// The time after which an idle connection is closed. It is longer than the usual
/// 60 s of load balancers, so that they close connections before us: a request sent
/// while we close would fail.
const IDLE: Duration = Duration::from_secs(75);

/// The time for which a client may read nothing of an answer that is sent to it.
const STALLED: Duration = Duration::from_secs(10);

/// The time that a request which is still arriving has once the server stops.
const CLOSING: Duration = Duration::from_secs(2);

/// The progress of one connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    phase: Phase,
    /// The time since which the client has read nothing, while we have more to send.
    stalled_since: Option<Instant>,
    /// The time at which the server was told to stop.
    closing_since: Option<Instant>,
    slot: Slot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come since the connection was opened.
    New { since: Instant },
    /// Nothing has come since the last answer.
    Idle { since: Instant },
    /// A request has begun to arrive.
    Arriving { since: Instant },
    /// A request is being answered. What answers it limits its own time.
    Answering,
}

impl Progress {
    pub(super) fn new(slot: Slot) -> Self {
        let since = Instant::now();
        Self(Arc::new(Mutex::new(State {
            phase: Phase::New { since },
            stalled_since: None,
            closing_since: None,
            slot,
        })))
    }

    /// Returns the time at which the connection must be closed, as it is now.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        let (by_phase, ends_early) = match state.phase {
            Phase::New { since } | Phase::Arriving { since } => (Some(since + HEADERS), true),
            Phase::Idle { since } => (Some(since + IDLE), true),
            Phase::Answering => (None, false),
        };
        let closing = state.closing_since.filter(|_| ends_early);
        let limits = [
            by_phase,
            closing.map(|since| since + CLOSING),
            state.stalled_since.map(|since| since + STALLED),
        ];
        limits.into_iter().flatten().min()
    }

    /// Records that the server was told to stop.
    pub(super) fn closing(&self) {
        self.state().closing_since = Some(Instant::now());
    }

    /// Records that a request has arrived. The answer is sent when the returned value
    /// is dropped.
    pub(super) fn answering(&self) -> Answering {
        let mut state = self.state();
        state.phase = Phase::Answering;
        state.slot.is_busy();
        Answering(self.clone())
    }

    /// Returns whether the connection should end after its answer, because a new one waits.
    pub(super) fn gives_way(&self) -> bool {
        self.state().slot.gives_way()
    }

    fn has_read(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::New { .. } | Phase::Idle { .. }) {
            let since = Instant::now();
            state.phase = Phase::Arriving { since };
        }
    }

    fn has_written(&self, is_stalled: bool) {
        let mut state = self.state();
        if !is_stalled {
            state.stalled_since = None;
        } else if state.stalled_since.is_none() {
            state.stalled_since = Some(Instant::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exists while a request is being answered.
pub(super) struct Answering(Progress);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let since = Instant::now();
        state.phase = Phase::Idle { since };
        state.slot.is_idle();
    }
}

/// The body of an answer. The answer is complete when hyper drops it.
pub(super) struct AnswerBody<B> {
    pub(super) body: B,
    pub(super) _answering: Answering,
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection's stream, which records what is read and written.
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) progress: Progress,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.progress.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl Watched {
    fn recorded(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.progress.has_written(written.is_pending());
        written
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.recorded(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.recorded(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
