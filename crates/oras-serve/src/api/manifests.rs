//! Manifests: GET, HEAD, PUT and DELETE (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting
//! Manifests").

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use oras_spec::reference::check_tag;
use oras_spec::{Descriptor, Manifest, MediaKind, MediaType};
use oras_store::{Content, DeleteTarget, Error, ErrorKind, PushMode, Source, Store};

use super::blobs::parse_digest;
use super::conditions::etag;
use super::delete_on_full_disk;
use super::error::{Answer, ApiError, found_or_none};
use super::query::Query;
use super::reference_locks::ReferenceGuard;
use super::request_context::RequestContext;
use super::route::is_reference;
use super::verified_stream::verified_stream;
use crate::http_message::{Body, empty, full, make_response, streamed};
use crate::limits::manifest_memory::{Reservation, SMALL_MANIFEST};

/// The maximum number of tags of one PUT by digest; the specification requires at least 10.
const MAX_TAGS: usize = 64;

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
        let bytes = content.bytes(SMALL_MANIFEST).await.map_err(unreadable)?;
        full(bytes)
    } else if node.size <= context.registry.options.max_manifest_size {
        // Streamed: a slow client must not keep a large manifest in memory.
        let stream = content.unverified(0..node.size).await.map_err(unreadable)?;
        let stream = verified_stream(&node, stream).map_err(unreadable)?;
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

/// Stores the manifest in the body under its digest and its tags, if the content that it lists exists.
pub(super) async fn put(context: &RequestContext, name: &str, reference: &str, body: Body) -> Answer {
    let registry = &context.registry;
    let tags = tags(reference, &context.query)?;
    let media_type = media_type(&context.head.headers);
    // Held until the manifest is stored: it counts the bytes in memory.
    let reservation = registry.manifest_memory.reserve(context.client_id());
    let bytes = receive(registry.options.max_manifest_size, body, &reservation).await?;
    let manifest = Manifest::parse(&media_type, bytes.clone())
        .map_err(|error| ApiError::manifest_invalid(error.to_string()))?;
    let mut node = Descriptor::of(media_type, &bytes);
    let is_by_digest = reference.contains(':');
    if is_by_digest {
        // The client may use another algorithm than SHA-256.
        node.digest = parse_digest(reference)?;
        if node.digest.verify(&bytes) != Ok(true) {
            return Err(ApiError::digest_invalid("provided digest did not match uploaded content"));
        }
    }
    let _guard = lock(context, name, reference).await?;
    // Opened only now: a rejected manifest must not create the repository.
    let store = context.writable(name, true).await?;
    // Garbage collection must not remove the content between the check below and the moment the manifest is listed.
    let children = manifest.children().into_iter().map(|child| child.digest);
    let _in_use = registry.digests_in_use.hold(children.chain([node.digest.clone()]));
    if !registry.options.sparse {
        check_children(&*store, &manifest).await?;
    }
    let content = Content::from_bytes(node.clone(), bytes).map_err(failed)?;
    // Tagging also stores the manifest.
    if tags.is_empty() {
        store.push(&content, PushMode::Untagged).await.map_err(failed)?;
    }
    for tag in &tags {
        store.push(&content, PushMode::Tagged(tag)).await.map_err(failed)?;
    }
    let mut headers = vec![
        ("location", context.api_path(format_args!("{name}/manifests/{}", node.digest))),
        ("docker-content-digest", node.digest.to_string()),
        ("etag", etag(&node.digest)),
    ];
    if let Some(subject) = manifest.subject().filter(|_| registry.options.referrers) {
        headers.push(("oci-subject", subject.digest.to_string()));
    }
    if is_by_digest && !tags.is_empty() {
        headers.push(("oci-tag", tags.join(", ")));
    }
    Ok(empty(StatusCode::CREATED, &headers))
}

/// Deletes a tag, or a manifest with its tags.
pub(super) async fn delete(context: &RequestContext, name: &str, reference: &str) -> Answer {
    let _guard = lock(context, name, reference).await?;
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
    deleted.map_err(failed)?;
    Ok(empty(StatusCode::ACCEPTED, &[]))
}

/// Resolves a tag or the digest of a manifest, of any media type.
async fn find<S: Source + ?Sized>(
    context: &RequestContext,
    store: &S,
    reference: &str,
) -> Result<Descriptor, ApiError> {
    let node = store.resolve(reference).await.map_err(failed)?;
    match context.registry.is_manifest(reference, &node) {
        true => Ok(node),
        false => Err(ApiError::manifest_unknown()),
    }
}

/// Locks a reference for a write, and checks the conditions of the request.
async fn lock<'a>(
    context: &'a RequestContext,
    name: &str,
    reference: &str,
) -> Result<ReferenceGuard<'a>, ApiError> {
    let is_exclusive = context.conditions.is_any();
    let guard = context.registry.reference_locks.lock(name, reference, is_exclusive).await;
    if is_exclusive {
        // The repository is opened only for reading: a write that the server rejects must not create a repository.
        let current = match found_or_none(context.store(name).await)? {
            Some(store) => found_or_none(store.resolve(reference).await.map_err(failed))?,
            None => None,
        };
        context.conditions.check(current.map(|node| node.digest).as_ref())?;
    }
    Ok(guard)
}

