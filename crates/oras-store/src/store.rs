//! The traits of a store.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use oras_spec::{Descriptor, Digest, MediaType};

use crate::{ByteStream, Content, Error, IngestTarget, Kind, Origin, Result};

/// Something content can be read from.
///
/// Callers use [`Content`], never [`Source::fetch`]: what `fetch` gives is unverified.
#[async_trait]
pub trait Source: Send + Sync {
    /// The descriptor that `reference`, a tag or a digest in text, names here.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) when nothing has that name.
    async fn resolve(&self, reference: &str) -> Result<Descriptor>;

    /// Like [`Source::resolve`], with the manifest's bytes if the store got them in the same step. They are the
    /// descriptor's: size and digest were checked.
    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        Ok((self.resolve(reference).await?, None))
    }

    /// The bytes of `descriptor` within `range`, unverified; for [`Content`] alone.
    ///
    /// `range` is within the descriptor's size; the whole of it means a plain read. Media type tells a store that
    /// keeps manifests and blobs apart where to look.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) when the content is not here.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream>;

    /// Where the bytes of `descriptor` also live; costs nothing.
    fn origin(&self, _descriptor: &Descriptor) -> Origin {
        Origin::Opaque
    }
}

/// What [`Target::push`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The bytes were sent.
    Copied,
    /// The target took them from where they were: a mount or a link.
    Adopted,
    /// They were there already.
    Existed,
}

/// Something content can be written to.
///
/// A push is atomic: either the content is there, verified and, where that can be, durable, or nothing is
/// visible. Dropping the future of a push leaves nothing visible. Children may be required before parents.
#[async_trait]
pub trait Target: Send + Sync {
    /// Whether the content of `descriptor` is here. An answer for a manifest says nothing of its children.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool>;

    /// Stores `content`; not an error when it is there already. Callers ask [`Target::exists`] first: a target
    /// need not.
    ///
    /// # Errors
    /// [`Kind::DigestMismatch`](crate::Kind::DigestMismatch) or `SizeMismatch` when the bytes are not the
    /// descriptor's.
    async fn push(&self, content: &Content) -> Result<Pushed>;

    /// Whether [`Target::push`] of `content` finds out by itself, in the same requests, whether it is there: asking
    /// [`Target::exists`] first would only cost time. It costs nothing to ask this. By default it does not.
    fn finds_out(&self, _content: &Content) -> bool {
        false
    }

    /// Like [`Target::push`], for one of many manifests that come soon: the target may keep it back, to store it together
    /// with others.
    ///
    /// Whoever has this target finds it there at once. It is as durable as what was pushed when [`Target::flush`] or
    /// [`Target::tag`] has returned, and lost if the program ends before. By default nothing is kept back.
    async fn gather(&self, content: &Content) -> Result<Pushed> {
        self.push(content).await
    }

    /// Stores what [`Target::gather`] kept back; it is still kept after an error.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// What `tag` names here, if the target can tell in one try; by default it cannot. Only for leaving out work: a
    /// failure is `None`, as it shows in what is done then.
    async fn tagged(&self, _tag: &str) -> Option<Digest> {
        None
    }

    /// The layers of the manifest that `tag` names here, if the target can tell in one try; by default it cannot. Only for
    /// choosing whether to hash content before it is sent: nothing is taken to exist because of it.
    async fn tagged_layers(&self, _tag: &str) -> Vec<Descriptor> {
        Vec::new()
    }

    /// Checks that [`Target::tag`] takes `tag` as a name, without any request, so that a caller can reject it before the
    /// first one. By default every name but the empty one is valid.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`](crate::Kind::InvalidInput) if it does not.
    fn check_tag(&self, tag: &str) -> Result<()> {
        if tag.is_empty() { Err(Error::new(Kind::InvalidInput, "missing reference")) } else { Ok(()) }
    }

    /// Makes `tag` name the manifest `content`, storing it if it is not there: a registry does both in one
    /// request. A tag that names something else moves.
    async fn tag(&self, content: &Content, tag: &str) -> Result<()>;

    /// Makes `tag` name the manifest `content`, which the target has already, and writes nothing else. By default the same
    /// as [`Target::tag`].
    async fn add_tag(&self, content: &Content, tag: &str) -> Result<()> {
        self.tag(content, tag).await
    }
}

/// A store that finds what refers to a node.
#[async_trait]
pub trait Predecessors: Send + Sync {
    /// The manifests whose `subject` is `node`, each with its artifact type and annotations; only those of
    /// `artifact_type`, if given. No referrers is an empty list. Indexes that merely list `node` are not meant.
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>>;
}

/// A store that lists its tags.
pub trait TagList: Send + Sync {
    /// The tags after `last`, or all: page by page in the store's own order. The first error ends the stream.
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>>;
}

/// A store that forgets.
#[async_trait]
pub trait Delete: Send + Sync {
    /// Removes the content of `descriptor` and every tag that names it.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) when it is not here, `Unsupported` when the store forbids it.
    async fn delete(&self, descriptor: &Descriptor) -> Result<()>;

    /// Removes a tag and nothing else: the manifest that it named stays, under its digest and all other tags.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is no such tag, `InvalidInput` when `tag` is a digest,
    /// `Unsupported` when the store can't forget a tag alone, as by default.
    async fn untag(&self, tag: &str) -> Result<()> {
        Err(Error::new(Kind::Unsupported, format!("{tag}: this store can't remove a tag alone")))
    }
}

/// A source in which referrers can be found.
pub trait GraphSource: Source + Predecessors {}

impl<T: Source + Predecessors + ?Sized> GraphSource for T {}

/// A source in which referrers can be found and that lists its tags: all that can be read of a repository.
pub trait ReadStore: GraphSource + TagList {}

impl<T: GraphSource + TagList + ?Sized> ReadStore for T {}

/// A target that also takes bytes whose digest is not known yet: all that is written to a repository.
pub trait Sink: Target + IngestTarget {}

impl<T: Target + IngestTarget + ?Sized> Sink for T {}

/// A store that does everything a repository of a registry does.
pub trait Store: ReadStore + Sink + Delete {}

impl<T: ReadStore + Sink + Delete + ?Sized> Store for T {}
