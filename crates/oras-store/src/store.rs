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

/// A source that also finds referrers and lists tags: everything that can be read from a repository.
#[async_trait]
pub trait ReadStore: Source {
    /// Returns the manifests whose `subject` is `node`, each with its artifact type and annotations. With
    /// `artifact_type`, returns only the referrers of that type. An index that lists `node` among its manifests is
    /// not a referrer.
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>>;

    /// Lists the tags after `last`, or all tags, page by page in the order of the store. The first error ends the
    /// stream.
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>>;
}

/// What [`Target::push`] does besides storing the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMode<'a> {
    /// Stores a blob, or a manifest without a tag.
    Untagged,
    /// Stores a manifest like [`PushMode::Untagged`], but the target may defer the write, to store many manifests in
    /// one step.
    ///
    /// The manifest is visible through this target at once. It is durable when [`Target::sync`] or a push with a tag
    /// has returned. If the program ends earlier, the manifest is lost.
    Deferred,
    /// Stores a manifest and makes this tag name it: a registry does both in one request. An existing tag is replaced.
    Tagged(&'a str),
    /// Makes this tag name a manifest that the target has, and writes nothing else.
    AddTag(&'a str),
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

    /// Stores `content` as `mode` says. Content that already exists is no error: a blob is not transferred again, and
    /// the outcome is [`Pushed::Existed`] if the target knows.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) or `SizeMismatch` if the bytes do not match
    /// the descriptor, `InvalidInput` for an invalid tag.
    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed>;

    /// Stores the manifests that [`PushMode::Deferred`] deferred. After an error they stay deferred. The default does
    /// nothing, for a target that defers nothing.
    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the digest that `tag` names, if the target can find it in one attempt. The default is `None`.
    ///
    /// Callers use the digest only to skip work. A failure returns `None`, and the next request reports the error.
    async fn tagged(&self, _tag: &str) -> Option<Digest> {
        None
    }

    /// Checks that `tag` is a valid name for a tag of this target, without a request. The default accepts every name
    /// but the empty one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the name is invalid.
    fn check_tag(&self, tag: &str) -> Result<()> {
        // The Go library has the same text for this error.
        if tag.is_empty() { Err(Error::new(ErrorKind::InvalidInput, "missing reference")) } else { Ok(()) }
    }
}

/// What [`Store::delete`] deletes.
#[derive(Clone, Copy, Debug)]
pub enum DeleteTarget<'a> {
    /// The content of a descriptor, and every tag that names it.
    Content(&'a Descriptor),
    /// A tag. The manifest stays available by its digest and its other tags.
    Tag(&'a str),
}

/// A store with every operation of a repository in a registry.
#[async_trait]
pub trait Store: ReadStore + IngestTarget {
    /// Deletes content or a tag.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store does not have it. `InvalidInput` if the tag is
    /// a digest. `Unsupported` if the store forbids the deletion or cannot delete a tag alone: a registry may forbid
    /// both (distribution-spec, "Content Management").
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()>;
}
