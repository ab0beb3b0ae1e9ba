//! Semantic versions, read and ordered as the Go package `Masterminds/semver` does.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A semantic version: Go's `*semver.Version`. The function `semver` returns it, and templates read its parts such as
/// `Major`.
#[derive(Clone, Debug)]
pub struct Version(Arc<VersionParts>);

/// The parts of a version.
#[derive(Clone, Debug)]
pub(crate) struct VersionParts {
    /// The major, minor and patch version.
    pub(crate) numbers: [u64; 3],
    pub(crate) prerelease: String,
    pub(crate) metadata: String,
    /// The text that was parsed.
    pub(crate) original: String,
}

impl Version {
    pub(crate) fn new(parts: VersionParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Parses a version such as `1.2.3-pre+meta`.
    ///
    /// The parser is lenient on purpose, as the Go package is: it accepts a leading `v` and missing parts.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('v').unwrap_or(text);
        // Metadata may contain hyphens, so it is split off before the prerelease.
        let (rest, metadata) = split_tail(rest, '+');
        let (numbers, prerelease) = split_tail(rest, '-');
        let tails_ok = [metadata, prerelease].into_iter().flatten().all(is_dotted);
        let segments: Vec<&str> = numbers.split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !tails_ok || segments.len() > 3 || !segments.iter().all(is_number) {
            return Err("Invalid Semantic Version".to_owned());
        }
        let mut numbers = [0; 3];
        for (number, digits) in numbers.iter_mut().zip(segments) {
            let failed = "Error parsing version segment: strconv.ParseUint: parsing";
            *number = digits.parse().map_err(|_| format!("{failed} \"{digits}\": value out of range"))?;
        }
        let prerelease = prerelease.unwrap_or("");
        let leading_zero = |part: &str| {
            part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        // Semantic versions forbid leading zeros in the numbers of a prerelease (semver.org, section 9).
        if prerelease.split('.').any(leading_zero) {
            return Err("Version segment starts with 0".to_owned());
        }
        Ok(Self::new(VersionParts {
            numbers,
            prerelease: prerelease.to_owned(),
            metadata: metadata.unwrap_or("").to_owned(),
            original: text.to_owned(),
        }))
    }

    pub(crate) fn parts(&self) -> &VersionParts {
        &self.0
    }

    /// Returns true if both share one allocation: Go compares pointers.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Compares two versions by precedence, which ignores metadata (semver.org, section 11).
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let order = self.0.numbers.cmp(&other.0.numbers);
        order.then_with(|| compare_prerelease(&self.0.prerelease, &other.0.prerelease))
    }

    /// Makes a version with these numbers, without prerelease and metadata.
    pub(crate) fn next(&self, numbers: [u64; 3]) -> Self {
        let prefix = if self.0.original.starts_with('v') { "v" } else { "" };
        let [major, minor, patch] = numbers;
        let original = format!("{prefix}{major}.{minor}.{patch}");
        let (prerelease, metadata) = (String::new(), String::new());
        Self::new(VersionParts { numbers, prerelease, metadata, original })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VersionParts { numbers: [major, minor, patch], prerelease, metadata, .. } = self.parts();
        write!(f, "{major}.{minor}.{patch}")?;
        if !prerelease.is_empty() {
            write!(f, "-{prerelease}")?;
        }
        if !metadata.is_empty() {
            write!(f, "+{metadata}")?;
        }
        Ok(())
    }
}

fn split_tail(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

/// Returns true if `text` consists of identifiers of letters, digits and hyphens, separated by dots.
fn is_dotted(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(allowed))
}

/// An identifier of a prerelease. Numbers precede names (semver.org, section 11.4). As in the Go package, a number above
/// 64 bits counts as a name, although semver.org has no such limit.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Name(&'a str),
}

/// Compares two prereleases. A version without a prerelease is greater than any prerelease.
pub(crate) fn compare_prerelease(left: &str, right: &str) -> Ordering {
    fn identifiers(text: &str) -> impl Iterator<Item = Identifier<'_>> {
        text.split('.').map(|part| part.parse().map_or(Identifier::Name(part), Identifier::Number))
    }
    left.is_empty().cmp(&right.is_empty()).then_with(|| identifiers(left).cmp(identifiers(right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_by_precedence() {
        let ordered =
            ["1", "1.0.1-alpha", "1.0.1-alpha.1", "1.0.1-alpha.beta", "1.0.1-2a", "1.0.1", "v1.2", "2.0.0"];
        let versions: Vec<Version> = ordered.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert_eq!(versions[0].compare(&versions[5]), Ordering::Less);
        assert_eq!(versions[1].compare(&versions[2]), Ordering::Less);
        assert_eq!(versions[2].compare(&versions[3]), Ordering::Less);
        assert_eq!(versions[3].compare(&versions[5]), Ordering::Less);
        assert_eq!(versions[6].compare(&versions[7]), Ordering::Less);
    }

    #[test]
    fn rejects_malformed_versions() {
        for text in ["", "a", "1.2.3.4", "1..2", "1.2.3-", "1.2.3-a..b", "1.2.3+ö", "1.0.0-01", "V1"] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
    }
}
