//! `Range` of downloads (RFC 9110, section 14) and `Content-Range` of uploads (distribution-spec, "Pushing a blob in
//! chunks").

use std::ops::Range;

/// The range of a blob that a request selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestedRange {
    /// The whole blob; also for a malformed header or several ranges, which a server may ignore.
    Whole,
    /// A range that is not empty.
    Bytes(Range<u64>),
    /// A range after the end, or a range that ends before it begins, which a server may reject (RFC 9110, section
    /// 14.2).
    Unsatisfiable,
}

/// Parses a `Range` header for content of `size` bytes.
pub(super) fn requested(header: Option<&str>, size: u64) -> RequestedRange {
    let Some((first, last)) = header.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return RequestedRange::Whole;
    };
    // The last position is inclusive, and may be after the end (RFC 9110, section 14.1.2).
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => return RequestedRange::Unsatisfiable,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return RequestedRange::Whole,
    };
    if range.is_empty() { RequestedRange::Unsatisfiable } else { RequestedRange::Bytes(range) }
}

/// Parses the `Content-Range` of a chunk, `first-last` inclusive. The prefix `bytes ` and the suffix `/size` are
/// ignored.
pub(super) fn chunk(header: &str) -> Option<Range<u64>> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
    let (first, last) = text.split('/').next()?.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..last.checked_add(1)?)
}

/// Parses digits only: `parse` alone would accept a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_ranges_of_downloads() {
        for (header, expected) in [
            ("bytes=0-3", RequestedRange::Bytes(0..4)),
            ("bytes=3-", RequestedRange::Bytes(3..10)),
            ("bytes=-4", RequestedRange::Bytes(6..10)),
            ("bytes=-40", RequestedRange::Bytes(0..10)),
            ("bytes=8-99", RequestedRange::Bytes(8..10)),
            ("bytes=9-18446744073709551615", RequestedRange::Bytes(9..10)),
            ("bytes=10-", RequestedRange::Unsatisfiable),
            ("bytes=10-12", RequestedRange::Unsatisfiable),
            ("bytes=-0", RequestedRange::Unsatisfiable),
            ("bytes=3-2", RequestedRange::Unsatisfiable),
            ("bytes=0-1,3-4", RequestedRange::Whole),
            ("bytes=+1-2", RequestedRange::Whole),
            ("bytes=-", RequestedRange::Whole),
            ("lines=1-2", RequestedRange::Whole),
        ] {
            assert_eq!(requested(Some(header), 10), expected, "{header}");
        }
        assert_eq!(requested(None, 10), RequestedRange::Whole);
        assert_eq!(requested(Some("bytes=0-"), 0), RequestedRange::Unsatisfiable);
    }

    #[test]
    fn parses_ranges_of_chunks() {
        assert_eq!(chunk("0-9"), Some(0..10));
        assert_eq!(chunk("bytes 5-5/10"), Some(5..6));
        for bad in ["", "5", "5-", "-5", "6-5", "a-b", "0-18446744073709551615"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }
}
