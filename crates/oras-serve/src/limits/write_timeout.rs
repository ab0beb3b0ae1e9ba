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
        Self { stream, limit, timer: Box::pin(sleep(limit)), is_waiting: false, activity, metrics }
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

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
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

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check_timeout(cx, polled)
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
