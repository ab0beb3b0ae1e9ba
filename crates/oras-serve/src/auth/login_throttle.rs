//! Throttles clients that send wrong passwords.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::limits::client_id::client_network;

/// Wrong passwords that one client may send within [`PERIOD`].
const MAX_FAILURES: u32 = 30;
/// The count of a client is reset after this time.
const PERIOD: Duration = Duration::from_secs(60);
/// The maximum number of clients that are counted. When there are more, the server drops the expired counts, or all
/// counts if no count has expired.
const MAX_CLIENTS: usize = 4096;

/// Counts failed logins by client. Hashing a password is slow on purpose, so guessing passwords also delays the logins
/// of other users.
#[derive(Default)]
pub(super) struct LoginThrottle(Mutex<HashMap<IpAddr, Failures>>);

/// The failed logins of one client.
struct Failures {
    count: u32,
    since: Instant,
}

impl LoginThrottle {
    /// Returns how long a client must wait, if it sent too many wrong passwords.
    pub(super) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let failures = self.0.lock();
        let Failures { count, since } = failures.get(&client_network(address))?;
        let left = PERIOD.checked_sub(since.elapsed())?;
        (*count >= MAX_FAILURES).then_some(left)
    }

    /// Counts an attempt as failed before its password is checked.
    ///
    /// # Errors
    /// How long the client must wait, if it sent too many wrong passwords.
    pub(super) fn begin(&self, address: IpAddr) -> Result<(), Duration> {
        if let Some(wait) = self.wait(address) {
            return Err(wait);
        }
        // Counted before the password is checked, so that parallel guesses are limited as well.
        self.count(address);
        Ok(())
    }

    /// Subtracts an attempt whose password was correct.
    pub(super) fn uncount(&self, address: IpAddr) {
        let mut failures = self.0.lock();
        if let Some(failures) = failures.get_mut(&client_network(address)) {
            failures.count = failures.count.saturating_sub(1);
        }
    }

    fn count(&self, address: IpAddr) {
        let client = client_network(address);
        let mut failures = self.0.lock();
        if failures.len() >= MAX_CLIENTS && !failures.contains_key(&client) {
            failures.retain(|_, failures| failures.since.elapsed() < PERIOD);
            if failures.len() >= MAX_CLIENTS {
                failures.clear();
            }
        }
        let new = || Failures { count: 0, since: Instant::now() };
        let failures = failures.entry(client).or_insert_with(new);
        if failures.since.elapsed() >= PERIOD {
            *failures = new();
        }
        failures.count = failures.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles_only_the_client_that_guesses() {
        let failures = LoginThrottle::default();
        let client = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..MAX_FAILURES {
            assert_eq!(failures.wait(client), None);
            failures.count(client);
        }
        assert!(failures.wait(client).is_some_and(|wait| wait <= PERIOD));
        assert_eq!(failures.wait(IpAddr::from([10, 0, 0, 2])), None);
        for number in 0..u32::try_from(2 * MAX_CLIENTS).unwrap() {
            failures.count(IpAddr::from(number.to_be_bytes()));
        }
        assert!(failures.0.lock().len() <= MAX_CLIENTS);
    }
}
