//! `--progress plain`: how far long transfers are, in plain lines on standard error, for logs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use oras::{Event, Listener, Step};
use parking_lot::Mutex;

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
    /// By digest, or by title before that is known.
    moved: HashMap<String, u64>,
}

impl Periodic {
    pub(crate) fn new(words: Words, printer: Printer) -> Self {
        let state = State { told: Instant::now(), moved: HashMap::new() };
        Self { words, printer, state: Mutex::new(state) }
    }

    /// Adds bytes; the line, when it is time for one.
    fn progress(&self, key: String, name: &str, size: u64, bytes: u64) -> Option<String> {
        let mut state = self.state.lock();
        let moved = state.moved.entry(key).or_default();
        *moved += bytes;
        let moved = *moved;
        if state.told.elapsed() < INTERVAL {
            return None;
        }
        state.told = Instant::now();
        let percent = (moved * 100).checked_div(size).unwrap_or(100).min(100);
        let word = self.words.started.trim_end();
        Some(format!("{word} {name}: {} of {} ({percent}%)", mib(moved), mib(size)))
    }
}

/// A size for people, in MiB.
fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

impl Listener for Periodic {
    fn step(&self, step: Step<'_>) {
        let line = match step {
            Step::Node(Event::Progress(node, bytes)) => {
                self.progress(node.digest.to_string(), &name_of(node), node.size, bytes)
            }
            Step::Sending { title, size, bytes } => self.progress(title.to_owned(), title, size, bytes),
            _ => None,
        };
        if let Some(line) = line {
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
