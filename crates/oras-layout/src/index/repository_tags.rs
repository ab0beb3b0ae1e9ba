//! The tags of a layout as a registry serves them.
//!
//! A tag in a layout may be any text. Tools that save images as layouts write full references, which are not valid
//! tags in a registry. A registry serves such a name under the tag that is part of it.

use std::collections::BTreeMap;

use oras_spec::reference::{check_registry, check_repository, check_tag};
use oras_spec::{Descriptor, Digest};
use oras_store::Result;

use super::document::Index;

/// Finds entries by their names. The whole index has them, or the lookup file of a large one.
pub(crate) trait TagQuery {
    /// Returns the entry with exactly this name; the last one if there are several.
    fn entry_named(&self, name: &str) -> Result<Option<Descriptor>>;
    /// Returns the names that are full references with the tag, in the order of the index, each with its digest.
    fn full_references(&self, tag: &str) -> Result<Vec<(String, Digest)>>;

    /// Returns the manifest with the tag: from an entry with exactly this name, or else from full references.
    fn repository_tag(&self, tag: &str) -> Result<Option<Descriptor>> {
        if check_tag(tag).is_err() {
            return Ok(None);
        }
        match self.entry_named(tag)? {
            Some(node) => Ok(Some(node)),
            None => self.same_references(tag)?.first().map_or(Ok(None), |name| self.entry_named(name)),
        }
    }

    /// Returns the names to remove in order to remove the tag.
    fn names_to_remove(&self, tag: &str) -> Result<Vec<String>> {
        let mut names = self.same_references(tag)?;
        if check_tag(tag).is_ok() && self.entry_named(tag)?.is_some() {
            names.push(tag.to_owned());
        }
        Ok(names)
    }

    /// Returns the names to move in order to move the tag to another manifest.
    fn names_to_move(&self, tag: &str) -> Result<Vec<String>> {
        let names = self.same_references(tag)?;
        Ok(if names.is_empty() || self.entry_named(tag)?.is_some() { vec![tag.to_owned()] } else { names })
    }

    /// Returns the full references with the tag; none if they have different digests.
    fn same_references(&self, tag: &str) -> Result<Vec<String>> {
        let found = self.full_references(tag)?;
        let is_same = found.iter().all(|(_, digest)| Some(digest) == found.first().map(|(_, first)| first));
        let mut names: Vec<String> = Vec::new();
        for (name, _) in found.into_iter().filter(|_| is_same) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

impl TagQuery for Index {
    fn entry_named(&self, name: &str) -> Result<Option<Descriptor>> {
        Ok(self.tagged(name))
    }

    fn full_references(&self, tag: &str) -> Result<Vec<(String, Digest)>> {
        let named = self.tags_with_digests().filter(|(name, digest)| tag_in(name, digest) == Some(tag));
        Ok(named.map(|(name, digest)| (name.to_owned(), digest.clone())).collect())
    }
}

impl Index {
    /// Returns all valid tags, sorted.
    pub(crate) fn repository_tags(&self) -> Vec<String> {
        // The digest is `None` if full references with the tag have different digests.
        let mut tags = BTreeMap::<&str, Option<&Digest>>::new();
        for (name, digest) in self.tags_with_digests() {
            if let Some(tag) = tag_in(name, digest) {
                let first = tags.entry(tag).or_insert(Some(digest));
                *first = first.filter(|first| *first == digest);
            }
        }
        tags.retain(|_, digest| digest.is_some());
        let plain = self.tags_with_digests().filter(|(name, _)| check_tag(name).is_ok());
        tags.extend(plain.map(|(name, digest)| (name, Some(digest))));
        tags.into_keys().map(ToOwned::to_owned).collect()
    }

    /// Returns all valid tags with the manifests that [`repository_tag`](TagQuery::repository_tag) returns for them.
    pub(crate) fn nodes_by_repository_tag(&self) -> BTreeMap<String, Descriptor> {
        let nodes = self.nodes_by_tag();
        let full = nodes.iter().filter_map(|(name, node)| Some((tag_in(name, &node.digest)?, name)));
        // The first full reference with the tag.
        let full: BTreeMap<&str, &String> = full.rev().collect();
        let named = |tag: String| {
            let node = nodes.get(&tag).or_else(|| nodes.get(*full.get(tag.as_str())?))?.clone();
            Some((tag, node))
        };
        self.repository_tags().into_iter().filter_map(named).collect()
    }
}

/// Returns the tag in a full reference, such as `docker.io/library/tool:3.20` or `centos:8.3`. The reference may end
/// with the digest of the manifest.
pub(crate) fn tag_in<'a>(name: &'a str, digest: &Digest) -> Option<&'a str> {
    let (front, pinned) = name.split_once('@').map_or((name, None), |(front, digest)| (front, Some(digest)));
    // A name with another digest contradicts its entry, and `sha256:…` is a digest and not a repository with a tag.
    if pinned.is_some_and(|pinned| pinned != digest.to_string()) || front.parse::<Digest>().is_ok() {
        return None;
    }
    let (repository, tag) = front.rsplit_once(':')?;
    let is_repository = check_repository(repository).is_ok()
        || repository
            .split_once('/')
            .is_some_and(|(host, path)| is_host(host) && check_repository(path).is_ok());
    check_tag(tag).ok().filter(|_| is_repository)
}

