//! Resolve: what a reference names.

use std::sync::Arc;

use oras_copy::select_platform;
use oras_spec::{Descriptor, Platform};
use oras_store::{Content, ErrorKind, MAX_MANIFEST_SIZE, Result, Source};

/// The descriptor that `reference` names in `source`; with a `platform`, that of the image for it.
///
/// Without a platform the manifest itself is not transferred.
pub async fn resolve(
    source: Arc<dyn Source>,
    reference: &str,
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    match platform {
        None => source.resolve(reference).await,
        Some(platform) => {
            let root = fetch_manifest(Arc::clone(&source), reference).await?;
            select_platform(source, &root, platform).await
        }
    }
}

/// Like [`resolve`], but also reads the manifest, for a descriptor that is stored in another manifest.
///
/// A registry may answer `HEAD` with a wrong size or media type. [`resolve`] returns them as they are, because many registries
/// count a `GET` of a manifest as a pull and a `HEAD` not. The first request is a `HEAD` here, too, as errors name it.
///
/// # Errors
/// Those of the source; `DigestMismatch` if the digest of the bytes is another one.
pub async fn resolve_verified(
    source: Arc<dyn Source>,
    reference: &str,
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    let found = resolve(Arc::clone(&source), reference, platform).await?;
    if platform.is_some() {
        return Ok(found);
    }
    match source.resolve_with_bytes(&found.digest.to_string()).await {
        Ok((descriptor, _)) => Ok(descriptor),
        // A manifest above the limit of the source is not read.
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(found),
        Err(error) => Err(error),
    }
}

/// The manifest that `reference` names, with its bytes in memory: one request where a store can do it in one.
pub async fn fetch_manifest(source: Arc<dyn Source>, reference: &str) -> Result<Content> {
    let (descriptor, bytes) = source.resolve_with_bytes(reference).await?;
    let bytes = match bytes {
        Some(bytes) => bytes,
        None => Content::from_source(source, descriptor.clone()).bytes(MAX_MANIFEST_SIZE).await?,
    };
    Content::from_bytes(descriptor, bytes)
}

/// Like [`fetch_manifest`], of the image for `platform` if one is asked for.
pub(crate) async fn fetch_root(
    source: Arc<dyn Source>,
    reference: &str,
    platform: Option<&Platform>,
) -> Result<Content> {
    let root = fetch_manifest(Arc::clone(&source), reference).await?;
    match platform {
        None => Ok(root),
        Some(platform) => {
            let selected = select_platform(Arc::clone(&source), &root, platform).await?;
            if selected.digest == root.descriptor().digest {
                return Ok(root);
            }
            Ok(Content::from_source(source, selected))
        }
    }
}
