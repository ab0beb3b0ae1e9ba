//! The part of a request body that no handler read before the response.

use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::BodyExt;
use hyper::body::Body as _;

use super::connection_activity::ConnectionActivity;
use crate::http_message::Body;

/// The maximum size of an unread body that the server discards, and the maximum time for discarding it. A client
/// that sends its whole body first can then read the response. The limits bound how long it can hold a connection.
const MAX_DISCARDED: u64 = 8 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for the next piece. A client that sends nothing for this long may be waiting for the response.
const IDLE_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads and discards the part of a request body that is still unread when the response is ready, within limits.
/// Returns false if some of it remains: the connection then can't be used for another request.
pub(crate) async fn discard(activity: &ConnectionActivity) -> bool {
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
