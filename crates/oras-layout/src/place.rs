//! Reading a layout, wherever its files are: a directory or an archive.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::fsio::{self, Errands, blocking};
use oras_store::{ByteStream, Error, Kind, Result};

use crate::blobs;
use crate::graph::Graph;
use crate::index::Index;

/// Where the files of a layout are. All of this may block.
pub(crate) trait Place: Send + Sync + 'static {
    /// The directory or the archive.
    fn path(&self) -> &Path;
    /// `index.json` as it is now.
    fn index(&self) -> Result<Arc<Index>>;
    /// What `index.json` reaches.
    fn graph(&self) -> Result<Arc<Graph>>;
    /// Notes that a blob is used, where that is wanted; whether it is there.
    fn claim(&self, _digest: &Digest) -> Result<bool> {
        Ok(true)
    }
    /// Finds a blob.
    fn open(&self, digest: &Digest) -> Result<Blob>;
    /// Reads many blobs, each as [`Blob::bytes`] does.
    fn reader(&self) -> Box<Reader<'_>> {
        Box::new(|node| bytes(self.open(&node.digest), node.size))
    }
    /// Who opens blobs, and reads small ones.
    fn errands(&self) -> &Errands;
}

/// Reads a blob, for several threads at once; `None` for one that is missing or damaged.
pub(crate) type Reader<'a> = dyn Fn(&Descriptor) -> Result<Option<Bytes>> + Sync + 'a;

/// The bytes of a blob that was looked for; `None` if there is none, or none of that size. An error of the system, as when
/// there are no more descriptors, stays one: nobody knows then what is there.
pub(crate) fn bytes(found: Result<Blob>, size: u64) -> Result<Option<Bytes>> {
    match found {
        Ok(blob) => blob.bytes(size),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::InvalidContent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of a blob: a part of an open file.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) file: Arc<File>,
    pub(crate) start: u64,
    pub(crate) size: u64,
}

impl Blob {
    /// All bytes, if they are exactly `size`; nothing is read otherwise.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(crate) fn bytes(&self, size: u64) -> Result<Option<Bytes>> {
        let Some(length) = usize::try_from(size).ok().filter(|_| self.size == size) else { return Ok(None) };
        let mut bytes = vec![0; length];
        let count = fsio::read_at(&self.file, &mut bytes, self.start)
            .map_err(|error| Error::io("failed to read a blob", error))?;
        Ok((count == bytes.len()).then(|| bytes.into()))
    }
}

/// The error for a tag or digest that the layout at `path` does not have.
pub(crate) fn missing(path: &Path, reference: &str) -> Error {
    let separator = if reference.parse::<Digest>().is_ok() { '@' } else { ':' };
    Error::not_found(format!("{}{separator}{reference}", path.display()))
}

/// What the names of entries are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    /// Names, whatever they look like.
    #[default]
    Plain,
    /// The tags of a repository, as [`crate::tags`] reads them.
    Tags,
}

/// A tag, else a digest: of a manifest with its media type, of any other blob as `application/octet-stream`.
pub(crate) async fn resolve<P: Place>(place: &Arc<P>, reference: &str, names: Names) -> Result<Descriptor> {
    let (place, reference) = (Arc::clone(place), reference.to_owned());
    blocking(move || {
        let index = place.index()?;
        let named = match names {
            Names::Plain => index.tagged(&reference),
            Names::Tags => index.with_tag(&reference),
        };
        if let Some(descriptor) = named {
            return Ok(descriptor);
        }
        let digest = reference.parse::<Digest>().map_err(|_| missing(place.path(), &reference))?;
        if !place.claim(&digest)? {
            return Err(missing(place.path(), &reference));
        }
        if let Some(descriptor) = index.listed(&digest) {
            return Ok(descriptor);
        }
        if let Some(descriptor) = place.graph()?.unlisted(&digest) {
            return Ok(descriptor);
        }
        let size = place.open(&digest)?.size;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
    })
    .await
}

/// The bytes of a blob within `range`.
pub(crate) async fn fetch<P: Place>(
    place: &Arc<P>,
    descriptor: &Descriptor,
    range: Range<u64>,
) -> Result<ByteStream> {
    let name = blobs::path(place.path(), &descriptor.digest).display().to_string();
    let (opened, digest) = (Arc::clone(place), descriptor.digest.clone());
    let whole = range == (0..descriptor.size);
    // What is small is read by the thread that opens it.
    let open = move || {
        let blob = opened.open(&digest)?;
        let bytes = if whole && blob.size <= fsio::CHUNK as u64 { blob.bytes(blob.size)? } else { None };
        Ok((blob, bytes))
    };
    let (blob, bytes) = place.errands().run(open).await?;
    if let Some(bytes) = bytes {
        return Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed());
    }
    let Blob { file, start, size } = blob;
    // One byte more than the descriptor says shows that the blob is too long.
    let end = if whole { range.end.saturating_add(1) } else { range.end };
    let within = |at: u64| start.saturating_add(at.min(size));
    Ok(fsio::read(file, within(range.start)..within(end), name))
}

/// The manifests whose subject is `node`.
pub(crate) async fn predecessors<P: Place>(
    place: &Arc<P>,
    node: &Descriptor,
    artifact_type: Option<&MediaType>,
) -> Result<Vec<Descriptor>> {
    let (place, digest) = (Arc::clone(place), node.digest.clone());
    let mut referrers = blocking(move || place.graph()?.referrers(&*place, &digest)).await?;
    referrers.retain(|referrer| artifact_type.is_none() || referrer.artifact_type.as_ref() == artifact_type);
    Ok(referrers)
}

/// The tags after `last`, sorted.
pub(crate) fn tags<'a, P: Place>(
    place: &Arc<P>,
    last: Option<&'a str>,
    names: Names,
) -> BoxStream<'a, Result<String>> {
    let place = Arc::clone(place);
    let page = async move {
        match blocking(move || place.index()).await {
            Ok(index) if names == Names::Tags => index.valid_tags().into_iter().map(Ok).collect(),
            Ok(index) => index.tags().into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    };
    let after = move |tag: &Result<String>| match (tag, last) {
        (Ok(tag), Some(last)) => tag.as_str() > last,
        _ => true,
    };
    stream::once(page).flat_map(stream::iter).filter(move |tag| std::future::ready(after(tag))).boxed()
}

/// The error for a path where nothing is.
pub(crate) fn absent(path: &Path) -> Error {
    let shown = path.display();
    Error::new(
        Kind::NotFound,
        format!("failed to find path \"{shown}\": stat {shown}: no such file or directory"),
    )
}
