//! Counts the traffic of all connections of a link, and schedules its faults.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Counts, Plan};

/// The direction of bytes, as seen by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// The decision on arrived bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Forward all bytes.
    Pass,
    /// Forward this many bytes, then cut every connection.
    CutAfter(usize),
    /// The connection belongs to an earlier run.
    Stale,
}

/// The counts and the connections of a link, which its threads share.
#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the run. Connections of earlier runs are not counted.
    run: u64,
    plan: Plan,
    counts: Counts,
    connections: BTreeMap<u64, [TcpStream; 2]>,
    next: u64,
    held: bool,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a run: cuts the connections of the previous run, and resets the counts.
    pub(super) fn begin(&self, plan: Plan) {
        let mut state = self.state();
        state.cut();
        state.run += 1;
        state.plan = plan;
        state.counts = Counts::default();
        state.held = false;
        self.changed.notify_all();
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// Returns true if the link has reached the point where the plan stops it.
    pub(super) fn held(&self) -> bool {
        self.state().held
    }

    /// Registers a connection. Returns its number, its run and the run's plan.
    pub(super) fn open(&self, ends: [TcpStream; 2]) -> (u64, u64, Plan) {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.connections.insert(number, ends);
        state.counts.connections += 1;
        (number, state.run, state.plan.clone())
    }

    pub(super) fn close(&self, number: u64) {
        self.state().connections.remove(&number);
    }

    pub(super) fn count_request(&self, run: u64, method: &str) {
        let mut state = self.state();
        if state.run == run {
            *state.counts.requests.entry(method.to_owned()).or_default() += 1;
        }
    }

    /// Counts bytes and returns the decision. Blocks while the link is held.
    pub(super) fn account(&self, run: u64, way: Way, bytes: usize) -> Verdict {
        let mut state = self.state();
        while state.run == run && state.held {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.run != run {
            return Verdict::Stale;
        }
        let before = state.counts.bytes();
        let cut = state.plan.cuts.first().and_then(|cut| cut.checked_sub(before)).map(|left| left as usize);
        let passing = cut.map_or(bytes, |left| left.min(bytes));
        match way {
            Way::Up => state.counts.up += passing as u64,
            Way::Down => state.counts.down += passing as u64,
        }
        if state.plan.hold.is_some_and(|hold| state.counts.bytes() >= hold) {
            state.held = true;
        }
        if passing == bytes { Verdict::Pass } else { Verdict::CutAfter(passing) }
    }

    /// Cuts every connection, and removes this cut from the plan.
    pub(super) fn cut(&self, run: u64) {
        let mut state = self.state();
        if state.run == run && !state.plan.cuts.is_empty() {
            state.plan.cuts.remove(0);
            state.cut();
        }
    }
}

impl State {
    fn cut(&mut self) {
        for end in std::mem::take(&mut self.connections).into_values().flatten() {
            // Cutting a closed connection has no effect.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_connection_once_at_each_planned_offset() {
        let ledger = Ledger::default();
        ledger.begin(Plan { cuts: vec![10, 25], ..Plan::default() });
        assert_eq!(ledger.account(1, Way::Up, 4), Verdict::Pass);
        assert_eq!(ledger.account(1, Way::Down, 9), Verdict::CutAfter(6));
        ledger.cut(1);
        assert_eq!(ledger.account(1, Way::Down, 15), Verdict::Pass);
        assert_eq!(ledger.account(1, Way::Down, 1), Verdict::CutAfter(0));
        ledger.cut(1);
        assert_eq!(ledger.account(1, Way::Down, 100), Verdict::Pass);
        assert_eq!((ledger.counts().up, ledger.counts().down), (4, 121));
    }

    #[test]
    fn ignores_traffic_of_earlier_run() {
        let ledger = Ledger::default();
        ledger.begin(Plan { hold: Some(5), ..Plan::default() });
        ledger.account(1, Way::Up, 5);
        assert!(ledger.held());
        ledger.begin(Plan::default());
        assert!(!ledger.held());
        assert_eq!(ledger.account(1, Way::Up, 5), Verdict::Stale);
        ledger.count_request(1, "GET");
        assert_eq!(ledger.counts(), Counts::default());
    }
}
