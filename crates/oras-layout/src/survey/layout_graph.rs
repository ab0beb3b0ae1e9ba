//! The graph of a layout for programs: entries of the index, manifests and blobs.

use std::collections::HashMap;
use std::path::PathBuf;

use oras_fs::blocking;
use oras_spec::Descriptor;
use oras_store::Result;

use super::layout_parts::LayoutParts;
use super::layout_survey::{LayoutSurvey, NodeId};
use super::stored_blobs::StoredBlobs;
use super::survey_reader::ManifestState;

/// Everything that the index of a layout reaches, as one snapshot in memory. Programs list a layout with it, or find
/// out why content is in a layout.
///
/// Missing and damaged manifests have no children. A graph can have cycles of referrers, as a digest can be named before
/// its content exists.
///
/// ```
/// use oras_layout::store::spec::MediaType;
/// use oras_layout::{GraphEntry, GraphNode, Layout, LayoutGraph};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_layout::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let layout = Layout::open_or_create(directory.path().join("layout")).await?;
/// let index = r#"{"schemaVersion":2,"manifests":[]}"#;
/// layout.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
///
/// let graph = LayoutGraph::read(layout.path()).await?;
/// for GraphEntry { tag, node, .. } in graph.entries() {
///     let children: Vec<GraphNode<'_>> = node.children().collect();
///     println!("{tag:?}: {} with {} children", node.descriptor().digest, children.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LayoutGraph {
    pub(crate) survey: LayoutSurvey,
    pub(crate) stored: StoredBlobs,
    pub(crate) referrers: HashMap<NodeId, Vec<NodeId>>,
}

/// An entry of the index. A program reads its tag and its manifest.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GraphEntry<'a> {
    /// The tag, if the entry has one.
    pub tag: Option<&'a str>,
    /// The manifest.
    pub node: GraphNode<'a>,
}

/// A manifest or another blob of a [`LayoutGraph`]. Its methods lead to what it lists and to what refers to it.
#[derive(Clone, Copy, Debug)]
pub struct GraphNode<'a> {
    graph: &'a LayoutGraph,
    pub(crate) id: NodeId,
}

impl LayoutGraph {
    /// Reads the graph of the layout at `path`, a directory or a tar archive. Reads manifests and no other blobs.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` if there is no layout, or if its index is malformed; `Io`.
    pub async fn read(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        blocking(move || Self::of(&LayoutParts::open(&path)?)).await
    }

    pub(crate) fn of(parts: &LayoutParts) -> Result<Self> {
        parts.check_marker()?;
        let stored = parts.stored_blobs()?;
        let survey = LayoutSurvey::read(parts, &parts.index(&stored)?)?;
        let referrers = survey.referrers();
        Ok(Self { survey, stored, referrers })
    }

    /// Returns the entries of the index, in order.
    pub fn entries(&self) -> impl Iterator<Item = GraphEntry<'_>> {
        self.survey.entries.iter().map(|entry| GraphEntry {
            tag: entry.tag.as_deref(),
            node: GraphNode { graph: self, id: entry.node },
        })
    }

    /// Returns the nodes that a node leads to: its children, its subject and its referrers.
    pub(crate) fn related(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let node = self.survey.node(id);
        let referrers = self.referrers.get(&id).into_iter().flatten();
        node.children.iter().chain(&node.subject).chain(referrers).copied()
    }

    /// Returns the size of the blob in the layout; 0 if it is missing.
    pub(crate) fn stored_size(&self, id: NodeId) -> u64 {
        self.stored.blobs.get(&self.survey.node(id).digest).map_or(0, |blob| blob.size)
    }
}

impl<'a> GraphNode<'a> {
    /// Returns the descriptor: media type, digest and size, and the artifact type and platform if they are known.
    pub fn descriptor(&self) -> Descriptor {
        let node = self.graph.survey.node(self.id);
        let mut descriptor = self.graph.survey.descriptor(self.id);
        descriptor.artifact_type = node.artifact_type.clone();
        descriptor.platform = node.platform.as_deref().cloned();
        descriptor
    }

    /// Returns true if the layout has a file for the node. Its bytes are verified only for a manifest.
    pub fn is_present(&self) -> bool {
        let node = self.graph.survey.node(self.id);
        let is_readable = matches!(node.state, ManifestState::NotManifest | ManifestState::Read);
        is_readable && self.graph.stored.blobs.contains_key(&node.digest)
    }

    /// Returns what a manifest lists, in order: config, layers and manifests. Other nodes have no children.
    pub fn children(self) -> impl Iterator<Item = GraphNode<'a>> {
        let node = self.graph.survey.node(self.id);
        node.children.iter().map(move |id| GraphNode { id: *id, ..self })
    }

    /// Returns the manifests whose subject is this node.
    pub fn referrers(self) -> impl Iterator<Item = GraphNode<'a>> {
        let referrers = self.graph.referrers.get(&self.id);
        referrers.into_iter().flatten().map(move |id| GraphNode { id: *id, ..self })
    }

    /// Returns the sum of the sizes of the node and of everything below it, each blob once. Referrers do not count.
    pub fn total_size(&self) -> u64 {
        let survey = &self.graph.survey;
        let (mut seen, mut next, mut sum) = (std::collections::HashSet::new(), vec![self.id], 0_u64);
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                sum = sum.saturating_add(survey.node(id).size);
                next.extend(&survey.node(id).children);
            }
        }
        sum
    }
}
