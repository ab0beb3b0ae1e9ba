//! A body that has to come on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::shares::Activity;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// So much time may be waited for [`LEAST`] bytes. Time in which the server is busy does not count.
const PERIOD: Duration = Duration::from_secs(60);
/// What the slowest lines bring in a minute many times over.
const LEAST: u64 = 16 * 1024;

/// The same request with a body that fails when it comes too slowly: who sends a byte now and then must not keep a
/// connection, an upload and its memory for ever.
pub(crate) fn keep(request: Request) -> Request {
    // Most requests have none.
    let is_body = !request.body().is_end_stream();
    let activity = request.extensions().get::<Arc<Activity>>().cloned().unwrap_or_default();
    activity.begin(is_body);
    match is_body {
        true => request.map(|body| Body::new(Paced::new(body, activity, PERIOD, LEAST))),
        false => request,
    }
}

struct Paced {
    body: Body,
    activity: Arc<Activity>,
    period: Duration,
    least: u64,
    came: u64,
    waited: Duration,
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Paced {
    fn new(body: Body, activity: Arc<Activity>, period: Duration, least: u64) -> Self {
        let timer = Box::pin(sleep(period));
        Self { body, activity, period, least, came: 0, waited: Duration::ZERO, since: None, timer }
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
        self.activity.begin(false);
    }
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
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
    use futures::StreamExt;

    /// What comes of `count` pieces of `size` bytes, one every 20 ms, where 100 bytes must come in 100 ms of waiting.
    async fn receive(count: usize, size: usize) -> usize {
        let pieces = futures::stream::iter(0..count).then(move |_| async move {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, io::Error>(Bytes::from(vec![0; size]))
        });
        let body = Paced::new(Body::from_stream(pieces), Arc::default(), Duration::from_millis(100), 100);
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
