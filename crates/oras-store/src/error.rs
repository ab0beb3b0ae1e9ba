//! The one error type of the stores and the engine.

use std::error::Error as StdError;
use std::fmt;

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as a source.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There is no such content, tag or repository.
    NotFound,
    /// Something with this name is in the way.
    AlreadyExists,
    /// A reference, digest, tag or option is malformed.
    InvalidInput,
    /// What was read is not what it should be: a malformed manifest, layout or response.
    InvalidContent,
    /// The bytes hash to another digest.
    DigestMismatch,
    /// Fewer or more bytes than the descriptor says.
    SizeMismatch,
    /// More than a limit allows.
    TooLarge,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The credentials don't allow it.
    Denied,
    /// The store can't do this.
    Unsupported,
    /// The file system said no.
    Io,
    /// The network failed.
    Network,
    /// Anything else.
    Other,
}

/// Which side of a copy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Reading.
    Source,
    /// Writing.
    Destination,
}

/// What failed; `Display` says it without repeating [`StdError::source`], so that a caller can print the chain.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    side: Option<Side>,
    message: String,
    source: Option<BoxError>,
    /// Whether `source` speaks for this error, which then has no text of its own.
    transparent: bool,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, side: None, message: message.into(), source: None, transparent: false }))
    }

    /// An error of `kind` that says what `source` says, and has the same source; [`Error::find`] finds `source`.
    pub fn from_source(kind: Kind, source: impl Into<BoxError>) -> Self {
        let source = Some(source.into());
        Self(Box::new(Inner { kind, side: None, message: String::new(), source, transparent: true }))
    }

    /// `what` is not there.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("{what}: not found"))
    }

    /// A failure of the file system while doing what `message` says.
    pub fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(Kind::Io, message).with_source(source)
    }

    /// The same error, caused by `source`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        if std::mem::take(&mut self.0.transparent) {
            self.0.message = self.0.source.take().map(|source| source.to_string()).unwrap_or_default();
        }
        self.0.source = Some(source.into());
        self
    }

    /// A new error of the same kind and side that says `message` and has this one as its source.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        let (kind, side) = (self.kind(), self.side());
        let source: Option<BoxError> = Some(Box::new(self));
        Self(Box::new(Inner { kind, side, message: message.into(), source, transparent: false }))
    }

    /// The same error, on `side` unless a side is known already.
    #[must_use]
    pub fn on(mut self, side: Side) -> Self {
        self.0.side.get_or_insert(side);
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The side of a copy that failed, if it was one.
    pub fn side(&self) -> Option<Side> {
        self.0.side
    }

    /// The first `T` among this error's sources.
    pub fn find<T: StdError + 'static>(&self) -> Option<&T> {
        let mut next: Option<&(dyn StdError + 'static)> = Some(self);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<T>() {
                return Some(found);
            }
            next = match error.downcast_ref::<Self>() {
                Some(error) => error.cause(),
                None => error.source(),
            };
        }
        None
    }

    /// The source as it was given, even if it speaks for this error.
    fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }

    /// The whole chain on one line, as `a: b: c`.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(source) if self.0.transparent => fmt::Display::fmt(source, f),
            _ => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.kind)?;
        if let Some(side) = self.0.side {
            write!(f, " on the {side:?} side")?;
        }
        write!(f, ": {}", self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let cause = self.cause();
        if self.0.transparent { cause.and_then(StdError::source) } else { cause }
    }
}

impl From<oras_spec::ManifestError> for Error {
    fn from(error: oras_spec::ManifestError) -> Self {
        Self::new(Kind::InvalidContent, "invalid manifest").with_source(error)
    }
}

impl From<oras_spec::ReferenceError> for Error {
    /// Says what the reference error says: there is nothing to add.
    fn from(error: oras_spec::ReferenceError) -> Self {
        Self::new(Kind::InvalidInput, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_without_repeating() {
        let error = Error::io("failed to read x", std::io::Error::other("disk on fire"))
            .context("failed to push y")
            .on(Side::Source)
            .on(Side::Destination);
        assert_eq!(error.chain(), "failed to push y: failed to read x: disk on fire");
        assert_eq!((error.kind(), error.side()), (Kind::Io, Some(Side::Source)));
        assert_eq!(error.find::<std::io::Error>().unwrap().to_string(), "disk on fire");
    }

    #[test]
    fn a_speaking_source_says_its_text_once() {
        let inner = Error::io("disk", std::io::Error::other("on fire"));
        let error = Error::from_source(Kind::Denied, inner).context("failed to push");
        assert_eq!((error.chain().as_str(), error.kind()), ("failed to push: disk: on fire", Kind::Denied));
        let error = Error::from_source(Kind::Denied, std::io::Error::other("no"));
        assert_eq!((error.to_string().as_str(), error.chain().as_str()), ("no", "no"));
        assert!(error.find::<std::io::Error>().is_some());
        let error = error.with_source(std::fmt::Error);
        assert!(error.chain().starts_with("no: "));
    }
}
