//! Limits on the number of concurrent steps.

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

impl Default for Limits {
    fn default() -> Self {
        Self { steps: STEPS, streams: STREAMS, all: STEPS + STREAMS }
    }
}

impl Limits {
    /// Allows `nodes` concurrent steps of any kind; 0 means the default.
    pub(crate) fn of(nodes: usize) -> Self {
        // A given limit applies to all steps together, so that at most `nodes` steps run at a time.
        if nodes == 0 { Self::default() } else { Self { steps: nodes, streams: nodes, all: nodes } }
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
        let limits = Limits::of(0);
        let room = limits.room(STEPS, 0);
        assert!(!room.step && room.stream);
        let room = limits.room(5, 5);
        assert!(room.step && !room.stream && !room.idle);
        assert!(limits.room(0, 0).idle);
    }

    #[test]
    fn applies_a_given_limit_to_all_steps() {
        let limits = Limits::of(2);
        let room = limits.room(2, 1);
        assert!(!room.step && !room.stream);
        let room = limits.room(1, 1);
        assert!(room.step && room.stream);
    }
}
