//! Lists an OCI image layout: tags, kinds, sizes, platforms and referrers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use oras_layout::{GraphEntry, GraphNode, LayoutGraph};
use oras_spec::{Descriptor, Digest, Platform};
use oras_store::{Content, MAX_MANIFEST_SIZE, ReadStore, Result, Source};
use serde::Serialize;

use crate::artifact_kind::ArtifactClass;
use crate::report::Class;

/// The size of the largest image config that is read for its platform.
const MAX_CONFIG_SIZE: u64 = 4 << 20;
/// The maximum depth of [`ListedNode::children`] and [`ListedNode::referrers`].
const MAX_DEPTH: usize = 16;

/// The content of a layout, as [`list_layout`] finds it. It serializes to the JSON document of
/// `oras layout ls --format json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayoutListing {
    /// The path of the layout.
    pub path: PathBuf,
    /// The tags in the order of the index, then the manifests that have no tag and refer to nothing in the layout.
    pub entries: Vec<ListedEntry>,
}

/// A tag of a layout, or a manifest without a tag. A display shows one line for each.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ListedEntry {
    /// The tag. `None` for a manifest without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The manifest, with what it lists and what refers to it.
    #[serde(flatten)]
    pub node: ListedNode,
    /// The size of the manifest and everything below it in bytes, each blob once.
    pub total_size: u64,
    /// The platforms, such as `linux/amd64`.
    pub platforms: Vec<String>,
    /// The number of referrers by kind, such as `SBOM (SPDX)`. The referrers of referrers are included.
    pub referrer_kinds: BTreeMap<String, u64>,
}

/// A manifest in a listing. A tree shows its children and referrers below it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ListedNode {
    /// The descriptor.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What the manifest is.
    #[serde(flatten)]
    pub class: Class,
    /// False if the manifest is not in the layout, or cannot be read.
    pub present: bool,
    /// The manifests that an index lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ListedNode>,
    /// The manifests that have this one as their subject.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<ListedNode>,
}

/// Lists the layout at `path`, a directory or a tar archive.
///
/// Reads the manifests of the layout and the configs of images, and no other blobs. A missing or damaged manifest is
/// listed and is no error.
///
/// ```
/// use oras::{Artifact, Layout, LayoutListing, ListedEntry, ListedNode, list_layout};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let layout = Layout::open_or_create(directory.path().join("layout")).await?;
/// let app = Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&layout, Some("v1")).await?;
/// Artifact::new("application/spdx+json").subject(app.root).push(&layout, None).await?;
///
/// let listing: LayoutListing = list_layout(layout.path()).await?;
/// let entry: &ListedEntry = &listing.entries[0];
/// assert_eq!((entry.tag.as_deref(), entry.referrer_kinds["SBOM (SPDX)"]), (Some("v1"), 1));
/// let sbom: &ListedNode = &entry.node.referrers[0];
/// assert!(sbom.present);
/// # Ok(()) }
/// ```
///
/// # Errors
/// `NotFound`; `InvalidContent` if there is no layout, or if its index is malformed; `Io`.
pub async fn list_layout(path: impl Into<PathBuf>) -> Result<LayoutListing> {
    let path = path.into();
    let source = oras_layout::open(&path).await?;
    let graph = LayoutGraph::read(&path).await?;
    let mut reader = ArtifactReader { source, known: HashMap::new() };
    let mut entries = Vec::new();
    let tagged = graph.entries().filter(|entry| entry.tag.is_some());
    let reached = reached(tagged.map(|entry| entry.node));
    // A referrer with an entry of its own is shown below its subject.
    let is_shown =
        |entry: &GraphEntry<'_>| entry.tag.is_some() || !reached.contains(&entry.node.descriptor().digest);
    for entry in graph.entries().filter(is_shown) {
        let own = reader.read(entry.node).await;
        let mut node = listed(entry.node, &mut HashSet::new(), MAX_DEPTH);
        node.class = own.class.into();
        let mut referrer_kinds = BTreeMap::new();
        count_referrers(&node, &mut referrer_kinds);
        entries.push(ListedEntry {
            tag: entry.tag.map(str::to_owned),
            total_size: entry.node.total_size(),
            platforms: own.platforms,
            referrer_kinds,
            node,
        });
    }
    // The sort is stable, so that both groups keep the order of the index.
    entries.sort_by_key(|entry| entry.tag.is_none());
    Ok(LayoutListing { path, entries })
}

