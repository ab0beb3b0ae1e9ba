//! Reads the manifests of one repository: what is selected, what it lists, and what refers to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesOrdered, StreamExt, TryStreamExt};
use oras_copy::{Event, PlatformsError, Selected, all_children, select_platforms};
use oras_spec::reference::check_tag;
use oras_spec::{Descriptor, Digest, Manifest, MediaKind};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, ReadStore, Result, Source};

use super::inventory::{BundledReferrer, BundledRepository, MissingContent, MissingKind};
use super::source::{BundleSource, ReferrerSelection};
use crate::resolve::fetch_manifest;
use crate::{Listener, Step};

/// The number of requests at the same time.
const REQUESTS: usize = 16;
/// The bytes of manifests that are kept until they are written. Other manifests are read again.
const MAX_KEPT: usize = 8 << 20;
/// The ends of cosign's tags.
const COSIGN_SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// A manifest of the repository, with what is next to it in the graph.
#[derive(Debug)]
pub(super) struct WalkedNode {
    pub(super) descriptor: Descriptor,
    pub(super) children: Vec<Descriptor>,
    /// The referrers and the manifests with cosign's tags.
    pub(super) followers: Vec<Digest>,
    pub(super) is_image: bool,
    pub(super) bytes: Option<Bytes>,
}

/// The manifests of a repository that belong to a bundle.
pub(super) struct RepositoryWalk {
    pub(super) store: Arc<dyn Source>,
    /// Tags, referrers and missing content. The counts are those of the contents in the bundle, and set later.
    pub(super) listed: BundledRepository,
    pub(super) nodes: HashMap<Digest, WalkedNode>,
}

/// The options of a walk.
pub(super) struct WalkOptions<'a> {
    /// Lists missing content instead of failing.
    pub(super) allow_missing: bool,
    /// The number of requests at the same time.
    pub(super) concurrency: usize,
    pub(super) listener: &'a dyn Listener,
}

/// A manifest to visit.
struct Unvisited {
    descriptor: Descriptor,
    bytes: Option<Bytes>,
    kind: MissingKind,
    parent: Option<Digest>,
}

/// The result of a visit.
struct Visited {
    children: Vec<Descriptor>,
    referrers: Vec<Descriptor>,
    is_image: bool,
    bytes: Bytes,
}

pub(super) fn default_concurrency() -> usize {
    REQUESTS
}

/// Walks the repository of `source`.
///
/// # Errors
/// The errors of the source. `NotFound` for content that it lists and does not have, unless that is allowed.
pub(super) async fn walk(source: &BundleSource, options: &WalkOptions<'_>) -> Result<RepositoryWalk> {
    let in_repository = |error: Error| error.context(format!("failed to bundle {}", source.name));
    Walker::new(source, options).run().await.map_err(in_repository)
}

struct Walker<'a> {
    source: &'a BundleSource,
    options: &'a WalkOptions<'a>,
    store: Arc<dyn Source>,
    listed: BundledRepository,
    nodes: HashMap<Digest, WalkedNode>,
    /// Cosign's tags by their start, `sha256-<hex>`.
    cosign_tags: HashMap<String, Vec<String>>,
    seen: HashSet<Digest>,
    level: Vec<Unvisited>,
    kept: usize,
}

impl<'a> Walker<'a> {
    fn new(source: &'a BundleSource, options: &'a WalkOptions<'a>) -> Self {
        Self {
            source,
            options,
            store: Arc::clone(&source.store) as Arc<dyn Source>,
            listed: BundledRepository { name: source.name.clone(), ..BundledRepository::default() },
            nodes: HashMap::new(),
            cosign_tags: HashMap::new(),
            seen: HashSet::new(),
            level: Vec::new(),
            kept: 0,
        }
    }

    async fn run(mut self) -> Result<RepositoryWalk> {
        let references = self.list_tags().await?;
        self.options.listener.step(Step::TagsFound(&references));
        self.add_roots(references, MissingKind::Tag, None).await?;
        while !self.level.is_empty() {
            self.visit_level().await?;
        }
        self.listed.sort_referrers();
        Ok(RepositoryWalk { store: self.store, listed: self.listed, nodes: self.nodes })
    }

    /// Returns the references to take, and finds cosign's tags.
    async fn list_tags(&mut self) -> Result<Vec<String>> {
        let with_cosign = self.source.cosign_tags && self.source.referrers != ReferrerSelection::None;
        let mut references = self.source.references.clone();
        let takes_all = references.is_empty();
        if !takes_all && !with_cosign {
            return Ok(references);
        }
        let mut tags = self.source.store.tags_after(None);
        while let Some(tag) = tags.try_next().await.map_err(|error| error.context("failed to list tags"))? {
            if let Some(subject) = cosign_subject(&tag).filter(|_| with_cosign) {
                self.cosign_tags.entry(subject.to_owned()).or_default().push(tag.clone());
            }
            if takes_all && check_tag(&tag).is_err() {
                self.options.listener.step(Step::InvalidTag(&tag));
            } else if takes_all {
                references.push(tag);
            }
        }
        if references.is_empty() {
            return Err(Error::from_source(ErrorKind::NotFound, crate::NoTags));
        }
        Ok(references)
    }

