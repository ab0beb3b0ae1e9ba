//! Compares two manifests by the digests of what they list.

use std::collections::BTreeMap;

use oras_spec::{Descriptor, Manifest, View};

use super::format::{LABEL, short_digest, shown};

/// A difference of an entry with a name.
pub(super) struct Change<T> {
    pub(super) name: String,
    /// `None` if the entry was added.
    pub(super) before: Option<T>,
    /// `None` if the entry was removed.
    pub(super) after: Option<T>,
}

impl<T> Change<T> {
    /// Returns the word for the change.
    pub(super) fn label(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "Added",
            (_, None) => "Removed",
            _ => "Changed",
        }
    }
}

/// The differences of two manifests.
pub(super) struct ManifestDiff {
    /// Files, other layers, configs, and the manifests of an index.
    pub(super) content: Vec<Change<Descriptor>>,
    pub(super) annotations: Vec<Change<String>>,
    /// The number of entries with the same digest in both.
    pub(super) unchanged: usize,
}

impl ManifestDiff {
    /// Compares two manifests.
    pub(super) fn of(before: &Manifest, after: &Manifest) -> Self {
        let (old, new) = (entries(before), entries(after));
        let same = |(name, entry): &(&String, &Descriptor)| {
            new.get(*name).is_some_and(|other| other.digest == entry.digest)
        };
        let unchanged = old.iter().filter(same).count();
        let content = changes(&old, &new, |a, b| a.digest == b.digest);
        let annotations = changes(before.annotations(), after.annotations(), |a, b| a == b);
        Self { content, annotations, unchanged }
    }
}

/// Returns the entries that are in only one map, or differ.
fn changes<T: Clone>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    is_same: impl Fn(&T, &T) -> bool,
) -> Vec<Change<T>> {
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let mut names: Vec<&String> = before.keys().chain(added).collect();
    names.sort();
    let change = |name: &String| {
        let (old, new) = (before.get(name), after.get(name));
        let differs = !old.zip(new).is_some_and(|(old, new)| is_same(old, new));
        differs.then(|| Change { name: name.clone(), before: old.cloned(), after: new.cloned() })
    };
    names.into_iter().filter_map(change).collect()
}

/// Returns what a manifest lists, by title or platform. Entries without a name have their digest as the name, so that
/// they are never changed, but added and removed.
fn entries(manifest: &Manifest) -> BTreeMap<String, Descriptor> {
    let (config, list) = match manifest.view() {
        View::Image(image) => (Some(&image.config), &image.layers),
        View::Index(index) => (None, &index.manifests),
        View::Artifact(artifact) => (None, &artifact.blobs),
    };
    let mut entries = BTreeMap::new();
    entries.extend(config.map(|config| ("Config".to_owned(), config.clone())));
    for entry in list {
        let platform = entry.platform.as_ref().map(ToString::to_string);
        let name = entry.title().map(ToOwned::to_owned).or(platform);
        let name = name.map_or_else(|| short_digest(&entry.digest), |name| shown(&name, LABEL));
        // A second entry of the same name, such as an attestation of an unknown platform, has a digest in its name.
        let name = match entries.contains_key(&name) {
            true => format!("{name} {}", short_digest(&entry.digest)),
            false => name,
        };
        entries.insert(name, entry.clone());
    }
    entries
}
