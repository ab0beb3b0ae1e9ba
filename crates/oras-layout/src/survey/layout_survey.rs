//! The graph of everything that the index of a layout reaches, with nodes as numbers. A cycle or a missing manifest is
//! no error, so the graph of a damaged or hostile layout can be read, too.

use std::collections::{HashMap, VecDeque};

use oras_spec::{Descriptor, Digest, Manifest, MediaType, Platform, annotation};
use oras_store::Result;

use super::layout_parts::LayoutParts;
use super::survey_reader::{ManifestState, SurveyReader};
use crate::index::Index;
use crate::parallel::in_parallel;
use crate::size_limits::MAX_STORED_MANIFEST;

/// A batch of manifests ends at the first of two limits: their number, and their total size in bytes. It bounds the
/// memory for manifests that were read and not yet added to the graph.
const BATCH: usize = 512;
const BATCH_SIZE: u64 = 4 << 20;
/// The minimum number of manifests for each thread: starting a thread takes longer than reading fewer.
const MIN_SHARE: usize = 32;

/// The number of a node.
pub(crate) type NodeId = u32;

/// The graph of a layout.
#[derive(Debug, Default)]
pub(crate) struct LayoutSurvey {
    /// All nodes that the index reaches. Children come after the first manifest that lists them.
    pub(crate) nodes: Vec<SurveyNode>,
    /// The entries of the index, in order.
    pub(crate) entries: Vec<SurveyEntry>,
    /// Descriptors whose size differs from that of the first descriptor of the node.
    pub(crate) size_conflicts: Vec<SizeConflict>,
    ids: HashMap<Digest, NodeId>,
}

/// A manifest or another blob.
#[derive(Debug)]
pub(crate) struct SurveyNode {
    pub(crate) digest: Digest,
    pub(crate) media_type: MediaType,
    /// The size in the first descriptor of the node.
    pub(crate) size: u64,
    /// The artifact type in the manifest, or in the descriptor if the manifest was not read.
    pub(crate) artifact_type: Option<MediaType>,
    pub(crate) platform: Option<Box<Platform>>,
    /// The first manifest that lists the node. `None` for an entry of the index.
    pub(crate) listed_by: Option<NodeId>,
    /// False while only a referrer names the node as its subject.
    pub(crate) is_listed: bool,
    /// True if the content may be somewhere else: its descriptor has URLs, or its type is that of a foreign layer.
    pub(crate) is_foreign: bool,
    pub(crate) state: ManifestState,
    /// The content of a manifest, without its subject.
    pub(crate) children: Vec<NodeId>,
    pub(crate) subject: Option<NodeId>,
}

/// An entry of the index.
#[derive(Debug)]
pub(crate) struct SurveyEntry {
    pub(crate) node: NodeId,
    pub(crate) tag: Option<String>,
}

/// A descriptor with another size than the first descriptor of the digest.
#[derive(Debug)]
pub(crate) struct SizeConflict {
    pub(crate) node: NodeId,
    pub(crate) listed_by: Option<NodeId>,
    pub(crate) size: u64,
}

/// How a descriptor is related to the manifest that contains it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Child,
    Subject,
}

impl LayoutSurvey {
    /// Reads every manifest that the index reaches, on all cores.
    ///
    /// # Errors
    /// `Io` if the system has no resources to open files.
    pub(crate) fn read(parts: &LayoutParts, index: &Index) -> Result<Self> {
        let mut survey = Self::default();
        let mut queue = VecDeque::new();
        for entry in index.descriptors() {
            let tag = entry.annotations.get(annotation::REF_NAME).filter(|tag| !tag.is_empty()).cloned();
            let node = survey.add(&entry, None, Relation::Child, &mut queue);
            survey.entries.push(SurveyEntry { node, tag });
        }
        let reader = SurveyReader::new(parts);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        loop {
            let batch = survey.take_batch(&mut queue);
            if batch.is_empty() {
                return Ok(survey);
            }
            let threads = batch.len().div_ceil(MIN_SHARE).min(cores);
            let read = in_parallel(batch.iter(), threads, |(_, node)| reader.read(node))?;
            for ((id, _), (state, manifest)) in batch.into_iter().zip(read) {
                survey.node_mut(id).state = state;
                if let Some(manifest) = manifest {
                    survey.add_content(id, &manifest, &mut queue);
                }
            }
        }
    }

