//! How many connections the big downloads from one registry share, and whether it sends parts of blobs at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// The budget of one registry, shared by all blobs of a client: halved when the registry pushes back, and given back one
/// by one while transfers succeed.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    state: Mutex<State>,
    no_ranges: AtomicBool,
}

#[derive(Debug)]
struct State {
    allowed: usize,
    used: usize,
}

/// A connection out of the budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Connections>);

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = Mutex::new(State { allowed: most, used: 0 });
        Self { most, state, no_ranges: AtomicBool::new(false) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock())
    }

    /// The connection that every transfer has, whatever the budget.
    pub(crate) fn enter(self: &Arc<Self>) -> Permit {
        self.with(|state| state.used += 1);
        Permit(Arc::clone(self))
    }

    /// One more connection, if there is one left.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Permit> {
        self.with(|state| (state.used < state.allowed).then(|| state.used += 1))
            .map(|()| Permit(Arc::clone(self)))
    }

    /// Whether more connections are in use than are allowed by now.
    pub(crate) fn is_over(&self) -> bool {
        self.with(|state| state.used > state.allowed)
    }

    /// The registry asked for less, or broke a connection.
    pub(crate) fn pushed_back(&self) {
        self.with(|state| state.allowed = (state.allowed / 2).max(1));
    }

    /// A part of a blob came without trouble.
    pub(crate) fn succeeded(&self) {
        self.with(|state| state.allowed = (state.allowed + 1).min(self.most));
    }

    /// The registry does not send parts of blobs.
    pub(crate) fn has_no_ranges(&self) {
        self.no_ranges.store(true, Ordering::Relaxed);
    }

    /// Whether parts of blobs may be asked for.
    pub(crate) fn ranges(&self) -> bool {
        !self.no_ranges.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.with(|state| state.used = state.used.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared_shrinks_and_grows() {
        let connections = Arc::new(Connections::new(4));
        let mut permits = vec![connections.enter()];
        permits.extend(std::iter::from_fn(|| connections.take()));
        assert_eq!(permits.len(), 4);
        connections.pushed_back();
        assert!(connections.is_over());
        permits.truncate(2);
        assert!(!connections.is_over() && connections.take().is_none());
        connections.succeeded();
        assert!(connections.take().is_some());
        // A transfer of its own always has one.
        permits.extend([connections.enter(), connections.enter()]);
        assert!(connections.is_over());
    }
}
