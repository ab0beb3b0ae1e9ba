//! How many requests a server gets at the same time: all that are made, until it says that it is too many, or shows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Method;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// After so many answers for each request that may be under way, one more may be. Few enough that a server which bears
/// a fixed number refuses a request or two in a hundred.
const WINDOW: usize = 8;
/// An answer that takes longer is slow, if one to the same method came in a quarter of the time before.
const SLOW: Duration = Duration::from_secs(1);
const SLOWER: u32 = 4;
/// So many slow answers one after the other are a sign.
const SIGN: usize = 8;
/// Slowness alone never leads to fewer requests: it may have another cause.
const FEW: usize = 4;

/// What a request sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Content that is read while it is sent, perhaps from the same server: it may have to wait for other requests.
    Streamed,
    /// Anything else. Waits for nothing but its answer, so that one of these may always be under way.
    Whole,
}

/// The requests to one server: halved when it answers 429 or 503, or far more slowly than it did; one more after a window of
/// other answers.
///
/// The time of a `Retry-After` counts for all of them.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// `None` until the server refuses something.
    allowed: Option<usize>,
    streamed: usize,
    whole: usize,
    /// Answers since the number last changed.
    answers: usize,
    /// Slow ones since the last that was not.
    slow: usize,
    /// The shortest time in which a method was answered.
    quickest: HashMap<Method, Duration>,
    /// When slowness last led to fewer requests; those from before say nothing of it.
    relieved: Option<Instant>,
    /// No request is made before.
    closed_until: Option<Instant>,
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    throttle: Arc<Throttle>,
    load: Load,
    begun: Instant,
}

impl State {
    fn under_way(&self) -> usize {
        self.streamed + self.whole
    }

    fn count(&mut self, load: Load) -> &mut usize {
        match load {
            Load::Streamed => &mut self.streamed,
            Load::Whole => &mut self.whole,
        }
    }

    /// Whether an answer is late beside those from before.
    fn is_slow(&mut self, method: &Method, took: Duration) -> bool {
        let quickest = self.quickest.entry(method.clone()).or_insert(took);
        *quickest = took.min(*quickest);
        took > SLOW && took > *quickest * SLOWER
    }

    fn halve(&mut self, most: usize, least: usize) {
        self.allowed = Some((most / 2).max(least));
        (self.answers, self.slow) = (0, 0);
    }

    fn admits(&self, load: Load) -> bool {
        let below = self.allowed.is_none_or(|allowed| self.under_way() < allowed);
        below || (load == Load::Whole && self.whole == 0)
    }
}

impl Throttle {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock())
    }

    /// Waits until the server may be sent one more request.
    pub(crate) async fn enter(self: &Arc<Self>, load: Load) -> UnderWay {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // What happens from here on is not missed.
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
                    return UnderWay { throttle: Arc::clone(self), load, begun: Instant::now() };
                }
                Ok(Some(until)) => sleep_until(until).await,
                Ok(None) => changed.await,
            }
        }
    }
}

impl UnderWay {
    /// The server answered that it has too much to do, and perhaps when to come back.
    pub(crate) fn refused(self, retry_after: Option<Duration>) {
        self.throttle.with(|state| {
            // Those that are still under way are what it bears at most; this one is not.
            let others = state.under_way().saturating_sub(1);
            let most = state.allowed.map_or(others, |allowed| allowed.min(others));
            state.halve(most, 1);
            if let Some(until) = retry_after.and_then(|wait| Instant::now().checked_add(wait)) {
                state.closed_until = state.closed_until.max(Some(until));
            }
            tracing::debug!(allowed = ?state.allowed, ?retry_after, "the server has too much to do");
        });
    }