    fn take_batch(&self, queue: &mut VecDeque<NodeId>) -> Vec<(NodeId, Descriptor)> {
        let (mut batch, mut size) = (Vec::new(), 0_u64);
        while size < BATCH_SIZE
            && batch.len() < BATCH
            && let Some(id) = queue.pop_front()
        {
            let descriptor = self.descriptor(id);
            size += descriptor.size.min(MAX_STORED_MANIFEST);
            batch.push((id, descriptor));
        }
        batch
    }

    fn add_content(&mut self, id: NodeId, manifest: &Manifest, queue: &mut VecDeque<NodeId>) {
        let listed = manifest.config().into_iter().chain(manifest.layers()).chain(manifest.manifests());
        let children = listed.map(|child| self.add(child, Some(id), Relation::Child, queue)).collect();
        let subject = manifest.subject().map(|subject| self.add(subject, Some(id), Relation::Subject, queue));
        let node = self.node_mut(id);
        (node.children, node.subject) = (children, subject);
        node.artifact_type = manifest.artifact_type().cloned();
    }

    /// Adds the node of a descriptor, and queues it if it is a manifest that was not queued yet.
    fn add(
        &mut self,
        described: &Descriptor,
        listed_by: Option<NodeId>,
        relation: Relation,
        queue: &mut VecDeque<NodeId>,
    ) -> NodeId {
        let is_manifest = described.media_type.is_manifest();
        let is_foreign =
            !described.urls.is_empty() || described.media_type.kind() == oras_spec::MediaKind::Foreign;
        let is_listed = relation == Relation::Child;
        if let Some(id) = self.ids.get(&described.digest).copied() {
            if self.node(id).size != described.size {
                self.size_conflicts.push(SizeConflict { node: id, listed_by, size: described.size });
            }
            let node = self.node_mut(id);
            if is_listed && !node.is_listed {
                (node.is_listed, node.listed_by) = (true, listed_by);
            }
            node.is_foreign &= is_foreign;
            // Another manifest may list the same bytes with a type that has no children.
            if is_manifest && node.state == ManifestState::NotManifest {
                node.media_type = described.media_type.clone();
                node.state = ManifestState::Missing;
                queue.push_back(id);
            }
            return id;
        }
        // A layout with more nodes than this cannot be read: its index would be larger than the limit.
        let id = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        self.ids.insert(described.digest.clone(), id);
        self.nodes.push(SurveyNode {
            digest: described.digest.clone(),
            media_type: described.media_type.clone(),
            size: described.size,
            artifact_type: described.artifact_type.clone(),
            platform: described.platform.clone().map(Box::new),
            listed_by,
            is_listed,
            is_foreign,
            state: if is_manifest { ManifestState::Missing } else { ManifestState::NotManifest },
            children: Vec::new(),
            subject: None,
        });
        if is_manifest {
            queue.push_back(id);
        }
        id
    }

    /// Returns the node with this number.
    pub(crate) fn node(&self, id: NodeId) -> &SurveyNode {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut SurveyNode {
        &mut self.nodes[id as usize]
    }

    /// Returns the number of the node with this digest.
    pub(crate) fn find(&self, digest: &Digest) -> Option<NodeId> {
        self.ids.get(digest).copied()
    }

    /// Returns the media type, digest and size of a node.
    pub(crate) fn descriptor(&self, id: NodeId) -> Descriptor {
        let node = self.node(id);
        Descriptor::new(node.media_type.clone(), node.digest.clone(), node.size)
    }

    /// Returns the numbers and the nodes.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (NodeId, &SurveyNode)> {
        (0..).zip(&self.nodes)
    }

    /// Returns the referrers of each subject.
    pub(crate) fn referrers(&self) -> HashMap<NodeId, Vec<NodeId>> {
        let mut referrers = HashMap::<_, Vec<_>>::new();
        for (id, node) in self.numbered() {
            if let Some(subject) = node.subject {
                referrers.entry(subject).or_default().push(id);
            }
        }
        referrers
    }
}