    /// Resolves tags and digests, and adds their manifests. `subject` is the manifest to which cosign's tags belong.
    async fn add_roots(
        &mut self,
        references: Vec<String>,
        kind: MissingKind,
        subject: Option<&Digest>,
    ) -> Result<()> {
        let store = Arc::clone(&self.store);
        let fetch = |reference: String| {
            let store = Arc::clone(&store);
            async move { (fetch_manifest(store, &reference).await, reference) }
        };
        let (mut references, mut fetched) = (references.into_iter(), FuturesOrdered::new());
        loop {
            let free = self.options.concurrency.saturating_sub(fetched.len());
            fetched.extend(references.by_ref().take(free).map(fetch));
            let Some((root, reference)) = fetched.next().await else { return Ok(()) };
            match root {
                Ok(root) => self.add_root(&reference, &root, subject)?,
                Err(error) => self.add_missing(kind, &reference, subject, error)?,
            }
        }
    }

    fn add_root(&mut self, reference: &str, fetched: &Content, subject: Option<&Digest>) -> Result<()> {
        let root = match self.select_platforms(fetched) {
            Ok(root) => root,
            Err(error) => {
                let names = oras_copy::join_platforms(&self.source.platforms);
                let parent = fetched.descriptor().digest.clone();
                return self.add_missing(MissingKind::Platform, &names, Some(&parent), error);
            }
        };
        let node = root.descriptor().plain();
        let follower = subject.and_then(|subject| self.nodes.get_mut(subject));
        if let Some(follower) = follower {
            follower.followers.push(node.digest.clone());
        }
        // A document that was made here is in no store, so its bytes must be kept.
        let is_made = node.digest != fetched.descriptor().digest && root.in_memory().is_some();
        let bytes = if is_made { root.in_memory().cloned() } else { self.keep(root.in_memory()) };
        if reference.parse::<Digest>().is_ok() {
            self.listed.untagged.push(node.clone());
        } else {
            self.listed.tags.insert(reference.to_owned(), node.clone());
        }
        self.add(Unvisited { descriptor: node, bytes, kind: MissingKind::Manifest, parent: None });
        Ok(())
    }

    /// Returns the image or the index for the selected platforms, and any other artifact unchanged.
    fn select_platforms(&self, root: &Content) -> Result<Content> {
        let media_type = &root.descriptor().media_type;
        let (platforms, Some(bytes)) = (&self.source.platforms, root.in_memory()) else {
            return Ok(root.clone());
        };
        if platforms.is_empty() || media_type.kind() != MediaKind::Index {
            return Ok(root.clone());
        }
        let index = Manifest::parse(media_type, bytes.clone())?;
        let not_found = |error: PlatformsError| Error::from_source(ErrorKind::NotFound, error);
        let selected = match select_platforms(&index, platforms).map_err(not_found)? {
            Selected::Whole => return Ok(root.clone()),
            Selected::One(image) => Content::from_source(Arc::clone(&self.store), *image),
            Selected::Some(document) => Content::of(media_type.clone(), document),
        };
        // The selection has another digest, so referrers of the original index would have no subject.
        self.options.listener.step(Step::ReferrersLeft(root.descriptor()));
        Ok(selected)
    }

    fn add(&mut self, node: Unvisited) {
        if self.seen.insert(node.descriptor.digest.clone()) {
            self.level.push(node);
        }
    }

    fn keep(&mut self, bytes: Option<&Bytes>) -> Option<Bytes> {
        let bytes = bytes.filter(|bytes| self.kept + bytes.len() <= MAX_KEPT)?;
        self.kept += bytes.len();
        Some(bytes.clone())
    }

    /// Lists missing content if that is allowed and the source does not have it. Returns all other errors.
    fn add_missing(
        &mut self,
        kind: MissingKind,
        name: &str,
        parent: Option<&Digest>,
        error: Error,
    ) -> Result<()> {
        if error.kind() != ErrorKind::NotFound || !self.options.allow_missing {
            let of = parent.map(|parent| format!(" of {parent}")).unwrap_or_default();
            return Err(error.context(format!("failed to get the {} {name}{of}", kind.as_str())));
        }
        let reason = error.chain();
        self.listed.missing.push(MissingContent {
            kind,
            name: name.to_owned(),
            parent: parent.cloned(),
            reason,
        });
        Ok(())
    }

