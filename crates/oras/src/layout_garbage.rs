//! Garbage collection of a layout, with rules for the tags that stay.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use oras_layout::{CollectedGarbage, GarbageOptions, GraphNode, Layout, LayoutGraph};
use oras_spec::{Descriptor, Digest, annotation};
use oras_store::{Content, MAX_MANIFEST_SIZE, Result, Source};
use serde::{Deserialize, Serialize};

use crate::artifact_kind::{ArtifactClass, cosign_tags};
use crate::keep_rules::{DatedTag, KeepRules};

/// The size of the largest image config that is read for its time.
const MAX_CONFIG_SIZE: u64 = 4 << 20;
/// The maximum number of manifests that are read below an index for their times.
const MAX_DATED_CHILDREN: usize = 64;

/// The default grace period: long enough for a push that began before the collection.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The options of [`collect_layout_garbage`]. By default, every tag stays, and the grace period is a day.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayoutGarbageOptions {
    /// The tags that stay.
    pub keep: KeepRules,
    /// Content that was written or used within this time stays. Other garbage is in a quarantine for this time before it
    /// is deleted. Zero deletes it at once, which is safe only while no other program writes to the layout.
    pub grace: Duration,
    /// Also deletes manifests without a tag, unless they refer to content that stays. Rules imply this.
    pub untagged: bool,
    /// Changes nothing, and returns what a collection would do.
    pub dry_run: bool,
}

impl LayoutGarbageOptions {
    oras_store::setters! {
        keep: KeepRules;
        grace: Duration;
        untagged: bool;
        dry_run: bool;
    }
}

impl Default for LayoutGarbageOptions {
    fn default() -> Self {
        Self { keep: KeepRules::default(), grace: GRACE, untagged: false, dry_run: false }
    }
}

/// What [`collect_layout_garbage`] did. It serializes to the JSON document of `oras layout gc --format json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayoutGarbage {
    /// The path of the layout.
    pub path: PathBuf,
    /// True if nothing was changed.
    pub dry_run: bool,
    /// The tags that were removed, in the order of the index.
    pub removed_tags: Vec<RemovedTag>,
    /// What was deleted, moved to the quarantine, and moved back.
    #[serde(flatten)]
    pub collected: CollectedGarbage,
}

/// A tag that was removed, and its manifest. The digest allows a user to tag the manifest again while it is in the
/// quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemovedTag {
    /// The tag.
    pub tag: String,
    /// The manifest.
    pub digest: Digest,
}

/// Removes the tags of the layout at `path` that no rule keeps, and the content that the layout then does not need.
///
/// Referrers stay with their subject, and so do the tags by which cosign attaches signatures. Garbage goes to a
/// quarantine in the layout; a later collection deletes it, or moves it back if another program has listed it since.
/// Other processes may read and write the layout at the same time, and a kill at any point loses nothing.
///
/// ```
/// use oras::{Artifact, KeepRules, Layout, LayoutGarbage, LayoutGarbageOptions, RemovedTag};
/// use oras::collect_layout_garbage;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let layout = Layout::open_or_create(directory.path().join("layout")).await?;
/// for tag in ["v1", "v2"] {
///     Artifact::new("application/vnd.me").layer("text/plain", tag).push(&layout, Some(tag)).await?;
/// }
/// let options = LayoutGarbageOptions::default().keep(KeepRules::default().newest(1));
/// let garbage: LayoutGarbage = collect_layout_garbage(layout.path(), options).await?;
/// let RemovedTag { tag, .. } = &garbage.removed_tags[0];
/// assert_eq!(tag, "v1");
/// assert_eq!(layout.tags().await?, ["v2"]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// `NotFound`; `InvalidContent` if there is no layout, or if a manifest exists but cannot be read: nothing is deleted
/// then; `Unsupported` for a tar archive; `Denied` if the directories of the blobs are links; `Io`.
pub async fn collect_layout_garbage(
    path: impl Into<PathBuf>,
    options: LayoutGarbageOptions,
) -> Result<LayoutGarbage> {
    let path = path.into();
    let layout = Layout::open_writable(&path).await?;
    let removed_tags =
        if options.keep.is_empty() { Vec::new() } else { tags_to_remove(&layout, &options.keep).await? };
    let garbage = GarbageOptions::after(options.grace)
        .quarantine(true)
        .untagged(options.untagged || !options.keep.is_empty())
        .removed_tags(removed_tags.iter().map(|removed| removed.tag.clone()))
        .dry_run(options.dry_run);
    let collected = layout.collect_garbage(garbage).await?;
    Ok(LayoutGarbage { path, dry_run: options.dry_run, removed_tags, collected })
}

