//! Limits of request bodies. A client that sends very slowly must not hold a connection, an upload and its memory
//! forever. The rest of a body that no handler read is discarded, within limits, so that the client receives the
//! response.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::header;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout};

use super::connection_activity::ConnectionActivity;
use crate::http_message::{Body, BodyError, Request, streamed};

/// The maximum size of an unread body that the server discards, and the maximum time for discarding it. A client
/// that sends its whole body first can then read the response. The limits bound how long it can hold a connection.
const MAX_DISCARDED: u64 = 8 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for the next piece. A client that sends nothing for this long may be waiting for the response.
const IDLE_TIMEOUT: Duration = Duration::from_millis(500);

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
pub(crate) fn enforce_rate(request: Request, activity: &Arc<ConnectionActivity>) -> Request {
    let has_body = !request.body().is_end_stream();
    // The size limit of the head does not include the body.
    activity.expect(has_body);
    if !has_body {
        return request;
    }
    let awaits_continue = request.headers().contains_key(header::EXPECT);
    let activity = Arc::clone(activity);
    request.map(|body| MinimumRateBody::new(body, activity, awaits_continue, MINIMUM).into_body())
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
}

impl MinimumRateBody {
    fn new(body: Body, activity: Arc<ConnectionActivity>, awaits_continue: bool, rate: Rate) -> Self {
        let (received, waited) = (0, Duration::ZERO);
        Self { body, activity, awaits_continue, has_ended: false, rate, received, waited }
    }

    fn into_body(self) -> Body {
        streamed(stream::unfold(self, |mut body| async { Some((body.next().await?, body)) }))
    }

    /// Returns the next piece; an empty one for trailers, which no handler reads.
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        // hyper sends `100 Continue` at the first poll.
        self.awaits_continue = false;
        // Between the calls, the server delays the body, not the client.
        let began = Instant::now();
        let left = self.rate.period.saturating_sub(self.waited);
        let Ok(frame) = timeout(left, self.body.frame()).await else {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the body comes too slowly");
            return Some(Err(error.into()));
        };
        self.has_ended |= !matches!(frame, Some(Ok(_)));
        let piece = frame?.map(|frame| frame.into_data().unwrap_or_default());
        self.received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        self.waited += began.elapsed();
        if self.received >= self.rate.bytes {
            // Begins a new period, so that a fast start can't compensate for a stall later.
            (self.received, self.waited) = (0, Duration::ZERO);
        }
        Some(piece)
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

/// Reads and discards the part of a request body that is still unread when the response is ready, within limits.
/// Returns false if some of it remains: the connection then can't be used for another request.
pub(crate) async fn discard_unread(activity: &ConnectionActivity) -> bool {
    let Some(body) = activity.take_dropped_body() else { return !activity.has_unread() };
    // A body that is known to be too long is not read at all, because the connection closes in any case.
    let is_small = body.size_hint().lower() <= MAX_DISCARDED;
    let read = async { is_small && read_to_end(body).await };
    let is_empty = tokio::time::timeout(DISCARD_TIMEOUT, read).await.unwrap_or(false);
    if is_empty {
        activity.expect(false);
    } else {
        activity.leave_unread();
    }
    is_empty
}

async fn read_to_end(body: Body) -> bool {
    let mut stream = body.into_data_stream();
    let mut left = MAX_DISCARDED;
    loop {
        match tokio::time::timeout(IDLE_TIMEOUT, stream.next()).await {
            Ok(None) => return true,
            Ok(Some(Ok(piece))) => match left.checked_sub(piece.len() as u64) {
                Some(rest) => left = rest,
                None => return false,
            },
            Ok(Some(Err(_))) | Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    /// Receives `count` pieces of `size` bytes, one every 20 ms, where 100 bytes must arrive in 100 ms of waiting.
    async fn receive(count: usize, size: usize) -> usize {
        let pieces = futures::stream::iter(0..count).then(move |_| async move {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, io::Error>(Bytes::from(vec![0; size]))
        });
        let activity = Arc::new(ConnectionActivity::new());
        let rate = Rate { bytes: 100, period: Duration::from_millis(100) };
        let body = MinimumRateBody::new(streamed(pieces), activity, false, rate);
        let mut stream = body.into_body().into_data_stream();
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
