//! `--progress plain`: how far long transfers are, in plain lines on standard error, for logs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oras::spec::{Descriptor, Digest};
use oras::{Event, Listener, Step};

use crate::output::Printer;
use crate::status::{Words, name_of};

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Tells now and then how far the transfers are.
pub(crate) struct Periodic {
    words: Words,
    printer: Printer,
    state: Mutex<State>,
}

struct State {
    told: Instant,
    moved: HashMap<Digest, u64>,
}

impl Periodic {
    pub(crate) fn new(words: Words, printer: Printer) -> Self {
        let state = State { told: Instant::now(), moved: HashMap::new() };
        Self { words, printer, state: Mutex::new(state) }
    }

    /// Adds bytes; the line, when it is time for one.
    fn progress(&self, node: &Descriptor, bytes: u64) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = state.moved.entry(node.digest.clone()).or_default();
        *moved += bytes;
        let moved = *moved;
        if state.told.elapsed() < INTERVAL {
            return None;
        }
        state.told = Instant::now();
        let percent = (moved * 100).checked_div(node.size).unwrap_or(100).min(100);
        let word = self.words.started.trim_end();
        Some(format!("{word} {}: {} of {} ({percent}%)", name_of(node), mib(moved), mib(node.size)))
    }
}

/// A size for people, in MiB.
fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

impl Listener for Periodic {
    fn step(&self, step: Step<'_>) {
        if let Step::Node(Event::Progress(node, bytes)) = step
            && let Some(line) = self.progress(node, bytes)
        {
            self.printer.error(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mib;

    #[test]
    fn sizes() {
        assert_eq!(
            (mib(0), mib(1 << 20), mib(3 << 19)),
            ("0.0 MiB".into(), "1.0 MiB".into(), "1.5 MiB".into())
        );
    }
}
