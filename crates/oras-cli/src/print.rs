//! Prints to standard output and standard error. Any thread may print whole lines, and a closed pipe causes no panic. Control
//! characters are escaped on a terminal and stay as they are in a pipe.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use oras::spec::json;
use serde::Serialize;

use crate::failure::{Failure, without_error_numbers};
use crate::live_rows;
use crate::terminal_text;

/// Set by the first write to a closed standard output. Status lines ignore that error, so that the transfer completes;
/// the process still has to end like one that SIGPIPE killed.
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// True after `--quiet`.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Suppresses status lines from now on.
pub(crate) fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Prints a line about what the command does or has done, unless the user asked for quiet. Lines that the user asked
/// for, such as a list of tags, are printed by [`line`].
pub(crate) fn status(line: impl AsRef<str>) -> Result<(), Failure> {
    if IS_QUIET.load(Ordering::Relaxed) { Ok(()) } else { self::line(line) }
}

/// Prints a line.
pub(crate) fn line(line: impl AsRef<str>) -> Result<(), Failure> {
    text(format!("{}\n", line.as_ref()).as_bytes())
}

/// Prints text. Escapes control characters on a terminal.
pub(crate) fn text(text: &[u8]) -> Result<(), Failure> {
    static IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
    // Scripts must get exactly the bytes that the command prints.
    if !*IS_TERMINAL {
        return bytes(text);
    }
    bytes(terminal_text::escaped(&String::from_utf8_lossy(text)).as_bytes())
}

/// Prints content unchanged.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let written = live_rows::write_above(|| {
        // The lock keeps lines of several threads apart. The flush reports a closed pipe here instead of at exit.
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    });
    written.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // No other data depends on this flag, so relaxed ordering is sufficient.
            STDOUT_CLOSED.store(true, Ordering::Relaxed);
        }
        Failure::of_io("failed to write to standard output", &error)
    })
}

/// Returns true if the reader of standard output, such as `head`, has closed it before everything was written.
pub(crate) fn is_stdout_closed() -> bool {
    STDOUT_CLOSED.load(Ordering::Relaxed)
}

/// Prints a report as JSON, indented by two spaces.
pub(crate) fn json<T: Serialize>(report: &T) -> Result<(), Failure> {
    let mut bytes = json::to_vec_pretty(report);
    bytes.push(b'\n');
    text(&bytes)
}

/// Prints an error, a warning or a log entry on standard error. Ignores a closed standard error.
pub(crate) fn error(text: &str) {
    let text = without_error_numbers(text);
    live_rows::write_above(|| {
        // The lock keeps lines of several threads apart.
        let mut stream = io::stderr().lock();
        let text = if stream.is_terminal() { terminal_text::escaped(&text) } else { text };
        drop(stream.write_all(format!("{text}\n").as_bytes()));
    });
}
