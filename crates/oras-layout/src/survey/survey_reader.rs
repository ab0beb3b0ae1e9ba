//! Reads manifests of a layout that may be damaged, and says what is wrong with those that cannot be used.

use bytes::Bytes;
use oras_spec::{Descriptor, Manifest};
use oras_store::{ErrorKind, Result};

use super::layout_parts::LayoutParts;
use crate::blob::BlobReader;
use crate::disk::blobs;
use crate::size_limits::MAX_STORED_MANIFEST;

/// The state of a manifest in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ManifestState {
    /// The node is not a manifest, so it was not read.
    NotManifest,
    /// Its digest is right, and its children are known.
    Read,
    /// There is no such blob.
    Missing,
    /// The bytes do not have the digest.
    WrongDigest,
    /// The digest is right, but the bytes are not a manifest of the media type.
    Malformed(String),
    /// The file cannot be read.
    Unreadable(String),
}

/// Reads the manifests of one layout.
pub(crate) struct SurveyReader<'a> {
    parts: &'a LayoutParts,
    /// Reads files of the expected size with fewer system calls.
    fast: Option<Box<BlobReader<'a>>>,
}

impl<'a> SurveyReader<'a> {
    pub(crate) fn new(parts: &'a LayoutParts) -> Self {
        let fast = match parts {
            LayoutParts::Directory(root) => Some(Box::new(blobs::reader(root)) as Box<BlobReader<'a>>),
            LayoutParts::Archive(_) => None,
        };
        Self { parts, fast }
    }

    /// Reads, verifies and parses the manifest of `node`, whatever size its descriptor has.
    ///
    /// # Errors
    /// `Io` if the system has no resources to open the file. Its state is then unknown.
    pub(crate) fn read(&self, node: &Descriptor) -> Result<(ManifestState, Option<Manifest>)> {
        let bytes = match self.bytes(node)? {
            Ok(bytes) => bytes,
            Err(state) => return Ok((state, None)),
        };
        match node.digest.verify(&bytes) {
            Ok(true) => {}
            Ok(false) => return Ok((ManifestState::WrongDigest, None)),
            Err(error) => return Ok((ManifestState::Unreadable(error.to_string()), None)),
        }
        Ok(match Manifest::parse(&node.media_type, bytes) {
            Ok(manifest) => (ManifestState::Read, Some(manifest)),
            Err(error) => (ManifestState::Malformed(chain(&error)), None),
        })
    }

    fn bytes(&self, node: &Descriptor) -> Result<Result<Bytes, ManifestState>> {
        if node.size <= MAX_STORED_MANIFEST
            && let Some(Some(bytes)) = self.fast.as_ref().map(|read| read(node)).transpose().ok().flatten()
        {
            return Ok(Ok(bytes));
        }
        let blob = match self.parts.open_blob(&node.digest) {
            Ok(blob) => blob,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::NotFound => Ok(Err(ManifestState::Missing)),
                    ErrorKind::DigestMismatch => Ok(Err(ManifestState::WrongDigest)),
                    ErrorKind::Io if is_exhausted(&error) => Err(error),
                    _ => Ok(Err(ManifestState::Unreadable(error.chain()))),
                };
            }
        };
        if blob.size > MAX_STORED_MANIFEST {
            let message = format!("it has {} bytes, too many for a manifest", blob.size);
            return Ok(Err(ManifestState::Unreadable(message)));
        }
        Ok(match blob.bytes(blob.size) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(ManifestState::Unreadable("it changed while it was read".to_owned())),
            Err(error) => Err(ManifestState::Unreadable(error.chain())),
        })
    }
}

/// Returns true if the process or the system has no file descriptors left, which says nothing about the file.
pub(crate) fn is_exhausted(error: &oras_store::Error) -> bool {
    error
        .find::<std::io::Error>()
        .and_then(std::io::Error::raw_os_error)
        .is_some_and(|code| code == 23 || code == 24)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
