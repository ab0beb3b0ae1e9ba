//! Trying again: how often, how long between, and after which failures.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use oras_store::{Error, Result};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::response::ResponseError;

/// The longest wait that a registry may ask for: beyond it, its error is handed on at once.
pub(crate) const MAX_ASKED: Duration = Duration::from_secs(60);
/// The shortest wait between two tries to reach a server, whatever the policy: a refused connection fails at once.
const MIN_OUTAGE_WAIT: Duration = Duration::from_millis(10);

/// How often a failed request is sent again, and after how long.
///
/// The wait doubles from `base`, give or take a tenth, up to `limit`; a registry that sends `Retry-After` is obeyed
/// up to a minute. Requests are sent again after a timeout, a broken connection, and the statuses 408, 429 and 5xx.
/// While a server that answered before looks like one that restarts, requests are sent again for as long as `outage`,
/// even after more than `retries` retries, unless `retries` is 0. Such a server takes no connections, or ends them without
/// an answer, or a gateway before it answers 502, 503 or 504.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Times a request is sent again.
    pub retries: u32,
    /// The wait before the first of them.
    pub base: Duration,
    /// The longest wait.
    pub limit: Duration,
    /// How long a server that answered before may take to restart.
    pub outage: Duration,
}

impl Default for RetryPolicy {
    /// Five times in about seven seconds, like the Go tool; a restart may take 40 seconds.
    fn default() -> Self {
        Self {
            retries: 5,
            base: Duration::from_millis(250),
            limit: Duration::from_secs(3),
            outage: Duration::from_secs(40),
        }
    }
}

impl RetryPolicy {
    /// The wait before retry number `attempt`, from 0.
    pub(crate) fn wait(&self, attempt: u32) -> Duration {
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(attempt));
        doubled.min(self.limit).mul_f64(0.9 + random() / 5.0)
    }

    /// The tries of one piece of work.
    pub(crate) fn tries(&self) -> Tries {
        Tries { policy: *self, made: 0, outage: None }
    }
}

/// Counts the tries of one piece of work.
#[derive(Debug)]
pub(crate) struct Tries {
    policy: RetryPolicy,
    made: u32,
    /// Since when the server gives no answers of its own.
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    tries: u32,
}

impl Tries {
    /// Waits for the next try; the error of the last one if there is to be none.
    pub(crate) async fn again_after(&mut self, failed: Failed) -> Result<()> {
        if !matches!(failed.again, Again::Outage { .. }) {
            self.outage = None;
        }
        let wait = match failed.again {
            Again::Never => None,
            Again::Outage { asked } => self.wait_for_restart(asked),
            Again::Once if self.made > 0 => None,
            _ if self.made == self.policy.retries => None,
            Again::Once | Again::Later => Some(self.policy.wait(self.made)),
            Again::After(asked) => Some(asked).filter(|asked| *asked <= MAX_ASKED),
        };
        let Some(wait) = wait else { return Err(failed.error) };
        tracing::debug!(error = %failed.error, ?wait, made = self.made, "trying again");
        tokio::time::sleep(wait).await;
        if self.outage.is_none() {
            self.made += 1;
        }
        Ok(())
    }

    /// The wait before the next try to reach a server that may restart, until that took too long.
    fn wait_for_restart(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let outage = self.outage.get_or_insert_with(|| Outage { since: Instant::now(), tries: 0 });
        let wait = asked.unwrap_or_else(|| self.policy.wait(outage.tries)).max(MIN_OUTAGE_WAIT);
        // A request that takes longer than an outage has its retries, too.
        let is_allowed =
            outage.tries < self.policy.retries || outage.since.elapsed() + wait <= self.policy.outage;
        outage.tries += 1;
        (self.policy.retries > 0 && is_allowed && wait <= MAX_ASKED).then_some(wait)
    }
}

/// A failed try.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) again: Again,
}

/// Whether another try may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// One more.
    Once,
    Later,
    /// A server that answered before gives no answers of its own: it may restart. It may have said how long that takes.
    Outage {
        asked: Option<Duration>,
    },
    /// The server said when.
    After(Duration),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, again: Again::Never }
    }
}

impl Failed {
    pub(crate) fn later(error: Error) -> Self {
        Self { error, again: Again::Later }
    }

    /// Whether the server said that it has too much to do.
    pub(crate) fn is_busy(&self) -> bool {
        self.error.find::<ResponseError>().is_some_and(|error| matches!(error.status, 429 | 503))
    }
}

/// Returns true for a status by which a gateway says that the server behind it cannot be reached.
pub(crate) fn is_gateway_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

