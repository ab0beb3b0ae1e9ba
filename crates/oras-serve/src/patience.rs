//! A connection whose other end has to take what it asked for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::metrics::Metrics;
use crate::shares::Activity;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream that fails when nothing could be written for a while: a client that stopped reading must not keep its
/// connection for ever.
pub(crate) struct Patience<S> {
    stream: S,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    /// What may still be discarded of what the client sends, once nothing more is written.
    discards: Option<Discards>,
    activity: Arc<Activity>,
    metrics: Arc<Metrics>,
}

impl<S> Patience<S> {
    /// Waits for `limit` and no longer; tells what moves.
    pub(crate) fn new(stream: S, limit: Duration, activity: Arc<Activity>, metrics: Arc<Metrics>) -> Self {
        Self {
            stream,
            limit,
            timer: Box::pin(sleep(limit)),
            waiting: false,
            discards: None,
            activity,
            metrics,
        }
    }

    /// The stream itself.
    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes @ 1..)) = polled {
            self.activity.note();
            self.metrics.sent(*bytes);
        }
    }

    /// Passes on what came of a write, and ends the wait of one that takes too long.
    fn bound<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = false;
            return polled;
        }
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let bytes @ 1.. = buffer.filled().len() - before {
            self.activity.note();
            self.metrics.received(bytes);
            if !self.activity.takes(bytes) {
                let error = io::Error::new(io::ErrorKind::InvalidData, "the head of the request is too long");
                return Poll::Ready(Err(error));
            }
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&polled);
        self.bound(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&polled);
        self.bound(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.bound(cx, polled)
    }

    /// Closes the connection for writing, then discards what the client is still sending: to close it with bytes
    /// that nobody has read resets it, and the client loses the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.discards.is_none() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.bound(cx, polled))?;
            if !self.activity.has_unread() {
                return Poll::Ready(Ok(()));
            }
            self.discards = Some(Discards::new());
        }
        let Self { stream, discards, .. } = &mut *self;
        match discards {
            Some(discards) => discards.poll(stream, cx).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// The bytes that are read and discarded after the last answer.
struct Discards {
    buffer: Vec<u8>,
    left: usize,
    deadline: Pin<Box<Sleep>>,
}

/// How long, and how many bytes, a client may go on sending after it was refused.
const LINGER: Duration = Duration::from_secs(2);
const MAX_LINGERING: usize = 16 * 1024 * 1024;

impl Discards {
    fn new() -> Self {
        Self { buffer: vec![0; 16 * 1024], left: MAX_LINGERING, deadline: Box::pin(sleep(LINGER)) }
    }

    /// Ready when the client has closed the connection, or has had its time.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
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
    async fn who_takes_nothing_is_given_up_and_who_is_slow_is_not() {
        let (ours, mut theirs) = duplex(8);
        let mut stream = Patience::new(ours, Duration::from_millis(200), Arc::default(), Arc::default());
        let slow = async {
            let mut taken = [0; 8];
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(80)).await;
                theirs.read_exact(&mut taken).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(stream.write_all(&[1; 32]), slow);
        written.unwrap();
        let stuck = stream.write_all(&[1; 32]).await.unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
    }
}
