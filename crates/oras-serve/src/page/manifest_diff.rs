//! Compares two manifests by the digests of what they list.

use std::collections::{BTreeMap, BTreeSet};

use oras_spec::{Descriptor, Manifest, View};

use super::format::short_digest;

/// How an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Added,
    Removed,
    Changed,
}

/// An entry that only one of two manifests has, or that differs between them.
pub(super) struct Change<T> {
    pub(super) name: String,
    /// `None` if the entry was added.
    pub(super) before: Option<T>,
    /// `None` if the entry was removed.
    pub(super) after: Option<T>,
}

impl<T> Change<T> {
    pub(super) fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
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
        let content = changes(&old, &new, |old, new| old.digest == new.digest);
        let annotations = changes(before.annotations(), after.annotations(), |old, new| old == new);
        let removed_or_changed = content.iter().filter(|change| change.before.is_some()).count();
        Self { unchanged: old.len() - removed_or_changed, content, annotations }
    }
}

/// Returns the changes between two maps, in the order of the keys.
fn changes<T: Clone>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    is_same: impl Fn(&T, &T) -> bool,
) -> Vec<Change<T>> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        let (old, new) = (before.get(name), after.get(name));
        let is_unchanged = old.zip(new).is_some_and(|(old, new)| is_same(old, new));
        (!is_unchanged).then(|| Change { name: name.clone(), before: old.cloned(), after: new.cloned() })
    };
    names.into_iter().filter_map(change).collect()
}

/// Returns the entries of a manifest by title or platform. An entry without either has its digest as the name, so it is
/// added or removed, never changed.
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
        let mut name = name.unwrap_or_else(|| short_digest(&entry.digest));
        // Names can repeat: an index lists each attestation with the platform `unknown/unknown`.
        if entries.contains_key(&name) {
            name = format!("{name} {}", short_digest(&entry.digest));
        }
        entries.insert(name, entry.clone());
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_spec::{ImageManifest, MediaType, annotation};

    fn layer(title: Option<&str>, content: &str) -> Descriptor {
        let mut layer = Descriptor::of(MediaType::LAYER_TAR, content.as_bytes());
        layer.annotations.extend(title.map(|title| (annotation::TITLE.to_owned(), title.to_owned())));
        layer
    }

    fn diff(before: Vec<Descriptor>, after: Vec<Descriptor>) -> (Vec<(String, ChangeKind)>, usize) {
        let image = |layers| {
            let image = ImageManifest::new(Descriptor::of(MediaType::EMPTY_JSON, b"{}"), layers);
            Manifest::parse(&MediaType::IMAGE_MANIFEST, image.to_bytes()).unwrap()
        };
        let diff = ManifestDiff::of(&image(before), &image(after));
        let kinds = diff.content.iter().map(|change| (change.name.clone(), change.kind())).collect();
        (kinds, diff.unchanged)
    }

    #[test]
    fn compares_entries_by_name_and_digest() {
        let (same, old, new) = (layer(Some("same"), "1"), layer(Some("file"), "2"), layer(Some("file"), "3"));
        let (removed, added) = (layer(Some("removed"), "4"), layer(None, "5"));
        let added_name = short_digest(&added.digest);
        // The config is an unchanged entry, too.
        let (kinds, unchanged) = diff(vec![same.clone(), old, removed], vec![added, new, same]);
        let expected = [
            ("file".to_owned(), ChangeKind::Changed),
            ("removed".to_owned(), ChangeKind::Removed),
            (added_name, ChangeKind::Added),
        ];
        assert_eq!((kinds.as_slice(), unchanged), (&expected[..], 2));
    }

    #[test]
    fn entries_with_equal_names_are_kept_apart() {
        let (one, two) = (layer(Some("a"), "1"), layer(Some("a"), "2"));
        let second = format!("a {}", short_digest(&two.digest));
        let (kinds, unchanged) = diff(vec![one.clone(), two], vec![one]);
        assert_eq!((kinds, unchanged), (vec![(second, ChangeKind::Removed)], 2));
    }
}
