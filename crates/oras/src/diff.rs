//! Compares two artifacts by their manifests, without a pull.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oras_spec::{Descriptor, Manifest, MediaKind, Platform};
use oras_store::{Content, MAX_MANIFEST_SIZE, Result, Side, Source};
use similar::TextDiff;

use crate::resolve::fetch_root;

/// The size in bytes of the largest text file that is compared by default.
const MAX_CONTENT_SIZE: u64 = 1 << 20;
/// The limit of all bytes that are read to compare content, in both artifacts together. Bounds time and memory.
const MAX_CONTENT_TOTAL: u64 = 64 << 20;
/// The time after which the comparison of two files becomes less precise, so that hostile text ends it in time.
const COMPARISON_TIME: Duration = Duration::from_secs(2);

/// The options of [`diff`](fn@diff). Use them to compare the content of files, or one platform of two indexes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiffOptions {
    /// Selects the images for this platform, if the references name indexes.
    pub platform: Option<Platform>,
    /// Also reads changed files, and compares those that are text.
    pub content: bool,
    /// The size in bytes of the largest file that is read for that. By default 1 MiB.
    pub max_content_size: u64,
    /// The size in bytes of the largest manifest that is read. `None` means the default, 4 MiB.
    pub max_manifest_size: Option<u64>,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { platform: None, content: false, max_content_size: MAX_CONTENT_SIZE, max_manifest_size: None }
    }
}

impl DiffOptions {
    oras_store::setters! {
        platform: impl Into<Option<Platform>> => platform.into();
        content: bool;
        max_content_size: u64;
        max_manifest_size: impl Into<Option<u64>> => max_manifest_size.into();
    }
}

/// The differences between two artifacts. A program prints them, or decides by them whether an update is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Differences {
    /// The manifest of the first artifact.
    pub from: Descriptor,
    /// The manifest of the second artifact.
    pub to: Descriptor,
    /// The differing fields of the manifests: `mediaType`, `artifactType` and `subject`.
    pub fields: Vec<ValueChange>,
    /// The differing annotations of the manifests, sorted by key.
    pub annotations: Vec<ValueChange>,
    /// The difference between the configs.
    pub config: Option<ContentChange>,
    /// The differences between the layers: the files by their names, and layers without a name by their digests.
    pub files: Vec<ContentChange>,
    /// The differences between the manifests of two indexes, by platform.
    pub manifests: Vec<ContentChange>,
}

impl Differences {
    /// Returns true if both references name the same manifest.
    pub fn is_empty(&self) -> bool {
        self.from.digest == self.to.digest
    }

    /// Returns true if the manifests differ, but not in anything that is compared: only in their serialization, in
    /// unknown fields, or in the order of the layers.
    pub fn is_only_in_form(&self) -> bool {
        !self.is_empty()
            && self.fields.is_empty()
            && self.annotations.is_empty()
            && self.config.is_none()
            && self.files.is_empty()
            && self.manifests.is_empty()
    }
}

/// A value that differs. `None` means that the artifact does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueChange {
    /// The name of the field, or the key of the annotation.
    pub name: String,
    /// The value in the first artifact.
    pub from: Option<String>,
    /// The value in the second artifact.
    pub to: Option<String>,
}

/// Content that differs. `None` means that the artifact does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentChange {
    /// The title of a file, or the platform of a manifest in an index.
    pub name: Option<String>,
    /// The content in the first artifact.
    pub from: Option<Descriptor>,
    /// The content in the second artifact. It may have the same digest, and another media type or other annotations.
    pub to: Option<Descriptor>,
    /// The difference between the bytes, if it was requested and both artifacts have the content.
    pub text: Option<TextChange>,
}

/// The difference between the bytes of two files. It is for people, as a patch or as a word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextChange {
    /// Both files are text. The value is the difference in the unified format, without the names of the files.
    Unified(String),
    /// At least one file is not text.
    Binary,
    /// At least one file is larger than the limit.
    TooLarge,
}

