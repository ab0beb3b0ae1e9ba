//! Go strings.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// An immutable string of bytes that are usually UTF-8. Clones share the bytes.
///
/// Go's strings may contain any bytes. For example, `b64dec` returns binary data, and `trunc` can split a character.
///
/// ```
/// use go_text_template::Text;
///
/// let text = Text::from("a\u{e9}");
/// assert_eq!(text.as_bytes(), b"a\xc3\xa9");
/// assert_eq!(Text::from(&text[..2]).to_string_lossy(), "a\u{fffd}");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text, with U+FFFD in place of bytes that are not UTF-8.
    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string_lossy(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

impl<T: AsRef<[u8]>> From<T> for Text {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().into())
    }
}
