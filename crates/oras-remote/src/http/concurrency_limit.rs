//! The number of concurrent requests to a server: unlimited until the server answers 429 or 503.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The limit grows by one after this many answers per allowed request. The number is large enough that a server with a
/// fixed limit refuses only one or two requests in a hundred.
const ANSWERS_PER_INCREASE: usize = 8;

/// The body that a request sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Content that is read while it is sent. It may be read from the same server, and then depends on other requests.
    Streamed,
    /// Any other body. Such a request depends on no other request, so one of them may always be in flight.
    Whole,
}

/// Limits the concurrent requests to one server. The limit is halved after 429 or 503, and grows by one after a series
/// of other answers.
///
/// A `Retry-After` delays all requests to the server.
#[derive(Debug, Default)]
pub(crate) struct ConcurrencyLimit {
    state: Mutex<LimitState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct LimitState {
    /// `None` until the limit is first lowered.
    allowed: Option<usize>,
    streamed: usize,
    whole: usize,
    /// Answers since the limit last changed.
    answers: usize,
    /// No request is sent before this time.
    closed_until: Option<Instant>,
}

/// A request in flight, which occupies one place of the limit until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    throttle: Arc<ConcurrencyLimit>,
    load: Load,
}

impl LimitState {
    fn in_flight(&self) -> usize {
        self.streamed + self.whole
    }

    fn count(&mut self, load: Load) -> &mut usize {
        match load {
            Load::Streamed => &mut self.streamed,
            Load::Whole => &mut self.whole,
        }
    }

    fn admits(&self, load: Load) -> bool {
        let below = self.allowed.is_none_or(|allowed| self.in_flight() < allowed);
        // Without this exception, uploads that wait for downloads could occupy all places and deadlock.
        below || (load == Load::Whole && self.whole == 0)
    }
}

impl ConcurrencyLimit {
    /// Waits until one more request may be sent.
    pub(crate) async fn enter(self: &Arc<Self>, load: Load) -> InFlight {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registers before the check, so that a change between check and wait is not missed.
            changed.as_mut().enable();
            let closed_until = {
                let mut state = self.state.lock();
                let closed_until = state.closed_until.filter(|until| *until > Instant::now());
                if closed_until.is_none() && state.admits(load) {
                    *state.count(load) += 1;
                    return InFlight { throttle: Arc::clone(self), load };
                }
                closed_until
            };
            match closed_until {
                Some(until) => sleep_until(until).await,
                None => changed.await,
            }
        }
    }
}

impl InFlight {
    /// Halves the limit after a 429 or 503, and delays all requests by `retry_after`.
    pub(crate) fn refused(self, retry_after: Option<Duration>) {
        let mut state = self.throttle.state.lock();
        // The server refused this request, so it can handle at most the other requests in flight.
        let others = state.in_flight().saturating_sub(1);
        let most = state.allowed.map_or(others, |allowed| allowed.min(others));
        (state.allowed, state.answers) = (Some((most / 2).max(1)), 0);
        if let Some(until) = retry_after.and_then(|wait| Instant::now().checked_add(wait)) {
            state.closed_until = state.closed_until.max(Some(until));
        }
        tracing::debug!(allowed = ?state.allowed, ?retry_after, "lowering concurrency: the server is overloaded");
    }

    /// Records any other answer, which may raise the limit.
    pub(crate) fn answered(self) {
        let mut state = self.throttle.state.lock();
        let Some(allowed) = state.allowed else { return };
        state.answers += 1;
        if state.answers >= allowed.saturating_mul(ANSWERS_PER_INCREASE) {
            (state.allowed, state.answers) = (Some(allowed.saturating_add(1)), 0);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.throttle.state.lock();
        let count = state.count(self.load);
        *count = count.saturating_sub(1);
        // Without a limit no request waits, and waking is not needed.
        if state.allowed.is_some() {
            // Wakes all waiting requests, because a single one might not be admitted with its kind of body.
            self.throttle.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn enter(throttle: &Arc<ConcurrencyLimit>, load: Load) -> Option<InFlight> {
        throttle.enter(load).now_or_never()
    }

    #[test]
    fn does_not_limit_a_server_that_never_refuses() {
        let throttle = Arc::default();
        let in_flight: Vec<_> = (0..1000).map(|_| enter(&throttle, Load::Streamed).unwrap()).collect();
        in_flight.into_iter().for_each(|one| one.answered());
        let state = throttle.state.lock();
        assert!(state.allowed.is_none() && state.in_flight() == 0);
    }

    #[test]
    fn halves_the_limit_and_raises_it_by_one() {
        let throttle = Arc::default();
        let mut in_flight: Vec<_> = (0..9).map(|_| enter(&throttle, Load::Streamed).unwrap()).collect();
        in_flight.pop().unwrap().refused(None);
        assert_eq!(throttle.state.lock().allowed, Some(4));
        assert!(enter(&throttle, Load::Streamed).is_none());
        in_flight.truncate(3);
        let one = enter(&throttle, Load::Streamed).unwrap();
        assert!(enter(&throttle, Load::Streamed).is_none());
        one.answered();
        for _ in 1..4 * ANSWERS_PER_INCREASE {
            assert_eq!(throttle.state.lock().allowed, Some(4));
            enter(&throttle, Load::Streamed).unwrap().answered();
        }
        assert_eq!(throttle.state.lock().allowed, Some(5));
        for _ in 0..9 {
            in_flight.pop().or_else(|| enter(&throttle, Load::Streamed)).unwrap().refused(None);
        }
        assert_eq!(throttle.state.lock().allowed, Some(1));
    }

    #[test]
    fn always_admits_one_request_without_a_streamed_body() {
        let throttle = Arc::default();
        let one = enter(&throttle, Load::Streamed).unwrap();
        enter(&throttle, Load::Streamed).unwrap().refused(None);
        assert!(enter(&throttle, Load::Streamed).is_none());
        let whole = enter(&throttle, Load::Whole).unwrap();
        assert!(enter(&throttle, Load::Whole).is_none());
        drop(whole);
        assert!(enter(&throttle, Load::Whole).is_some());
        drop(one);
    }

    #[tokio::test]
    async fn delays_all_requests_by_retry_after() {
        let (throttle, started) = (Arc::new(ConcurrencyLimit::default()), Instant::now());
        throttle.enter(Load::Whole).await.refused(Some(Duration::from_millis(80)));
        for load in [Load::Whole, Load::Streamed] {
            throttle.enter(load).await.answered();
            assert!(started.elapsed() >= Duration::from_millis(80), "{load:?}");
        }
    }
}
