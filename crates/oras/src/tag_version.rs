//! Tags that are versions.

use semver::Version;

/// Parses a tag such as `v1.2.3`, `1.2` or `v2` as a version: `v1.2` is 1.2.0.
pub(crate) fn tag_version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    let (numbers, suffix) = text.find(['-', '+']).map_or((text, ""), |end| text.split_at(end));
    let missing = 2_usize.checked_sub(numbers.matches('.').count())?;
    Version::parse(&format!("{numbers}{}{suffix}", ".0".repeat(missing))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_versions_with_one_to_three_numbers() {
        for (tag, version) in [
            ("v1.2.3", Some("1.2.3")),
            ("1.2", Some("1.2.0")),
            ("V2", Some("2.0.0")),
            ("v1.2-rc.1", Some("1.2.0-rc.1")),
            ("1.2.3.4", None),
            ("latest", None),
            ("vv1", None),
        ] {
            assert_eq!(tag_version(tag).map(|version| version.to_string()).as_deref(), version, "{tag}");
        }
    }
}
