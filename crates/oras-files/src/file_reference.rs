//! `path[:media type]`, the form of a file argument on the command line.

use oras_store::{Error, ErrorKind, Result};

/// A path with an optional media type. A program parses the file arguments of its command line with it.
///
/// ```
/// use oras_files::FileReference;
///
/// # fn main() -> oras_files::store::Result<()> {
/// let file = FileReference::parse("hi.txt:text/plain")?;
/// assert_eq!(file.path, "hi.txt");
/// assert_eq!(file.media_type.as_deref(), Some("text/plain"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReference {
    /// The path, as typed.
    pub path: String,
    /// The text after the last colon, if it is not empty.
    pub media_type: Option<String>,
}

impl FileReference {
    /// Parses a file argument, which is split at the last `:`; `hi:txt:` is the file `hi:txt` without a type.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty path.
    pub fn parse(text: &str) -> Result<Self> {
        let (path, media_type) = text.rsplit_once(':').unwrap_or((text, ""));
        if path.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("found empty file path in {text:?}")));
        }
        let media_type = Some(media_type.to_owned()).filter(|text| !text.is_empty());
        Ok(Self { path: path.to_owned(), media_type })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_last_colon() {
        for (text, path, media_type) in [
            ("hi.txt", "hi.txt", None),
            ("hi.txt:text/plain", "hi.txt", Some("text/plain")),
            ("hi:txt:", "hi:txt", None),
            ("hi:txt:a/b", "hi:txt", Some("a/b")),
        ] {
            let parsed = FileReference::parse(text).unwrap();
            assert_eq!((parsed.path.as_str(), parsed.media_type.as_deref()), (path, media_type), "{text}");
        }
        let error = FileReference::parse(":application/x").unwrap_err();
        assert_eq!(error.to_string(), "found empty file path in \":application/x\"");
    }
}
