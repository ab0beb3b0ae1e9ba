//! The minimum rate of request bodies: a client that sends very slowly must not hold a connection, an upload
//! and its memory forever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::connection_activity::ConnectionActivity;
use crate::http_message::{Body, BodyError, Request};

/// A minimum rate: `bytes` must arrive in each `period` of waiting.
#[derive(Clone, Copy)]
struct Rate {
    bytes: u64,
    /// Only time in which the server waits for the client counts.
    period: Duration,
}

/// The minimum rate of the server. Even slow connections are many times faster.
const MINIMUM: Rate = Rate { bytes: 16 * 1024, period: Duration::from_secs(60) };

/// Makes the body of a request fail when it arrives too slowly. If the handler drops the body before its end, it is
/// stored in `activity`.
pub(crate) fn enforce(request: Request, activity: &Arc<ConnectionActivity>) -> Request {
    let has_body = !request.body().is_end_stream();
    // The size limit of the head does not include the body.
    activity.expect(has_body);
    if !has_body {
        return request;
    }
    let awaits_continue = request.headers().contains_key(header::EXPECT);
    let activity = Arc::clone(activity);
    request.map(|body| MinimumRateBody::new(body, activity, awaits_continue, MINIMUM).boxed_unsync())
}

/// A body that fails when it arrives too slowly.
struct MinimumRateBody {
    body: Body,
    activity: Arc<ConnectionActivity>,
    /// The client waits for permission to send the body (`Expect: 100-continue`).
    awaits_continue: bool,
    has_ended: bool,
    rate: Rate,
    /// The bytes and the waiting time since the rate was last met.
    received: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl MinimumRateBody {
    fn new(body: Body, activity: Arc<ConnectionActivity>, awaits_continue: bool, rate: Rate) -> Self {
        Self {
            body,
            activity,
            awaits_continue,
            has_ended: false,
            rate,
            received: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            timer: Box::pin(sleep(rate.period)),
        }
    }

    fn record(&mut self, bytes: u64) {
        // Only the time after a pending poll counts. Between polls, the server delays the body, not the client.
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        self.received += bytes;
        if self.received >= self.rate.bytes {
            // Begins a new period, so that a fast start can't compensate for a stall later.
            (self.received, self.waited) = (0, Duration::ZERO);
        }
    }
}

impl Drop for MinimumRateBody {
    fn drop(&mut self) {
        if self.has_ended || self.body.is_end_stream() {
            self.activity.expect(false);
        } else if self.awaits_continue {
            // Reading a body that the client has only announced would make hyper send `100 Continue`.
            self.activity.leave_unread();
        } else {
            // The head of the next request arrives only after the rest of this body.
            self.activity.set_dropped_body(std::mem::take(&mut self.body));
        }
    }
}

impl hyper::body::Body for MinimumRateBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // hyper sends `100 Continue` at the first poll.
        self.awaits_continue = false;
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            self.has_ended |= !matches!(frame, Some(Ok(_)));
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
            self.record(data.map_or(0, |data| data.len() as u64));
            return polled;
        }
        // Set only when a wait begins, because a spurious poll must not extend the deadline.
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let left = self.rate.period.saturating_sub(self.waited);
            self.timer.as_mut().reset(now + left);
        }
        self.timer.as_mut().poll(cx).map(|()| {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the body comes too slowly");
            Some(Err(error.into()))
        })
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
    use futures::StreamExt as _;

    use crate::http_message::streamed;

    /// Receives `count` pieces of `size` bytes, one every 20 ms, where 100 bytes must arrive in 100 ms of waiting.
    async fn receive(count: usize, size: usize) -> usize {
        let pieces = futures::stream::iter(0..count).then(move |_| async move {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, io::Error>(Bytes::from(vec![0; size]))
        });
        let activity = Arc::new(ConnectionActivity::new());
        let rate = Rate { bytes: 100, period: Duration::from_millis(100) };
        let body = MinimumRateBody::new(streamed(pieces), activity, false, rate);
        let mut stream = body.boxed_unsync().into_data_stream();
        let mut received = 0;
        while let Some(Ok(bytes)) = stream.next().await {
            received += bytes.len();
            // Time that the server takes does not count.
            sleep(Duration::from_millis(if size == 50 { 50 } else { 0 })).await;
        }
        received
    }

    #[tokio::test]
    async fn cuts_off_trickling_body_but_not_a_slow_one() {
        assert_eq!(receive(20, 50).await, 1000);
        assert_eq!(receive(3, 1).await, 3, "short and complete in time");
        assert!(receive(20, 1).await < 10);
    }
}