/// Returns the digests that the nodes lead to: children, and referrers of everything.
fn reached<'a>(roots: impl Iterator<Item = GraphNode<'a>>) -> HashSet<Digest> {
    let (mut seen, mut next) = (HashSet::new(), roots.collect::<Vec<_>>());
    while let Some(node) = next.pop() {
        if seen.insert(node.descriptor().digest) {
            next.extend(node.children().filter(|child| child.descriptor().media_type.is_manifest()));
            next.extend(node.referrers());
        }
    }
    seen
}

/// Makes the tree below a node. What is below a manifest is shown only once in a tree: otherwise a small hostile layout
/// could have an endless tree, or one that exceeds the memory.
fn listed(node: GraphNode<'_>, shown_before: &mut HashSet<Digest>, depth: usize) -> ListedNode {
    let descriptor = node.descriptor();
    let class = ArtifactClass::of_descriptor(&descriptor).into();
    let mut shown = ListedNode {
        class,
        present: node.is_present(),
        descriptor,
        children: Vec::new(),
        referrers: Vec::new(),
    };
    if depth > 0 && shown_before.insert(shown.descriptor.digest.clone()) {
        let manifests = node.children().filter(|child| child.descriptor().media_type.is_manifest());
        shown.children = manifests.map(|child| listed(child, shown_before, depth - 1)).collect();
        shown.referrers =
            node.referrers().map(|referrer| listed(referrer, shown_before, depth - 1)).collect();
    }
    shown
}

fn count_referrers(node: &ListedNode, kinds: &mut BTreeMap<String, u64>) {
    for referrer in &node.referrers {
        *kinds.entry(ArtifactClass::from(referrer.class.clone()).to_string()).or_default() += 1;
    }
    for below in node.children.iter().chain(&node.referrers) {
        count_referrers(below, kinds);
    }
}

/// What the manifest and the config of an entry say.
#[derive(Clone)]
struct OwnFacts {
    class: ArtifactClass,
    platforms: Vec<String>,
}

/// Reads manifests and configs. Tags often share a manifest, which is read once.
struct ArtifactReader {
    source: Arc<dyn ReadStore>,
    known: HashMap<Digest, OwnFacts>,
}

impl ArtifactReader {
    async fn read(&mut self, node: GraphNode<'_>) -> OwnFacts {
        let descriptor = node.descriptor();
        if let Some(known) = self.known.get(&descriptor.digest) {
            return known.clone();
        }
        let facts = self.read_anew(&descriptor, node).await;
        self.known.insert(descriptor.digest, facts.clone());
        facts
    }

    async fn read_anew(&self, descriptor: &Descriptor, node: GraphNode<'_>) -> OwnFacts {
        let mut facts = OwnFacts { class: ArtifactClass::of_descriptor(descriptor), platforms: Vec::new() };
        let Ok(manifest) = self.content(descriptor).manifest(MAX_MANIFEST_SIZE).await else { return facts };
        facts.class = ArtifactClass::of_manifest(&manifest);
        let mut platforms: Vec<_> = node.children().filter_map(|child| child.descriptor().platform).collect();
        if let Some(config) = manifest.config().filter(|config| config.media_type.is_image_config())
            && let Ok(bytes) = self.content(config).bytes(MAX_CONFIG_SIZE).await
        {
            platforms.extend(serde_json::from_slice::<Platform>(&bytes).ok());
        }
        // BuildKit lists attestations for the platform unknown/unknown.
        platforms.retain(|platform| !platform.os.is_empty() && platform.os != "unknown");
        let mut seen = HashSet::new();
        let names = platforms.iter().map(ToString::to_string);
        facts.platforms = names.filter(|name| seen.insert(name.clone())).collect();
        facts
    }

    fn content(&self, node: &Descriptor) -> Content {
        Content::from_source(Arc::clone(&self.source) as Arc<dyn Source>, node.clone())
    }
}
