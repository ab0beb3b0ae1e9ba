//! The error type of the stores and the engine.

use std::error::Error as StdError;
use std::fmt;

/// The result of a store operation. Stores of your own return it, as all crates of ORAS do.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as the source of another. [`Error::with_source`] and [`Error::from_source`] accept it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The kinds of errors that a caller can act on. [`Error::kind`] returns the kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The content, tag or repository does not exist.
    NotFound,
    /// Something with this name already exists.
    AlreadyExists,
    /// A reference, digest, tag or option is malformed.
    InvalidInput,
    /// A manifest, layout or response is malformed.
    InvalidContent,
    /// The digest of the bytes is not the digest of the descriptor.
    DigestMismatch,
    /// The number of bytes differs from the size in the descriptor.
    SizeMismatch,
    /// A limit is exceeded.
    TooLarge,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The credentials do not permit the operation.
    Denied,
    /// The store does not support the operation.
    Unsupported,
    /// The file system or the operating system failed.
    Io,
    /// The network failed.
    Network,
    /// Anything else.
    Other,
}

/// The side of a copy. [`Error::side`] returns it, so that a message can name the store that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The store that content is read from.
    Source,
    /// The store that content is written to.
    Destination,
}

/// An error of a store. `Display` does not repeat [`StdError::source`], so that a caller can print the chain.
///
/// A store of your own makes errors of a kind, and keeps what caused them as the source:
///
/// ```
/// use oras_store::{BoxError, Error, ErrorKind, Side};
///
/// let cause: BoxError = "connection reset by peer".into();
/// let error = Error::new(ErrorKind::Network, "failed to read blob").with_source(cause).on(Side::Source);
/// assert_eq!(error.kind(), ErrorKind::Network);
/// assert_eq!(error.side(), Some(Side::Source));
/// assert_eq!(error.chain(), "failed to read blob: connection reset by peer");
///
/// let file = Error::io("failed to open index.json", std::io::ErrorKind::PermissionDenied.into());
/// assert!(file.find::<std::io::Error>().is_some());
/// ```
pub struct Error(Box<Inner>);

// The fields are boxed in `Error`, so that a `Result` with a small value stays small.
struct Inner {
    kind: ErrorKind,
    side: Option<Side>,
    message: String,
    source: Option<BoxError>,
    /// Found by [`Error::find`] and not shown.
    detail: Option<BoxError>,
    /// True if the text of this error is that of `source`.
    transparent: bool,
}

impl Error {
    /// Makes an error of `kind` with the text `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::with_cause(kind, message.into(), None)
    }

    /// Makes an error of `kind` with the text and the source of `source`. [`Error::find`] finds `source`.
    pub fn from_source(kind: ErrorKind, source: impl Into<BoxError>) -> Self {
        let mut error = Self::with_cause(kind, String::new(), Some(source.into()));
        error.0.transparent = true;
        error
    }

    fn with_cause(kind: ErrorKind, message: String, source: Option<BoxError>) -> Self {
        Self(Box::new(Inner { kind, side: None, message, source, detail: None, transparent: false }))
    }

    /// Makes an error that says that `what` was not found.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what}: not found"))
    }

    /// Makes an error of the file system. `message` says what failed.
    pub fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, message).with_source(source)
    }

    /// Sets the source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        // A transparent error has no message and shows that of its source. This message must be saved before
        // the source is replaced.
        if std::mem::take(&mut self.0.transparent) {
            self.0.message = self.0.source.take().map(|source| source.to_string()).unwrap_or_default();
        }
        self.0.source = Some(source.into());
        self
    }

    /// Attaches an error that [`Error::find`] finds, and that neither [`Error::chain`] nor [`StdError::source`] shows:
    /// an answer of a server, for example, whose text would only repeat the message.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<BoxError>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Wraps this error in one of the same kind and side with the text `message`.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        // The wrapper copies the kind and the side, so that a caller does not have to search the chain for them.
        let (kind, side) = (self.kind(), self.side());
        let mut wrapper = Self::with_cause(kind, message.into(), Some(Box::new(self)));
        wrapper.0.side = side;
        wrapper
    }

    /// Sets the side, unless it is already set.
    #[must_use]
    pub fn on(mut self, side: Side) -> Self {
        // The innermost call sets the most precise side, so a later call does not change it.
        self.0.side.get_or_insert(side);
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The side of the copy that failed, if known.
    pub fn side(&self) -> Option<Side> {
        self.0.side
    }

    /// Finds the first `T` in the chain of sources, including the details of its errors.
    pub fn find<T: StdError + 'static>(&self) -> Option<&T> {
        self.find_with(|error| error.0.detail.as_deref()?.downcast_ref::<T>())
    }

    /// Finds the first `T` whose text [`Error::chain`] contains: like [`Error::find`], without details.
    pub fn find_shown<T: StdError + 'static>(&self) -> Option<&T> {
        self.find_with(|_| None)
    }

    fn find_with<'a, T: StdError + 'static>(
        &'a self,
        detail: impl Fn(&'a Self) -> Option<&'a T>,
    ) -> Option<&'a T> {
        let mut next: Option<&(dyn StdError + 'static)> = Some(self);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<T>() {
                return Some(found);
            }
            next = match error.downcast_ref::<Self>() {
                Some(error) => match detail(error) {
                    // `source` of a transparent error skips the wrapped error, so the search uses `cause`.
                    None => error.cause(),
                    found => return found,
                },
                None => error.source(),
            };
        }
        None
    }

    /// The source, even if this error has its text.
    fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }

    /// The texts of the whole chain on one line: `a: b: c`.
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
        // `unwrap` and `expect` print this text, so it contains the whole chain.
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
        // `Display` already shows the text of the wrapped error, so the chain continues after it.
        if self.0.transparent { cause.and_then(StdError::source) } else { cause }
    }
}

