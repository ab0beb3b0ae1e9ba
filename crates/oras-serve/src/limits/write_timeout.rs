//! The write timeout of a connection: cuts off a client that does not read its responses.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connection_activity::ConnectionActivity;
use crate::ops::metrics::Metrics;

/// A stream whose writes fail if the client reads nothing for the duration `limit`. It also counts the bytes and
/// records activity.
pub(crate) struct WriteTimeout<S> {
    stream: S,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
    /// Set once the connection is closed for writing.
    lingering: Option<LingeringClose>,
    activity: Arc<ConnectionActivity>,
    metrics: Arc<Metrics>,
}

impl<S> WriteTimeout<S> {
    /// Wraps `stream`; a write that makes no progress for `limit` fails.
    pub(crate) fn new(
        stream: S,
        limit: Duration,
        activity: Arc<ConnectionActivity>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            stream,
            limit,
            timer: Box::pin(sleep(limit)),
            is_waiting: false,
            lingering: None,
            activity,
            metrics,
        }
    }

    /// Returns the wrapped stream.
    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes @ 1..)) = polled {
            self.activity.record();
            self.metrics.record_sent(*bytes);
        }
    }

    /// Returns the result of a write, or fails if it has been pending for too long.
    fn check_timeout<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.is_waiting = false;
            return polled;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            // The timer is reset only when a write begins to wait, which keeps it off the fast path.
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let bytes @ 1.. = buffer.filled().len() - before {
            self.activity.record();
            self.metrics.record_received(bytes);
            // The connection recognizes this error by its kind, and logs a malformed request.
            if !self.activity.accepts(bytes) {
                let error = io::Error::new(io::ErrorKind::InvalidData, "the head of the request is too long");
                return Poll::Ready(Err(error));
            }
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&polled);
        self.check_timeout(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&polled);
        self.check_timeout(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        // If the stream did not report this, hyper would copy heads and bodies into one buffer.
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.check_timeout(cx, polled)
    }

    /// Closes the connection for writing, then discards what the client is still sending. Closing a socket with unread
    /// bytes resets the connection, and the client loses the response.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.check_timeout(cx, polled))?;
            if !self.activity.has_unread() {
                return Poll::Ready(Ok(()));
            }
            self.lingering = Some(LingeringClose::new());
        }
        let Self { stream, lingering, .. } = &mut *self;
        match lingering {
            Some(lingering) => lingering.poll(stream, cx).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// Reads and discards what the client sends after the last response.
struct LingeringClose {
    buffer: Vec<u8>,
    left: usize,
    deadline: Pin<Box<Sleep>>,
}

/// For how long, and how many bytes, a client may send after the last response.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_LINGER_SIZE: usize = 16 * 1024 * 1024;

impl LingeringClose {
    fn new() -> Self {
        Self { buffer: vec![0; 16 * 1024], left: MAX_LINGER_SIZE, deadline: Box::pin(sleep(LINGER_TIMEOUT)) }
    }

    /// Ready when the client has closed the connection, or a limit is reached.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        // The deadline stops a slow sender. The size limit below stops a fast sender.
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            self.left = self.left.saturating_sub(count);
            if read.is_err() || count == 0 || self.left == 0 {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn cuts_off_client_that_stops_reading_but_not_a_slow_one() {
        let (ours, mut theirs) = duplex(8);
        let activity = Arc::new(ConnectionActivity::new());
        let mut stream = WriteTimeout::new(ours, Duration::from_millis(200), activity, Arc::default());
        let slow = async {
            let mut read = [0; 8];
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(80)).await;
                theirs.read_exact(&mut read).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(stream.write_all(&[1; 32]), slow);
        written.unwrap();
        let stuck = stream.write_all(&[1; 32]).await.unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
    }
}
