//! Blobs: GET, HEAD and DELETE (distribution-spec, "Pulling blobs", "Deleting Blobs").

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use http::{Method, StatusCode, header};
use oras_spec::{Descriptor, Digest};
use oras_store::{ByteStream, Content, DeleteTarget, Error, ErrorKind, Source};

use super::conditions::etag;
use super::delete_on_full_disk;
use super::error::{Answer, ApiError};
use super::range::{self, RequestedRange};
use super::request_context::RequestContext;
use super::verified_stream::verified_stream;
use crate::http_message::{Body, Response, empty, make_response, streamed};
use crate::registry_state::RegistryState;

/// Parses a digest in a path or a query.
pub(super) fn parse_digest(text: &str) -> Result<Digest, ApiError> {
    let digest: Digest =
        text.parse().map_err(|error: oras_spec::DigestError| ApiError::digest_invalid(error.to_string()))?;
    // The server could not verify content under an unknown algorithm.
    match digest.algorithm() {
        Some(_) => Ok(digest),
        None => Err(ApiError::digest_invalid("unsupported digest algorithm")),
    }
}

/// Resolves a digest to a blob. Manifests can be read as blobs, too.
pub(super) async fn find<S: Source + ?Sized>(store: &S, digest: &Digest) -> Result<Descriptor, ApiError> {
    store.resolve(&digest.to_string()).await.map_err(failed)
}

pub(super) fn failed(error: Error) -> ApiError {
    ApiError::from_store(error, ApiError::blob_unknown)
}

/// Sends a blob, or a range of it.
pub(super) async fn get(context: &RequestContext, name: &str, digest: &str) -> Answer {
    let digest = parse_digest(digest)?;
    if let Some(response) = try_get(context, name, &digest).await? {
        return Ok(response);
    }
    // The damaged copy was deleted, so the second attempt reads from its origin.
    let response = try_get(context, name, &digest).await?;
    response.ok_or_else(|| {
        let error = Error::new(ErrorKind::DigestMismatch, format!("{digest} is damaged"));
        ApiError::from_read(error, ApiError::blob_unknown)
    })
}

/// Returns the response, or `None` if the stored bytes were damaged and have been deleted because the store can fetch
/// them again.
async fn try_get(
    context: &RequestContext,
    name: &str,
    digest: &Digest,
) -> Result<Option<Response>, ApiError> {
    // A proxy resolves digests of blobs at another endpoint than those of manifests.
    let store = context.blob_store(name).await?;
    let node = find(&*store, digest).await?;
    if let Some(not_modified) = context.conditions.not_modified(digest)? {
        return Ok(Some(not_modified));
    }
    let (size, is_head) = (node.size, context.head.method == Method::HEAD);
    let takes_range = !is_head && context.conditions.takes_range_of(digest);
    let asked = context.head.headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let sent = sent_range(asked.filter(|_| takes_range), size)?;
    let content = Content::from_source(store as Arc<dyn Source>, node);
    let range = sent.clone().unwrap_or(0..size);
    let body = if is_head {
        Body::default()
    } else {
        // A range that covers the whole blob is verified, too.
        let stream = match range == (0..size) {
            true => verified(&context.registry, name, &content).await,
            // A range can't be verified without the rest of the blob, so the client must verify the whole blob.
            false => content.unverified(range.clone()).await.map(Some),
        };
        let stream = stream.map_err(|error| ApiError::from_read(error, ApiError::blob_unknown))?;
        let Some(stream) = stream else { return Ok(None) };
        streamed(stream)
    };
    let mut headers = vec![
        ("content-type", "application/octet-stream".to_owned()),
        // Set here, because the body of a stream has no known length.
        ("content-length", (range.end - range.start).to_string()),
        ("accept-ranges", "bytes".to_owned()),
        ("docker-content-digest", digest.to_string()),
        ("etag", etag(digest)),
    ];
    if sent.is_none() {
        return Ok(Some(make_response(StatusCode::OK, headers, body)));
    }
    // Both positions are inclusive (RFC 9110, section 14.4).
    let text = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    headers.push(("content-range", text));
    Ok(Some(make_response(StatusCode::PARTIAL_CONTENT, headers, body)))
}

/// Returns the range to send, or `None` for the whole blob.
fn sent_range(header: Option<&str>, size: u64) -> Result<Option<Range<u64>>, ApiError> {
    match range::requested(header, size) {
        RequestedRange::Whole => Ok(None),
        RequestedRange::Bytes(range) => Ok(Some(range)),
        RequestedRange::Unsatisfiable => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let error = ApiError::new(status, "SIZE_INVALID", "the blob has no such range");
            Err(error.with_header("content-range", format!("bytes */{size}")))
        }
    }
}

/// Opens a whole blob; the stream ends with an error instead of the last piece if the bytes are damaged. A blob of one
/// piece is verified before its response begins. Returns `None` if it is damaged and was deleted.
async fn verified(
    registry: &RegistryState,
    name: &str,
    content: &Content,
) -> Result<Option<ByteStream>, Error> {
    let node = content.descriptor();
    let mut stream = verified_stream(node, content.unverified(0..node.size).await?)?;
    let first = match stream.try_next().await {
        Err(error) if is_damage(&error) && registry.stores.discard_damaged(name, node).await => {
            return Ok(None);
        }
        first => first?,
    };
    let (stores, name, node) = (Arc::clone(&registry.stores), name.to_owned(), node.clone());
    let rest = stream.or_else(move |error| {
        let (stores, name, node) = (Arc::clone(&stores), name.clone(), node.clone());
        async move {
            if is_damage(&error) {
                // The response has begun: it fails, and the next request reads from the origin.
                stores.discard_damaged(&name, &node).await;
            }
            Err(error)
        }
    });
    Ok(Some(futures::stream::iter(first.map(Ok)).chain(rest).boxed()))
}

/// Returns true if all bytes could be read and don't match their digest.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::DigestMismatch | ErrorKind::SizeMismatch)
}

/// Deletes a blob. Manifests are rejected: they are deleted by their own endpoint, together with their tags.
pub(super) async fn delete(context: &RequestContext, name: &str, digest: &str) -> Answer {
    let digest = parse_digest(digest)?;
    let store = context.writable(name, false).await?;
    let node = find(&*store, &digest).await?;
    if node.media_type.is_manifest() {
        return Err(ApiError::blob_unknown());
    }
    // No lock: the digest of a blob never changes, so the condition can't become false.
    context.conditions.check(Some(&digest))?;
    let deleted =
        delete_on_full_disk::delete(&*context.registry.stores, &*store, DeleteTarget::Content(&node)).await;
    deleted.map_err(failed)?;
    Ok(empty(StatusCode::ACCEPTED, &[]))
}
