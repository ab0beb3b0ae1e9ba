//! The number of concurrent requests to a server: unlimited until the server answers 429 or 503 or becomes slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Method;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The limit grows by one after this many answers per allowed request. The number is large enough that a server with a
/// fixed limit refuses only one or two requests in a hundred.
const ANSWERS_PER_INCREASE: usize = 8;
/// An answer is slow if it takes longer than this, and [`SLOW_FACTOR`] times as long as the fastest answer to the
/// same method.
const SLOW_ANSWER: Duration = Duration::from_secs(1);
const SLOW_FACTOR: u32 = 4;
/// Consecutive slow answers that halve the limit.
const MAX_SLOW_ANSWERS: usize = 8;
/// Slow answers never lower the limit below this number, because a server may be slow for other reasons.
const MIN_LIMIT_FOR_SLOWNESS: usize = 4;

/// The body that a request sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Content that is read while it is sent. It may be read from the same server, and then depends on other requests.
    Streamed,
    /// Any other body. Such a request depends on no other request, so one of them may always be in flight.
    Whole,
}

/// Limits the concurrent requests to one server. The limit is halved after 429, 503 or slow answers, and grows by one
/// after a series of other answers.
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
    /// Slow answers since the last fast one.
    slow: usize,
    /// The fastest answer to each method.
    fastest: HashMap<Method, Duration>,
    /// When slow answers last halved the limit. Slow answers to requests that were sent earlier don't count again.
    last_halved: Option<Instant>,
    /// No request is sent before this time.
    closed_until: Option<Instant>,
}

/// A request in flight, which occupies one place of the limit until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    throttle: Arc<ConcurrencyLimit>,
    load: Load,
    started: Instant,
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

    /// Returns true if an answer took much longer than the fastest one to its method.
    fn is_slow(&mut self, method: &Method, took: Duration) -> bool {
        // Compares per method, because a `HEAD` is usually faster than a `PUT` that stores a blob.
        let fastest = self.fastest.entry(method.clone()).or_insert(took);
        *fastest = took.min(*fastest);
        took > SLOW_ANSWER && took > *fastest * SLOW_FACTOR
    }

    fn halve(&mut self, most: usize, least: usize) {
        self.allowed = Some((most / 2).max(least));
        (self.answers, self.slow) = (0, 0);
    }

    fn admits(&self, load: Load) -> bool {
        let below = self.allowed.is_none_or(|allowed| self.in_flight() < allowed);
        // Without this exception, uploads that wait for downloads could occupy all places and deadlock.
        below || (load == Load::Whole && self.whole == 0)
    }
}

impl ConcurrencyLimit {
    fn with<T>(&self, change: impl FnOnce(&mut LimitState) -> T) -> T {
        change(&mut self.state.lock())
    }

    /// Waits until one more request may be sent.
    pub(crate) async fn enter(self: &Arc<Self>, load: Load) -> InFlight {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registers before the check, so that a change between check and wait is not missed.
            changed.as_mut().enable();
            let closed_until = self.with(|state| {
                let closed_until = state.closed_until.filter(|until| *until > Instant::now());
                if closed_until.is_none() && state.admits(load) {
                    *state.count(load) += 1;
                    return Err(());
                }
                Ok(closed_until)
            });
            match closed_until {
                Err(()) => {
                    return InFlight { throttle: Arc::clone(self), load, started: Instant::now() };
                }
                Ok(Some(until)) => sleep_until(until).await,
                Ok(None) => changed.await,
            }
        }
    }
}

impl InFlight {
    /// Halves the limit after a 429 or 503, and delays all requests by `retry_after`.
    pub(crate) fn refused(self, retry_after: Option<Duration>) {
        self.throttle.with(|state| {
            // The server refused this request, so it can handle at most the other requests in flight.
            let others = state.in_flight().saturating_sub(1);
            let most = state.allowed.map_or(others, |allowed| allowed.min(others));
            state.halve(most, 1);
            if let Some(until) = retry_after.and_then(|wait| Instant::now().checked_add(wait)) {
                state.closed_until = state.closed_until.max(Some(until));
            }
            tracing::debug!(allowed = ?state.allowed, ?retry_after, "lowering concurrency: the server is overloaded");
        });
    }

