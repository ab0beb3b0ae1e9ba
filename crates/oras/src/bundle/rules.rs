//! Rules that say what a bundle contains.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use globset::GlobSet;
use oras_remote::{Client, Mirrored, Registry, Repository};
use oras_spec::{MediaType, Platform, Reference};
use oras_store::{Error, ErrorKind, Result};

use super::rules_document::{ReferrersRule, ReferrersWord, RepositoryRule, RulesDocument};
use super::source::{BundleSource, ReferrerSelection};
use super::tag_selection::{TagSelection, invalid, is_pattern, patterns};

/// The rules of a file: which repositories, tags, platforms and referrers a bundle contains.
///
/// The file is YAML or JSON. [The JSON schema] describes it.
///
/// [The JSON schema]: https://github.com/oras-project/oras-rust/blob/main/docs/bundle-rules.schema.json
///
/// ```
/// use oras::bundle::Rules;
///
/// # fn main() -> oras::store::Result<()> {
/// let rules = Rules::parse(
///     "repositories:
///        - name: ghcr.io/me/*
///          semver: '>=1.2, <2'
///          newest: 3
///        - name: quay.io/other/tool
///          tags: [stable]
///          platforms: [linux/amd64]
///          referrers: [application/spdx+json]",
/// )?;
/// assert_eq!(rules.registries(), ["ghcr.io", "quay.io"]);
/// # Ok(()) }
/// ```
///
/// Errors name the rule that selects nothing:
///
/// ```
/// use oras::bundle::{BundleSource, NothingSelected, Rules};
/// use oras::remote::Client;
/// use oras::store::Result;
///
/// async fn sources(rules: &Rules, client: &Client) -> Result<Vec<BundleSource>> {
///     let sources = rules.sources(client).await;
///     sources.inspect_err(|error| {
///         if let Some(NothingSelected { name, .. }) = error.find() {
///             println!("is {name} spelled correctly?");
///         }
///     })
/// }
/// ```
#[derive(Debug)]
pub struct Rules {
    rules: Vec<CompiledRule>,
    exclude: GlobSet,
}

/// A rule with its patterns compiled.
#[derive(Debug)]
struct CompiledRule {
    name: String,
    /// The pattern of the name; `None` for the name of a single repository.
    pattern: Option<GlobSet>,
    tags: TagSelection,
    digests: Vec<String>,
    platforms: Vec<Platform>,
    referrers: ReferrerSelection,
    cosign_tags: bool,
}

/// A rule selects nothing. It is in the chain of an error of the kind [`ErrorKind::NotFound`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule for {name} selects no {what}")]
#[non_exhaustive]
pub struct NothingSelected {
    /// The name in the rule.
    pub name: String,
    /// `repository` or `tag`.
    pub what: &'static str,
}

impl Rules {
    /// Parses rules in YAML or JSON.
    ///
    /// # Errors
    /// `InvalidInput` for a malformed document, name, pattern, range or platform.
    pub fn parse(text: &str) -> Result<Self> {
        let document: RulesDocument =
            serde_saphyr::from_str(text).map_err(|error| invalid(format!("malformed rules: {error}")))?;
        let compile = |rule: &RepositoryRule| {
            let compiled = CompiledRule::new(rule, &document);
            compiled.map_err(|error| error.context(format!("invalid rule for {}", rule.name)))
        };
        let rules = document.repositories.iter().map(compile).collect::<Result<_>>()?;
        Ok(Self { rules, exclude: patterns(&document.exclude)? })
    }

    /// Returns the registries of all rules, sorted.
    pub fn registries(&self) -> Vec<String> {
        let hosts: BTreeSet<_> = self.rules.iter().map(|rule| rule.host().to_owned()).collect();
        hosts.into_iter().collect()
    }

    /// Finds the repositories and tags that the rules select. The first rule that matches a repository is used for it.
    ///
    /// # Errors
    /// The errors of the registries; [`NothingSelected`] for a rule that selects nothing.
    pub async fn sources(&self, client: &Client) -> Result<Vec<BundleSource>> {
        let mut sources: BTreeMap<String, BundleSource> = BTreeMap::new();
        for rule in &self.rules {
            let names = match &rule.pattern {
                None => vec![rule.name.clone()],
                Some(pattern) => self.list_repositories(client, rule, pattern).await?,
            };
            for name in names {
                if let Entry::Vacant(entry) = sources.entry(name) {
                    let source = rule.source(client, entry.key()).await?;
                    entry.insert(source);
                }
            }
        }
        Ok(sources.into_values().collect())
    }