fn media_type(headers: &HeaderMap) -> MediaType {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Parameters such as `charset` are not part of the media type.
    MediaType::new(text.and_then(|text| text.split(';').next()).unwrap_or_default().trim())
}

/// Receives the bytes of a manifest. Those of a large one are counted in `reservation`.
async fn receive(limit: u64, body: Body, reservation: &Reservation<'_>) -> Result<Bytes, ApiError> {
    let (mut chunks, mut all) = (body.into_data_stream(), BytesMut::new());
    loop {
        // An evicted request stops at once, because its memory already belongs to another client.
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            error = reservation.evicted() => return Err(error),
        };
        let Some(chunk) = chunk else { return Ok(all.freeze()) };
        let chunk =
            chunk.map_err(|_| ApiError::manifest_invalid("the body ended early, or came too slowly"))?;
        let size = (all.len() + chunk.len()) as u64;
        if size > limit {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(ApiError::new(status, "MANIFEST_INVALID", "the manifest is too large"));
        }
        // Most manifests are small. They are not counted, and so need no shared lock.
        if size > SMALL_MANIFEST {
            reservation.grow(size).await?;
        }
        all.extend_from_slice(&chunk);
    }
}

/// Returns the tags to set: the one in the path, or those in the query of a PUT by digest (distribution-spec, main,
/// "Pushing Manifests with Tags").
fn tags<'a>(reference: &'a str, query: &'a Query) -> Result<Vec<&'a str>, ApiError> {
    let tags: Vec<_> = if reference.contains(':') { query.all("tag").collect() } else { vec![reference] };
    if tags.len() > MAX_TAGS {
        let message = format!("at most {MAX_TAGS} tags can be given at once");
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, "UNSUPPORTED", message));
    }
    match tags.iter().any(|tag| check_tag(tag).is_err()) {
        true => Err(ApiError::manifest_invalid("malformed tag")),
        false => Ok(tags),
    }
}

/// Fails unless the config, layers, blobs and manifests that `manifest` lists exist. Foreign layers and the subject may
/// be missing, but a subject that is also listed as a child may not.
async fn check_children(store: &dyn Store, manifest: &Manifest) -> Result<(), ApiError> {
    // `children` lists the subject first.
    let subjects = usize::from(manifest.subject().is_some());
    for child in manifest.children().into_iter().skip(subjects) {
        if child.media_type.kind() == MediaKind::Foreign {
            continue;
        }
        let found = store.resolve(&child.digest.to_string()).await;
        if let Err(error) = found {
            if error.kind() != ErrorKind::NotFound {
                return Err(failed(error));
            }
            let message = format!("blob unknown to registry: {}", child.digest);
            return Err(ApiError::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message));
        }
    }
    Ok(())
}

pub(super) fn failed(error: Error) -> ApiError {
    ApiError::from_store(error, ApiError::manifest_unknown)
}

fn unreadable(error: Error) -> ApiError {
    ApiError::from_read(error, ApiError::manifest_unknown)
}
