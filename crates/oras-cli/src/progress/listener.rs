//! Selects the display of progress: bars, lines, JSON or nothing.

use std::io::IsTerminal;
use std::sync::Arc;

use oras::{Listener, Quiet, Step};
use parking_lot::Mutex;

use super::bars::ProgressBars;
use super::json::JsonProgress;
use super::plain::PlainProgress;
use super::rows::{kept, summary};
use super::status_lines::StatusLines;
use super::transfer_state::TransferState;
use super::words::{REFERRERS_LEFT, StatusWords};
use crate::args::ProgressArgs;
use crate::env;
use crate::format::Format;
use crate::log;
use crate::print;

/// The display of the progress of one transfer.
pub(crate) struct Progress {
    listener: Arc<dyn Listener>,
    state: Arc<Mutex<TransferState>>,
    bars: Option<ProgressBars>,
    has_summary: bool,
    is_finished: bool,
}

/// Where progress is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Rows on a terminal.
    Bars,
    /// A line in each interval on standard error.
    Plain,
    /// A JSON object for each step on standard error.
    Json,
    Nothing,
}

/// Text about an interrupted transfer, for the message of the signal.
static KEPT: Mutex<Option<String>> = Mutex::new(None);

/// Takes what is known about the transfer that a signal has interrupted.
pub(crate) fn take_kept() -> Option<String> {
    KEPT.lock().take()
}

impl Progress {
    /// Starts the display that the flags select.
    pub(crate) fn start(words: StatusWords, args: &ProgressArgs, format: &Format) -> Self {
        let style = style(words, args);
        let are_lines_hidden = style == Style::Bars || args.progress.as_deref() == Some("none");
        let lines: Arc<dyn Listener> = match format.is_for_people() && !are_lines_hidden {
            true => Arc::new(StatusLines::new(words, args.verbose.unwrap_or(true))),
            false => Arc::new(Quiet),
        };
        Self::new(words, if args.quiet { Style::Nothing } else { style }, lines)
    }

    /// Starts the display of a check, which prints no line for each item.
    pub(crate) fn of_check(words: StatusWords, args: &ProgressArgs) -> Self {
        Self::new(words, if args.quiet { Style::Nothing } else { style(words, args) }, Arc::new(Quiet))
    }

    /// Starts the display of a blob that is written to a file: nothing but what a terminal shows.
    pub(crate) fn of_blob(words: StatusWords, no_tty: bool, debug: bool) -> Self {
        let style = match is_watched(no_tty, debug) {
            true if env::is_terminal_dumb() => Style::Plain,
            true => Style::Bars,
            false => Style::Nothing,
        };
        Self::new(words, style, Arc::new(Quiet))
    }

    /// Shows nothing.
    pub(crate) fn quiet(words: StatusWords) -> Self {
        Self::new(words, Style::Nothing, Arc::new(Quiet))
    }

    fn new(words: StatusWords, style: Style, lines: Arc<dyn Listener>) -> Self {
        let state = Arc::new(Mutex::new(TransferState::new(words)));
        let shown: Arc<dyn Listener> = match style {
            Style::Plain => Arc::new(PlainProgress(Arc::clone(&state))),
            Style::Json => Arc::new(JsonProgress::default()),
            Style::Bars | Style::Nothing => Arc::new(Quiet),
        };
        let bars = (style == Style::Bars).then(|| ProgressBars::start(Arc::clone(&state)));
        let has_bars = bars.is_some();
        let tracked = Arc::clone(&state);
        let listener = move |step: Step<'_>| {
            // `StatusLines` prints this warning too.
            if has_bars && matches!(step, Step::ReferrersLeft(_)) {
                log::warning(REFERRERS_LEFT, &[]);
            }
            tracked.lock().update(step);
            lines.step(step);
            shown.step(step);
        };
        let has_summary = style == Style::Plain;
        Self { listener: Arc::new(listener), state, bars, has_summary, is_finished: false }
    }

    /// Returns the listener of the transfer.
    pub(crate) fn listener(&self) -> Arc<dyn Listener> {
        Arc::clone(&self.listener)
    }

    /// Ends the display without a summary.
    pub(crate) fn end(mut self) {
        self.is_finished = true;
    }

    /// Ends the display, and shows a summary if the transfer succeeded. Returns the result of the transfer.
    pub(crate) fn finish<T, E>(mut self, result: Result<T, E>) -> Result<T, E> {
        self.is_finished = true;
        let bars = self.bars.take();
        if result.is_ok() {
            if let Some(bars) = bars {
                bars.finish();
            } else if self.has_summary {
                print::error(&summary(&self.state.lock(), usize::MAX));
            }
        }
        result
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A signal has cancelled the command before its transfer could return.
        if !self.is_finished {
            *KEPT.lock() = kept(&self.state.lock());
        }
    }
}

/// Returns where progress is shown.
fn style(words: StatusWords, args: &ProgressArgs) -> Style {
    let is_watched = is_watched(args.no_tty, args.debug);
    match args.progress.as_deref() {
        Some("bars") => Style::Bars,
        Some("plain") => Style::Plain,
        Some("json") => Style::Json,
        Some(_) => Style::Nothing,
        // A terminal that can't move its cursor can't show bars, and a dry run moves nothing.
        None if is_watched && env::is_terminal_dumb() => Style::Plain,
        None if is_watched && !words.is_dry_run => Style::Bars,
        None => Style::Nothing,
    }
}

/// Returns true if a person follows the transfer on a terminal.
fn is_watched(no_tty: bool, debug: bool) -> bool {
    // `--debug` logs to the same terminal, and its lines would break the bars.
    std::io::stderr().is_terminal() && !no_tty && !debug
}
