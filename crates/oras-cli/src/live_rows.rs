//! Rows at the bottom of a terminal that are drawn again and again. Other output erases them first.

use console::{Term, measure_text_width};
use parking_lot::Mutex;

use crate::env;

/// The rows on standard error. A process has one terminal, and every writer to it must know what is at its bottom.
static DRAWN: Mutex<DrawnRows> = Mutex::new(DrawnRows { widths: Vec::new() });

/// The widths of the rows that were drawn last.
struct DrawnRows {
    widths: Vec<usize>,
}

/// Returns the size of the terminal: rows and columns.
pub(crate) fn terminal_size() -> (usize, usize) {
    let (rows, columns) = Term::stderr().size_checked().unwrap_or((24, 80));
    (usize::from(rows).max(2), usize::from(columns).max(1))
}

/// Draws `rows` in place of the last ones. No row may be wider than the terminal.
pub(crate) fn draw(rows: &[String]) {
    let mut drawn = DRAWN.lock();
    let terminal = Term::buffered_stderr();
    drawn.erase(&terminal);
    for row in rows {
        // A closed terminal must not stop the transfer.
        let _ = terminal.write_line(row);
    }
    drawn.widths = rows.iter().map(|row| measure_text_width(row)).collect();
    let _ = terminal.flush();
}

/// Prints `rows` in place of the drawn ones. They stay.
pub(crate) fn replace(rows: &[String]) {
    draw(rows);
    DRAWN.lock().widths.clear();
}

/// Erases the rows, and writes while no other thread can draw them.
pub(crate) fn write_above<T>(write: impl FnOnce() -> T) -> T {
    let mut drawn = DRAWN.lock();
    let terminal = Term::buffered_stderr();
    drawn.erase(&terminal);
    let _ = terminal.flush();
    write()
}

impl DrawnRows {
    fn erase(&mut self, terminal: &Term) {
        let columns = terminal_size().1;
        // Most terminals wrap the rows anew when they become narrower, so that a row then fills several lines.
        let lines = |width: usize| if env::rewraps_lines() { width.div_ceil(columns).max(1) } else { 1 };
        let count = self.widths.drain(..).map(lines).sum();
        if count > 0 {
            let _ = terminal.clear_last_lines(count);
        }
    }
}
