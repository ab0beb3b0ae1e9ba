//! The activity of one connection. The I/O layer, the request and the connection limits share it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::http_message::Body;

/// The longest head of a request. hyper would accept 400 KiB, the size of its buffer, which is large because bodies
/// gain from it. Heads of that size on all connections would need too much memory.
const MAX_HEAD: usize = 32 * 1024;

/// The other end of the connection on which a request arrived.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) activity: Arc<ConnectionActivity>,
}

/// The time of the last transfer on a connection, and the part of a request that the bytes belong to.
#[derive(Debug)]
pub(crate) struct ConnectionActivity {
    last: Mutex<Instant>,
    /// The bytes of the current head, including those of a TLS handshake before it.
    head: AtomicUsize,
    is_body: AtomicBool,
    /// The body of the current request, if the handler dropped it before its end.
    dropped_body: Mutex<Option<Body>>,
    /// Part of a request body was not read, so the connection must close.
    has_unread: AtomicBool,
    /// The user of the last request.
    user: Mutex<Option<String>>,
}

impl ConnectionActivity {
    pub(crate) fn new() -> Self {
        Self {
            last: Mutex::new(Instant::now()),
            head: AtomicUsize::default(),
            is_body: AtomicBool::default(),
            dropped_body: Mutex::default(),
            has_unread: AtomicBool::default(),
            user: Mutex::default(),
        }
    }

    /// Records the current time as the time of the last transfer.
    pub(super) fn record(&self) {
        *self.last.lock() = Instant::now();
    }

    /// Returns the time of the last transfer.
    pub(super) fn last(&self) -> Instant {
        *self.last.lock()
    }

    /// Counts received bytes unless they belong to a body. Returns false if the head was too long even without these
    /// bytes. The check excludes them, because one read may return the end of a head and much of its body.
    pub(super) fn accepts(&self, bytes: usize) -> bool {
        self.is_body.load(Ordering::Relaxed) || self.head.fetch_add(bytes, Ordering::Relaxed) < MAX_HEAD
    }

    /// Records that a head or a body has ended. If `is_body`, a body follows, otherwise the next head.
    pub(super) fn expect(&self, is_body: bool) {
        self.head.store(0, Ordering::Relaxed);
        self.is_body.store(is_body, Ordering::Relaxed);
    }

    /// Records the user of the current request.
    pub(crate) fn set_user(&self, user: Option<&str>) {
        *self.user.lock() = user.map(ToOwned::to_owned);
    }

    pub(super) fn user(&self) -> Option<String> {
        self.user.lock().clone()
    }

    /// Stores a body that was dropped before its end.
    pub(super) fn set_dropped_body(&self, body: Body) {
        *self.dropped_body.lock() = Some(body);
    }

    pub(super) fn take_dropped_body(&self) -> Option<Body> {
        self.dropped_body.lock().take()
    }

    /// Records that the rest of a body is not read. The connection then lingers when it closes, so that the client
    /// receives the response.
    pub(super) fn leave_unread(&self) {
        self.has_unread.store(true, Ordering::Relaxed);
    }

    /// Returns true if the client may still be sending a body that is not read.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_heads_but_not_bodies() {
        let activity = ConnectionActivity::new();
        assert!(activity.accepts(MAX_HEAD) && !activity.accepts(1));
        activity.expect(true);
        assert!(activity.accepts(10 * MAX_HEAD));
        activity.expect(false);
        assert!(activity.accepts(1) && activity.accepts(MAX_HEAD) && !activity.accepts(1));
    }
}
