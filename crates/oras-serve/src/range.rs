//! `Range` of downloads (RFC 9110, section 14) and `Content-Range` of uploads (distribution-spec, "Pushing a blob in
//! chunks").

use std::ops::Range;

/// What part of a blob was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it; also when the header is malformed or asks for several ranges, which a server may ignore.
    Whole,
    /// These bytes, at least one.
    Bytes(Range<u64>),
    /// Bytes that are not there, or a range that ends before it begins, which a server may reject (RFC 9110, section
    /// 14.2): a client that asks for one is better told.
    Nothing,
}

/// Reads a `Range` header for content of `size` bytes.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Part {
    let Some((first, last)) = header.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return Part::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => return Part::Nothing,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::Nothing } else { Part::Bytes(range) }
}

/// Reads the `Content-Range` of a chunk, `first-last` inclusive; `bytes ` before and `/size` behind are let pass.
pub(crate) fn chunk(header: &str) -> Option<Range<u64>> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
    let (first, last) = text.split('/').next()?.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..last.checked_add(1)?)
}

/// Digits only: `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_downloads() {
        for (header, expected) in [
            ("bytes=0-3", Part::Bytes(0..4)),
            ("bytes=3-", Part::Bytes(3..10)),
            ("bytes=-4", Part::Bytes(6..10)),
            ("bytes=-40", Part::Bytes(0..10)),
            ("bytes=8-99", Part::Bytes(8..10)),
            ("bytes=9-18446744073709551615", Part::Bytes(9..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=10-12", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=3-2", Part::Nothing),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=1-2", Part::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Part::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Part::Nothing);
    }

    #[test]
    fn ranges_of_chunks() {
        assert_eq!(chunk("0-9"), Some(0..10));
        assert_eq!(chunk("bytes 5-5/10"), Some(5..6));
        for bad in ["", "5", "5-", "-5", "6-5", "a-b", "0-18446744073709551615"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }
}
