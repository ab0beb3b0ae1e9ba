//! Resolves references to descriptors and manifests.

use std::sync::Arc;

use oras_copy::select_platform;
use oras_spec::{Descriptor, Platform};
use oras_store::{Content, ErrorKind, MAX_MANIFEST_SIZE, Result, Source};

/// Returns the descriptor that `reference` names in `source`. With a `platform`, selects the image for it from an
/// index.
///
/// Without a platform the manifest is not transferred.
///
/// # Errors
/// Returns the errors of the source, and an error if no image matches the platform.
pub async fn resolve(
    source: impl Source + 'static,
    reference: &str,
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    let source: Arc<dyn Source> = Arc::new(source);
    match platform {
        None => source.resolve(reference).await,
        Some(platform) => {
            let root = fetch_manifest(Arc::clone(&source), reference).await?;
            select_platform(source, &root, platform).await
        }
    }
}

/// Like [`resolve`], but also reads and verifies the manifest. Use it for a descriptor that is stored in another
/// manifest.
///
/// A registry may answer `HEAD` with a wrong size or media type. [`resolve`] returns them unchanged, because many
/// registries count a `GET` of a manifest as a pull, but not a `HEAD`.
///
/// # Errors
/// Returns the errors of the source, and `DigestMismatch` if the bytes have another digest.
pub async fn resolve_verified(
    source: impl Source + 'static,
    reference: &str,
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    let source: Arc<dyn Source> = Arc::new(source);
    // The first request is a `HEAD` here as well, so that errors name the same request as those of `resolve`.
    let found = resolve(Arc::clone(&source), reference, platform).await?;
    if platform.is_some() {
        return Ok(found);
    }
    match source.resolve_with_bytes(&found.digest.to_string()).await {
        Ok((descriptor, _)) => Ok(descriptor),
        // The source does not read a manifest above its limit, so its descriptor stays unverified.
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(found),
        Err(error) => Err(error),
    }
}

/// Returns the manifest that `reference` names, with its bytes in memory. A registry needs one request for this.
///
/// # Errors
/// Returns the errors of the source, and an error for bytes that do not match the digest.
pub async fn fetch_manifest(source: impl Source + 'static, reference: &str) -> Result<Content> {
    let source: Arc<dyn Source> = Arc::new(source);
    let (descriptor, bytes) = source.resolve_with_bytes(reference).await?;
    let bytes = match bytes {
        Some(bytes) => bytes,
        None => Content::from_source(source, descriptor.clone()).bytes(MAX_MANIFEST_SIZE).await?,
    };
    Content::from_bytes(descriptor, bytes)
}

/// Like [`fetch_manifest`], but with a `platform`, selects the image for it from an index.
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
            // The root is the image itself, and its bytes are already in memory.
            if selected.digest == root.descriptor().digest {
                return Ok(root);
            }
            Ok(Content::from_source(source, selected))
        }
    }
}