    async fn list_repositories(
        &self,
        client: &Client,
        rule: &CompiledRule,
        pattern: &GlobSet,
    ) -> Result<Vec<String>> {
        let host = rule.host();
        let mut listed = Registry::new(client, host)?.repositories(None);
        let mut names = Vec::new();
        while let Some(repository) = listed.try_next().await? {
            let name = format!("{host}/{repository}");
            if pattern.is_match(&name) && !self.exclude.is_match(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(nothing_selected(&rule.name, "repository"));
        }
        Ok(names)
    }
}

fn nothing_selected(name: &str, what: &'static str) -> Error {
    Error::from_source(ErrorKind::NotFound, NothingSelected { name: name.to_owned(), what })
}

impl CompiledRule {
    fn new(rule: &RepositoryRule, document: &RulesDocument) -> Result<Self> {
        let defaults = &document.defaults;
        let platforms = rule.platforms.as_ref().or(defaults.platforms.as_ref());
        let platforms = platforms.into_iter().flatten().map(|text| Ok(text.parse()?));
        let referrers = match rule.referrers.as_ref().or(defaults.referrers.as_ref()) {
            None | Some(ReferrersRule::Word(ReferrersWord::All)) => ReferrerSelection::All,
            Some(ReferrersRule::Word(ReferrersWord::None)) => ReferrerSelection::None,
            Some(ReferrersRule::Types(types)) => {
                ReferrerSelection::Types(types.iter().map(|text| MediaType::new(text.clone())).collect())
            }
        };
        let is_pattern = is_pattern(&rule.name);
        if is_pattern {
            let (host, _) = rule.name.split_once('/').unwrap_or_default();
            oras_spec::reference::check_registry(host)?;
        } else {
            reference(&rule.name)?;
        }
        Ok(Self {
            name: rule.name.clone(),
            pattern: is_pattern.then(|| patterns(std::slice::from_ref(&rule.name))).transpose()?,
            tags: TagSelection::new(rule)?,
            digests: rule.digests.iter().map(ToString::to_string).collect(),
            platforms: platforms.collect::<Result<_>>()?,
            referrers,
            cosign_tags: rule.cosign_tags.or(defaults.cosign_tags).unwrap_or(true),
        })
    }

    fn host(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Selects the tags of the repository `name`.
    async fn source(&self, client: &Client, name: &str) -> Result<BundleSource> {
        let store = Mirrored::reader(&Repository::new(client, &reference(name)?)?)?;
        let listed = match self.tags.needs_list() {
            true => store.tags_after(None).try_collect().await,
            false => Ok(Vec::new()),
        };
        let listed = listed.map_err(|error| error.context(format!("failed to list the tags of {name}")))?;
        let mut references = self.tags.select(listed);
        references.extend(self.digests.iter().cloned());
        // An empty list would stand for all tags.
        if references.is_empty() {
            return Err(nothing_selected(name, "tag"));
        }
        Ok(BundleSource::new(name, store)
            .references(references)
            .platforms(self.platforms.clone())
            .referrers(self.referrers.clone())
            .cosign_tags(self.cosign_tags))
    }
}

/// Parses the full name of a repository.
fn reference(name: &str) -> Result<Reference> {
    let reference: Reference = name.parse()?;
    match reference.target() {
        None => Ok(reference),
        Some(target) => Err(invalid(format!("a rule has the tag {target} in its name: give it in `tags`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_yaml_and_json_and_rejects_mistakes() {
        assert_eq!(
            Rules::parse(r#"{"repositories":[{"name":"h:1/a","newest":2}]}"#).unwrap().registries(),
            ["h:1"]
        );
        for (text, expected) in [
            ("repositories:\n- name: h/a\n  tag: [v1]", "malformed rules: "),
            ("repositories:\n- name: h/a:v1", "invalid rule for h/a:v1: a rule has the tag v1"),
            ("repositories:\n- name: '*/a'", "invalid rule for */a: "),
            ("repositories:\n- name: h/a\n  platforms: ['']", "invalid rule for h/a: "),
            ("exclude: []", "malformed rules: "),
        ] {
            let error = Rules::parse(text).unwrap_err().chain();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let rules =
            Rules::parse("defaults: {referrers: none, cosignTags: false}\nrepositories: [{name: h/a}]")
                .unwrap();
        assert_eq!(
            (&rules.rules[0].referrers, rules.rules[0].cosign_tags),
            (&ReferrerSelection::None, false)
        );
    }
}
