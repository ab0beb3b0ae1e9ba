//! What the command says when it fails. The texts are those of the Go tool, which scripts match.

use std::fmt;

use oras::files::LimitExceeded;
use oras::remote::{AddressRefused, RegistryBlocked, ResponseError, ServerRole, WrongScheme};
use oras::store::{Error, Kind};

use crate::output;

/// A failure: `prefix message`, then usage and advice on lines of their own.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) prefix: String,
    pub(crate) message: String,
    pub(crate) usage: Option<String>,
    pub(crate) advice: Option<String>,
    /// What a script can act on, if it is known.
    pub(crate) kind: Option<Kind>,
}

impl Failure {
    /// The exit status when `ORAS_EXIT_CODES` asks for one that tells more than 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            None | Some(Kind::InvalidInput) => 2,
            Some(Kind::NotFound) => 3,
            Some(Kind::Unauthorized | Kind::Denied) => 4,
            Some(Kind::DigestMismatch | Kind::SizeMismatch | Kind::InvalidContent) => 5,
            Some(Kind::AlreadyExists) => 6,
            Some(Kind::Io) => 74,
            Some(Kind::Network) => 75,
            Some(_) => 1,
        }
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { prefix: "Error:".to_owned(), message: message.into(), usage: None, advice: None, kind: None }
    }

    /// A failure of the file system, or of standard input and output: what was done, and why it failed, in words.
    pub(crate) fn of_io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(format!("{doing}: {}", io_cause(error))).of_kind(Kind::Io)
    }

    /// The failure as one of `kind`, for the exit status.
    pub(crate) fn of_kind(mut self, kind: Kind) -> Self {
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

/// Why a system call failed, in the words of the Go tool.
fn io_cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    if error.raw_os_error().is_none() {
        return text;
    }
    let words = output::without_error_numbers(&text);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
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

/// What to do when a server speaks HTTP where HTTPS was meant, or the other way round.
fn wrong_scheme_advice(error: &Error) -> Option<&'static str> {
    Some(match error.find::<WrongScheme>()? {
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

/// What the credential error of a registry says, wherever it is in a chain.
pub(crate) const MISSING_CREDENTIAL: &str = "basic credential not found";

/// How the answer of a registry begins.
pub(crate) const REGISTRY: &str = "Error response from registry:";

/// The failure for an error of a registry: its own words after `Error response from registry:`.
pub(crate) fn of_registry(error: &Error, config: Option<&std::path::Path>) -> Failure {
    let chain = error.chain();
    if chain.ends_with(MISSING_CREDENTIAL) {
        let failure = Failure::new(chain).of_kind(error.kind());
        return match config {
            Some(path) => failure.advise(format!(
                "Please check whether the registry credential stored in the authentication file at {:?} is correct",
                path.display().to_string()
            )),
            None => failure.advise(
                "Please check whether the registry credential stored in the authentication file is correct",
            ),
        };
    }
    let failure = match error.find::<ResponseError>() {
        // What a registry answers speaks for itself.
        Some(answer) => Failure::new(answer.to_string()).prefixed(REGISTRY),
        None if error.kind() == Kind::NotFound => Failure::new(chain).prefixed(REGISTRY),
        None => Failure::new(chain),
    };
    advise_by_kind(failure.of_kind(error.kind()), error)
}

/// Adds the hint of an error that has one: that of the Go tool, or the flag that lifts a limit.
pub(crate) fn advise_by_kind(failure: Failure, error: &Error) -> Failure {
    if let Some(refused) = error.find::<AddressRefused>() {
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
    fn errors_of_the_system_are_told_in_words() {
        let missing = std::fs::read("/nonexistent/file").unwrap_err();
        let failure = Failure::of_io("failed to read x", &missing);
        assert_eq!(failure.to_string(), "Error: failed to read x: no such file or directory");
        assert_eq!(failure.exit_code(), 74);
    }
}