/// Returns true for the host of a reference, and false for the first part of a relative path.
fn is_host(text: &str) -> bool {
    check_registry(text).is_ok() && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
}

#[cfg(test)]
mod tests {
    use oras_spec::MediaType;

    use super::*;
    use crate::index::IndexChange;

    fn descriptor(text: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, text.as_bytes())
    }

    fn index(names: &[(&str, &str)]) -> Index {
        let mut index = Index::default();
        for (name, text) in names {
            index.apply(&IndexChange::Tag(descriptor(text), (*name).to_owned()));
        }
        index
    }

    #[test]
    fn finds_tags_in_full_references() {
        let digest = descriptor("a").digest;
        let pinned = format!("docker.io/library/tool:3.20@{digest}");
        for (name, tag) in [
            ("docker.io/library/tool:3.20", Some("3.20")),
            ("centos:8.3", Some("8.3")),
            ("localhost:5000/a/b:v1", Some("v1")),
            ("localhost:5000/a/b", None),
            (&*pinned, Some("3.20")),
            ("a:v1@sha256:0000", None),
            (&*digest.to_string(), None),
            ("docker.io/library/tool", None),
            ("v1", None),
            ("a+b", None),
            ("with space", None),
            ("with space:v1", None),
            ("A/B:v1", None),
            ("a:.x", None),
            ("a:", None),
            (":v1", None),
            ("../a:v1", None),
        ] {
            assert_eq!(tag_in(name, &digest), tag, "{name}");
        }
    }

    #[test]
    fn lists_valid_tags_that_name_one_manifest() {
        let index = index(&[
            ("v1", "a"),
            ("docker.io/tool:3.20", "a"),
            ("quay.io/tool:3.20", "a"),
            ("docker.io/tool:both", "a"),
            ("quay.io/tool:both", "b"),
            ("docker.io/tool:v1", "b"),
            ("a+b", "a"),
            ("with space", "a"),
        ]);
        assert_eq!(index.repository_tags(), ["3.20", "v1"]);
        assert_eq!(index.repository_tag("3.20").unwrap().unwrap().digest, descriptor("a").digest);
        assert_eq!(index.repository_tag("v1").unwrap().unwrap().digest, descriptor("a").digest);
        for none in ["both", "a+b", "with space", "docker.io/tool:3.20", &descriptor("a").digest.to_string()]
        {
            assert!(index.repository_tag(none).unwrap().is_none(), "{none}");
        }
    }

    #[test]
    fn moves_and_removes_all_names_of_a_tag() {
        let mut index =
            index(&[("docker.io/tool:1", "a"), ("quay.io/tool:1", "a"), ("v", "a"), ("x.io/y:v", "b")]);
        for name in index.names_to_move("1").unwrap() {
            index.apply(&IndexChange::Tag(descriptor("c"), name));
        }
        assert_eq!(index.repository_tag("1").unwrap().unwrap().digest, descriptor("c").digest);
        assert_eq!(index.tags(), ["docker.io/tool:1", "quay.io/tool:1", "v", "x.io/y:v"]);
        assert_eq!(index.names_to_move("v").unwrap(), ["v"]);
        assert_eq!(index.names_to_move("new").unwrap(), ["new"]);
        for tag in ["1", "v"] {
            for name in index.names_to_remove(tag).unwrap() {
                index.apply(&IndexChange::Untag(name));
            }
            assert!(index.repository_tag(tag).unwrap().is_none(), "{tag}");
        }
        assert!(index.repository_tags().is_empty() && index.names_to_remove("1").unwrap().is_empty());
    }
}
