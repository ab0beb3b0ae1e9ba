//! Manifests (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting Manifests").

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use oras_spec::reference::check_tag;
use oras_spec::{Descriptor, Digest, Kind as MediaKind, Manifest, MediaType};
use oras_store::{Content, Error, Kind, Source, Store};

use crate::blobs::digest;
use crate::conditions::{Conditions, etag};
use crate::error::Refusal;
use crate::manifest_memory::{Share, too_many};
use crate::query::Query;
use crate::respond::{Answer, empty, set};
use crate::route::is_reference;
use crate::server::Registry;
use crate::stores::{self, Doomed};
use crate::trace::Remote;
use crate::verified_stream::verified_stream;
use crate::visitor::Visitor;

fn failed(error: &Error) -> Refusal {
    Refusal::of(error, Refusal::manifest_unknown)
}

fn unreadable(error: &Error) -> Refusal {
    Refusal::of_read(error, Refusal::manifest_unknown)
}

/// Tags that one PUT by digest may give; the specification asks for at least 10.
const MAX_TAGS: usize = 64;

/// Resolves a tag or the digest of a manifest, whatever its media type is.
async fn find<S: Source + ?Sized>(
    registry: &Registry,
    store: &S,
    reference: &str,
) -> Result<Descriptor, Refusal> {
    let node = store.resolve(reference).await.map_err(|error| failed(&error))?;
    let is_manifest = registry.is_manifest(reference, &node);
    if is_manifest { Ok(node) } else { Err(Refusal::manifest_unknown()) }
}

impl Registry {
    /// Returns true if `node`, to which a store resolved `reference`, is a manifest, also one of an unknown type.
    pub(crate) fn is_manifest(&self, reference: &str, node: &Descriptor) -> bool {
        // Stores resolve the digest of a blob to a node of this type.
        let is_typed = node.media_type != MediaType::OCTET_STREAM;
        is_typed || !reference.contains(':') || self.stores.resolves_manifests_only()
    }
}

pub(crate) async fn get(
    registry: &Registry,
    (name, reference): (&str, &str),
    conditions: &Conditions,
) -> Answer {
    if !is_reference(reference) {
        return Err(Refusal::manifest_unknown());
    }
    let store = registry.store(name).await?;
    let node = find(registry, &*store, reference).await?;
    if let Some(unchanged) = conditions.unchanged(&node.digest)? {
        return Ok(unchanged);
    }
    let content = Content::from_source(store as Arc<dyn Source>, node.clone());
    // hyper leaves the body out of the answer to HEAD, and keeps its length.
    let mut response = if node.size <= SMALL {
        let bytes = content.bytes(SMALL).await.map_err(|error| unreadable(&error))?;
        Response::new(Body::from(bytes))
    } else if node.size <= registry.options.max_manifest_size {
        // Clients that take it slowly must not have it all in memory.
        let stream = content.unverified(0..node.size).await.map_err(|error| unreadable(&error))?;
        let stream = verified_stream(&node, stream).map_err(|error| unreadable(&error))?;
        let mut response = Response::new(Body::from_stream(stream));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(node.size));
        response
    } else {
        return Err(Refusal::manifest_invalid("the manifest is too large"));
    };
    set(&mut response, "content-type", node.media_type.as_str());
    if !node.media_type.is_manifest() {
        // It may be any type, also one that a browser would run.
        set(&mut response, "content-security-policy", "default-src 'none'; sandbox");
        set(&mut response, "x-content-type-options", "nosniff");
    }
    set(&mut response, "docker-content-digest", &node.digest.to_string());
    set(&mut response, "etag", &etag(&node.digest));
    Ok(response)
}

/// Stores the manifest in the body under its digest and its tag, if what it needs is there.
pub(crate) async fn put(
    registry: &Registry,
    (name, reference, visitor): (&str, &str, &Visitor),
    query: &Query,
    request: Request<Body>,
) -> Answer {
    let tags = tags(reference, query)?;
    let conditions = Conditions::of(request.headers());
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    let media_type = MediaType::from(media_type);
    let owner = visitor.owner(request.extensions().get::<Remote>());
    let share = registry.manifest_memory.share(&owner);
    let bytes = receive(registry, request.into_body(), &share).await?;
    let manifest = Manifest::parse(&media_type, bytes.clone())
        .map_err(|error| Refusal::manifest_invalid(error.to_string()))?;
    let mut node = Descriptor::of(media_type, &bytes);
    let named = reference.contains(':').then(|| digest(reference)).transpose()?;
    if let Some(digest) = &named {
        if digest.verify(&bytes) != Ok(true) {
            return Err(Refusal::digest_invalid("provided digest did not match uploaded content"));
        }
        node.digest = digest.clone();
    }
    let _writing = registry.writes.begin(name, reference, &conditions).await;
    if conditions.is_any() {
        conditions.check(current(registry, name, reference).await?.as_ref())?;
    }
    let store = registry.writable(name, true).await?;
    // Nothing of it is removed from here until the manifest is listed.
    let children = manifest.children().into_iter().map(|child| child.digest);
    let _held = registry.needed.hold(children.chain([node.digest.clone()]));
    if !registry.options.sparse {
        children_exist(&*store, &manifest).await?;
    }
    let content = Content::from_bytes(node.clone(), bytes).map_err(|error| failed(&error))?;
    if tags.is_empty() {
        store.push(&content).await.map_err(|error| failed(&error))?;
    }
    for tag in &tags {
        store.tag(&content, tag).await.map_err(|error| failed(&error))?;
    }
    let mut headers = vec![
        ("location", format!("/v2/{name}/manifests/{}", node.digest)),
        ("docker-content-digest", node.digest.to_string()),
        ("etag", etag(&node.digest)),
    ];
    if let Some(subject) = manifest.subject().filter(|_| registry.options.referrers) {
        headers.push(("oci-subject", subject.digest.to_string()));
    }
    if named.is_some() && !tags.is_empty() {
        headers.push(("oci-tag", tags.join(", ")));
    }
    empty(StatusCode::CREATED, &headers)
}

