//! Standard output and standard error: whole lines, from any thread, and no panic when the reader is gone.
use std::io::{self, Write};

use oras::spec::json;
use serde::Serialize;

use crate::error::Failure;

/// Writes lines to standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer;

impl Printer {
    pub(crate) fn new() -> Self {
        Self
    }

    /// One line.
    pub(crate) fn line(self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.bytes(format!("{}\n", text.as_ref()).as_bytes())
    }

    /// Bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(|error| Failure::new(format!("failed to write to standard output: {error}")))
    }

    /// A report, indented by two spaces.
    pub(crate) fn json<T: Serialize>(self, report: &T) -> Result<(), Failure> {
        let mut bytes = json::to_vec_pretty(report);
        bytes.push(b'\n');
        self.bytes(&bytes)
    }

    /// One line on standard error; that nobody can see it is no failure.
    pub(crate) fn error(self, text: &str) {
        drop(io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
    }
}
