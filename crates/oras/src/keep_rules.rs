//! Rules that select the tags of a layout that stay.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use globset::GlobMatcher;
use oras_spec::version_order;
use oras_store::{Error, ErrorKind, Result};
use regex::Regex;
use semver::VersionReq;

use crate::tag_version::tag_version;

/// Rules for [`collect_layout_garbage`](crate::collect_layout_garbage): a tag stays if at least one rule selects it.
/// Without rules, every tag stays.
///
/// ```
/// use std::time::Duration;
///
/// use oras::KeepRules;
///
/// # fn main() -> oras::store::Result<()> {
/// let rules = KeepRules::default()
///     .glob("release-*")?
///     .regex("^v[0-9]+$")?
///     .versions(">=1.2, <3")?
///     .newest(5)
///     .younger_than(Duration::from_secs(30 * 86_400));
/// assert!(!rules.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct KeepRules {
    globs: Vec<GlobMatcher>,
    patterns: Vec<Regex>,
    versions: Vec<VersionReq>,
    newest: Option<usize>,
    younger_than: Option<Duration>,
}

/// A tag, and when its content was created, if that is known.
#[derive(Clone, Debug)]
pub(crate) struct DatedTag {
    pub(crate) tag: String,
    pub(crate) created: Option<SystemTime>,
}

impl KeepRules {
    /// Selects tags that match a glob, such as `release-*`.
    ///
    /// # Errors
    /// `InvalidInput` for a malformed glob.
    pub fn glob(mut self, glob: &str) -> Result<Self> {
        let glob = globset::Glob::new(glob).map_err(|error| invalid("glob", glob, error))?;
        self.globs.push(glob.compile_matcher());
        Ok(self)
    }

    /// Selects tags that match a regular expression anywhere, in the syntax of the crate `regex`.
    ///
    /// # Errors
    /// `InvalidInput` for a malformed expression.
    pub fn regex(mut self, pattern: &str) -> Result<Self> {
        self.patterns
            .push(Regex::new(pattern).map_err(|error| invalid("regular expression", pattern, error))?);
        Ok(self)
    }

    /// Selects tags that are versions in a range, such as `>=1.2, <3`. A tag may begin with `v`, and may have one or two
    /// numbers: `v1.4` counts as 1.4.0. A range without a pre-release selects no pre-releases.
    ///
    /// # Errors
    /// `InvalidInput` for a malformed range.
    pub fn versions(mut self, range: &str) -> Result<Self> {
        self.versions.push(range.parse().map_err(|error| invalid("version range", range, error))?);
        Ok(self)
    }

    /// Selects this number of newest tags. Tags are ordered by the time when their content was created: the annotation
    /// `org.opencontainers.image.created`, or the time in the config of an image. Tags without a time are older than
    /// all others, and are ordered by version.
    #[must_use]
    pub fn newest(mut self, count: usize) -> Self {
        self.newest = Some(count);
        self
    }

    /// Selects tags whose content was created within this time, and tags whose age is unknown.
    #[must_use]
    pub fn younger_than(mut self, age: Duration) -> Self {
        self.younger_than = Some(age);
        self
    }

    /// Returns true if there are no rules, so that every tag stays.
    pub fn is_empty(&self) -> bool {
        let Self { globs, patterns, versions, newest, younger_than } = self;
        globs.is_empty()
            && patterns.is_empty()
            && versions.is_empty()
            && newest.is_none()
            && younger_than.is_none()
    }

    /// Returns true if a rule needs to know when content was created.
    pub(crate) fn needs_times(&self) -> bool {
        self.newest.is_some() || self.younger_than.is_some()
    }

