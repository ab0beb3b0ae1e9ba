//! A blob that arrives piece by piece.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, Manifest, MediaType};
use oras_store::fsio::{self, Staged, blocking};
use oras_store::{Error, Ingest, Kind, ReadBack, Result};

use crate::index::Change;
use crate::layout::MAX_STORED_MANIFEST;
use crate::{Layout, blobs, journal};

/// A staged file with the running hash of what is in it.
pub(crate) struct LayoutIngest {
    layout: Layout,
    media_type: MediaType,
    algorithm: Algorithm,
    /// `None` only while a piece is written, and after one failed.
    state: Option<(Staged, Hasher)>,
    written: u64,
}

impl LayoutIngest {
    pub(crate) async fn new(layout: Layout, media_type: MediaType, algorithm: Algorithm) -> Result<Self> {
        let root = layout.path().to_owned();
        let staged = blocking(move || {
            journal::create(&root)?;
            Staged::create(&root)
        })
        .await?;
        Ok(Self { layout, media_type, algorithm, state: Some((staged, Hasher::new(algorithm))), written: 0 })
    }

    fn take(&mut self) -> Result<(Staged, Hasher)> {
        self.state.take().ok_or_else(|| Error::new(Kind::Other, "an earlier write of this content failed"))
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("failed to write a blob", error)
}

/// The digest of the staged bytes under another algorithm.
fn rehash(staged: &mut Staged, algorithm: Algorithm) -> Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; fsio::CHUNK];
    let file = staged.file_mut();
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Refuses staged bytes that are no manifest of their type.
fn check(staged: &mut Staged, media_type: &MediaType) -> Result<()> {
    let mut bytes = Vec::new();
    let file = staged.file_mut();
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.take(MAX_STORED_MANIFEST).read_to_end(&mut bytes).map_err(failed)?;
    Manifest::parse(media_type, bytes.into())?;
    Ok(())
}

#[async_trait]
impl Ingest for LayoutIngest {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let (mut staged, mut hasher) = self.take()?;
        self.written += chunk.len() as u64;
        let state = blocking(move || {
            staged.file_mut().write_all(&chunk).map_err(failed)?;
            hasher.update(&chunk);
            Ok((staged, hasher))
        });
        self.state = Some(state.await?);
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    async fn read_back(&mut self) -> Option<ReadBack> {
        let path = self.state.as_ref()?.0.path().to_owned();
        let name = path.display().to_string();
        // A handle of its own: where a file stands may be shared by all that were made of one.
        let open = blocking(move || File::open(&path).map_err(failed)).await;
        let file = Arc::new(open.ok()?);
        Some(Arc::new(move |range| fsio::read(Arc::clone(&file), range, name.clone())))
    }

    async fn commit(mut self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        let (mut staged, hasher) = self.take()?;
        let (layout, expected, algorithm) = (self.layout.clone(), expected.cloned(), self.algorithm);
        let media_type = self.media_type.clone();
        let digest = blocking(move || {
            let digest = match expected.as_ref().and_then(Digest::algorithm) {
                Some(other) if other != algorithm => rehash(&mut staged, other)?,
                _ => hasher.finish(),
            };
            if let Some(expected) = expected.filter(|expected| *expected != digest) {
                let message = format!("mismatched digest: expected {expected}, got {digest}");
                return Err(Error::new(Kind::DigestMismatch, message));
            }
            if media_type.is_manifest() {
                check(&mut staged, &media_type)?;
            }
            staged.sync()?;
            blobs::publish(&layout, staged, &digest)?;
            Ok(digest)
        })
        .await?;
        let descriptor = Descriptor::new(self.media_type.clone(), digest, self.written);
        if descriptor.media_type.is_manifest() {
            self.layout.change(Change::List(descriptor.clone())).await?;
        }
        Ok(descriptor)
    }
}