/// Compares the artifact that `from_reference` names in `from` with the one that `to_reference` names in `to`.
///
/// Reads the two manifests. With [`DiffOptions::content`], also reads the files that both artifacts have with different
/// digests, within limits. The manifests that an index lists are compared by digest and not read.
///
/// ```
/// use oras::{Artifact, DiffOptions, Memory, TextChange, diff};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// for (tag, text) in [("v1", "one\n"), ("v2", "two\n")] {
///     Artifact::new("application/vnd.me").titled_layer("a.txt", "text/plain", text).push(&store, Some(tag)).await?;
/// }
/// let options = DiffOptions::default().content(true);
/// let found = diff(store.clone(), "v1", store, "v2", &options).await?;
/// assert_eq!(found.files[0].name.as_deref(), Some("a.txt"));
/// assert_eq!(found.files[0].text, Some(TextChange::Unified("@@ -1 +1 @@\n-one\n+two\n".to_owned())));
/// # Ok(()) }
/// ```
///
/// # Errors
/// The errors of the stores, with [`Side::Source`] for `from` and [`Side::Destination`] for `to`.
pub async fn diff(
    from: impl Source + 'static,
    from_reference: &str,
    to: impl Source + 'static,
    to_reference: &str,
    options: &DiffOptions,
) -> Result<Differences> {
    let (from, to): (Arc<dyn Source>, Arc<dyn Source>) = (Arc::new(from), Arc::new(to));
    let (old, new) = futures::future::join(
        read(Arc::clone(&from), from_reference, options),
        read(Arc::clone(&to), to_reference, options),
    )
    .await;
    let (old, new) =
        (old.map_err(|error| error.on(Side::Source))?, new.map_err(|error| error.on(Side::Destination))?);
    let mut found = compare(&old, &new);
    if options.content {
        let mut reader = ContentReader { from, to, limit: options.max_content_size, left: MAX_CONTENT_TOTAL };
        for change in found.files.iter_mut().chain(&mut found.config) {
            change.text = reader.compare(change).await?;
        }
    }
    Ok(found)
}

/// A manifest with its descriptor.
struct Root {
    descriptor: Descriptor,
    manifest: Manifest,
}

async fn read(source: Arc<dyn Source>, reference: &str, options: &DiffOptions) -> Result<Root> {
    let root = fetch_root(source, reference, options.platform.as_ref()).await?;
    let manifest = root.manifest(options.max_manifest_size.unwrap_or(MAX_MANIFEST_SIZE)).await?;
    Ok(Root { descriptor: root.descriptor().plain(), manifest })
}

fn compare(old: &Root, new: &Root) -> Differences {
    let mut found = Differences {
        from: old.descriptor.clone(),
        to: new.descriptor.clone(),
        fields: Vec::new(),
        annotations: Vec::new(),
        config: None,
        files: Vec::new(),
        manifests: Vec::new(),
    };
    if found.is_empty() {
        return found;
    }
    let (from, to) = (&old.manifest, &new.manifest);
    let artifact_type = |manifest: &Manifest| manifest.artifact_type().map(ToString::to_string);
    let subject = |manifest: &Manifest| manifest.subject().map(|subject| subject.digest.to_string());
    for (name, from, to) in [
        ("mediaType", Some(from.media_type().to_string()), Some(to.media_type().to_string())),
        ("artifactType", artifact_type(from), artifact_type(to)),
        ("subject", subject(from), subject(to)),
    ] {
        found.fields.extend((from != to).then(|| ValueChange { name: name.to_owned(), from, to }));
    }
    found.annotations = compare_annotations(from.annotations(), to.annotations());
    found.config = change(None, from.config(), to.config());
    found.files = compare_lists(from.layers(), to.layers(), |layer| layer.title().map(ToOwned::to_owned));
    found.manifests = compare_lists(from.manifests(), to.manifests(), platform_name);
    found
}

/// Returns the platform of an entry of an index. Attestations of `BuildKit` have the platform `unknown/unknown`, so that
/// it names nothing.
fn platform_name(entry: &Descriptor) -> Option<String> {
    entry.platform.as_ref().filter(|platform| platform.os != "unknown").map(ToString::to_string)
}

