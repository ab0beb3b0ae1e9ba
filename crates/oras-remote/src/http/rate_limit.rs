//! How many bytes a second transfers may move, all of them together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// What may be moved at once after a while in which nothing was.
const BURST: Duration = Duration::from_millis(100);
/// Bytes that are not sent in pieces, for they cost more than they smooth.
const LARGEST_PIECE: u64 = 64 << 10;

/// The bytes of blobs that may be moved in a second, by all transfers that share it: clones share one budget.
///
/// Whoever moves bytes waits until those before have had their time, so that transfers take turns and none starves.
/// Manifests and what else is small are not counted.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_second: u64,
    /// When all bytes so far have had their time.
    paid: Arc<Mutex<Option<Instant>>>,
}

impl RateLimit {
    /// A budget of that many bytes a second, at least 1.
    pub fn per_second(bytes: u64) -> Self {
        Self { per_second: bytes.max(1), paid: Arc::default() }
    }

    /// The bytes a second.
    pub fn bytes_per_second(&self) -> u64 {
        self.per_second
    }

    /// Takes the time of that many bytes; dropped while it waits, the time is taken all the same.
    pub(crate) async fn spend(&self, bytes: usize) {
        let now = Instant::now();
        let until = self.book(bytes, now);
        if until > now {
            sleep_until(until).await;
        }
    }

    /// When bytes that are moved from `now` on will have had their time.
    fn book(&self, bytes: usize, now: Instant) -> Instant {
        let mut paid = self.paid.lock();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let begin = paid.map_or(earliest, |paid| paid.max(earliest));
        let until = begin + Duration::from_secs_f64(bytes as f64 / self.per_second as f64);
        *paid = Some(until);
        until
    }

    /// The next bytes of `rest` that are moved together: a tenth of a second's, or more where that is next to nothing.
    pub(crate) fn piece(&self, rest: &mut Bytes) -> Bytes {
        let most = (self.per_second / 10).clamp(1, LARGEST_PIECE);
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
        // Each moves its next chunk when the one before has had its time.
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
    fn time_that_was_not_used_is_gone() {
        let limit = RateLimit::per_second(1000);
        let later = Instant::now() + Duration::from_secs(60);
        limit.book(1, Instant::now());
        assert_eq!(limit.book(100, later), later, "what a pause allows at once");
        assert_eq!(limit.book(1000, later), later + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn who_spends_waits() {
        let (limit, begun) = (RateLimit::per_second(1000), Instant::now());
        limit.spend(200).await;
        limit.spend(100).await;
        assert!(begun.elapsed() >= Duration::from_millis(199));
    }

    #[test]
    fn pieces_are_small_and_never_empty() {
        for (rate, expected) in [(1, 1), (9, 1), (1000, 100), (u64::MAX, 64 << 10)] {
            let mut rest = Bytes::from(vec![0; MIB]);
            let piece = RateLimit::per_second(rate).piece(&mut rest);
            assert_eq!((piece.len(), rest.len()), (expected, MIB - expected), "{rate}");
        }
        let mut rest = Bytes::from_static(b"ab");
        assert_eq!(RateLimit::per_second(1 << 20).piece(&mut rest), "ab");
        assert!(rest.is_empty());
    }
}
