//! The trait of a store that content can be written to.

use async_trait::async_trait;
use oras_spec::{Descriptor, Digest};

use crate::{Content, Error, ErrorKind, Pushed, Result};

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
