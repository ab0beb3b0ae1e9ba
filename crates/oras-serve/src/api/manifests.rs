//! Manifests: GET, HEAD and DELETE (distribution-spec, "Pulling manifests", "Deleting Manifests").

use std::sync::Arc;

use http::StatusCode;
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, DeleteTarget, Error, ErrorKind, Source};

use super::conditions::etag;
use super::delete_on_full_disk;
use super::error::{Answer, ApiError};
use super::request_context::RequestContext;
use super::route::is_reference;
use super::verified_stream::verified_stream;
use crate::http_message::{empty, full, make_response, streamed};
use crate::limits::manifest_memory::SMALL_MANIFEST;

/// Sends a manifest.
pub(super) async fn get(context: &RequestContext, name: &str, reference: &str) -> Answer {
    // A malformed reference names no manifest, so the response is 404 as for an unknown one.
    if !is_reference(reference) {
        return Err(ApiError::manifest_unknown());
    }
    let store = context.store(name).await?;
    let node = find(context, &*store, reference).await?;
    if let Some(not_modified) = context.conditions.not_modified(&node.digest)? {
        return Ok(not_modified);
    }
    let content = Content::from_source(store as Arc<dyn Source>, node.clone());
    let body = if node.size <= SMALL_MANIFEST {
        let bytes = content.bytes(SMALL_MANIFEST).await.map_err(|error| unreadable(&error))?;
        full(bytes)
    } else if node.size <= context.registry.options.max_manifest_size {
        // Streamed: a slow client must not keep a large manifest in memory.
        let stream = content.unverified(0..node.size).await.map_err(|error| unreadable(&error))?;
        let stream = verified_stream(&node, stream).map_err(|error| unreadable(&error))?;
        streamed(stream)
    } else {
        return Err(ApiError::manifest_invalid("the manifest is too large"));
    };
    let mut headers = vec![
        ("content-type", node.media_type.to_string()),
        // Set here, because the body of a stream has no known length.
        ("content-length", node.size.to_string()),
        ("docker-content-digest", node.digest.to_string()),
        ("etag", etag(&node.digest)),
    ];
    if !node.media_type.is_manifest() {
        // The media type is chosen by the client that pushed, and may be one that a browser would run.
        headers.push(("content-security-policy", "default-src 'none'; sandbox".to_owned()));
        headers.push(("x-content-type-options", "nosniff".to_owned()));
    }
    Ok(make_response(StatusCode::OK, headers, body))
}

/// Deletes a tag, or a manifest with its tags.
pub(super) async fn delete(context: &RequestContext, name: &str, reference: &str) -> Answer {
    let is_exclusive = context.conditions.is_any();
    let _guard = context.registry.reference_locks.lock(name, reference, is_exclusive).await;
    if is_exclusive {
        context.conditions.check(current(context, name, reference).await?.as_ref())?;
    }
    // The lock is held until the delete is done, so that no conditional write runs in between.
    let store = context.writable(name, false).await?;
    let node;
    let target = match reference.contains(':') {
        true => {
            node = find(context, &*store, reference).await?;
            DeleteTarget::Content(&node)
        }
        false => DeleteTarget::Tag(reference),
    };
    let deleted = delete_on_full_disk::delete(&*context.registry.stores, &*store, target).await;
    deleted.map_err(|error| failed(&error))?;
    Ok(empty(StatusCode::ACCEPTED, &[]))
}

/// Resolves a tag or the digest of a manifest, of any media type.
async fn find<S: Source + ?Sized>(
    context: &RequestContext,
    store: &S,
    reference: &str,
) -> Result<Descriptor, ApiError> {
    let node = store.resolve(reference).await.map_err(|error| failed(&error))?;
    match context.registry.is_manifest(reference, &node) {
        true => Ok(node),
        false => Err(ApiError::manifest_unknown()),
    }
}

/// Returns the digest that a reference names now.
pub(super) async fn current(
    context: &RequestContext,
    name: &str,
    reference: &str,
) -> Result<Option<Digest>, ApiError> {
    // The repository is opened only for reading: a write that the server rejects must not create a repository.
    let store = context.registry.stores.repository(name, &context.warnings).await;
    let Some(store) = store.map_err(|error| failed(&error))? else { return Ok(None) };
    match store.resolve(reference).await {
        Ok(node) => Ok(Some(node.digest)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

pub(super) fn failed(error: &Error) -> ApiError {
    ApiError::from_store(error, ApiError::manifest_unknown)
}

fn unreadable(error: &Error) -> ApiError {
    ApiError::from_read(error, ApiError::manifest_unknown)
}