fn compare_annotations(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> Vec<ValueChange> {
    let keys: BTreeSet<_> = from.keys().chain(to.keys()).collect();
    let changes = keys.into_iter().filter(|key| from.get(*key) != to.get(*key));
    changes
        .map(|key| ValueChange { name: key.clone(), from: from.get(key).cloned(), to: to.get(key).cloned() })
        .collect()
}

/// Compares two lists. Entries with a name are compared with the entry of the same name, entries without one with the
/// entry of the same digest. If several entries share a name, they are compared in order.
fn compare_lists(
    from: &[Descriptor],
    to: &[Descriptor],
    name: impl Fn(&Descriptor) -> Option<String>,
) -> Vec<ContentChange> {
    // The second part of a key counts the entries with the same first part.
    type Key = (Result<String, String>, usize);
    let keyed = |list: &[Descriptor]| {
        let mut counts: BTreeMap<Result<String, String>, usize> = BTreeMap::new();
        let mut keys: Vec<(Key, Descriptor)> = Vec::new();
        for entry in list {
            let first = name(entry).ok_or_else(|| entry.digest.to_string());
            let count = counts.entry(first.clone()).or_default();
            keys.push(((first, *count), entry.clone()));
            *count += 1;
        }
        keys
    };
    let (from, to) = (keyed(from), keyed(to));
    let old: BTreeMap<_, _> = from.iter().map(|(key, entry)| (key, entry)).collect();
    let new: BTreeMap<_, _> = to.iter().map(|(key, entry)| (key, entry)).collect();
    // The order is that of the first list, then the entries that only the second list has.
    let added = to.iter().filter(|(key, _)| !old.contains_key(key));
    from.iter()
        .chain(added)
        .filter_map(|(key, _)| change(key.0.clone().ok(), old.get(key).copied(), new.get(key).copied()))
        .collect()
}

/// Returns the change from one descriptor to another, or `None` if they describe the same content in the same way.
fn change(name: Option<String>, from: Option<&Descriptor>, to: Option<&Descriptor>) -> Option<ContentChange> {
    let described = |node: &Descriptor| Descriptor { data: None, urls: Vec::new(), ..node.clone() };
    let (from, to) = (from.map(described), to.map(described));
    (from != to).then_some(ContentChange { name, from, to, text: None })
}

/// Reads content of both artifacts, within limits.
struct ContentReader {
    from: Arc<dyn Source>,
    to: Arc<dyn Source>,
    /// The size of the largest file.
    limit: u64,
    /// The bytes that may still be read.
    left: u64,
}

impl ContentReader {
    async fn compare(&mut self, change: &ContentChange) -> Result<Option<TextChange>> {
        let (Some(from), Some(to)) = (&change.from, &change.to) else { return Ok(None) };
        if from.digest == to.digest {
            return Ok(None);
        }
        // The content of a foreign layer is often not in the store.
        if [from, to].iter().any(|node| node.media_type.kind() == MediaKind::Foreign) {
            return Ok(Some(TextChange::Binary));
        }
        let size = from.size.saturating_add(to.size);
        if from.size.max(to.size) > self.limit || size > self.left {
            return Ok(Some(TextChange::TooLarge));
        }
        self.left -= size;
        let (old, new) = futures::future::join(
            read_content(&self.from, from, self.limit),
            read_content(&self.to, to, self.limit),
        )
        .await;
        let (old, new) =
            (old.map_err(|error| error.on(Side::Source))?, new.map_err(|error| error.on(Side::Destination))?);
        let texts = text(&old).zip(text(&new));
        Ok(Some(texts.map_or(TextChange::Binary, |(old, new)| TextChange::Unified(unified(old, new)))))
    }
}

async fn read_content(source: &Arc<dyn Source>, node: &Descriptor, limit: u64) -> Result<Bytes> {
    Content::from_source(Arc::clone(source), node.clone()).bytes(limit).await
}

/// Returns the bytes as text, unless they are not UTF-8 or contain a NUL character, as binary files do.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

fn unified(old: &str, new: &str) -> String {
    TextDiff::configure()
        .timeout(COMPARISON_TIME)
        .diff_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_memory::Memory;
    use oras_spec::{ImageIndex, ImageManifest, MediaType, annotation};
    use oras_store::{ErrorKind, PushMode, Target};

    fn layer(title: &str, bytes: &[u8]) -> Descriptor {
        let mut node = Descriptor::of(MediaType::OCTET_STREAM, bytes);
        if !title.is_empty() {
            node.annotations.insert(annotation::TITLE.to_owned(), title.to_owned());
        }
        node
    }

    async fn push(store: &Memory, layers: Vec<Descriptor>, annotations: &[(&str, &str)]) -> String {
        let mut manifest = ImageManifest::new(Descriptor::empty_json(), layers);
        manifest.annotations =
            annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let content = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
        store.push(&content, PushMode::Untagged).await.unwrap();
        content.descriptor().digest.to_string()
    }

    async fn push_blob(store: &Memory, bytes: &'static [u8]) {
        store.push(&Content::of(MediaType::OCTET_STREAM, bytes), PushMode::Untagged).await.unwrap();
    }

    fn summary(changes: &[ContentChange]) -> Vec<(Option<&str>, bool, bool)> {
        let shown = |change: &ContentChange| (change.from.is_some(), change.to.is_some());
        changes.iter().map(|change| (change.name.as_deref(), shown(change).0, shown(change).1)).collect()
    }

    #[tokio::test]
    async fn finds_added_removed_and_changed_files() {
        let store = Memory::new();
        let old = [
            layer("same", b"1"),
            layer("old", b"2"),
            layer("changed", b"3"),
            layer("", b"4"),
            layer("", b"5"),
        ];
        let new = [
            layer("changed", b"x"),
            layer("same", b"1"),
            layer("", b"5"),
            layer("new", b"2"),
            layer("", b"6"),
        ];
        let from = push(&store, old.to_vec(), &[("a", "1"), ("b", "2")]).await;
        let to = push(&store, new.to_vec(), &[("b", "3"), ("c", "4")]).await;
        let found = diff(store.clone(), &from, store, &to, &DiffOptions::default()).await.unwrap();
        assert_eq!(
            summary(&found.files),
            [
                (Some("old"), true, false),
                (Some("changed"), true, true),
                (None, true, false),
                (Some("new"), false, true),
                (None, false, true),
            ]
        );
        let keys: Vec<_> = found.annotations.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(keys, ["a", "b", "c"]);
        assert!(found.config.is_none() && found.fields.is_empty() && !found.is_only_in_form());
    }

    #[tokio::test]
    async fn reports_equal_artifacts_and_those_that_differ_in_form() {
        let store = Memory::new();
        let layers = vec![layer("a", b"1"), layer("b", b"2")];
        let from = push(&store, layers.clone(), &[]).await;
        let to = push(&store, layers.into_iter().rev().collect(), &[]).await;
        let source = Arc::new(store);
        let options = DiffOptions::default();
        let same = diff(source.clone(), &from, source.clone(), &from, &options).await.unwrap();
        assert!(same.is_empty() && !same.is_only_in_form());
        let form = diff(source.clone(), &from, source, &to, &options).await.unwrap();
        assert!(!form.is_empty() && form.is_only_in_form());
    }

    #[tokio::test]
    async fn compares_indexes_by_platform() {
        let store = Memory::new();
        let entry = |platform: &str, bytes: &[u8]| {
            let mut node = Descriptor::of(MediaType::IMAGE_MANIFEST, bytes);
            node.platform = Some(platform.parse().unwrap());
            node
        };
        let mut digests = Vec::new();
        for entries in [
            vec![entry("linux/amd64", b"1"), entry("linux/arm64", b"2"), entry("unknown/unknown", b"3")],
            vec![entry("linux/amd64", b"x"), entry("windows/amd64", b"4"), entry("unknown/unknown", b"3")],
        ] {
            let content = Content::of(MediaType::IMAGE_INDEX, ImageIndex::new(entries).to_bytes());
            store.push(&content, PushMode::Untagged).await.unwrap();
            digests.push(content.descriptor().digest.to_string());
        }
        let found =
            diff(store.clone(), &digests[0], store, &digests[1], &DiffOptions::default()).await.unwrap();
        assert_eq!(
            summary(&found.manifests),
            [
                (Some("linux/amd64"), true, true),
                (Some("linux/arm64"), true, false),
                (Some("windows/amd64"), false, true),
            ]
        );
    }

    #[tokio::test]
    async fn compares_text_within_limits() {
        let store = Memory::new();
        for bytes in [&b"1\n2\n3\n"[..], b"1\nx\n3\n", b"\0a", b"\0b", b"large one", b"large two"] {
            push_blob(&store, bytes).await;
        }
        let old = vec![layer("text", b"1\n2\n3\n"), layer("binary", b"\0a"), layer("large", b"large one")];
        let new = vec![layer("text", b"1\nx\n3\n"), layer("binary", b"\0b"), layer("large", b"large two")];
        let (from, to) = (push(&store, old, &[]).await, push(&store, new, &[]).await);
        let options = DiffOptions::default().content(true).max_content_size(8);
        let found = diff(store.clone(), &from, store, &to, &options).await.unwrap();
        let texts: Vec<_> = found.files.into_iter().map(|change| change.text.unwrap()).collect();
        let unified = "@@ -1,3 +1,3 @@\n 1\n-2\n+x\n 3\n".to_owned();
        assert_eq!(texts, [TextChange::Unified(unified), TextChange::Binary, TextChange::TooLarge]);
    }

    #[tokio::test]
    async fn errors_name_the_side() {
        let store = Memory::new();
        let from = push(&store, Vec::new(), &[]).await;
        let error = diff(store.clone(), &from, store, "none", &DiffOptions::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.side()), (ErrorKind::NotFound, Some(Side::Destination)));
    }
}
