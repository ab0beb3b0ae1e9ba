//! What can go wrong, in Go's words.

use std::fmt;
use std::io;

/// Why a template could not be read or rendered; its `Display` is the text that Go's `text/template` gives.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// The stage that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not a template, or uses a function that this crate does not have.
    Parse,
    /// The template and the data do not fit, or a function failed. What was rendered before is written.
    Execute,
    /// The writer failed; [`std::error::Error::source`] is its error.
    Write,
}

impl Error {
    pub(crate) fn parse(message: String) -> Self {
        Self { kind: ErrorKind::Parse, message, source: None }
    }

    pub(crate) fn execute(message: String) -> Self {
        Self { kind: ErrorKind::Execute, message, source: None }
    }

    pub(crate) fn write(source: io::Error) -> Self {
        Self { kind: ErrorKind::Write, message: source.to_string(), source: Some(source) }
    }

    /// The stage that failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
