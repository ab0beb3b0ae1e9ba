//! The readiness of the store, for supervisors and load balancers (`/readyz`).

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::stores::Stores;

/// How long the result of a check is used.
const CACHE_LIFETIME: Duration = Duration::from_secs(1);
/// The timeout of a check. A store that needs longer counts as not ready.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of the last check. The store is checked at most once a second, even with many probes.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<Check>>);

struct Check {
    at: Instant,
    is_ready: bool,
}

impl Health {
    /// Returns true if the store can be read and, if `writes`, be written.
    pub(crate) async fn is_ready(&self, stores: &dyn Stores, writes: bool) -> bool {
        // The lock is held during the check, so that concurrent probes wait for the result.
        let mut last = self.0.lock().await;
        if let Some(check) = &*last
            && check.at.elapsed() < CACHE_LIFETIME
        {
            return check.is_ready;
        }
        let is_ready = match tokio::time::timeout(CHECK_TIMEOUT, stores.check_readiness(writes)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(error = error.chain(), "the store can't be used");
                false
            }
            Err(_) => {
                tracing::error!("the store does not answer");
                false
            }
        };
        *last = Some(Check { at: Instant::now(), is_ready });
        is_ready
    }
}
