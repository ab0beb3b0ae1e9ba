//! Progress on a terminal: a row for each running transfer, and a last row with the sums.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use console::truncate_str;
use parking_lot::Mutex;

use super::rows::{item_row, summary, total_row};
use super::transfer_state::{MAX_FINISHED_LINES, TransferState};
use crate::live_rows;

/// The time between two drawings.
const INTERVAL: Duration = Duration::from_millis(100);
/// An item has a row from this age on. Rows of smaller items would only flicker.
const MIN_AGE: Duration = Duration::from_millis(200);
/// The limit of rows of running transfers.
const MAX_ROWS: usize = 12;

/// A thread that draws the state of a transfer until it is stopped.
pub(super) struct ProgressBars {
    state: Arc<Mutex<TransferState>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressBars {
    pub(super) fn start(state: Arc<Mutex<TransferState>>) -> Self {
        let (stop, stopped) = channel();
        let drawn = Arc::clone(&state);
        // Without a thread the transfer is not shown, but works.
        let thread = std::thread::Builder::new().name("progress".to_owned());
        let thread = thread.spawn(move || draw_until(&stopped, &drawn)).ok();
        Self { state, stop: Some(stop), thread }
    }

    /// Erases the rows, and prints the lines of the finished items and the summary.
    pub(super) fn finish(mut self) {
        self.stop();
        let state = self.state.lock();
        let columns = live_rows::terminal_size().1;
        let mut rows = finished_rows(&state, columns);
        rows.push(summary(&state, columns));
        live_rows::replace(&rows);
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed already.
            let _ = thread.join();
        }
        live_rows::draw(&[]);
    }
}

impl Drop for ProgressBars {
    fn drop(&mut self) {
        if self.stop.is_some() {
            self.stop();
        }
    }
}

fn draw_until(stopped: &Receiver<()>, state: &Mutex<TransferState>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
        let rows = {
            let mut state = state.lock();
            state.measure_rates(Instant::now());
            running_rows(&state, live_rows::terminal_size())
        };
        live_rows::draw(&rows);
    }
}

/// Returns the rows of a running transfer, which leave one line of the terminal free for the cursor.
fn running_rows(state: &TransferState, (height, columns): (usize, usize)) -> Vec<String> {
    let mut rows = finished_rows(state, columns);
    let shown = state.active.iter().filter(|item| item.started.elapsed() >= MIN_AGE);
    rows.extend(shown.take(MAX_ROWS).map(|item| item_row(state.words.started, item, columns)));
    rows.push(total_row(state, columns));
    let excess = rows.len().saturating_sub(height - 1);
    rows.split_off(excess)
}

/// Returns the lines of the finished items; none if there are many.
fn finished_rows(state: &TransferState, columns: usize) -> Vec<String> {
    if state.finished.len() > MAX_FINISHED_LINES {
        return Vec::new();
    }
    state.finished.iter().map(|line| truncate_str(line, columns, "…").into_owned()).collect()
}
