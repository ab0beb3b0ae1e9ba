//! The content of a manifest and its referrers as a tree of limited size.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use oras_spec::{Descriptor, Manifest, MediaKind, View};
use oras_store::{Content, ErrorKind, ReadStore, Source};

use super::format::{LABEL, shown};
use super::referrer_kind::ReferrerKind;

/// The maximum number of nodes of one tree.
const MAX_NODES: usize = 300;
/// The maximum number of levels below the top.
const MAX_DEPTH: usize = 4;
/// The maximum number of manifests that are read for one tree, their maximum total size, and the maximum size of one.
const MAX_READS: usize = 50;
const MAX_READ: u64 = 8 << 20;
const MAX_MANIFEST: u64 = 4 << 20;

/// A tree, whose branches are ranges of `nodes`.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) top: Branch,
    /// The nodes whose branches were not read yet, and their depth.
    next: VecDeque<(usize, usize)>,
}

/// What a node is for the manifest that lists it, or for its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Config,
    Layer,
    Manifest,
    Blob,
    Referrer(ReferrerKind),
}

impl Role {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Config => "Config",
            Self::Layer => "Layer",
            Self::Manifest => "Manifest",
            Self::Blob => "Blob",
            Self::Referrer(kind) => kind.label(),
        }
    }

    fn of_referrer(referrer: &Descriptor) -> Self {
        Self::Referrer(ReferrerKind::of(referrer))
    }
}

/// The details of a descriptor that a page shows.
pub(super) struct Node {
    pub(super) role: Role,
    /// The title or the platform.
    pub(super) name: Option<String>,
    /// The artifact type or the media type.
    pub(super) type_name: String,
    /// The descriptor without the fields that are not needed to read the content.
    pub(super) descriptor: Descriptor,
    /// Whether this registry should have the content. False for foreign layers.
    pub(super) is_present: bool,
    pub(super) below: Branch,
    is_file: bool,
}

/// The nodes below another node, or at the top.
#[derive(Default)]
pub(super) struct Branch {
    pub(super) nodes: Range<usize>,
    /// The number of further nodes, which are not shown.
    pub(super) more: usize,
    /// Why no nodes are shown.
    pub(super) note: Option<&'static str>,
}

impl Node {
    fn of(role: Role, descriptor: &Descriptor) -> Self {
        let title = descriptor.title().map(|title| shown(title, LABEL));
        let platform = descriptor.platform.as_ref().map(|platform| shown(&platform.to_string(), LABEL));
        let named = descriptor.artifact_type.as_ref().filter(|text| !text.as_str().is_empty());
        Self {
            role,
            is_file: title.is_some(),
            name: title.or(platform),
            type_name: shown(named.unwrap_or(&descriptor.media_type).as_str(), LABEL),
            descriptor: descriptor.plain(),
            is_present: descriptor.media_type.kind() != MediaKind::Foreign,
            below: Branch::default(),
        }
    }

    pub(super) fn is_manifest(&self) -> bool {
        self.descriptor.media_type.is_manifest()
    }

    /// Returns the name for a download: the last part of the title if it is a plain file name, otherwise the digest.
    pub(super) fn file_name(&self) -> String {
        let title = self.name.as_deref().filter(|_| self.is_file).unwrap_or_default();
        let last = title.rsplit('/').next().unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
        // The name must not contain a path, and must not make the download a hidden file.
        match !last.is_empty() && !last.starts_with('.') && last.chars().all(is_plain) {
            true => last.to_owned(),
            false => self.descriptor.digest.encoded().chars().take(64).collect(),
        }
    }
}

impl Tree {
    /// Builds the tree of the content of `manifest`, level by level, so that the limits cut off the deepest nodes.
    pub(super) async fn of(store: &Arc<dyn ReadStore>, manifest: &Manifest) -> Self {
        let mut tree = Self::default();
        tree.grow(None, parts(manifest), 1);
        let (mut reads, mut bytes) = (MAX_READS, MAX_READ);
        while let Some((at, depth)) = tree.next.pop_front() {
            let node = &mut tree.nodes[at];
            if !node.is_manifest() {
                continue;
            }
            let size = node.descriptor.size;
            if depth == MAX_DEPTH || reads == 0 || size > bytes.min(MAX_MANIFEST) {
                node.below.note = Some("What it lists is on its own page.");
                continue;
            }
            (reads, bytes) = (reads - 1, bytes - size);
            let content = Content::from_source(Arc::clone(store) as Arc<dyn Source>, node.descriptor.clone());
            match content.manifest(MAX_MANIFEST).await {
                Ok(manifest) => tree.grow(Some(at), parts(&manifest), depth + 1),
                Err(error) => {
                    node.is_present = error.kind() != ErrorKind::NotFound;
                    let note =
                        if node.is_present { "It can't be read." } else { "It is not in this repository." };
                    node.below.note = Some(note);
                }
            }
        }
        tree
    }

    /// Builds the tree of the manifests that refer to `node`, and of their referrers.
    pub(super) async fn of_referrers(store: &dyn ReadStore, node: &Descriptor) -> oras_store::Result<Self> {
        let mut tree = Self::default();
        let mut found = store.predecessors(node, None).await?;
        found.sort_by_key(ReferrerKind::of);
        tree.grow(None, Parts { config: None, rest: &found, role: Role::of_referrer }, 1);
        // Limits the lookups, each of which may be a request to the upstream of a proxy.
        let mut lookups = 0..MAX_READS;
        while let Some((at, depth)) = tree.next.pop_front() {
            if depth < MAX_DEPTH && lookups.next().is_some() {
                let found = store.predecessors(&tree.nodes[at].descriptor, None).await?;
                tree.grow(Some(at), Parts { config: None, rest: &found, role: Role::of_referrer }, depth + 1);
            }
        }
        Ok(tree)
    }

    /// Returns true if `oras pull` would write files.
    pub(super) fn has_files(&self) -> bool {
        self.nodes.iter().any(|node| node.is_file)
    }

    /// Adds the nodes below another node, or at the top, up to the limit.
    fn grow(&mut self, parent: Option<usize>, parts: Parts<'_>, depth: usize) {
        let (begin, all) = (self.nodes.len(), usize::from(parts.config.is_some()) + parts.rest.len());
        let config = parts.config.map(|config| Node::of(Role::Config, config));
        let rest = parts.rest.iter().map(|part| Node::of((parts.role)(part), part));
        // Nodes are only appended, so the indices in earlier branches stay valid.
        self.nodes.extend(config.into_iter().chain(rest).take(MAX_NODES - begin));
        let added = begin..self.nodes.len();
        self.next.extend(added.clone().map(|at| (at, depth)));
        let branch = parent.map_or(&mut self.top, |at| &mut self.nodes[at].below);
        *branch = Branch { more: all - added.len(), nodes: added, note: None };
    }
}

/// The descriptors that one manifest lists, without its subject, or the referrers of a subject.
struct Parts<'a> {
    config: Option<&'a Descriptor>,
    rest: &'a [Descriptor],
    /// Returns the role of a descriptor in `rest`.
    role: fn(&Descriptor) -> Role,
}

fn parts(manifest: &Manifest) -> Parts<'_> {
    match manifest.view() {
        View::Image(image) => {
            Parts { config: Some(&image.config), rest: &image.layers, role: |_| Role::Layer }
        }
        View::Index(index) => Parts { config: None, rest: &index.manifests, role: |_| Role::Manifest },
        View::Artifact(artifact) => Parts { config: None, rest: &artifact.blobs, role: |_| Role::Blob },
    }
}
