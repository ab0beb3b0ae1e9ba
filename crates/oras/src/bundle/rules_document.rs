//! The document of a rules file, in YAML or JSON. `docs/bundle-rules.schema.json` describes it.

use oras_spec::Digest;
use serde::Deserialize;

/// The rules of a bundle.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RulesDocument {
    pub(super) repositories: Vec<RepositoryRule>,
    /// Patterns of full names that are left out.
    #[serde(default)]
    pub(super) exclude: Vec<String>,
    /// Values for rules that do not have them.
    #[serde(default)]
    pub(super) defaults: RuleDefaults,
}

/// A rule for the repositories with a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RepositoryRule {
    /// A full name, or a pattern for the repositories that a registry lists.
    pub(super) name: String,
    /// Patterns of tags. A tag without `*`, `?`, `[` or `{` must exist.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// A regular expression for whole tags.
    pub(super) regex: Option<String>,
    /// A range of versions, such as `>=1.2, <2`.
    pub(super) semver: Option<String>,
    /// The number of tags to take, from the highest version on.
    pub(super) newest: Option<usize>,
    /// Patterns of tags that are left out.
    #[serde(default)]
    pub(super) exclude: Vec<String>,
    /// Manifests to take besides the tags.
    #[serde(default)]
    pub(super) digests: Vec<Digest>,
    pub(super) platforms: Option<Vec<String>>,
    pub(super) referrers: Option<ReferrersRule>,
    pub(super) cosign_tags: Option<bool>,
}

/// Values for rules that do not have them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RuleDefaults {
    pub(super) platforms: Option<Vec<String>>,
    pub(super) referrers: Option<ReferrersRule>,
    pub(super) cosign_tags: Option<bool>,
}

/// Which referrers come along: `all`, `none`, or a list of artifact types.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ReferrersRule {
    Word(ReferrersWord),
    Types(Vec<String>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReferrersWord {
    All,
    None,
}
