//! The trait of a store that content can be written to.

use async_trait::async_trait;
use oras_spec::{Descriptor, Digest};

use crate::{Content, Error, ErrorKind, Pushed, Result};

/// What [`Target::push`] does besides storing the content. The mode of a blob is always [`PushMode::Untagged`].
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
    /// Stores a manifest and makes this tag name it: a registry does both in one request.
    ///
    /// An existing tag is replaced. The manifest that it named before stays available by its digest and its other
    /// tags. A manifest may have any number of tags. If the push fails, the tag is unchanged.
    Tagged(&'a str),
    /// Makes this tag name a manifest that the target has, and writes nothing else.
    AddTag(&'a str),
}

/// A store that content can be written to. Pushes and copies require it of their destination.
///
/// A push is atomic. After success the content is verified, visible and, where the store can guarantee it, durable.
/// After an error, or if the future is dropped at any point, new content is not visible, existing content and tags are
/// unchanged, and a later push of the same content can succeed. If the future is dropped while the store publishes the
/// content, the content may be visible, but then it is complete.
///
/// All methods may be called concurrently. Concurrent pushes of the same content all succeed, and concurrent pushes of
/// different manifests and tags lose no tag. A store may require children before their parents.
///
/// ```
/// use oras_store::{Content, PushMode, Pushed, Result, Target};
///
/// /// Stores blobs and the manifest that lists them. Returns the number of blobs that were transferred.
/// async fn store(target: &dyn Target, blobs: &[Content], manifest: &Content) -> Result<usize> {
///     let mut transferred = 0;
///     for blob in blobs {
///         let outcome = target.push(blob, PushMode::Untagged).await?;
///         transferred += usize::from(outcome == Pushed::Copied);
///     }
///     target.push(manifest, PushMode::Tagged("v1")).await?;
///     Ok(transferred)
/// }
/// ```
#[async_trait]
pub trait Target: Send + Sync {
    /// Returns true if the store has the content of `descriptor`, and false if it does not have it, which is no error.
    /// For a manifest this says nothing about its children.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool>;

    /// Stores `content` as `mode` says, with exactly its bytes. New content has the outcome [`Pushed::Copied`] or
    /// [`Pushed::Adopted`]. Content that already exists is no error: a blob is not transferred again, and the outcome
    /// is [`Pushed::Existed`] if the target knows.
    ///
    /// The content may be empty, and may be readable only once ([`Content::once`]). Every store accepts SHA-256
    /// digests, and local stores also SHA-384 and SHA-512. A manifest with a `subject` becomes a referrer
    /// ([`ReadStore::predecessors`](crate::ReadStore::predecessors)), and a second push does not add it again.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) or `SizeMismatch` if the bytes do not match
    /// the descriptor, `InvalidInput` for an invalid tag, and the error of reading the content. `InvalidContent` for a
    /// malformed manifest, such as one that is no JSON object or repeats a field; a store that does not parse
    /// manifests does not detect this. A store behind a server may return another kind if the server does not state
    /// the reason.
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