/// What a status says about another try.
pub(crate) fn again(status: StatusCode, headers: &HeaderMap) -> Again {
    match status.as_u16() {
        // Not implemented, or the wrong version of HTTP: asking again changes nothing.
        501 | 505 => Again::Never,
        408 | 429 | 500.. => {
            let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            asked
                .and_then(|text| wait_asked(text.trim(), SystemTime::now()))
                .map_or(Again::Later, Again::After)
        }
        _ => Again::Never,
    }
}

/// The wait that a `Retry-After` asks for, by seconds or by a date (RFC 9110, section 10.2.3); none for a date that is
/// past: the clocks differ.
fn wait_asked(text: &str, now: SystemTime) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

/// A number from 0 to 1, good enough to keep many clients from coming back at once.
pub(crate) fn random() -> f64 {
    // Each `RandomState` has keys of its own.
    let bits = RandomState::new().hash_one(0_u8) & 0xffff;
    f64::from(u16::try_from(bits).unwrap_or(u16::MAX)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_store::Kind;

    #[test]
    fn waits_grow_to_a_limit() {
        let policy = RetryPolicy::default();
        for (attempt, middle) in [(0, 250), (1, 500), (2, 1000), (3, 2000), (4, 3000), (40, 3000)] {
            let wait = policy.wait(attempt).as_millis();
            assert!((middle * 9 / 10 - 1..=middle * 11 / 10 + 1).contains(&wait), "{attempt}: {wait}");
        }
    }

    #[test]
    fn statuses() {
        let mut headers = HeaderMap::new();
        for (status, expected) in [
            (200, Again::Never),
            (404, Again::Never),
            (408, Again::Later),
            (429, Again::Later),
            (501, Again::Never),
            (503, Again::Later),
            (522, Again::Later),
        ] {
            assert_eq!(again(StatusCode::from_u16(status).unwrap(), &headers), expected, "{status}");
        }
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let asked = again(StatusCode::TOO_MANY_REQUESTS, &headers);
        assert_eq!(asked, Again::After(Duration::from_secs(7)));
    }

    #[test]
    fn waits_that_are_asked_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", None),
            ("soon", None),
            ("-1", None),
            ("0.5", None),
        ] {
            assert_eq!(wait_asked(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[tokio::test]
    async fn tries_are_bounded() {
        let policy =
            RetryPolicy { retries: 3, base: Duration::ZERO, limit: Duration::ZERO, ..RetryPolicy::default() };
        for (again, expected) in [
            (Again::Later, 4),
            (Again::Never, 1),
            (Again::Once, 2),
            (Again::After(Duration::ZERO), 4),
            (Again::After(Duration::from_secs(3600)), 1),
        ] {
            let (mut tries, mut made) = (policy.tries(), 0);
            let error = loop {
                made += 1;
                let failed = Failed { error: Error::new(Kind::Network, "broken"), again };
                if let Err(error) = tries.again_after(failed).await {
                    break error;
                }
            };
            assert_eq!((error.to_string().as_str(), made), ("broken", expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_bounded_by_time() {
        let failed = |again| Failed { error: Error::new(Kind::Network, "refused"), again };
        let outage = Again::Outage { asked: None };
        for (retries, longest, lasts) in [(5, 40, 30..=40), (1, 40, 30..=40), (0, 40, 0..=0), (5, 0, 5..=8)] {
            let policy =
                RetryPolicy { retries, outage: Duration::from_secs(longest), ..RetryPolicy::default() };
            let (start, mut tries) = (Instant::now(), policy.tries());
            while tries.again_after(failed(outage)).await.is_ok() {}
            assert!(
                lasts.contains(&start.elapsed().as_secs()),
                "{retries}, {longest}: {:?}",
                start.elapsed()
            );
        }
        // A restart takes none of the tries for other failures, and another restart has as much time.
        let mut tries = RetryPolicy { retries: 1, ..RetryPolicy::default() }.tries();
        for _ in 0..2 {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(25) {
                tries.again_after(failed(outage)).await.unwrap();
            }
            if tries.made == 0 {
                tries.again_after(failed(Again::Later)).await.unwrap();
            }
        }
        assert!(tries.again_after(failed(Again::Later)).await.is_err());
        // A gateway that says when is obeyed, for as long.
        let (start, mut tries) =
            (Instant::now(), RetryPolicy { retries: 1, ..RetryPolicy::default() }.tries());
        let asked = Again::Outage { asked: Some(Duration::from_secs(9)) };
        while tries.again_after(failed(asked)).await.is_ok() {}
        assert_eq!(start.elapsed().as_secs(), 36);
    }
}
