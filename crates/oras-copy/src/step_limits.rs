//! Limits on the number of concurrent steps.

use crate::Concurrency;
use crate::graph::Room;

/// Larger leaves are streams: a few of them use the whole bandwidth, so few run at a time.
pub(crate) const LARGE: u64 = 1024 * 1024;
/// The number of concurrent requests and small leaves. Higher numbers were not faster with a registry on the same
/// machine.
pub(crate) const STEPS: usize = 32;
/// The number of concurrent large leaves.
const STREAMS: usize = 5;

/// The limits of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Steps other than streams.
    steps: usize,
    streams: usize,
    /// The limit of steps and streams together.
    all: usize,
}

impl Limits {
    /// Returns the limits of `concurrency`. A given number applies to all steps together.
    pub(crate) fn of(concurrency: Concurrency) -> Self {
        Self {
            steps: concurrency.get_or(STEPS),
            streams: concurrency.get_or(STREAMS),
            all: concurrency.get_or(STEPS + STREAMS),
        }
    }

    /// Returns true if nodes are copied one at a time.
    pub(crate) fn is_one(&self) -> bool {
        self.all == 1
    }

    /// Returns the steps that may start while `running` steps run, of which `streams` are streams.
    pub(crate) fn room(&self, running: usize, streams: usize) -> Room {
        let free = running < self.all;
        let steps = running - streams;
        Room { step: free && steps < self.steps, stream: free && streams < self.streams, idle: running == 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_streams_and_steps_separately_by_default() {
        let limits = Limits::of(Concurrency::default());
        let room = limits.room(STEPS, 0);
        assert!(!room.step && room.stream);
        let room = limits.room(5, 5);
        assert!(room.step && !room.stream && !room.idle);
        assert!(limits.room(0, 0).idle);
    }

    #[test]
    fn applies_a_given_limit_to_all_steps() {
        let limits = Limits::of(2.into());
        let room = limits.room(2, 1);
        assert!(!room.step && !room.stream);
        let room = limits.room(1, 1);
        assert!(room.step && room.stream);
    }
}
