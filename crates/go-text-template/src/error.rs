//! Errors of parsing and rendering.

use std::io;

/// An error of parsing or rendering. Its `Display` is the message of Go's `text/template`.
///
/// ```
/// use go_text_template::{Error, ErrorKind, Template};
///
/// let error: Error = Template::parse("output", "{{.size").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Parse);
/// assert_eq!(error.to_string(), "template: output:1: unclosed action");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// The stage that failed. A program distinguishes a faulty template from output that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not a template, or it uses a function that is unknown or unsupported.
    Parse,
    /// An action or a function failed with this data. The output of the preceding actions is already written.
    Execute,
    /// The writer failed. [`std::error::Error::source`] is the error of the writer.
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

    /// Returns the stage that failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
