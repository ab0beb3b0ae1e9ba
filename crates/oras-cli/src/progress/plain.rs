//! `--progress plain`: the progress of long transfers in plain lines on standard error, for logs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use oras::{Event, Listener, Step};
use parking_lot::Mutex;

use super::words::{StatusWords, name_of};
use crate::print;

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Prints the progress of a transfer, at most one line in each interval.
pub(crate) struct PlainProgress {
    words: StatusWords,
    state: Mutex<PlainState>,
}

struct PlainState {
    last_line: Instant,
    /// The transferred bytes by digest, or by title while the digest is unknown.
    moved: HashMap<String, u64>,
}

impl PlainProgress {
    pub(crate) fn new(words: StatusWords) -> Self {
        let state = PlainState { last_line: Instant::now(), moved: HashMap::new() };
        Self { words, state: Mutex::new(state) }
    }

    /// Adds transferred bytes. Returns a line if the last one was printed long enough ago.
    fn progress(&self, key: String, name: &str, size: u64, bytes: u64) -> Option<String> {
        let mut state = self.state.lock();
        let moved = state.moved.entry(key).or_default();
        *moved += bytes;
        let moved = *moved;
        // All transfers share one interval, so that many transfers do not flood the log.
        if state.last_line.elapsed() < INTERVAL {
            return None;
        }
        state.last_line = Instant::now();
        // A blob of size zero is always complete. `checked_div` avoids a division by zero.
        let percent = (moved * 100).checked_div(size).unwrap_or(100).min(100);
        let word = self.words.started.trim_end();
        Some(format!("{word} {name}: {} of {} ({percent}%)", mib(moved), mib(size)))
    }
}

/// Formats a size in MiB.
fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

impl Listener for PlainProgress {
    fn step(&self, step: Step<'_>) {
        let line = match step {
            Step::Node(Event::Progress(node, bytes)) => {
                self.progress(node.digest.to_string(), &name_of(node), node.size, bytes)
            }
            Step::Sending { title, size, bytes } => self.progress(title.to_owned(), title, size, bytes),
            _ => None,
        };
        if let Some(line) = line {
            print::error(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mib;

    #[test]
    fn formats_sizes_in_mebibytes() {
        assert_eq!(
            (mib(0), mib(1 << 20), mib(3 << 19)),
            ("0.0 MiB".into(), "1.0 MiB".into(), "1.5 MiB".into())
        );
    }
}
