//! The traits of a store.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use oras_spec::{Descriptor, Digest, MediaType};

use crate::{ByteStream, Content, Error, ErrorKind, IngestTarget, Origin, Pushed, Result};

/// A store that content can be read from.
///
/// Callers read through [`Content`], which verifies the bytes. [`Source::fetch`] returns unverified bytes.
#[async_trait]
pub trait Source: Send + Sync {
    /// Returns the descriptor that `reference`, a tag or the text of a digest, names in this store.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store has no such tag or digest.
    async fn resolve(&self, reference: &str) -> Result<Descriptor>;

    /// Like [`Source::resolve`], but also returns the bytes of the manifest if the store got them in the same
    /// request. The store has verified their size and digest.
    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        Ok((self.resolve(reference).await?, None))
    }

    /// Returns the bytes of `descriptor` within `range`, unverified. Only [`Content`] calls this.
    ///
    /// `range` lies within the size of the descriptor. A store that keeps manifests and blobs apart chooses by the
    /// media type of the descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store does not have the content.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream>;

    /// Returns where a target can reach the bytes of `descriptor` without this store. Makes no request.
    fn origin(&self, _descriptor: &Descriptor) -> Origin {
        Origin::Opaque
    }
}

/// A store that content can be written to.
///
/// A push is atomic. After success the content is verified, visible and, where the store can guarantee it, durable.
/// After an error, or if the future is dropped, nothing is visible. A store may require children before their
/// parents.
#[async_trait]
pub trait Target: Send + Sync {
    /// Returns true if the store has the content of `descriptor`. For a manifest this says nothing about its children.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool>;

    /// Stores `content`. Content that already exists is no error. Callers check [`Target::exists`] first, so an
    /// implementation need not.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) or `SizeMismatch` if the bytes do not match
    /// the descriptor.
    async fn push(&self, content: &Content) -> Result<Pushed>;

    /// Returns true if [`Target::push`] detects existing content itself, so callers can skip the [`Target::exists`]
    /// request. Makes no request. The default is false.
    fn push_checks_existence(&self, _content: &Content) -> bool {
        false
    }

    /// Like [`Target::push`], but the target may defer the write of the manifest, to store many manifests in one step.
    ///
    /// The manifest is visible through this target at once. It is durable when [`Target::sync`] or [`Target::tag`] has
    /// returned. If the program ends earlier, the manifest is lost. The default defers nothing.
    async fn push_deferred(&self, content: &Content) -> Result<Pushed> {
        self.push(content).await
    }

    /// Stores the manifests that [`Target::push_deferred`] deferred. After an error they stay deferred.
    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the digest that `tag` names, if the target can find it in one attempt. The default is `None`.
    ///
    /// Callers use the digest only to skip work. A failure returns `None`, and the next request reports the error.
    async fn tagged(&self, _tag: &str) -> Option<Digest> {
        None
    }

    /// Checks that `tag` is a valid name for [`Target::tag`], without a request. The default accepts every name but the
    /// empty one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the name is invalid.
    fn check_tag(&self, tag: &str) -> Result<()> {
        // The Go library has the same text for this error.
        if tag.is_empty() { Err(Error::new(ErrorKind::InvalidInput, "missing reference")) } else { Ok(()) }
    }

    /// Makes `tag` name the manifest `content`, and stores the manifest if it does not exist: a registry does both in
    /// one request. An existing tag is replaced.
    async fn tag(&self, content: &Content, tag: &str) -> Result<()>;

    /// Makes `tag` name the existing manifest `content`, and writes nothing else. The default calls [`Target::tag`].
    async fn add_tag(&self, content: &Content, tag: &str) -> Result<()> {
        self.tag(content, tag).await
    }
}

/// A store that finds the referrers of a manifest.
#[async_trait]
pub trait Predecessors: Send + Sync {
    /// Returns the manifests whose `subject` is `node`, each with its artifact type and annotations. With
    /// `artifact_type`, returns only the referrers of that type. An index that lists `node` among its manifests is
    /// not a referrer.
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>>;
}

/// A store that lists its tags.
pub trait TagList: Send + Sync {
    /// Lists the tags after `last`, or all tags, page by page in the order of the store. The first error ends the
    /// stream.
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>>;
}

/// A store that deletes content and tags.
#[async_trait]
pub trait Delete: Send + Sync {
    /// Deletes the content of `descriptor` and every tag that names it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store does not have it, `Unsupported` if the store
    /// forbids deletion.
    async fn delete(&self, descriptor: &Descriptor) -> Result<()>;

    /// Deletes a tag. The manifest stays available by its digest and its other tags.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the tag does not exist, `InvalidInput` if `tag` is a
    /// digest, `Unsupported` if the store cannot delete a tag alone, which is the default.
    async fn untag(&self, tag: &str) -> Result<()> {
        // A registry, for example, may forbid the deletion of tags (distribution-spec, "Deleting tags").
        Err(Error::new(ErrorKind::Unsupported, format!("{tag}: this store can't remove a tag alone")))
    }
}

/// A source that also finds referrers.
pub trait GraphSource: Source + Predecessors {}

// The blanket implementations let a store implement only the small traits.
impl<T: Source + Predecessors + ?Sized> GraphSource for T {}

/// A source that also finds referrers and lists tags: everything that can be read from a repository.
pub trait ReadStore: GraphSource + TagList {}

impl<T: GraphSource + TagList + ?Sized> ReadStore for T {}

/// A target that also stores content whose digest is not known yet: everything that can be written to a repository.
pub trait Sink: Target + IngestTarget {}

impl<T: Target + IngestTarget + ?Sized> Sink for T {}

/// A store with every operation of a repository in a registry.
pub trait Store: ReadStore + Sink + Delete {}

impl<T: ReadStore + Sink + Delete + ?Sized> Store for T {}
