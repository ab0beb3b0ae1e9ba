//! Measures the speed of a connection.

use tokio::time::{Duration, Instant};

/// The longest wait for one chunk that counts in full. A longer wait is a pause of the reader, for example while its
/// upload fails.
const MAX_WAIT_COUNTED: Duration = Duration::from_millis(75);

/// Measures the rate of a download, and whether the network is its bottleneck.
pub(crate) struct SpeedMeter {
    pub(crate) started: Instant,
    waited: Duration,
    bytes: u64,
}

impl SpeedMeter {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), waited: Duration::ZERO, bytes: 0 }
    }

    pub(crate) fn record(&mut self, requested_at: Instant, bytes: usize) {
        self.waited += requested_at.elapsed().min(MAX_WAIT_COUNTED);
        self.bytes += bytes as u64;
    }

    pub(crate) fn is_waiting(&self) -> bool {
        // More than half of the time was spent waiting for the network.
        self.waited * 2 > self.started.elapsed()
    }

    /// Returns the bytes per second.
    pub(crate) fn rate(&self) -> f64 {
        // The lower bound avoids a division by zero directly after the start.
        self.bytes as f64 / self.started.elapsed().as_secs_f64().max(1e-6)
    }
}
