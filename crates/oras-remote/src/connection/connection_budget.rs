//! The connections that large downloads from one registry share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// The connection budget of one registry, shared by all downloads of a client. It is halved when the registry is
/// overloaded or breaks a connection, and grows by one per successful part.
#[derive(Debug)]
pub(crate) struct ConnectionBudget {
    max: usize,
    state: Mutex<BudgetState>,
    no_ranges: AtomicBool,
}

#[derive(Debug)]
struct BudgetState {
    allowed: usize,
    used: usize,
}

/// A connection of the budget, returned when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit(Arc<ConnectionBudget>);

impl ConnectionBudget {
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1);
        let state = Mutex::new(BudgetState { allowed: max, used: 0 });
        Self { max, state, no_ranges: AtomicBool::new(false) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut BudgetState) -> T) -> T {
        change(&mut self.state.lock())
    }

    /// Takes the first connection of a download, even if the budget is used up.
    pub(crate) fn take_first(self: &Arc<Self>) -> ConnectionPermit {
        // Each download needs one connection to make progress, so the first is never refused.
        self.with(|state| state.used += 1);
        ConnectionPermit(Arc::clone(self))
    }

    /// Takes one more connection, if the budget allows it.
    pub(crate) fn take(self: &Arc<Self>) -> Option<ConnectionPermit> {
        self.with(|state| (state.used < state.allowed).then(|| state.used += 1))
            .map(|()| ConnectionPermit(Arc::clone(self)))
    }

    /// Returns true if more connections are in use than allowed.
    pub(crate) fn is_over(&self) -> bool {
        self.with(|state| state.used > state.allowed)
    }

    /// Halves the budget: the registry is overloaded, or broke a connection.
    pub(crate) fn pushed_back(&self) {
        self.with(|state| state.allowed = (state.allowed / 2).max(1));
    }

    /// Raises the budget by one after a part arrived.
    pub(crate) fn succeeded(&self) {
        // The budget grows slowly after a fast decrease, as in the congestion control of TCP.
        self.with(|state| state.allowed = (state.allowed + 1).min(self.max));
    }

    /// Records that the registry does not support ranges.
    pub(crate) fn disable_ranges(&self) {
        self.no_ranges.store(true, Ordering::Relaxed);
    }

    /// Returns true unless the registry is known not to support ranges.
    pub(crate) fn supports_ranges(&self) -> bool {
        !self.no_ranges.load(Ordering::Relaxed)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.with(|state| state.used = state.used.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_shared_shrinks_and_grows() {
        let connections = Arc::new(ConnectionBudget::new(4));
        let mut permits = vec![connections.take_first()];
        permits.extend(std::iter::from_fn(|| connections.take()));
        assert_eq!(permits.len(), 4);
        connections.pushed_back();
        assert!(connections.is_over());
        permits.truncate(2);
        assert!(!connections.is_over() && connections.take().is_none());
        connections.succeeded();
        assert!(connections.take().is_some());
        // The first connection of a download is always allowed.
        permits.extend([connections.take_first(), connections.take_first()]);
        assert!(connections.is_over());
    }
}
