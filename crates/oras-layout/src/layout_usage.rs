//! How much of a layout each tag needs.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use oras_fs::blocking;
use oras_spec::Digest;
use oras_store::Result;
use serde::Serialize;

use crate::blob_count::BlobCount;
use crate::survey::layout_graph::LayoutGraph;
use crate::survey::layout_parts::LayoutParts;
use crate::survey::layout_survey::{NodeId, SurveyEntry};

/// The disk usage of a layout: the result of [`LayoutUsage::measure`]. It serializes to the JSON document of
/// `oras layout du --format json`.
///
/// The sizes are those of files. Content that only one tag needs is unique to it: a garbage collection frees that much
/// after the tag is removed. A tag needs its manifest, what the manifest lists, and its referrers.
///
/// ```
/// use oras_layout::store::spec::MediaType;
/// use oras_layout::{BlobCount, Layout, LayoutUsage, TagUsage};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_layout::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let layout = Layout::open_or_create(directory.path().join("layout")).await?;
/// let index = r#"{"schemaVersion":2,"manifests":[]}"#;
/// layout.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
/// layout.push_blob(MediaType::OCTET_STREAM, "unused\n").await?;
///
/// let usage = LayoutUsage::measure(layout.path()).await?;
/// let TagUsage { tag, unique_bytes, .. } = &usage.tags[0];
/// assert_eq!((tag.as_str(), *unique_bytes), ("v1", index.len() as u64));
/// assert_eq!(usage.unreachable, BlobCount { blobs: 1, bytes: 7 });
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayoutUsage {
    /// The path of the layout.
    pub path: PathBuf,
    /// The tags, in the order of the index.
    pub tags: Vec<TagUsage>,
    /// Content that entries without a tag need, and no tag.
    pub untagged: BlobCount,
    /// Content that the index does not reach.
    pub unreachable: BlobCount,
    /// All blobs.
    pub total: BlobCount,
}

/// The disk usage of one tag. Unique and shared bytes add up to all bytes that the tag needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TagUsage {
    /// The tag.
    pub tag: String,
    /// The manifest.
    pub digest: Digest,
    /// The number of blobs that the tag needs.
    pub blobs: u64,
    /// The size of the content that only this tag needs, in bytes.
    pub unique_bytes: u64,
    /// The size of the content that other tags or entries need, too, in bytes.
    pub shared_bytes: u64,
}

/// The entry that needs a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Only the entry with this number.
    One(usize),
    /// Several entries, at least one of them with a tag.
    Several,
}

impl LayoutUsage {
    /// Measures the layout at `path`, a directory or a tar archive. Reads manifests and no other blobs.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` if there is no layout, or if its index is malformed; `Io`.
    pub async fn measure(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        blocking(move || {
            let graph = LayoutGraph::of(&LayoutParts::open(&path)?)?;
            Ok(measured(path, &graph))
        })
        .await
    }
}

fn measured(path: PathBuf, graph: &LayoutGraph) -> LayoutUsage {
    let entries = &graph.survey.entries;
    let mut owners = HashMap::new();
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.tag.is_some()) {
        spread(graph, entry.node, Owner::One(number), &mut owners);
    }
    let has_tag: HashSet<NodeId> = owners.keys().copied().collect();
    // A referrer usually has an entry without a tag. It belongs to the tags of its subject and is no other owner.
    let is_untagged = |entry: &SurveyEntry| entry.tag.is_none() && !has_tag.contains(&entry.node);
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| is_untagged(entry)) {
        spread(graph, entry.node, Owner::One(number), &mut owners);
    }
    let mut unique = HashMap::<usize, u64>::new();
    for (id, owner) in owners {
        if let Owner::One(number) = owner {
            *unique.entry(number).or_default() += graph.stored_size(id);
        }
    }
    // Several tags often name one manifest, whose content is summed up once.
    let mut sums = HashMap::new();
    let mut tags = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let Some(tag) = entry.tag.clone() else { continue };
        let all = *sums.entry(entry.node).or_insert_with(|| content_of(graph, entry.node));
        let digest = graph.survey.node(entry.node).digest.clone();
        let unique_bytes = unique.get(&number).copied().unwrap_or_default();
        let shared_bytes = all.bytes - unique_bytes;
        tags.push(TagUsage { tag, digest, blobs: all.blobs, unique_bytes, shared_bytes });
    }
    let mut usage = LayoutUsage {
        path,
        tags,
        untagged: BlobCount::default(),
        unreachable: BlobCount::default(),
        total: BlobCount::default(),
    };
    for (digest, blob) in &graph.stored.blobs {
        usage.total.add(blob.size);
        match graph.survey.find(digest) {
            None => usage.unreachable.add(blob.size),
            Some(id) if !has_tag.contains(&id) => usage.untagged.add(blob.size),
            Some(_) => {}
        }
    }
    usage
}

/// Gives an owner to everything that a node leads to. Each node changes its owner at most twice, so this ends on every
/// graph, after time in proportion to its edges.
fn spread(graph: &LayoutGraph, root: NodeId, owner: Owner, owners: &mut HashMap<NodeId, Owner>) {
    let mut next = vec![(root, owner)];
    while let Some((id, owner)) = next.pop() {
        let new = match owners.get(&id) {
            None => owner,
            Some(known) if *known == owner || *known == Owner::Several => continue,
            Some(_) => Owner::Several,
        };
        owners.insert(id, new);
        next.extend(graph.related(id).map(|other| (other, new)));
    }
}

/// Returns the number and the size of the blobs that a node needs.
fn content_of(graph: &LayoutGraph, root: NodeId) -> BlobCount {
    let (mut seen, mut next) = (HashSet::from([root]), vec![root]);
    let mut sum = BlobCount::default();
    while let Some(id) = next.pop() {
        if let Some(blob) = graph.stored.blobs.get(&graph.survey.node(id).digest) {
            sum.add(blob.size);
        }
        next.extend(graph.related(id).filter(|other| seen.insert(*other)));
    }
    sum
}
