//! Retries: how often, after which failures, and with which delay.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use oras_store::{Error, Result};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::http::response_error::ResponseError;
use crate::http::retry_after::retry_after;
use oras_store::setters;

/// The longest `Retry-After` that is honoured. Beyond it, the error is returned at once.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The shortest delay between attempts during an outage, even if the policy has a shorter one. A refused connection
/// fails at once, so without a delay the client would retry in a busy loop.
const MIN_OUTAGE_WAIT: Duration = Duration::from_millis(10);

/// When and how often a failed request is retried.
///
/// The delay doubles from `base` up to `limit`, with a jitter of a tenth; a `Retry-After` of up to a minute takes
/// precedence. Requests are retried after a timeout, a broken connection, and the statuses 408, 429 and 5xx. While a
/// server that answered before seems to restart, requests are retried for the duration `outage`, even beyond `retries`
/// retries, unless `retries` is 0. A server seems to restart if it refuses connections or ends them without an answer,
/// or if a gateway in front of it answers 502, 503 or 504.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The number of retries of a request.
    pub retries: u32,
    /// The delay before the first retry.
    pub base: Duration,
    /// The longest delay.
    pub limit: Duration,
    /// How long a server that answered before may take to restart.
    pub outage: Duration,
}

impl Default for RetryPolicy {
    /// Five retries in about seven seconds, like the Go tool; a restart may take 40 seconds.
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
    /// Returns the policy without retries.
    pub fn none() -> Self {
        Self::default().retries(0)
    }

    setters! {
        retries: u32;
        base: Duration;
        limit: Duration;
        outage: Duration;
    }

    /// Returns the delay before retry number `attempt`, from 0.
    pub(crate) fn delay(&self, attempt: u32) -> Duration {
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(attempt));
        // The jitter keeps many clients from retrying at the same time.
        doubled.min(self.limit).mul_f64(0.9 + random() / 5.0)
    }

    /// Returns the budget of one operation.
    pub(crate) fn budget(&self) -> RetryBudget {
        RetryBudget { policy: *self, made: 0, outage: None }
    }
}

/// Counts the retries of one operation.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    policy: RetryPolicy,
    made: u32,
    /// The current outage of the server.
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    attempts: u32,
}

impl RetryBudget {
    /// Waits until the next attempt may start. Returns the error of the failed attempt if no retry is allowed.
    pub(crate) async fn wait_or_fail(&mut self, failed: FailedAttempt) -> Result<()> {
        // Any other failure ends the outage: the server answers again, or has another fault.
        if !matches!(failed.advice, RetryAdvice::Outage { .. }) {
            self.outage = None;
        }
        let wait = match failed.advice {
            RetryAdvice::Never => None,
            RetryAdvice::Outage { asked } => self.wait_for_restart(asked),
            RetryAdvice::Once if self.made > 0 => None,
            _ if self.made == self.policy.retries => None,
            RetryAdvice::Once | RetryAdvice::Later => Some(self.policy.delay(self.made)),
            // A longer delay is not shortened: the server would reject the early retry, so the error is returned now.
            RetryAdvice::After(asked) => Some(asked).filter(|asked| *asked <= MAX_RETRY_AFTER),
        };
        let Some(wait) = wait else { return Err(failed.error) };
        tracing::debug!(error = %failed.error, ?wait, made = self.made, "retrying");
        tokio::time::sleep(wait).await;
        // Attempts during an outage are limited by time and leave the retries of the request unchanged.
        if self.outage.is_none() {
            self.made += 1;
        }
        Ok(())
    }

    /// Returns the delay before the next attempt to reach a server that may restart, or `None` after `outage`.
    fn wait_for_restart(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let outage = self.outage.get_or_insert_with(|| Outage { since: Instant::now(), attempts: 0 });
        let wait = asked.unwrap_or_else(|| self.policy.delay(outage.attempts)).max(MIN_OUTAGE_WAIT);
        // At least `retries` attempts are allowed, even if each attempt takes longer than the whole outage.
        let is_allowed =
            outage.attempts < self.policy.retries || outage.since.elapsed() + wait <= self.policy.outage;
        outage.attempts += 1;
        (self.policy.retries > 0 && is_allowed && wait <= MAX_RETRY_AFTER).then_some(wait)
    }
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) error: Error,
    pub(crate) advice: RetryAdvice,
}

/// Whether a retry may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAdvice {
    Never,
    /// One retry.
    Once,
    Later,
    /// The server answered before and may be restarting. `asked` is the `Retry-After` of a gateway, if it sent one.
    Outage {
        asked: Option<Duration>,
    },
    /// After the delay that the server asked for.
    After(Duration),
}

impl From<Error> for FailedAttempt {
    fn from(error: Error) -> Self {
        Self { error, advice: RetryAdvice::Never }
    }
}

impl FailedAttempt {
    pub(crate) fn later(error: Error) -> Self {
        Self { error, advice: RetryAdvice::Later }
    }

