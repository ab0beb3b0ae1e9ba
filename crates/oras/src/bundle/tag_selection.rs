//! Selects tags by patterns, a regular expression, a range of versions and their number.

use std::cmp::Ordering;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use oras_spec::version_order;
use oras_store::{Error, ErrorKind, Result};
use regex::Regex;
use semver::VersionReq;

use super::rules_document::RepositoryRule;
use crate::tag_version::tag_version;

/// The characters of which at least one is in a pattern.
const PATTERN_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

/// Returns true if the text is a pattern and not a name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(PATTERN_CHARACTERS)
}

/// Compiles patterns, in which `*` does not match `/`.
pub(super) fn patterns(texts: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for text in texts {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        set.add(glob.map_err(|error| invalid(format!("invalid pattern {text:?}: {}", error.kind())))?);
    }
    set.build().map_err(|error| invalid(error.to_string()))
}

/// The tags that a rule takes.
#[derive(Debug)]
pub(super) struct TagSelection {
    patterns: Option<GlobSet>,
    /// Tags that must exist.
    names: Vec<String>,
    regex: Option<Regex>,
    versions: Option<VersionReq>,
    exclude: GlobSet,
    newest: Option<usize>,
}

impl TagSelection {
    /// # Errors
    /// `InvalidInput` for a malformed pattern, expression or range.
    pub(super) fn new(rule: &RepositoryRule) -> Result<Self> {
        let (globs, names): (Vec<_>, Vec<_>) = rule.tags.iter().cloned().partition(|tag| is_pattern(tag));
        let regex = rule.regex.as_ref().map(|text| {
            // The expression is for the whole tag, as a part of a tag is rarely meant.
            let whole = Regex::new(&format!("^(?:{text})$"));
            whole.map_err(|error| invalid(format!("invalid regular expression {text:?}: {error}")))
        });
        let versions = rule.semver.as_ref().map(|text| {
            VersionReq::parse(text)
                .map_err(|error| invalid(format!("invalid range of versions {text:?}: {error}")))
        });
        let has_filter = rule.regex.is_some() || rule.semver.is_some() || rule.newest.is_some();
        let takes_listed = !globs.is_empty() || (names.is_empty() && (has_filter || rule.digests.is_empty()));
        Ok(Self {
            patterns: match takes_listed {
                true if globs.is_empty() => Some(patterns(&["*".to_owned()])?),
                true => Some(patterns(&globs)?),
                false => None,
            },
            names,
            regex: regex.transpose()?,
            versions: versions.transpose()?,
            exclude: patterns(&rule.exclude)?,
            newest: rule.newest,
        })
    }

    /// Returns true if the tags of the repository must be listed.
    pub(super) fn needs_list(&self) -> bool {
        self.patterns.is_some()
    }

    /// Returns the tags to take of those that a repository lists, and the tags that must exist.
    pub(super) fn select(&self, listed: Vec<String>) -> Vec<String> {
        let mut selected: Vec<_> = listed.into_iter().filter(|tag| self.takes(tag)).collect();
        if let Some(newest) = self.newest {
            selected.sort_by(|a, b| compare(b, a));
            selected.truncate(newest);
        }
        selected.extend(self.names.iter().cloned());
        selected.sort();
        selected.dedup();
        selected
    }

    fn takes(&self, tag: &str) -> bool {
        let has_version =
            |versions: &VersionReq| tag_version(tag).is_some_and(|version| versions.matches(&version));
        self.patterns.as_ref().is_some_and(|patterns| patterns.is_match(tag))
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(tag))
            && self.versions.as_ref().is_none_or(has_version)
            && !self.exclude.is_match(tag)
    }
}

/// Compares tags by version. Tags that are no versions come before all versions.
fn compare(a: &str, b: &str) -> Ordering {
    tag_version(a).cmp(&tag_version(b)).then_with(|| version_order::compare(a, b))
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(rule: &str) -> String {
        let rule: RepositoryRule = serde_saphyr::from_str(&format!("name: h/r\n{rule}")).unwrap();
        let tags =
            ["latest", "nightly", "sha256-ab.sig", "v1.2", "v1.10.0", "v1.10.1-rc.1", "v2.0.0", "1.9.3"];
        let selection = TagSelection::new(&rule).unwrap();
        selection.select(tags.map(str::to_owned).to_vec()).join(" ")
    }

    #[test]
    fn combines_all_filters() {
        for (rule, expected) in [
            ("tags: ['v1.*']", "v1.10.0 v1.10.1-rc.1 v1.2"),
            ("tags: ['v1.*', '[ln]*']\nexclude: ['*-rc*', n*]", "latest v1.10.0 v1.2"),
            ("tags: [v2.0.0, absent]", "absent v2.0.0"),
            ("regex: 'v\\d+\\.\\d+'", "v1.2"),
            ("semver: '>=1.2, <2'", "1.9.3 v1.10.0 v1.2"),
            ("semver: '>=1.2, <2'\nnewest: 2", "1.9.3 v1.10.0"),
            ("semver: '*'\nnewest: 1", "v2.0.0"),
            ("tags: ['v*']\nnewest: 1", "v2.0.0"),
            ("tags: ['v1*', latest]\nnewest: 1", "latest v1.10.1-rc.1"),
            ("digests: ['sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a']", ""),
        ] {
            assert_eq!(select(rule), expected, "{rule}");
        }
        assert_eq!(select("cosignTags: true").split(' ').count(), 8);
    }

    #[test]
    fn rejects_malformed_filters() {
        for (rule, expected) in [
            ("tags: ['a[']", "invalid pattern \"a[\""),
            ("regex: '('", "invalid regular expression \"(\""),
            ("semver: one", "invalid range of versions \"one\""),
        ] {
            let rule: RepositoryRule = serde_saphyr::from_str(&format!("name: h/r\n{rule}")).unwrap();
            let error = TagSelection::new(&rule).unwrap_err();
            assert!(error.chain().starts_with(expected), "{}", error.chain());
        }
    }
}
