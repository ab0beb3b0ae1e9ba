//! The failure of a command, and its message. The texts are those of the Go tool, on which scripts depend.

use std::borrow::Cow;
use std::fmt;

use oras::files::LimitExceeded;
use oras::remote::{AddressClass, AddressRefused, RegistryBlocked, ResponseError, ServerRole, WrongScheme};
use oras::store::{Error, ErrorKind};

/// A failure, shown as `prefix message`, then usage and advice on separate lines.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) prefix: String,
    pub(crate) message: String,
    pub(crate) usage: Option<String>,
    pub(crate) advice: Option<String>,
    /// The kind of the error, if it is known, for the exit status.
    pub(crate) kind: Option<ErrorKind>,
    /// True if a signal has ended the command.
    pub(crate) is_interrupted: bool,
}

impl Failure {
    /// Creates the failure of a command that Ctrl-C has ended. `kept` says what the next run does not transfer again.
    pub(crate) fn interrupted(kept: Option<String>) -> Self {
        let advice = kept.map(|kept| format!("Hint: {kept}"));
        Self { advice, is_interrupted: true, ..Self::new("interrupt signal received") }
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
            kind: None,
            is_interrupted: false,
        }
    }

    /// Creates a failure of the file system, standard input or standard output. The message names the operation and the
    /// cause.
    pub(crate) fn of_io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(format!("{doing}: {}", io_cause(error))).of_kind(ErrorKind::Io)
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
        Ok(())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self { kind: Some(error.kind()), ..Self::new(error.chain()) };
        if error.find::<RegistryBlocked>().is_some() {
            return failure.advise(
                "If that rule is not meant for this, leave the file out by --no-registries-conf \
                 (cp: --from-no-registries-conf, --to-no-registries-conf)",
            );
        }
        match wrong_scheme_advice(&error) {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}

/// Returns the advice for a server that speaks HTTP instead of HTTPS, or HTTPS instead of HTTP.
fn wrong_scheme_advice(error: &Error) -> Option<&'static str> {
    Some(match error.find::<WrongScheme>()? {
        // The error does not store the address of the proxy as a value, so its text is searched.
        WrongScheme::SpeaksHttp(_) if error.chain().contains("through the proxy https://") => {
            "If the proxy is meant to be reached without TLS, begin its address with http://"
        }
        WrongScheme::SpeaksHttp(ServerRole::Registry) => {
            "If the registry is meant to be reached without TLS, use --plain-http (cp: --from-plain-http, \
             --to-plain-http)"
        }
        WrongScheme::SpeaksHttps(ServerRole::Registry) => {
            "Leave out --plain-http; for localhost, where it is the default, use --plain-http=false (cp: \
             --from-plain-http=false, --to-plain-http=false)"
        }
        WrongScheme::SpeaksHttp(_) | WrongScheme::SpeaksHttps(_) => {
            "The registry gave this address: ask those who run it to correct it"
        }
    })
}

/// The end of the error chain for a missing credential.
pub(crate) const MISSING_CREDENTIAL: &str = "basic credential not found";

/// The prefix of a registry's own error message.
pub(crate) const REGISTRY: &str = "Error response from registry:";

/// Converts an error of a registry into a failure: its own message after `Error response from registry:`.
pub(crate) fn of_registry(error: &Error, config: Option<&std::path::Path>) -> Failure {
    let chain = error.chain();
    if chain.ends_with(MISSING_CREDENTIAL) {
        let place = config.map(|path| format!(" at {:?}", path.display().to_string())).unwrap_or_default();
        return Failure::new(chain).of_kind(error.kind()).advise(format!(
            "Please check whether the registry credential stored in the authentication file{place} is correct"
        ));
    }
    let failure = match error.find_shown::<ResponseError>() {
        // The message of the registry needs no context.
        Some(answer) => Failure::new(answer.to_string()).prefixed(REGISTRY),
        None if error.kind() == ErrorKind::NotFound => Failure::new(chain).prefixed(REGISTRY),
        None => Failure::new(chain),
    };
    advise_by_kind(failure.of_kind(error.kind()), error)
}

/// Adds the advice for an error, if there is one: that of the Go tool, or the flag that raises a limit.
pub(crate) fn advise_by_kind(failure: Failure, error: &Error) -> Failure {
    // The flag allows no address of the class `Forbidden`.
    let refused = error.find::<AddressRefused>();
    if let Some(refused) = refused.filter(|refused| refused.class != AddressClass::Forbidden) {
        return failure.advise(format!(
            "If {} is meant to be reached, allow it by --allow-host {} (cp: --from-allow-host, --to-allow-host)",
            refused.host, refused.host
        ));
    }
    if let Some(advice) = wrong_scheme_advice(error) {
        return failure.advise(advice);
    }
    if error.chain().contains("path traversal disallowed") {
        return failure.advise(
            "Pulling files outside of working directory is insecure and blocked by default. If you trust the \
             content producer, use --allow-path-traversal to bypass this check.",
        );
    }
    let flag = match error.find::<LimitExceeded>() {
        Some(LimitExceeded::Size(_)) => "--max-unpack-size",
        Some(LimitExceeded::Ratio(_)) => "--max-unpack-ratio",
        Some(LimitExceeded::Entries(_)) => "--max-unpack-entries",
        _ => return failure,
    };
    failure.advise(format!("If you trust the content producer, use {flag} to allow more."))
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
    fn advises_to_allow_only_hosts_that_can_be_allowed() {
        for (address, class, is_advised) in [
            ([10, 0, 0, 1], AddressClass::Private, true),
            ([127, 0, 0, 1], AddressClass::Loopback, true),
            ([169, 254, 169, 254], AddressClass::Forbidden, false),
        ] {
            let (host, registry) = ("h.test".to_owned(), "r.test".to_owned());
            let refused = AddressRefused { host, registry, address: address.into(), class };
            let error = Error::from_source(ErrorKind::Denied, refused);
            let advice = advise_by_kind(Failure::new("x"), &error).advice.unwrap_or_default();
            assert_eq!(advice.contains("--allow-host h.test"), is_advised, "{class:?}");
        }
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
