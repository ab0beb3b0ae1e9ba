//! Reads `Content-Range` and `ETag` of partial answers (RFC 9110, "Partial Content"). The reader is written by hand
//! because it is lenient on purpose: servers differ in spaces and omit the size.

use std::ops::Range;

/// Parses a `Content-Range` into the range and the size of the whole content, if stated.
pub(crate) fn content_range(text: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (bytes, size) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = bytes.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let size = match size.trim() {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    (first <= last).then_some((first..last.checked_add(1)?, size))
}

/// Parses the size in the `Content-Range` of a 416: `bytes */10`.
pub(crate) fn unsatisfied_range_size(text: &str) -> Option<u64> {
    text.trim().strip_prefix("bytes")?.trim_start().strip_prefix("*/")?.trim().parse().ok()
}

/// Returns a strong ETag, which identifies the exact bytes.
pub(super) fn strong_etag(text: &str) -> Option<&str> {
    let text = text.trim();
    // A weak ETag (`W/"…"`) allows different bytes. The length is bounded, because it is sent with each request.
    (text.len() >= 2 && text.len() <= 256 && text.starts_with('"') && text.ends_with('"')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_content_ranges() {
        for (text, expected) in [
            ("bytes 5-9/10", Some((5..10, Some(10)))),
            ("bytes 0-0/*", Some((0..1, None))),
            ("bytes */10", None),
            ("bytes 9-5/10", None),
            ("bytes 5-9", None),
            ("bytes 0-18446744073709551615/*", None),
            ("items 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
        assert_eq!(unsatisfied_range_size("bytes */10"), Some(10));
        assert_eq!(unsatisfied_range_size("bytes 0-9/10"), None);
    }

    #[test]
    fn accepts_only_strong_etags() {
        assert_eq!(strong_etag("\"a\""), Some("\"a\""));
        for text in ["W/\"a\"", "a", "\"", ""] {
            assert_eq!(strong_etag(text), None, "{text}");
        }
    }
}
