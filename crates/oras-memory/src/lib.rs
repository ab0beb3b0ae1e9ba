//! An in-memory store, and the reference implementation of the `oras-store` contract.
//!
//! Clones of a [`Memory`] share their content. Use it in tests, and for small artifacts that a program makes and
//! pushes.
//!
//! ```
//! use oras_memory::Memory;
//! use oras_memory::store::spec::MediaType;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! let store = Memory::new();
//! let index = r#"{"schemaVersion":2,"manifests":[]}"#;
//! let index = store.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
//! assert_eq!(store.resolve("v1").await?.digest, index.digest);
//! assert_eq!(store.tags().await?, ["v1"]);
//! # Ok(()) }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ingest;
mod memory_bound;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use oras_spec::{Descriptor, Digest, Manifest, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, Ingest, IngestName, IngestOptions, IngestTarget,
    PushMode, Pushed, ReadStore, Result, Source, Store, Target,
};
use parking_lot::{Mutex, MutexGuard};

pub use memory_bound::MemoryBound;
use memory_bound::Reservation;
pub use oras_store as store;

oras_store::inherent_read_methods!(Memory);
oras_store::inherent_write_methods!(Memory);

/// A store in memory. Use it in tests, and for artifacts that a program makes and pushes. Clones share its content.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    bound: Option<MemoryBound>,
}

#[derive(Debug, Default)]
struct State {
    nodes: HashMap<Digest, Node>,
    tags: BTreeMap<String, Descriptor>,
    /// The referrers of each subject in the order of their pushes.
    referrers: HashMap<Digest, Vec<Descriptor>>,
}

#[derive(Debug)]
struct Node {
    media_type: MediaType,
    bytes: Bytes,
    /// The reservation of `bytes`.
    _reservation: Reservation,
}

impl Memory {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store with a memory limit, which other stores may share.
    ///
    /// A write that exceeds the limit fails with an error whose source is
    /// [`StorageFull`](std::io::ErrorKind::StorageFull). Deleting content releases its bytes.
    pub fn bounded(bound: &MemoryBound) -> Self {
        Self { bound: Some(bound.clone()), ..Self::default() }
    }

    fn reservation(&self) -> Reservation {
        Reservation::new(self.bound.clone())
    }

    /// Locks the state. The lock must not be held across an await, or it blocks the thread of the runtime.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    async fn store_content(&self, content: &Content) -> Result<Pushed> {
        if self.exists(content.descriptor()).await? {
            return Ok(Pushed::Existed);
        }
        // The bytes are reserved before they are read, so that content above the limit is never in memory.
        let mut reservation = self.reservation();
        reservation.grow(content.descriptor().size)?;
        // The reservation above is the limit, so no other limit applies.
        let bytes = content.bytes(u64::MAX).await?;
        self.store(content.descriptor(), bytes, reservation)
    }

    fn store(&self, descriptor: &Descriptor, bytes: Bytes, reservation: Reservation) -> Result<Pushed> {
        // One lock covers the check and the insertion, so that a concurrent push of the same content stores it once.
        let mut state = self.state();
        if state.nodes.contains_key(&descriptor.digest) {
            return Ok(Pushed::Existed);
        }
        if descriptor.media_type.is_manifest() {
            let manifest = Manifest::parse(&descriptor.media_type, bytes.clone())?;
            if let Some(subject) = manifest.subject() {
                let referrer = manifest.referrer_descriptor(descriptor);
                state.referrers.entry(subject.digest.clone()).or_default().push(referrer);
            }
        }
        let node = Node { media_type: descriptor.media_type.clone(), bytes, _reservation: reservation };
        state.nodes.insert(descriptor.digest.clone(), node);
        Ok(Pushed::Copied)
    }
}

#[async_trait]
impl Source for Memory {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let state = self.state();
        if let Some(descriptor) = state.tags.get(reference) {
            return Ok(descriptor.clone());
        }
        // A reference that is not a tag of the store must be a digest.
        let digest = reference.parse::<Digest>().map_err(|_| Error::not_found(reference))?;
        let node = state.nodes.get(&digest).ok_or_else(|| Error::not_found(reference))?;
        // The media type of a blob depends on the manifest that lists it, so a digest alone does not give it.
        let media_type =
            if node.media_type.is_manifest() { node.media_type.clone() } else { MediaType::OCTET_STREAM };
        Ok(Descriptor::new(media_type, digest, node.bytes.len() as u64))
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let state = self.state();
        let node = state.nodes.get(&descriptor.digest).ok_or_else(|| Error::not_found(&descriptor.digest))?;
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(node.bytes.len());
        // The slice shares the bytes, so reading copies nothing. A range beyond the content is cut off.
        let bytes = node.bytes.slice(place(range.start)..place(range.end).max(place(range.start)));
        Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
    }
}

#[async_trait]
impl Target for Memory {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.state().nodes.contains_key(&descriptor.digest))
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        let pushed = self.store_content(content).await?;
        if let PushMode::Tagged(tag) | PushMode::AddTag(tag) = mode {
            self.state().tags.insert(tag.to_owned(), content.descriptor().clone());
        }
        Ok(pushed)
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        self.state().tags.get(tag).map(|named| named.digest.clone())
    }
}

#[async_trait]
impl ReadStore for Memory {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let mut referrers = self.state().referrers.get(&node.digest).cloned().unwrap_or_default();
        referrers
            .retain(|referrer| artifact_type.is_none() || referrer.artifact_type.as_ref() == artifact_type);
        Ok(referrers)
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let after = |tag: &&String| last.is_none_or(|last| tag.as_str() > last);
        // The tags are copied, because the lock cannot be held while the stream is read.
        let tags: Vec<_> = self.state().tags.keys().filter(after).cloned().map(Ok).collect();
        stream::iter(tags).boxed()
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        let tags: Vec<_> =
            self.state().tags.iter().map(|(tag, node)| Ok((tag.clone(), node.clone()))).collect();
        stream::iter(tags).boxed()
    }
}

#[async_trait]
impl Store for Memory {
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        let mut state = self.state();
        let descriptor = match target {
            DeleteTarget::Content(descriptor) => descriptor,
            DeleteTarget::Tag(tag) if tag.parse::<Digest>().is_ok() => {
                return Err(Error::new(ErrorKind::InvalidInput, format!("{tag} is a digest, not a tag")));
            }
            DeleteTarget::Tag(tag) => {
                return state.tags.remove(tag).map(drop).ok_or_else(|| Error::not_found(tag));
            }
        };
        if state.nodes.remove(&descriptor.digest).is_none() {
            return Err(Error::not_found(&descriptor.digest));
        }
        // No tag and no list of referrers may name deleted content.
        state.tags.retain(|_, tagged| tagged.digest != descriptor.digest);
        for referrers in state.referrers.values_mut() {
            referrers.retain(|referrer| referrer.digest != descriptor.digest);
        }
        Ok(())
    }
}

#[async_trait]
impl IngestTarget for Memory {
    /// Begins a write that is lost when it is dropped: memory keeps nothing to resume.
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        if let IngestName::Resume(name) = options.name {
            return Err(Error::not_found(name));
        }
        Ok(Box::new(ingest::MemoryIngest::new(self.clone(), options.media_type, options.algorithm)))
    }
}

fn mismatch(expected: &Digest, found: &Digest) -> Error {
    Error::new(ErrorKind::DigestMismatch, format!("mismatched digest: expected {expected}, got {found}"))
}