impl From<oras_spec::ManifestError> for Error {
    fn from(error: oras_spec::ManifestError) -> Self {
        // A manifest is data from a store, so the kind is not `InvalidInput`, which is for arguments of the caller.
        Self::new(ErrorKind::InvalidContent, "invalid manifest").with_source(error)
    }
}

/// Converts errors of parsing. Their texts need no context.
macro_rules! invalid_input {
    ($($error:ty),*) => { $(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(ErrorKind::InvalidInput, error.to_string())
            }
        }
    )* };
}

invalid_input!(
    oras_spec::DigestError,
    oras_spec::MediaTypeError,
    oras_spec::PlatformError,
    oras_spec::ReferenceError
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_does_not_repeat_texts() {
        let error = Error::io("failed to read x", std::io::Error::other("disk on fire"))
            .context("failed to push y")
            .on(Side::Source)
            .on(Side::Destination);
        assert_eq!(error.chain(), "failed to push y: failed to read x: disk on fire");
        assert_eq!((error.kind(), error.side()), (ErrorKind::Io, Some(Side::Source)));
        assert_eq!(error.find::<std::io::Error>().unwrap().to_string(), "disk on fire");
    }

    #[test]
    fn detail_is_found_and_not_shown() {
        let error = Error::not_found("x").with_detail(std::io::Error::other("on fire"));
        let error = error.context("failed to pull").on(Side::Source);
        assert_eq!(error.chain(), "failed to pull: x: not found");
        assert_eq!((error.kind(), error.side()), (ErrorKind::NotFound, Some(Side::Source)));
        assert_eq!(error.find::<std::io::Error>().unwrap().to_string(), "on fire");
        assert!(error.find_shown::<std::io::Error>().is_none());
        assert!(error.source().unwrap().source().is_none());
    }

    #[test]
    fn transparent_error_prints_its_source_once() {
        let inner = Error::io("disk", std::io::Error::other("on fire"));
        let error = Error::from_source(ErrorKind::Denied, inner).context("failed to push");
        assert_eq!(
            (error.chain().as_str(), error.kind()),
            ("failed to push: disk: on fire", ErrorKind::Denied)
        );
        let error = Error::from_source(ErrorKind::Denied, std::io::Error::other("no"));
        assert_eq!((error.to_string().as_str(), error.chain().as_str()), ("no", "no"));
        assert!(error.find::<std::io::Error>().is_some());
        let error = error.with_source(std::fmt::Error);
        assert!(error.chain().starts_with("no: "));
    }
}
