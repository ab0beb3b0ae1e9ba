//! What goes when a node is deleted: its referrers, and what nothing else in the layout needs.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use oras_spec::Digest;
use oras_store::Result;

use crate::blobs;
use crate::graph::Graph;
use crate::index::Index;

/// Who needs whom in a layout.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// What a manifest lists, without its subject.
    children: HashMap<Digest, Vec<Digest>>,
    /// The manifests that list a node.
    listed_by: HashMap<Digest, HashSet<Digest>>,
    /// The manifests whose subject a node is.
    referrers: HashMap<Digest, HashSet<Digest>>,
    tagged: HashSet<Digest>,
    /// Manifests that are there and can't be read: nobody knows what they need.
    unread: HashSet<Digest>,
}

impl Needs {
    /// Reads every manifest that the index reaches.
    pub(crate) fn read(root: &Path, index: &Index) -> Result<Self> {
        let mut needs = Self { tagged: index.tagged_digests(), ..Self::default() };
        Graph::walk(&blobs::reader(root), index, |node, _, manifest| {
            let Some(manifest) = manifest else {
                // What can't be looked for may be there.
                let there = blobs::path(root, &node.digest).try_exists().unwrap_or(true);
                needs.unread.extend(there.then(|| node.digest.clone()));
                return;
            };
            let subject = manifest.subject().map(|subject| subject.digest.clone());
            if let Some(subject) = &subject {
                needs.referrers.entry(subject.clone()).or_default().insert(node.digest.clone());
            }
            // Children come subject first.
            for child in manifest.children().into_iter().skip(usize::from(subject.is_some())) {
                needs.listed_by.entry(child.digest.clone()).or_default().insert(node.digest.clone());
                needs.children.entry(node.digest.clone()).or_default().push(child.digest);
            }
        })?;
        Ok(needs)
    }

    /// Everything that goes with `target`: it, its referrers and theirs, and then, level by level, what they list and
    /// nobody else needs. A node with a tag, one that a manifest that stays lists, and one that a manifest that stays
    /// refers to are needed; everything is, while a manifest that stays can't be read. The subject of a manifest that
    /// goes is not touched.
    pub(crate) fn without(&self, target: &Digest) -> HashSet<Digest> {
        let mut gone = HashSet::new();
        let mut next = vec![target.clone()];
        while let Some(node) = next.pop() {
            if !gone.insert(node.clone()) {
                continue;
            }
            let referrers = self.referrers.get(&node).into_iter().flatten();
            next.extend(referrers.filter(|referrer| !self.is_listed(referrer, &gone)).cloned());
            let children = self.children.get(&node).into_iter().flatten();
            next.extend(children.filter(|child| !self.is_needed(child, &gone)).cloned());
        }
        gone
    }

    /// Whether a manifest that stays lists the node.
    fn is_listed(&self, node: &Digest, gone: &HashSet<Digest>) -> bool {
        self.listed_by.get(node).is_some_and(|parents| parents.iter().any(|parent| !gone.contains(parent)))
    }

    fn is_needed(&self, node: &Digest, gone: &HashSet<Digest>) -> bool {
        let mut referrers = self.referrers.get(node).into_iter().flatten();
        self.unread.iter().any(|unread| !gone.contains(unread))
            || self.tagged.contains(node)
            || self.is_listed(node, gone)
            || referrers.any(|referrer| !gone.contains(referrer))
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

    fn gone(needs: &Needs, target: &str) -> Vec<&'static str> {
        const NAMES: [&str; 10] = ["i", "j", "a", "b", "config", "x", "y", "sig", "sigsig", "s"];
        let gone = needs.without(&digest(target));
        let found: Vec<_> = NAMES.into_iter().filter(|name| gone.contains(&digest(name))).collect();
        assert_eq!(found.len(), gone.len());
        found
    }

    #[test]
    fn shared_blobs_and_tagged_children_stay() {
        let lists: &[(&str, &[&str])] =
            &[("i", &["a", "b"]), ("a", &["config", "x"]), ("b", &["config", "y"])];
        assert_eq!(gone(&needs(lists, &[], &["i"]), "i"), ["i", "a", "b", "config", "x", "y"]);
        assert_eq!(gone(&needs(lists, &[], &["i", "b"]), "i"), ["i", "a", "x"]);
        assert_eq!(gone(&needs(lists, &[], &["i"]), "a"), ["a", "x"]);
        let unread = HashSet::from([digest("j")]);
        assert_eq!(gone(&Needs { unread, ..needs(lists, &[], &["i"]) }, "i"), ["i"]);
    }

    #[test]
    fn referrers_go_with_their_subject_and_subjects_stay() {
        let lists: &[(&str, &[&str])] =
            &[("a", &["x"]), ("sig", &["s", "config"]), ("sigsig", &["config"]), ("i", &["a"])];
        let subjects = &[("sig", "a"), ("sigsig", "sig")];
        assert_eq!(gone(&needs(lists, subjects, &["i"]), "a"), ["a", "config", "x", "sig", "sigsig", "s"]);
        assert_eq!(gone(&needs(lists, subjects, &[]), "sig"), ["config", "sig", "sigsig", "s"]);
        // As with the Go tool, the referrer of a child keeps the child when the index goes.
        assert_eq!(gone(&needs(lists, subjects, &["i"]), "i"), ["i"]);
    }

    #[test]
    fn a_referrer_that_another_index_lists_stays() {
        let lists: &[(&str, &[&str])] = &[("j", &["sig"]), ("sig", &["s"])];
        assert_eq!(gone(&needs(lists, &[("sig", "a")], &["j", "a"]), "a"), ["a"]);
        assert_eq!(gone(&needs(lists, &[("sig", "j")], &["j"]), "j"), ["j", "sig", "s"]);
    }
}
