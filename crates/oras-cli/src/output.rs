//! Standard output and standard error: whole lines, from any thread, and no panic when the reader is gone. On a terminal
//! no text has controls in it; in a pipe text stays as it is.
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use oras::spec::json;
use serde::Serialize;

use crate::error::Failure;
use crate::visible;

/// Set by the first write that finds standard output closed. Lines about a transfer drop that error, so that the transfer
/// ends as it should; the process still has to end as one that SIGPIPE killed.
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes lines to standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer;

impl Printer {
    pub(crate) fn new() -> Self {
        Self
    }

    /// One line.
    pub(crate) fn line(self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.text(format!("{}\n", text.as_ref()).as_bytes())
    }

    /// Text, which on a terminal can't steer it.
    pub(crate) fn text(self, text: &[u8]) -> Result<(), Failure> {
        static IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
        if !*IS_TERMINAL {
            return self.bytes(text);
        }
        self.bytes(visible::escaped(&String::from_utf8_lossy(text)).as_bytes())
    }

    /// Content as it is.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                STDOUT_CLOSED.store(true, Ordering::Relaxed);
            }
            Failure::of_io("failed to write to standard output", &error)
        })
    }

    /// Returns true if the reader of standard output, such as `head`, has closed it before everything was written.
    pub(crate) fn is_stdout_closed(self) -> bool {
        STDOUT_CLOSED.load(Ordering::Relaxed)
    }

    /// A report, indented by two spaces.
    pub(crate) fn json<T: Serialize>(self, report: &T) -> Result<(), Failure> {
        let mut bytes = json::to_vec_pretty(report);
        bytes.push(b'\n');
        self.text(&bytes)
    }

    /// One line on standard error: of an error, a warning or the log. That nobody can see it is no failure.
    pub(crate) fn error(self, text: &str) {
        let mut stream = io::stderr().lock();
        let text = without_error_numbers(text);
        let text = if stream.is_terminal() { visible::escaped(&text) } else { text };
        drop(stream.write_all(format!("{text}\n").as_bytes()));
    }
}

/// `text` without ` (os error 2)` behind the words for such an error: the number says nothing to a user.
pub(crate) fn without_error_numbers(text: &str) -> Cow<'_, str> {
    const NUMBER: &str = " (os error ";
    let mut rest = text;
    let mut words = String::new();
    while let Some((before, after)) = rest.split_once(NUMBER) {
        let digits = after.trim_start_matches(|c: char| c.is_ascii_digit());
        words.push_str(before);
        rest = match digits.strip_prefix(')') {
            Some(end) if digits.len() < after.len() => end,
            _ => {
                words.push_str(NUMBER);
                after
            }
        };
    }
    if words.is_empty() { Cow::Borrowed(rest) } else { Cow::Owned(words + rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_are_left_out() {
        for (text, words) in [
            ("a: Broken pipe (os error 32)", "a: Broken pipe"),
            ("a (os error 2): b (os error 13), c", "a: b, c"),
            ("a (os error x)", "a (os error x)"),
            ("a (os error )", "a (os error )"),
            ("a (os error 2", "a (os error 2"),
        ] {
            assert_eq!(without_error_numbers(text), words);
        }
    }
}