/// A manifest of this size is received without counting it, and sent from memory.
const SMALL: u64 = 64 * 1024;
/// Larger ones of the largest size that all clients together can have in memory.
pub(crate) const LARGE_AT_ONCE: u64 = 8;

/// The bytes of a manifest. Those of a large one are counted in `share`, which is to be held as long as they are used.
async fn receive(registry: &Registry, body: Body, share: &Share<'_>) -> Result<Bytes, Refusal> {
    let (mut chunks, mut all) = (body.into_data_stream(), BytesMut::new());
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            () = share.evicted() => return Err(too_many()),
        };
        let Some(chunk) = chunk else { return Ok(all.freeze()) };
        let chunk =
            chunk.map_err(|_| Refusal::manifest_invalid("the body ended early, or came too slowly"))?;
        let size = (all.len() + chunk.len()) as u64;
        if size > registry.options.max_manifest_size {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Refusal::new(status, "MANIFEST_INVALID", "the manifest is too large"));
        }
        if size > SMALL {
            share.grow(size).await?;
        }
        all.extend_from_slice(&chunk);
    }
}

/// What a reference names now.
async fn current(registry: &Registry, name: &str, reference: &str) -> Result<Option<Digest>, Refusal> {
    // A repository that is not there has nothing, and is not made for a write that will be refused.
    let store = registry.stores.repository(name).await.map_err(|error| failed(&error))?;
    let Some(store) = store else { return Ok(None) };
    match store.resolve(reference).await {
        Ok(node) => Ok(Some(node.digest)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// The tags to give: the one in the path, or those in the query of a PUT by digest (distribution-spec, main, "Pushing
/// Manifests with Tags").
fn tags<'a>(reference: &'a str, query: &'a Query) -> Result<Vec<&'a str>, Refusal> {
    let tags: Vec<_> = if reference.contains(':') { query.all("tag").collect() } else { vec![reference] };
    if tags.len() > MAX_TAGS {
        let message = format!("at most {MAX_TAGS} tags can be given at once");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "UNSUPPORTED", message));
    }
    match tags.iter().find(|tag| check_tag(tag).is_err()) {
        Some(_) => Err(Refusal::manifest_invalid("malformed tag")),
        None => Ok(tags),
    }
}

/// Everything but the subject and layers that must not be distributed has to be here. A subject that is also a layer, a
/// config or an entry has to be, too.
async fn children_exist(store: &dyn Store, manifest: &Manifest) -> Result<(), Refusal> {
    let subjects = usize::from(manifest.subject().is_some());
    for child in manifest.children().into_iter().skip(subjects) {
        if child.media_type.kind() == MediaKind::Foreign {
            continue;
        }
        let found = store.resolve(&child.digest.to_string()).await;
        if let Err(error) = found {
            if error.kind() != Kind::NotFound {
                return Err(failed(&error));
            }
            let message = format!("blob unknown to registry: {}", child.digest);
            return Err(Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message));
        }
    }
    Ok(())
}

pub(crate) async fn delete(
    registry: &Registry,
    (name, reference): (&str, &str),
    conditions: &Conditions,
) -> Answer {
    let _writing = registry.writes.begin(name, reference, conditions).await;
    if conditions.is_any() {
        conditions.check(current(registry, name, reference).await?.as_ref())?;
    }
    let store = registry.writable(name, false).await?;
    if !reference.contains(':') {
        // A tag goes alone; a store that can't do that says so.
        let deleted = stores::delete(&*registry.stores, &*store, Doomed::Tag(reference)).await;
        deleted.map_err(|error| failed(&error))?;
        return empty(StatusCode::ACCEPTED, &[]);
    }
    let node = find(registry, &*store, reference).await?;
    let deleted = stores::delete(&*registry.stores, &*store, Doomed::Node(&node)).await;
    deleted.map_err(|error| failed(&error))?;
    empty(StatusCode::ACCEPTED, &[])
}