    /// Returns the tags that stay.
    pub(crate) fn select(&self, tags: &[DatedTag], now: SystemTime) -> HashSet<String> {
        let mut newest: Vec<_> = tags.iter().collect();
        newest.sort_by(|a, b| age_order(b, a));
        newest.truncate(self.newest.unwrap_or(0));
        let is_kept = |tag: &&DatedTag| self.is_empty() || self.matches(&tag.tag) || self.is_young(tag, now);
        newest.into_iter().chain(tags.iter().filter(is_kept)).map(|tag| tag.tag.clone()).collect()
    }

    fn matches(&self, tag: &str) -> bool {
        self.globs.iter().any(|glob| glob.is_match(tag))
            || self.patterns.iter().any(|pattern| pattern.is_match(tag))
            || tag_version(tag)
                .is_some_and(|version| self.versions.iter().any(|range| range.matches(&version)))
    }

    fn is_young(&self, tag: &DatedTag, now: SystemTime) -> bool {
        self.younger_than.is_some_and(|limit| {
            // A time in the future counts as young.
            tag.created.is_none_or(|created| now.duration_since(created).map_or(true, |age| age < limit))
        })
    }
}

/// Orders tags from old to new.
fn age_order(a: &DatedTag, b: &DatedTag) -> Ordering {
    a.created.cmp(&b.created).then_with(|| version_order::compare(&a.tag, &b.tag))
}

fn invalid(what: &str, text: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("invalid {what} {text:?}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rules: &KeepRules, tags: &[(&str, Option<u64>)]) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let dated = |(tag, age): &(&str, Option<u64>)| DatedTag {
            tag: (*tag).to_owned(),
            created: age.map(|age| now - Duration::from_secs(age)),
        };
        let tags: Vec<_> = tags.iter().map(dated).collect();
        let kept = rules.select(&tags, now);
        tags.into_iter().map(|tag| tag.tag).filter(|tag| kept.contains(tag)).collect()
    }

    const TAGS: [(&str, Option<u64>); 6] = [
        ("v1.9.0", Some(500)),
        ("v1.10", Some(100)),
        ("v2.0.0-rc.1", Some(50)),
        ("latest", None),
        ("nightly-2", None),
        ("nightly-10", None),
    ];

    #[test]
    fn each_rule_keeps_its_tags() {
        let rules = KeepRules::default();
        assert_eq!(kept(&rules, &TAGS).len(), 6);
        assert_eq!(kept(&rules.clone().glob("nightly-*").unwrap(), &TAGS), ["nightly-2", "nightly-10"]);
        assert_eq!(kept(&rules.clone().regex("^l|rc").unwrap(), &TAGS), ["v2.0.0-rc.1", "latest"]);
        assert_eq!(kept(&rules.clone().versions(">=1.10").unwrap(), &TAGS), ["v1.10"]);
        assert_eq!(kept(&rules.clone().versions(">=2.0.0-0").unwrap(), &TAGS), ["v2.0.0-rc.1"]);
        let young = rules.younger_than(Duration::from_secs(200));
        assert_eq!(kept(&young, &TAGS), ["v1.10", "v2.0.0-rc.1", "latest", "nightly-2", "nightly-10"]);
    }

    #[test]
    fn newest_tags_are_those_with_the_latest_time_or_version() {
        let newest = |count| kept(&KeepRules::default().newest(count), &TAGS);
        assert_eq!(newest(2), ["v1.10", "v2.0.0-rc.1"]);
        assert_eq!(newest(4), ["v1.9.0", "v1.10", "v2.0.0-rc.1", "nightly-10"]);
        assert!(newest(0).is_empty());
        assert_eq!(newest(9).len(), 6);
    }

    #[test]
    fn rules_add_up() {
        let rules = KeepRules::default().newest(1).glob("latest").unwrap();
        assert_eq!(kept(&rules, &TAGS), ["v2.0.0-rc.1", "latest"]);
    }

    #[test]
    fn rejects_malformed_rules() {
        for error in [
            KeepRules::default().glob("[").unwrap_err(),
            KeepRules::default().regex("(").unwrap_err(),
            KeepRules::default().versions("one").unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
