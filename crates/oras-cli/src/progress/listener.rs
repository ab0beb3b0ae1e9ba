//! Selects the display of progress: bars, lines, JSON or nothing.

use std::io::IsTerminal;
use std::sync::Arc;

use oras::{Listener, Quiet, Step};

use super::bars::ProgressBars;
use super::json::JsonProgress;
use super::plain::PlainProgress;
use super::status_lines::StatusLines;
use super::words::StatusWords;
use crate::args::ProgressArgs;
use crate::env;
use crate::format::Format;

/// How a command shows its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressStyle {
    /// Progress bars on standard error.
    Bars,
    /// Lines on standard output.
    Lines {
        /// Prints lines also for content without a title.
        verbose: bool,
    },
    /// Nothing: standard output is for the report.
    Quiet,
}

impl ProgressStyle {
    /// Returns the default style: bars on a terminal, lines in a text format, and nothing in a format for programs.
    fn of(args: &ProgressArgs, format: &Format) -> Self {
        if is_watched(args.no_tty, args.debug) && !env::is_terminal_dumb() {
            Self::Bars
        } else if format.is_for_people() {
            Self::Lines { verbose: args.verbose.unwrap_or(true) }
        } else {
            Self::Quiet
        }
    }

    /// Creates the listener that shows progress in this style.
    pub(crate) fn listener(self, words: StatusWords) -> Arc<dyn Listener> {
        match self {
            Self::Bars => Arc::new(ProgressBars::new(words)),
            Self::Lines { verbose } => Arc::new(StatusLines::new(words, verbose)),
            Self::Quiet => Arc::new(Quiet),
        }
    }
}

/// Returns true if a person follows the transfer on a terminal.
pub(crate) fn is_watched(no_tty: bool, debug: bool) -> bool {
    // `--debug` logs to the same terminal, and its lines would break the bars.
    std::io::stderr().is_terminal() && !no_tty && !debug
}

/// Creates the listener that the flags select.
pub(crate) fn listener(words: StatusWords, args: &ProgressArgs, format: &Format) -> Arc<dyn Listener> {
    let shown = |style: ProgressStyle| style.listener(words);
    let lines = match ProgressStyle::of(args, format) {
        // Bars would show nothing in a dry run. The JSON and plain displays write to standard error themselves.
        ProgressStyle::Bars if words.is_dry_run || args.progress.is_some() => {
            ProgressStyle::Lines { verbose: true }
        }
        other => other,
    };
    let with_plain = || Arc::new(Both(shown(lines), Arc::new(PlainProgress::new(words))));
    match args.progress.as_deref() {
        Some("json") => Arc::new(Both(shown(lines), Arc::new(JsonProgress::default()))),
        Some("plain") => with_plain(),
        Some("bars") => shown(ProgressStyle::Bars),
        Some("none") => shown(ProgressStyle::Quiet),
        // A terminal that can't move its cursor can't show bars.
        _ if is_watched(args.no_tty, args.debug) && env::is_terminal_dumb() => with_plain(),
        _ => shown(lines),
    }
}

/// Passes each step to two listeners.
struct Both(Arc<dyn Listener>, Arc<dyn Listener>);

impl Listener for Both {
    fn step(&self, step: Step<'_>) {
        self.0.step(step);
        self.1.step(step);
    }
}