    /// Records any other answer, which may raise or lower the limit.
    pub(crate) fn answered(self, method: &Method) {
        let took = self.started.elapsed();
        self.throttle.with(|state| {
            // Streamed bodies don't count, because their duration depends on their size.
            if self.load == Load::Whole && state.is_slow(method, took) {
                state.slow += usize::from(state.last_halved.is_none_or(|last_halved| self.started >= last_halved));
                let in_flight = state.in_flight();
                let most = state.allowed.map_or(in_flight, |allowed| allowed.min(in_flight));
                // Requires several slow answers in a row, because a lost packet can delay a single one.
                if state.slow >= MAX_SLOW_ANSWERS && most > MIN_LIMIT_FOR_SLOWNESS {
                    state.halve(most, MIN_LIMIT_FOR_SLOWNESS);
                    state.last_halved = Some(Instant::now());
                    tracing::debug!(allowed = ?state.allowed, ?took, "lowering concurrency: the server is slow");
                }
                return;
            }
            state.slow = 0;
            let Some(allowed) = state.allowed else { return };
            state.answers += 1;
            if state.answers >= allowed.saturating_mul(ANSWERS_PER_INCREASE) {
                (state.allowed, state.answers) = (Some(allowed.saturating_add(1)), 0);
            }
        });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let throttled = self.throttle.with(|state| {
            let count = state.count(self.load);
            *count = count.saturating_sub(1);
            state.allowed.is_some()
        });
        // Without a limit no request waits, and waking is not needed.
        if throttled {
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
        in_flight.into_iter().for_each(|one| one.answered(&Method::HEAD));
        assert!(throttle.with(|state| state.allowed.is_none() && state.in_flight() == 0));
    }

    #[test]
    fn halves_the_limit_and_raises_it_by_one() {
        let throttle = Arc::default();
        let mut in_flight: Vec<_> = (0..9).map(|_| enter(&throttle, Load::Streamed).unwrap()).collect();
        in_flight.pop().unwrap().refused(None);
        assert_eq!(throttle.with(|state| state.allowed), Some(4));
        assert!(enter(&throttle, Load::Streamed).is_none());
        in_flight.truncate(3);
        let one = enter(&throttle, Load::Streamed).unwrap();
        assert!(enter(&throttle, Load::Streamed).is_none());
        one.answered(&Method::HEAD);
        for _ in 1..4 * ANSWERS_PER_INCREASE {
            assert_eq!(throttle.with(|state| state.allowed), Some(4));
            enter(&throttle, Load::Streamed).unwrap().answered(&Method::HEAD);
        }
        assert_eq!(throttle.with(|state| state.allowed), Some(5));
        for _ in 0..9 {
            in_flight.pop().or_else(|| enter(&throttle, Load::Streamed)).unwrap().refused(None);
        }
        assert_eq!(throttle.with(|state| state.allowed), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn lowers_the_limit_only_after_fast_answers_became_slow() {
        const QUICK: Duration = Duration::from_millis(20);
        const LATE: Duration = Duration::from_millis(1200);
        let throttle = Arc::default();
        let answer = async |load, count: usize, took| {
            let in_flight: Vec<_> = (0..count).map_while(|_| enter(&throttle, load)).collect();
            let entered = in_flight.len();
            tokio::time::sleep(took).await;
            in_flight.into_iter().for_each(|one| one.answered(&Method::PUT));
            entered
        };
        let allowed = || throttle.with(|state| state.allowed);
        // Slow from the beginning, so no sign of overload.
        assert_eq!(answer(Load::Whole, 32, LATE).await, 32);
        assert_eq!(allowed(), None);
        answer(Load::Whole, 32, QUICK).await;
        // Uploads take as long as they are large.
        answer(Load::Streamed, 32, LATE).await;
        assert_eq!(allowed(), None);
        // Requests from before the limit was halved don't halve it again.
        answer(Load::Whole, 32, LATE).await;
        let first = allowed().unwrap();
        assert!((10..=16).contains(&first), "{first}");
        assert_eq!(answer(Load::Whole, 32, LATE).await, first);
        assert!(allowed().unwrap() < first);
        for _ in 0..10 {
            answer(Load::Whole, 32, LATE).await;
        }
        assert_eq!(allowed(), Some(MIN_LIMIT_FOR_SLOWNESS));
        for _ in 0..2 * ANSWERS_PER_INCREASE {
            answer(Load::Whole, 32, QUICK).await;
        }
        assert!(allowed().unwrap() > MIN_LIMIT_FOR_SLOWNESS);
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
            throttle.enter(load).await.answered(&Method::HEAD);
            assert!(started.elapsed() >= Duration::from_millis(80), "{load:?}");
        }
    }
}