    /// Visits the manifests that the last level found.
    async fn visit_level(&mut self) -> Result<()> {
        let mut level = std::mem::take(&mut self.level).into_iter();
        let (store, selection) = (Arc::clone(&self.source.store), self.source.referrers.clone());
        let visit = |node: Unvisited| {
            let (store, selection) = (Arc::clone(&store), selection.clone());
            async move { (visit(store, &node, &selection).await, node) }
        };
        let mut visited = FuturesOrdered::new();
        loop {
            let free = self.options.concurrency.saturating_sub(visited.len());
            visited.extend(level.by_ref().take(free).map(visit));
            let Some((visited, node)) = visited.next().await else { return Ok(()) };
            match visited {
                Ok(visited) => self.add_visited(node, visited).await?,
                Err(error) => {
                    let name = node.descriptor.digest.to_string();
                    self.add_missing(node.kind, &name, node.parent.as_ref(), error)?;
                }
            }
        }
    }

    async fn add_visited(&mut self, node: Unvisited, visited: Visited) -> Result<()> {
        let descriptor = node.descriptor;
        let digest = descriptor.digest.clone();
        let (listener, children) = (self.options.listener, &visited.children);
        listener.step(Step::Node(Event::Opening(&descriptor)));
        listener.step(Step::Node(Event::Opened { node: &descriptor, children, left_out: &[] }));
        let manifests = children.iter().filter(|child| child.media_type.is_manifest());
        let manifests: Vec<_> = manifests.map(Descriptor::plain).collect();
        for child in manifests {
            let parent = Some(digest.clone());
            self.add(Unvisited { descriptor: child, bytes: None, kind: MissingKind::Manifest, parent });
        }
        let mut followers = Vec::new();
        for referrer in visited.referrers {
            let (subject, parent) = (digest.clone(), Some(digest.clone()));
            followers.push(referrer.digest.clone());
            self.add(Unvisited {
                descriptor: referrer.plain(),
                bytes: None,
                kind: MissingKind::Referrer,
                parent,
            });
            self.listed.referrers.push(BundledReferrer { subject, descriptor: referrer });
        }
        let bytes = match node.bytes {
            Some(bytes) => Some(bytes),
            None => self.keep(Some(&visited.bytes)),
        };
        let cosign_tags = self.cosign_tags.get(&digest.to_string().replacen(':', "-", 1)).cloned();
        let (children, is_image) = (visited.children, visited.is_image);
        self.nodes.insert(digest.clone(), WalkedNode { descriptor, children, followers, is_image, bytes });
        // Tags that are roots already must still follow their subject.
        self.add_roots(cosign_tags.unwrap_or_default(), MissingKind::Referrer, Some(&digest)).await
    }
}

/// Reads a manifest and lists its referrers.
async fn visit(
    store: Arc<dyn ReadStore>,
    node: &Unvisited,
    selection: &ReferrerSelection,
) -> Result<Visited> {
    let bytes = match &node.bytes {
        Some(bytes) => bytes.clone(),
        None => {
            let content =
                Content::from_source(Arc::clone(&store) as Arc<dyn Source>, node.descriptor.clone());
            content.bytes(MAX_MANIFEST_SIZE).await?
        }
    };
    let manifest = Manifest::parse(&node.descriptor.media_type, bytes.clone())?;
    let children = all_children(&manifest);
    let mut referrers = match selection {
        ReferrerSelection::None => Vec::new(),
        _ => store.predecessors(&node.descriptor, None).await?,
    };
    // A registry without the referrers API may return the index itself for the tag `sha256-<hex>`, so that its children
    // look like its referrers.
    let own: HashSet<&Digest> = children.iter().map(|child| &child.digest).collect();
    referrers.retain(|referrer| {
        selection.takes(referrer.artifact_type.as_ref()) && !own.contains(&referrer.digest)
    });
    for referrer in &mut referrers {
        let artifact_type = referrer.artifact_type.take();
        *referrer = referrer.plain();
        referrer.artifact_type = artifact_type;
    }
    referrers.sort_by_cached_key(|referrer| referrer.digest.to_string());
    referrers.dedup_by(|a, b| a.digest == b.digest);
    let is_index = manifest.media_type().kind() == MediaKind::Index;
    let is_image = is_index || manifest.config().is_some_and(|config| config.media_type.is_image_config());
    Ok(Visited { children, referrers, is_image, bytes })
}

/// Returns true for a tag of cosign.
pub(super) fn is_cosign_tag(tag: &str) -> bool {
    cosign_subject(tag).is_some()
}

/// Returns the start of a tag of cosign, `sha256-<hex>`, which names the subject.
fn cosign_subject(tag: &str) -> Option<&str> {
    let subject = COSIGN_SUFFIXES.iter().find_map(|suffix| tag.strip_suffix(suffix))?;
    oras_spec::reference::is_digest_tag(subject).then_some(subject)
}