/// Returns the tags that no rule keeps.
async fn tags_to_remove(layout: &Layout, keep: &KeepRules) -> Result<Vec<RemovedTag>> {
    let graph = LayoutGraph::read(layout.path()).await?;
    let tagged: Vec<_> =
        graph.entries().filter_map(|entry| Some((entry.tag?.to_owned(), entry.node))).collect();
    // The tags of cosign stay with the manifest in their name, so no rule counts them.
    let (attached, own): (Vec<_>, Vec<_>) =
        tagged.into_iter().partition(|(tag, _)| ArtifactClass::of_tag(tag).is_some());
    let source: Arc<dyn Source> = Arc::new(layout.clone());
    let mut dated = Vec::new();
    for (tag, node) in &own {
        let created = if keep.needs_times() { created(&source, *node).await } else { None };
        dated.push(DatedTag { tag: tag.clone(), created });
    }
    let kept = keep.select(&dated, SystemTime::now());
    let mut stays = HashSet::new();
    let mut next: Vec<_> = own.iter().filter(|(tag, _)| kept.contains(tag)).map(|(_, node)| *node).collect();
    while let Some(node) = next.pop() {
        let descriptor = node.descriptor();
        if descriptor.media_type.is_manifest() && stays.insert(descriptor.digest) {
            next.extend(node.children().chain(node.referrers()));
        }
    }
    let attached_tags: HashSet<String> = stays.iter().flat_map(cosign_tags).collect();
    let is_removed = |(tag, _): &(String, GraphNode<'_>)| !kept.contains(tag) && !attached_tags.contains(tag);
    let removed = own.into_iter().chain(attached).filter(is_removed);
    Ok(removed.map(|(tag, node)| RemovedTag { tag, digest: node.descriptor().digest }).collect())
}

/// Returns when the content of a tag was created: the newest time of the manifest, its config, and of an index also its
/// manifests.
async fn created(source: &Arc<dyn Source>, node: GraphNode<'_>) -> Option<SystemTime> {
    let manifests = node.children().filter(|child| child.descriptor().media_type.is_manifest());
    let mut newest = created_alone(source, &node.descriptor()).await;
    for child in manifests.take(MAX_DATED_CHILDREN) {
        newest = newest.max(created_alone(source, &child.descriptor()).await);
    }
    newest
}

/// The field of an image config with its time.
#[derive(Deserialize)]
struct CreatedField {
    created: Option<String>,
}

async fn created_alone(source: &Arc<dyn Source>, node: &Descriptor) -> Option<SystemTime> {
    let content = |node: &Descriptor| Content::from_source(Arc::clone(source), node.clone());
    // Content that is missing or damaged has no time. The collection decides whether it can continue.
    let manifest = content(node).manifest(MAX_MANIFEST_SIZE).await.ok()?;
    if let Some(time) = manifest.annotations().get(annotation::CREATED).and_then(|text| parsed(text)) {
        return Some(time);
    }
    let config = manifest.config().filter(|config| config.media_type.is_image_config())?;
    let bytes = content(config).bytes(MAX_CONFIG_SIZE).await.ok()?;
    parsed(&serde_json::from_slice::<CreatedField>(&bytes).ok()?.created?)
}

fn parsed(text: &str) -> Option<SystemTime> {
    let seconds = text.parse::<Timestamp>().ok()?.as_second();
    // Reproducible builds have the time 0, and no build is older.
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
