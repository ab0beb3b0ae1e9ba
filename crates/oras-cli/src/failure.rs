//! The failure of a command, and its message. The texts are those of the Go tool, on which scripts depend.

use std::borrow::Cow;
use std::fmt;

use oras::remote::ResponseError;
use oras::store::{Error, ErrorKind};

use crate::hints::{self, InvalidReference, Invocation, NameSearch, Subject};

/// A failure, shown as `prefix message`, then usage, advice and hint on separate lines.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) prefix: String,
    pub(crate) message: String,
    pub(crate) usage: Option<String>,
    /// The advice of the Go tool.
    pub(crate) advice: Option<String>,
    /// The next thing to type or to check, on the line `Hint: …`.
    pub(crate) hint: Option<Box<Hint>>,
    /// The kind of the error, if it is known, for the exit status.
    pub(crate) kind: Option<ErrorKind>,
    /// True if a signal has ended the command.
    pub(crate) is_interrupted: bool,
}

/// A hint, or the information to make one.
#[derive(Debug)]
pub(crate) enum Hint {
    /// The text.
    Text(String),
    /// For a malformed reference. The text depends on the whole command line.
    Reference(InvalidReference),
    /// For a tag that was not found. The text needs a request.
    Names(NameSearch),
}

impl Failure {
    /// Creates the failure of a command that Ctrl-C has ended. `kept` says what the next run does not transfer again.
    pub(crate) fn interrupted(kept: Option<String>) -> Self {
        let hint = kept.map(|kept| Box::new(Hint::Text(kept)));
        Self { hint, is_interrupted: true, ..Self::new("interrupt signal received") }
    }

    /// Returns the exit status: that of a shell for the signal, or 1, or with `by_kind` one for the kind of failure
    /// (`ORAS_EXIT_CODES`).
    pub(crate) fn exit_code(&self, by_kind: bool) -> u8 {
        match self.kind {
            _ if self.is_interrupted => 130,
            _ if !by_kind => 1,
            None | Some(ErrorKind::InvalidInput) => 2,
            Some(ErrorKind::NotFound) => 3,
            Some(ErrorKind::Unauthorized | ErrorKind::Denied) => 4,
            Some(ErrorKind::DigestMismatch | ErrorKind::SizeMismatch | ErrorKind::InvalidContent) => 5,
            Some(ErrorKind::AlreadyExists) => 6,
            // These are `EX_IOERR` and `EX_TEMPFAIL` of `sysexits.h`: a retry may succeed after a network error.
            Some(ErrorKind::Io) => 74,
            Some(ErrorKind::Network) => 75,
            Some(_) => 1,
        }
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            prefix: "Error:".to_owned(),
            message: message.into(),
            usage: None,
            advice: None,
            hint: None,
            kind: None,
            is_interrupted: false,
        }
    }

    /// Creates a failure of the file system, standard input or standard output. The message names the operation and the
    /// cause.
    pub(crate) fn of_io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(format!("{doing}: {}", io_cause(error))).of_kind(ErrorKind::Io).hint(hints::for_io(error))
    }

    /// Sets the kind, for the exit status.
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = Some(kind);
        self
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Sets the hint, if there is one.
    pub(crate) fn hint(mut self, hint: Option<impl Into<String>>) -> Self {
        if let Some(text) = hint {
            self.hint = Some(Box::new(Hint::Text(text.into())));
        }
        self
    }

    /// Makes the hint for a malformed reference.
    pub(crate) fn hint_for_reference(mut self, reference: InvalidReference) -> Self {
        self.hint = Some(Box::new(Hint::Reference(reference)));
        self
    }

    /// Makes the hint by a search for similar names, if there is one.
    pub(crate) fn hint_by_search(mut self, search: Option<NameSearch>) -> Self {
        if let Some(search) = search {
            self.hint = Some(Box::new(Hint::Names(search)));
        }
        self
    }

    /// Makes the text of the hint. Sends a request if the hint needs one.
    pub(crate) async fn complete_hint(mut self, invocation: &Invocation) -> Self {
        let text = match self.hint.take().map(|hint| *hint) {
            Some(Hint::Text(text)) => Some(text),
            Some(Hint::Reference(reference)) => reference.hint(invocation),
            Some(Hint::Names(search)) => search.hint(invocation).await,
            None => None,
        };
        self.hint(text)
    }

    pub(crate) fn usage(mut self, usage: impl Into<String>) -> Self {
        self.usage = Some(usage.into());
        self
    }

    pub(crate) fn prefixed(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }
}

