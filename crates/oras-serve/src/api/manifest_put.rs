//! Manifests: PUT (distribution-spec, "Pushing Manifests").

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{StatusCode, header};
use http_body_util::BodyExt;
use oras_spec::reference::check_tag;
use oras_spec::{Descriptor, Manifest, MediaKind, MediaType};
use oras_store::{Content, ErrorKind, PushMode, Store};

use super::blobs::parse_digest;
use super::conditions::etag;
use super::error::{Answer, ApiError};
use super::manifests::{current, failed};
use super::query::Query;
use super::request_context::RequestContext;
use crate::http_message::{Body, Request, empty};
use crate::limits::manifest_memory::{Reservation, SMALL_MANIFEST};

/// The maximum number of tags of one PUT by digest; the specification requires at least 10.
const MAX_TAGS: usize = 64;

/// Stores the manifest in the body under its digest and its tags, if the content that it lists exists.
pub(super) async fn put(context: &RequestContext, name: &str, reference: &str, request: Request) -> Answer {
    let registry = &context.registry;
    let tags = tags(reference, &context.query)?;
    let media_type = media_type(&request);
    // Held until the manifest is stored: it counts the bytes in memory.
    let reservation = registry.manifest_memory.reserve(context.client_id());
    let bytes = receive(registry.options.max_manifest_size, request.into_body(), &reservation).await?;
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
    let is_exclusive = context.conditions.is_any();
    let _guard = registry.reference_locks.lock(name, reference, is_exclusive).await;
    if is_exclusive {
        context.conditions.check(current(context, name, reference).await?.as_ref())?;
    }
    // Opened only now: a rejected manifest must not create the repository.
    let store = context.writable(name, true).await?;
    // Garbage collection must not remove the content between the check below and the moment the manifest is listed.
    let children = manifest.children().into_iter().map(|child| child.digest);
    let _in_use = registry.digests_in_use.hold(children.chain([node.digest.clone()]));
    if !registry.options.sparse {
        check_children(&*store, &manifest).await?;
    }
    let content = Content::from_bytes(node.clone(), bytes).map_err(|error| failed(&error))?;
    // Tagging also stores the manifest.
    if tags.is_empty() {
        store.push(&content, PushMode::Untagged).await.map_err(|error| failed(&error))?;
    }
    for tag in &tags {
        store.push(&content, PushMode::Tagged(tag)).await.map_err(|error| failed(&error))?;
    }
    let mut headers = vec![
        ("location", format!("/v2/{name}/manifests/{}", node.digest)),
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

fn media_type(request: &Request) -> MediaType {
    let text = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Parameters such as `charset` are not part of the media type.
    MediaType::from(text.and_then(|text| text.split(';').next()).unwrap_or_default().trim())
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
                return Err(failed(&error));
            }
            let message = format!("blob unknown to registry: {}", child.digest);
            return Err(ApiError::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message));
        }
    }
    Ok(())
}
