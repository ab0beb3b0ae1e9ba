//! Progress bars on a terminal.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use oras::spec::{Descriptor, Digest};
use oras::{Event, Listener, Step};
use parking_lot::Mutex;

use super::words::{REFERRERS_LEFT, StatusWords, name_of};
use crate::log;
use crate::terminal_text;

/// The limit of bars. More bars would scroll the terminal.
const MAX_BARS: usize = 12;

/// Shows a bar for each transfer on standard error, and a line for each finished one.
pub(crate) struct ProgressBars {
    words: StatusWords,
    screen: MultiProgress,
    running: Mutex<HashMap<Digest, ProgressBar>>,
    /// The bars of files whose digest is not known yet, by title.
    sending: Mutex<HashMap<String, ProgressBar>>,
}

impl ProgressBars {
    pub(crate) fn new(words: StatusWords) -> Self {
        Self { words, screen: MultiProgress::new(), running: Mutex::default(), sending: Mutex::default() }
    }

    fn start(&self, node: &Descriptor) {
        let mut running = self.running.lock();
        // A transfer without a bar still prints its line at the end.
        if running.len() >= MAX_BARS {
            return;
        }
        running.insert(node.digest.clone(), self.bar(node.size, &name_of(node)));
    }

    fn bar(&self, size: u64, name: &str) -> ProgressBar {
        let template =
            "{spinner} {prefix} {wide_msg} {bar:20} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.screen.add(ProgressBar::new(size).with_style(style));
        bar.set_prefix(self.words.started.trim_end());
        bar.set_message(terminal_text::name(name));
        // The spinner shows that a stalled transfer still runs.
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    fn sending(&self, title: &str, size: u64, bytes: u64) {
        let mut sending = self.sending.lock();
        let bar = match sending.get(title) {
            Some(bar) => bar,
            None => sending.entry(title.to_owned()).or_insert_with(|| self.bar(size, title)),
        };
        bar.inc(bytes);
    }

    fn finish(&self, node: &Descriptor, word: &str) {
        // A bar is registered by digest, or by title if the upload started before the digest was known.
        let running = self.running.lock().remove(&node.digest);
        let mut sending = self.sending.lock();
        let sent = node.title().and_then(|title| sending.remove(title));
        for bar in [running, sent].into_iter().flatten() {
            bar.finish_and_clear();
        }
        // The line stays above the bars. A closed terminal must not stop the transfer.
        let columns = terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| width.0);
        let line = format!("✓ {word} {} {}", node.digest.short(), terminal_text::name(&name_of(node)));
        drop(self.screen.println(clipped(&line, usize::from(columns))));
    }
}

/// Shortens a line to one row of the terminal.
fn clipped(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

impl Listener for ProgressBars {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Restored(node) => self.finish(node, "Restored   "),
            Step::ReferrersLeft(_) => {
                // The bars are cleared while the warning is printed, so that they do not overwrite it.
                self.screen.suspend(|| log::warning(REFERRERS_LEFT, &[]));
            }
            Step::Sending { title, size, bytes } => self.sending(title, size, bytes),
            Step::Node(Event::Started(node)) => self.start(node),
            Step::Node(Event::Progress(node, bytes)) => {
                if let Some(bar) = self.running.lock().get(&node.digest) {
                    bar.inc(bytes);
                }
            }
            Step::Node(Event::Finished { node, outcome, .. } | Event::Twin { node, outcome }) => {
                self.finish(node, self.words.outcome(outcome));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_lines_to_the_width() {
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("abcd", 3), "ab…");
    }
}
