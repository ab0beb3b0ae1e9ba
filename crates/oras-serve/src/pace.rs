//! A body that has to come on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;

use crate::shares::Activity;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::header;
use futures::StreamExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// So much time may be waited for [`LEAST`] bytes. Time in which the server is busy does not count.
const PERIOD: Duration = Duration::from_secs(60);
/// What the slowest lines bring in a minute many times over.
const LEAST: u64 = 16 * 1024;

/// What of a body is discarded, at most, when a request is answered before its body was read: clients that send all
/// of it before they read an answer then see the answer. The limits keep a client from holding a connection by this.
const MAX_DISCARDED: u64 = 8 * 1024 * 1024;
const MAX_DISCARDING: Duration = Duration::from_secs(5);
/// A client that sends nothing for so long may be waiting for the answer.
const PAUSE: Duration = Duration::from_millis(500);

/// The same request with a body that fails when it comes too slowly: who sends a byte now and then must not keep a
/// connection, an upload and its memory for ever. With it comes what will be left of the body, if there is one.
pub(crate) fn keep(request: Request) -> (Request, Option<Unread>) {
    // Most requests have none.
    let is_body = !request.body().is_end_stream();
    let activity = request.extensions().get::<Arc<Activity>>().cloned().unwrap_or_default();
    activity.begin(is_body);
    if !is_body {
        return (request, None);
    }
    let is_announced = request.headers().contains_key(header::EXPECT);
    let left = Arc::default();
    let unread = Unread { left: Arc::clone(&left), is_announced, activity: Arc::clone(&activity) };
    let request = request.map(|body| Body::new(Paced::new(body, (activity, left), PERIOD, LEAST)));
    (request, Some(unread))
}

/// A body that was dropped before its end.
#[derive(Default)]
struct Left {
    body: Option<Body>,
    is_begun: bool,
}

/// The part of a body that nobody has read when the request is answered.
pub(crate) struct Unread {
    left: Arc<Mutex<Left>>,
    /// Whether the client asked before it sends the body (`Expect: 100-continue`).
    is_announced: bool,
    activity: Arc<Activity>,
}

impl Unread {
    /// Reads the rest of the body, within bounds, and discards it. Returns false if some of it is left: then the
    /// connection can't be used for another request.
    pub(crate) async fn discard(self) -> bool {
        let Left { body, is_begun } = std::mem::take(&mut *lock(&self.left));
        let Some(mut body) = body else { return true };
        // To read an announced body is to ask the client for it.
        let is_wanted = is_begun || !self.is_announced;
        let is_small = body.size_hint().lower() <= MAX_DISCARDED;
        let read = async { is_wanted && is_small && read_to_end(&mut body).await };
        let ended = tokio::time::timeout(MAX_DISCARDING, read).await.unwrap_or(false);
        if ended {
            self.activity.begin(false);
        } else {
            self.activity.leave_unread();
        }
        ended
    }
}

async fn read_to_end(body: &mut Body) -> bool {
    let mut stream = std::mem::take(body).into_data_stream();
    let mut left = MAX_DISCARDED;
    loop {
        match tokio::time::timeout(PAUSE, stream.next()).await {
            Ok(None) => return true,
            Ok(Some(Ok(piece))) => match left.checked_sub(piece.len() as u64) {
                Some(rest) => left = rest,
                None => return false,
            },
            Ok(Some(Err(_))) | Err(_) => return false,
        }
    }
}

/// Never held across an await.
fn lock(left: &Mutex<Left>) -> parking_lot::MutexGuard<'_, Left> {
    left.lock()
}

struct Paced {
    body: Body,
    activity: Arc<Activity>,
    left: Arc<Mutex<Left>>,
    is_begun: bool,
    is_ended: bool,
    period: Duration,
    least: u64,
    came: u64,
    waited: Duration,
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Paced {
    fn new(
        body: Body,
        (activity, left): (Arc<Activity>, Arc<Mutex<Left>>),
        period: Duration,
        least: u64,
    ) -> Self {
        let timer = Box::pin(sleep(period));
        Self {
            body,
            activity,
            left,
            is_begun: false,
            is_ended: false,
            period,
            least,
            came: 0,
            waited: Duration::ZERO,
            since: None,
            timer,
        }
    }

    fn came(&mut self, bytes: u64) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.came += bytes;
        if self.came >= self.least {
            (self.came, self.waited) = (0, Duration::ZERO);
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if self.is_ended || self.body.is_end_stream() {
            return self.activity.begin(false);
        }
        // The head of the next request comes after the rest of this body.
        let (body, is_begun) = (Some(std::mem::take(&mut self.body)), self.is_begun);
        *lock(&self.left) = Left { body, is_begun };
    }
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_begun = true;
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            self.is_ended |= !matches!(frame, Some(Ok(_)));
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
            self.came(data.map_or(0, |data| data.len() as u64));
            return polled;
        }
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let left = self.period.saturating_sub(self.waited);
            self.timer.as_mut().reset(now + left);
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "the body comes too slowly");
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `count` pieces of `size` bytes, one every 20 ms, where 100 bytes must come in 100 ms of waiting.
    async fn receive(count: usize, size: usize) -> usize {
        let pieces = futures::stream::iter(0..count).then(move |_| async move {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, io::Error>(Bytes::from(vec![0; size]))
        });
        let shared = (Arc::default(), Arc::default());
        let body = Paced::new(Body::from_stream(pieces), shared, Duration::from_millis(100), 100);
        let mut stream = Body::new(body).into_data_stream();
        let mut received = 0;
        while let Some(Ok(bytes)) = stream.next().await {
            received += bytes.len();
            // The server takes its time: no fault of the client.
            sleep(Duration::from_millis(if size == 50 { 50 } else { 0 })).await;
        }
        received
    }

    #[tokio::test]
    async fn who_dawdles_is_given_up_and_who_is_slow_is_not() {
        assert_eq!(receive(20, 50).await, 1000);
        assert_eq!(receive(3, 1).await, 3, "short and over in time");
        assert!(receive(20, 1).await < 10);
    }
}
