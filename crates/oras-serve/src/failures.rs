//! Wrong passwords, counted for each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::shares::client;

/// Wrong passwords that one client may send within [`PERIOD`].
const ALLOWED: u32 = 30;
/// After so long a client may try again.
const PERIOD: Duration = Duration::from_secs(60);
/// Clients that are remembered; when there are more, those from before are forgotten.
const MAX_CLIENTS: usize = 4096;

/// Who guesses passwords. Hashing one takes long on purpose, so whoever guesses keeps the others waiting, too.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Failures {
    /// Whether a client has guessed too often; for how long it must wait then.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let failures = self.0.lock();
        let (count, since) = failures.get(&client(address))?;
        let left = PERIOD.checked_sub(since.elapsed())?;
        (*count >= ALLOWED).then_some(left)
    }

    /// Counts an attempt that begins, as if its password were wrong.
    ///
    /// # Errors
    /// How long the client must wait, if it has guessed too often.
    pub(crate) fn begin(&self, address: IpAddr) -> Result<(), Duration> {
        if let Some(wait) = self.wait(address) {
            return Err(wait);
        }
        self.count(address);
        Ok(())
    }

    /// Takes the count of an attempt back whose password was right.
    pub(crate) fn take_back(&self, address: IpAddr) {
        let mut failures = self.0.lock();
        if let Some((count, _)) = failures.get_mut(&client(address)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts one more.
    fn count(&self, address: IpAddr) {
        let client = client(address);
        let mut failures = self.0.lock();
        if failures.len() >= MAX_CLIENTS && !failures.contains_key(&client) {
            failures.retain(|_, (_, since)| since.elapsed() < PERIOD);
            if failures.len() >= MAX_CLIENTS {
                failures.clear();
            }
        }
        let entry = failures.entry(client).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= PERIOD {
            *entry = (0, Instant::now());
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_and_others_do_not() {
        let failures = Failures::default();
        let client = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..ALLOWED {
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