    /// The server answered anything else.
    pub(crate) fn answered(self, method: &Method) {
        let took = self.begun.elapsed();
        self.throttle.with(|state| {
            // What is sent along takes its own time.
            if self.load == Load::Whole && state.is_slow(method, took) {
                state.slow += usize::from(state.relieved.is_none_or(|relieved| self.begun >= relieved));
                let under_way = state.under_way();
                let most = state.allowed.map_or(under_way, |allowed| allowed.min(under_way));
                if state.slow >= SIGN && most > FEW {
                    state.halve(most, FEW);
                    state.relieved = Some(Instant::now());
                    tracing::debug!(allowed = ?state.allowed, ?took, "the server answers slowly");
                }
                return;
            }
            state.slow = 0;
            let Some(allowed) = state.allowed else { return };
            state.answers += 1;
            if state.answers >= allowed.saturating_mul(WINDOW) {
                (state.allowed, state.answers) = (Some(allowed.saturating_add(1)), 0);
            }
        });
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let throttled = self.throttle.with(|state| {
            let count = state.count(self.load);
            *count = count.saturating_sub(1);
            state.allowed.is_some()
        });
        if throttled {
            self.throttle.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn enter(throttle: &Arc<Throttle>, load: Load) -> Option<UnderWay> {
        throttle.enter(load).now_or_never()
    }

    #[test]
    fn a_server_that_refuses_nothing_gets_all() {
        let throttle = Arc::default();
        let under_way: Vec<_> = (0..1000).map(|_| enter(&throttle, Load::Streamed).unwrap()).collect();
        under_way.into_iter().for_each(|one| one.answered(&Method::HEAD));
        assert!(throttle.with(|state| state.allowed.is_none() && state.under_way() == 0));
    }

    #[test]
    fn requests_are_halved_and_come_back_one_by_one() {
        let throttle = Arc::default();
        let mut under_way: Vec<_> = (0..9).map(|_| enter(&throttle, Load::Streamed).unwrap()).collect();
        under_way.pop().unwrap().refused(None);
        assert_eq!(throttle.with(|state| state.allowed), Some(4));
        assert!(enter(&throttle, Load::Streamed).is_none());
        under_way.truncate(3);
        let one = enter(&throttle, Load::Streamed).unwrap();
        assert!(enter(&throttle, Load::Streamed).is_none());
        one.answered(&Method::HEAD);
        for _ in 1..4 * WINDOW {
            assert_eq!(throttle.with(|state| state.allowed), Some(4));
            enter(&throttle, Load::Streamed).unwrap().answered(&Method::HEAD);
        }
        assert_eq!(throttle.with(|state| state.allowed), Some(5));
        for _ in 0..9 {
            under_way.pop().or_else(|| enter(&throttle, Load::Streamed)).unwrap().refused(None);
        }
        assert_eq!(throttle.with(|state| state.allowed), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_answers_are_a_sign_where_there_were_quick_ones() {
        const QUICK: Duration = Duration::from_millis(20);
        const LATE: Duration = Duration::from_millis(1200);
        let throttle = Arc::default();
        let answer = async |load, count: usize, took| {
            let under_way: Vec<_> = (0..count).map_while(|_| enter(&throttle, load)).collect();
            let entered = under_way.len();
            tokio::time::sleep(took).await;
            under_way.into_iter().for_each(|one| one.answered(&Method::PUT));
            entered
        };
        let allowed = || throttle.with(|state| state.allowed);
        // It has always been like that.
        assert_eq!(answer(Load::Whole, 32, LATE).await, 32);
        assert_eq!(allowed(), None);
        answer(Load::Whole, 32, QUICK).await;
        // Uploads take as long as they are large.
        answer(Load::Streamed, 32, LATE).await;
        assert_eq!(allowed(), None);
        // Those that were under way when the number was halved don't count again.
        answer(Load::Whole, 32, LATE).await;
        let first = allowed().unwrap();
        assert!((10..=16).contains(&first), "{first}");
        assert_eq!(answer(Load::Whole, 32, LATE).await, first);
        assert!(allowed().unwrap() < first);
        for _ in 0..10 {
            answer(Load::Whole, 32, LATE).await;
        }
        assert_eq!(allowed(), Some(FEW));
        for _ in 0..2 * WINDOW {
            answer(Load::Whole, 32, QUICK).await;
        }
        assert!(allowed().unwrap() > FEW);
    }

    #[test]
    fn what_others_wait_for_is_never_held_up() {
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
    async fn a_server_is_left_alone_for_as_long_as_it_asks() {
        let (throttle, begun) = (Arc::new(Throttle::default()), Instant::now());
        throttle.enter(Load::Whole).await.refused(Some(Duration::from_millis(80)));
        for load in [Load::Whole, Load::Streamed] {
            throttle.enter(load).await.answered(&Method::HEAD);
            assert!(begun.elapsed() >= Duration::from_millis(80), "{load:?}");
        }
    }
}
