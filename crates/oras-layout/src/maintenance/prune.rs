//! Pruning: finds what is deleted together with a node, namely its referrers and what no other node needs.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use oras_spec::Digest;
use oras_store::Result;

use crate::disk::blobs;
use crate::graph::walk;
use crate::index::Index;

/// The dependencies between the nodes of a layout.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// The children of each manifest, without its subject.
    children: HashMap<Digest, Vec<Digest>>,
    /// The manifests that list each node.
    listed_by: HashMap<Digest, HashSet<Digest>>,
    /// The manifests that have each node as their subject.
    referrers: HashMap<Digest, HashSet<Digest>>,
    tagged: HashSet<Digest>,
    /// Manifests that exist but cannot be read. Their children are unknown.
    unreadable: HashSet<Digest>,
}

impl Needs {
    /// Reads every manifest that the index reaches.
    pub(crate) fn read(root: &Path, index: &Index) -> Result<Self> {
        let mut needs = Self { tagged: index.tagged_digests(), ..Self::default() };
        walk(
            |_| true,
            &blobs::reader(root),
            index.descriptors().map(|node| (None, node)),
            |node, _, manifest| {
                let Some(manifest) = manifest else {
                    // If the check fails, the manifest may exist.
                    let may_exist = blobs::path(root, &node.digest).try_exists().unwrap_or(true);
                    needs.unreadable.extend(may_exist.then(|| node.digest.clone()));
                    return;
                };
                let subject = manifest.subject().map(|subject| subject.digest.clone());
                if let Some(subject) = &subject {
                    needs.referrers.entry(subject.clone()).or_default().insert(node.digest.clone());
                }
                // The subject is the first child.
                for child in manifest.children().into_iter().skip(usize::from(subject.is_some())) {
                    needs.listed_by.entry(child.digest.clone()).or_default().insert(node.digest.clone());
                    needs.children.entry(node.digest.clone()).or_default().push(child.digest);
                }
            },
        )?;
        Ok(needs)
    }

    /// Returns everything that is deleted with `target`: the node itself, its referrers and their referrers, and
    /// then, level by level, what they list and no remaining node needs.
    ///
    /// A node is needed if it has a tag, if a remaining manifest lists it, or if a remaining manifest refers to it.
    /// Every node is needed while a remaining manifest cannot be read. The subject of a deleted manifest stays.
    pub(crate) fn pruned_with(&self, target: &Digest) -> HashSet<Digest> {
        let mut pruned = HashSet::new();
        let mut next = vec![target.clone()];
        while let Some(node) = next.pop() {
            if !pruned.insert(node.clone()) {
                continue;
            }
            let referrers = self.referrers.get(&node).into_iter().flatten();
            next.extend(referrers.filter(|referrer| !self.is_listed(referrer, &pruned)).cloned());
            let children = self.children.get(&node).into_iter().flatten();
            next.extend(children.filter(|child| !self.is_needed(child, &pruned)).cloned());
        }
        pruned
    }

    /// Returns true if a remaining manifest lists the node.
    fn is_listed(&self, node: &Digest, pruned: &HashSet<Digest>) -> bool {
        self.listed_by.get(node).is_some_and(|parents| parents.iter().any(|parent| !pruned.contains(parent)))
    }

    fn is_needed(&self, node: &Digest, pruned: &HashSet<Digest>) -> bool {
        let mut referrers = self.referrers.get(node).into_iter().flatten();
        self.unreadable.iter().any(|manifest| !pruned.contains(manifest))
            || self.tagged.contains(node)
            || self.is_listed(node, pruned)
            || referrers.any(|referrer| !pruned.contains(referrer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::sha256(name.as_bytes())
    }

    fn needs(lists: &[(&str, &[&str])], subjects: &[(&str, &str)], tagged: &[&str]) -> Needs {
        let mut needs =
            Needs { tagged: tagged.iter().map(|name| digest(name)).collect(), ..Needs::default() };
        for (parent, children) in lists {
            for child in *children {
                needs.listed_by.entry(digest(child)).or_default().insert(digest(parent));
                needs.children.entry(digest(parent)).or_default().push(digest(child));
            }
        }
        for (referrer, subject) in subjects {
            needs.referrers.entry(digest(subject)).or_default().insert(digest(referrer));
        }
        needs
    }

    fn pruned(needs: &Needs, target: &str) -> Vec<&'static str> {
        const NAMES: [&str; 10] = ["i", "j", "a", "b", "config", "x", "y", "sig", "sigsig", "s"];
        let pruned = needs.pruned_with(&digest(target));
        let found: Vec<_> = NAMES.into_iter().filter(|name| pruned.contains(&digest(name))).collect();
        assert_eq!(found.len(), pruned.len());
        found
    }

    #[test]
    fn keeps_shared_blobs_and_tagged_children() {
        let lists: &[(&str, &[&str])] =
            &[("i", &["a", "b"]), ("a", &["config", "x"]), ("b", &["config", "y"])];
        assert_eq!(pruned(&needs(lists, &[], &["i"]), "i"), ["i", "a", "b", "config", "x", "y"]);
        assert_eq!(pruned(&needs(lists, &[], &["i", "b"]), "i"), ["i", "a", "x"]);
        assert_eq!(pruned(&needs(lists, &[], &["i"]), "a"), ["a", "x"]);
        let unreadable = HashSet::from([digest("j")]);
        assert_eq!(pruned(&Needs { unreadable, ..needs(lists, &[], &["i"]) }, "i"), ["i"]);
    }

    #[test]
    fn prunes_referrers_with_their_subject_but_not_subjects() {
        let lists: &[(&str, &[&str])] =
            &[("a", &["x"]), ("sig", &["s", "config"]), ("sigsig", &["config"]), ("i", &["a"])];
        let subjects = &[("sig", "a"), ("sigsig", "sig")];
        assert_eq!(pruned(&needs(lists, subjects, &["i"]), "a"), ["a", "config", "x", "sig", "sigsig", "s"]);
        assert_eq!(pruned(&needs(lists, subjects, &[]), "sig"), ["config", "sig", "sigsig", "s"]);
        // As in the Go tool, a referrer of a child keeps the child when the index is deleted.
        assert_eq!(pruned(&needs(lists, subjects, &["i"]), "i"), ["i"]);
    }

    #[test]
    fn keeps_a_referrer_that_another_index_lists() {
        let lists: &[(&str, &[&str])] = &[("j", &["sig"]), ("sig", &["s"])];
        assert_eq!(pruned(&needs(lists, &[("sig", "a")], &["j", "a"]), "a"), ["a"]);
        assert_eq!(pruned(&needs(lists, &[("sig", "j")], &["j"]), "j"), ["j", "sig", "s"]);
    }
}
