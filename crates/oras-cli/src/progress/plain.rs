//! `--progress plain`: the progress of long transfers in plain lines on standard error, for logs.

use std::sync::Arc;
use std::time::Duration;

use oras::{Listener, Step};
use parking_lot::Mutex;

use super::rows::{clock, of_total, rate};
use super::transfer_state::{ActiveItem, TransferState, per_second};
use crate::humanize::binary;
use crate::print;

/// The time between two lines about an item.
const INTERVAL: Duration = Duration::from_secs(10);

/// Prints a line about each item in each interval. Items that need less time have no line.
pub(super) struct PlainProgress(pub(super) Arc<Mutex<TransferState>>);

impl Listener for PlainProgress {
    fn step(&self, step: Step<'_>) {
        let line = {
            let mut state = self.0.lock();
            let word = state.words.started;
            match state.item_of(step).filter(|item| item.last_line.elapsed() >= INTERVAL) {
                Some(item) => {
                    item.last_line = std::time::Instant::now();
                    line(word.trim_end(), item)
                }
                None => return,
            }
        };
        // Printing may block, so the lock is released first.
        print::error(&line);
    }
}

/// Returns a line with the part that is complete, the rate and the remaining time.
fn line(word: &str, item: &ActiveItem) -> String {
    let (complete, name) = (item.complete(), &item.name);
    let per_second = per_second(item.moved, item.started.elapsed());
    let Some(size) = item.size else {
        return format!("Packing {name}: {}, {}", binary(complete), rate(per_second));
    };
    let percent = (complete * 100).checked_div(size).unwrap_or(100);
    let sizes = of_total(complete, size).replace('/', " of ");
    let eta = (size - complete).checked_div(per_second).map(Duration::from_secs);
    let eta = eta.map_or_else(String::new, |left| format!(", ETA {}", clock(left)));
    format!("{word} {name}: {sizes} ({percent} %), {}{eta}", rate(per_second))
}

#[cfg(test)]
mod tests {
    use super::super::words::PUSH;
    use super::*;

    #[test]
    fn shows_part_percent_rate_and_time() {
        let mut state = TransferState::new(PUSH);
        let step = |bytes| Step::Sending { title: "big.bin", size: 300 << 20, bytes };
        state.update(Step::Sent { title: "big.bin", size: 300 << 20, bytes: 100 << 20 });
        state.update(step(14 << 20));
        let item = state.item_of(step(0)).unwrap();
        item.started -= Duration::from_secs(2);
        let shown = line("Uploading", item);
        // The clock has moved on a little, so the rate is slightly lower.
        let wanted = ["Uploading big.bin: 114.0 of 300.0 MiB (38 %), 6.9 MiB/s, ETA 26s", "7.0 MiB/s"];
        assert!(shown == wanted[0] || shown.contains(wanted[1]), "{shown}");
    }

    #[test]
    fn directory_has_no_total() {
        let mut state = TransferState::new(PUSH);
        let step = Step::Sending { title: "dir", size: 0, bytes: 3 << 20 };
        state.update(step);
        let shown = line("Uploading", state.item_of(step).unwrap());
        assert!(shown.starts_with("Packing dir: 3.0 MiB, "), "{shown}");
    }
}