    /// Returns true if the server answered that it is overloaded.
    pub(crate) fn is_busy(&self) -> bool {
        self.error.find::<ResponseError>().is_some_and(|error| matches!(error.status, 429 | 503))
    }
}

/// Returns true for a status by which a gateway reports that its server cannot be reached.
pub(crate) fn is_gateway_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

/// Returns whether a retry may succeed after an answer with this status and these headers.
pub(crate) fn retry_advice(status: StatusCode, headers: &HeaderMap) -> RetryAdvice {
    match status.as_u16() {
        // Not implemented, or the wrong HTTP version: a retry changes nothing.
        501 | 505 => RetryAdvice::Never,
        408 | 429 | 500.. => retry_after(headers).map_or(RetryAdvice::Later, RetryAdvice::After),
        _ => RetryAdvice::Never,
    }
}

/// Returns a number from 0 to 1, random enough to spread the retries of many clients.
pub(crate) fn random() -> f64 {
    // Each `RandomState` has its own random keys.
    let bits = RandomState::new().hash_one(0_u8) & 0xffff;
    f64::from(u16::try_from(bits).unwrap_or(u16::MAX)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_store::ErrorKind;
    use reqwest::header::RETRY_AFTER;

    #[test]
    fn delay_doubles_up_to_the_limit() {
        let policy = RetryPolicy::default();
        for (attempt, middle) in [(0, 250), (1, 500), (2, 1000), (3, 2000), (4, 3000), (40, 3000)] {
            let wait = policy.delay(attempt).as_millis();
            assert!((middle * 9 / 10 - 1..=middle * 11 / 10 + 1).contains(&wait), "{attempt}: {wait}");
        }
    }

    #[test]
    fn retries_only_passing_statuses() {
        let mut headers = HeaderMap::new();
        for (status, expected) in [
            (200, RetryAdvice::Never),
            (404, RetryAdvice::Never),
            (408, RetryAdvice::Later),
            (429, RetryAdvice::Later),
            (501, RetryAdvice::Never),
            (503, RetryAdvice::Later),
            (522, RetryAdvice::Later),
        ] {
            assert_eq!(retry_advice(StatusCode::from_u16(status).unwrap(), &headers), expected, "{status}");
        }
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let asked = retry_advice(StatusCode::TOO_MANY_REQUESTS, &headers);
        assert_eq!(asked, RetryAdvice::After(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn bounds_retries() {
        let policy =
            RetryPolicy { retries: 3, base: Duration::ZERO, limit: Duration::ZERO, ..RetryPolicy::default() };
        for (advice, expected) in [
            (RetryAdvice::Later, 4),
            (RetryAdvice::Never, 1),
            (RetryAdvice::Once, 2),
            (RetryAdvice::After(Duration::ZERO), 4),
            (RetryAdvice::After(Duration::from_secs(3600)), 1),
        ] {
            let (mut budget, mut made) = (policy.budget(), 0);
            let error = loop {
                made += 1;
                let failed = FailedAttempt { error: Error::new(ErrorKind::Network, "broken"), advice };
                if let Err(error) = budget.wait_or_fail(failed).await {
                    break error;
                }
            };
            assert_eq!((error.to_string().as_str(), made), ("broken", expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bounds_an_outage_by_time() {
        let failed = |advice| FailedAttempt { error: Error::new(ErrorKind::Network, "refused"), advice };
        let outage = RetryAdvice::Outage { asked: None };
        for (retries, longest, lasts) in [(5, 40, 30..=40), (1, 40, 30..=40), (0, 40, 0..=0), (5, 0, 5..=8)] {
            let policy =
                RetryPolicy { retries, outage: Duration::from_secs(longest), ..RetryPolicy::default() };
            let (start, mut budget) = (Instant::now(), policy.budget());
            while budget.wait_or_fail(failed(outage)).await.is_ok() {}
            assert!(
                lasts.contains(&start.elapsed().as_secs()),
                "{retries}, {longest}: {:?}",
                start.elapsed()
            );
        }
        // An outage uses none of the retries for other failures, and a second outage may last as long as the first.
        let mut budget = RetryPolicy { retries: 1, ..RetryPolicy::default() }.budget();
        for _ in 0..2 {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(25) {
                budget.wait_or_fail(failed(outage)).await.unwrap();
            }
            if budget.made == 0 {
                budget.wait_or_fail(failed(RetryAdvice::Later)).await.unwrap();
            }
        }
        assert!(budget.wait_or_fail(failed(RetryAdvice::Later)).await.is_err());
        // The `Retry-After` of a gateway is honoured, and the time limit of the outage still applies.
        let (start, mut budget) =
            (Instant::now(), RetryPolicy { retries: 1, ..RetryPolicy::default() }.budget());
        let asked = RetryAdvice::Outage { asked: Some(Duration::from_secs(9)) };
        while budget.wait_or_fail(failed(asked)).await.is_ok() {}
        assert_eq!(start.elapsed().as_secs(), 36);
    }
}