/// Returns why a system call failed, in the words of the Go tool.
fn io_cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    if error.raw_os_error().is_none() {
        return text;
    }
    // Go writes the messages of system errors in lower case.
    let words = without_error_numbers(&text);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Removes texts such as ` (os error 2)`: the number does not help a user.
pub(crate) fn without_error_numbers(text: &str) -> Cow<'_, str> {
    const NUMBER: &str = " (os error ";
    let mut pieces = text.split(NUMBER);
    let mut words = Cow::Borrowed(pieces.next().unwrap_or_default());
    for piece in pieces {
        // Text of a registry may contain a similar phrase, so only a number in parentheses is removed.
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        words += match piece.split_once(')') {
            Some((digits, rest)) if is_number(digits) => Cow::Borrowed(rest),
            _ => Cow::Owned(format!("{NUMBER}{piece}")),
        };
    }
    words
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.prefix, self.message)?;
        if let Some(usage) = &self.usage {
            write!(f, "\nUsage: {usage}")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n{advice}")?;
        }
        if let Some(Hint::Text(hint)) = self.hint.as_deref() {
            // A name in the hint may contain line breaks, and a hint is one line.
            write!(f, "\nHint: {}", hint.replace(['\n', '\r'], " "))?;
        }
        Ok(())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::about(&error, &Subject::default())
    }
}

impl Failure {
    /// Converts an error about `subject`.
    pub(crate) fn about(error: &Error, subject: &Subject) -> Self {
        Self::new(error.chain()).of_kind(error.kind()).hint(hints::for_error(error, subject))
    }
}

/// The end of the error chain for a missing credential.
pub(crate) const MISSING_CREDENTIAL: &str = "basic credential not found";

/// The prefix of a registry's own error message.
pub(crate) const REGISTRY: &str = "Error response from registry:";

/// Converts an error of a registry into a failure: its own message after `Error response from registry:`.
pub(crate) fn of_registry(error: &Error, config: Option<&std::path::Path>, subject: &Subject) -> Failure {
    let chain = error.chain();
    let hint = hints::for_error(error, subject);
    if chain.ends_with(MISSING_CREDENTIAL) {
        let place = config.map(|path| format!(" at {:?}", path.display().to_string())).unwrap_or_default();
        let advice = format!(
            "Please check whether the registry credential stored in the authentication file{place} is correct"
        );
        return Failure::new(chain).of_kind(error.kind()).advise(advice).hint(hint);
    }
    let failure = match error.find_shown::<ResponseError>() {
        // The message of the registry needs no context.
        Some(answer) => Failure::new(answer.to_string()).prefixed(REGISTRY),
        None if error.kind() == ErrorKind::NotFound => Failure::new(chain).prefixed(REGISTRY),
        None => Failure::new(chain),
    };
    advise_by_kind(failure.of_kind(error.kind()).hint(hint), error)
}

/// Adds the advice of the Go tool for an error, if there is one.
pub(crate) fn advise_by_kind(failure: Failure, error: &Error) -> Failure {
    if error.chain().contains("path traversal disallowed") {
        return failure.advise(
            "Pulling files outside of working directory is insecure and blocked by default. If you trust the \
             content producer, use --allow-path-traversal to bypass this check.",
        );
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_system_errors_without_numbers() {
        let missing = std::fs::read("/nonexistent/file").unwrap_err();
        let failure = Failure::of_io("failed to read x", &missing);
        assert_eq!(failure.to_string(), "Error: failed to read x: no such file or directory");
        assert_eq!(failure.exit_code(true), 74);
    }

    #[test]
    fn hint_is_one_line_after_the_advice() {
        let failure = Failure::new("x").advise("y").hint(Some("a\nb"));
        assert_eq!(failure.to_string(), "Error: x\ny\nHint: a b");
    }

    #[test]
    fn removes_error_numbers() {
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
