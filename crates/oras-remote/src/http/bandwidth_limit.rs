//! The limit of bytes per second for all transfers together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The most unused time that a later transfer may use at once.
const BURST: Duration = Duration::from_millis(100);
/// The size in bytes of the largest chunk. Larger chunks make the rate uneven; smaller ones cost more time than they
/// are worth.
const MAX_CHUNK: u64 = 64 << 10;

/// A limit of blob bytes per second. Clones share one budget.
///
/// Each transfer books the time of its bytes and waits until the bookings before it have ended, so that transfers
/// alternate and none starves. Manifests and other small bodies are not counted.
///
/// ```
/// use oras_remote::{ClientOptions, RateLimit};
///
/// // Two clients share 10 MB/s.
/// let limit = RateLimit::per_second(10_000_000);
/// let one = ClientOptions::default().limit_rate(limit.clone());
/// let other = ClientOptions::default().limit_rate(limit);
/// # let _ = (one, other);
/// ```
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_second: u64,
    /// The end of the time that is booked.
    booked_until: Arc<Mutex<Option<Instant>>>,
}

impl RateLimit {
    /// Creates a limit of `bytes` per second, at least 1.
    pub fn per_second(bytes: u64) -> Self {
        Self { per_second: bytes.max(1), booked_until: Arc::default() }
    }

    /// Returns the bytes per second.
    pub fn bytes_per_second(&self) -> u64 {
        self.per_second
    }

    /// Waits until `bytes` may be transferred. If the future is dropped, the time stays booked.
    pub(crate) async fn spend(&self, bytes: usize) {
        let now = Instant::now();
        let until = self.book(bytes, now);
        if until > now {
            sleep_until(until).await;
        }
    }

    /// Books the time to transfer `bytes`, and returns the end of that time. `now` is the current time.
    fn book(&self, bytes: usize, now: Instant) -> Instant {
        // The lock is held only to book, not while waiting, so transfers wait concurrently.
        let mut booked_until = self.booked_until.lock();
        // Unused time expires after `BURST`. Without that bound, a long pause would allow a long burst.
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let begin = booked_until.map_or(earliest, |booked_until| booked_until.max(earliest));
        let until = begin + Duration::from_secs_f64(bytes as f64 / self.per_second as f64);
        *booked_until = Some(until);
        until
    }

    /// Splits off the next chunk of `rest`: the bytes of a tenth of a second, at least 1 and at most `MAX_CHUNK`.
    pub(crate) fn split_chunk(&self, rest: &mut Bytes) -> Bytes {
        let most = (self.per_second / 10).clamp(1, MAX_CHUNK);
        rest.split_to(usize::try_from(most).map_or(rest.len(), |most| most.min(rest.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn transfers_share_one_budget() {
        let limit = RateLimit::per_second(MIB as u64);
        let begun = Instant::now();
        // Each transfer moves its next chunk when the time of the one before has passed.
        let mut transfers =
            [(1 << 10, 0), (1 << 14, 0), (1 << 18, 0)].map(|(chunk, moved)| (begun, chunk, moved));
        let mut ended = begun;
        while let Some((now, chunk, moved)) =
            transfers.iter_mut().filter(|(_, _, moved)| *moved < 2 * MIB).min_by_key(|(now, ..)| *now)
        {
            *now = limit.clone().book(*chunk, *now).max(*now);
            *moved += *chunk;
            ended = *now;
        }
        let took = (ended - begun).as_secs_f64();
        assert!((5.85..6.01).contains(&took), "6 MiB took {took} s");
    }

    #[test]
    fn unused_time_expires_after_a_burst() {
        let limit = RateLimit::per_second(1000);
        let later = Instant::now() + Duration::from_secs(60);
        limit.book(1, Instant::now());
        assert_eq!(limit.book(100, later), later, "what a pause allows at once");
        assert_eq!(limit.book(1000, later), later + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn waits_for_the_time_of_earlier_bytes() {
        let (limit, begun) = (RateLimit::per_second(1000), Instant::now());
        limit.spend(200).await;
        limit.spend(100).await;
        assert!(begun.elapsed() >= Duration::from_millis(199));
    }

    #[test]
    fn splits_small_chunks_that_are_never_empty() {
        for (rate, expected) in [(1, 1), (9, 1), (1000, 100), (u64::MAX, 64 << 10)] {
            let mut rest = Bytes::from(vec![0; MIB]);
            let chunk = RateLimit::per_second(rate).split_chunk(&mut rest);
            assert_eq!((chunk.len(), rest.len()), (expected, MIB - expected), "{rate}");
        }
        let mut rest = Bytes::from_static(b"ab");
        assert_eq!(RateLimit::per_second(1 << 20).split_chunk(&mut rest), "ab");
        assert!(rest.is_empty());
    }
}
