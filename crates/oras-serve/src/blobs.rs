//! Blobs (distribution-spec, "Pulling blobs", "Deleting Blobs").

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, Source};

use crate::conditions::{Conditions, etag};
use crate::error::Refusal;
use crate::range::{self, Part};
use crate::respond::{Answer, empty, set};
use crate::server::Registry;

/// A digest in a path.
pub(crate) fn digest(text: &str) -> Result<Digest, Refusal> {
    let digest: Digest =
        text.parse().map_err(|error: oras_spec::DigestError| Refusal::digest_invalid(error.to_string()))?;
    match digest.algorithm() {
        Some(_) => Ok(digest),
        None => Err(Refusal::digest_invalid("unsupported digest algorithm")),
    }
}

/// What `digest` names, manifests too: their bytes are as good as any.
pub(crate) async fn find<S: Source + ?Sized>(store: &S, digest: &Digest) -> Result<Descriptor, Refusal> {
    let found = store.resolve(&digest.to_string()).await;
    found.map_err(|error| Refusal::of(&error, Refusal::blob_unknown))
}

/// What a request for a blob asks for.
pub(crate) struct Wanted {
    head: bool,
    range: Option<String>,
    conditions: Conditions,
}

impl Wanted {
    pub(crate) fn of(request: &Request<Body>) -> Self {
        let range = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
        let conditions = Conditions::of(request.headers());
        Self { head: request.method() == Method::HEAD, range: range.map(ToOwned::to_owned), conditions }
    }
}

pub(crate) async fn get(registry: &Registry, name: &str, text: &str, wanted: Wanted) -> Answer {
    let digest = digest(text)?;
    let store = registry.blobs(name).await?;
    let node = find(&*store, &digest).await?;
    if let Some(unchanged) = wanted.conditions.unchanged(&digest)? {
        return Ok(unchanged);
    }
    let size = node.size;
    let ranged = !wanted.head && wanted.conditions.takes_range_of(&digest);
    let (status, sent) = match range::wanted(wanted.range.as_deref().filter(|_| ranged), size) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Nothing => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let refusal = Refusal::new(status, "SIZE_INVALID", "the blob has no such range");
            return Err(refusal.with("content-range", format!("bytes */{size}")));
        }
    };
    let body = if wanted.head {
        Body::empty()
    } else {
        // Clients verify; a store that served other bytes is found out by them.
        let content = Content::from_source(store as Arc<dyn Source>, node);
        let stream = content.unverified(sent.clone()).await;
        Body::from_stream(stream.map_err(|error| Refusal::of(&error, Refusal::blob_unknown))?)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.end - sent.start));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set(&mut response, "docker-content-digest", &digest.to_string());
    set(&mut response, "etag", &etag(&digest));
    *response.status_mut() = status;
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", sent.start, sent.end.saturating_sub(1));
        set(&mut response, "content-range", &text);
    }
    Ok(response)
}

/// Forgets a blob. A manifest is deleted as a manifest only: its tags go with it.
pub(crate) async fn delete(
    registry: &Registry,
    (name, text): (&str, &str),
    conditions: &Conditions,
) -> Answer {
    let digest = digest(text)?;
    let store = registry.writable(name, false).await?;
    let node = find(&*store, &digest).await?;
    if node.media_type.is_manifest() {
        return Err(Refusal::blob_unknown());
    }
    conditions.check(Some(&digest))?;
    store.delete(&node).await.map_err(|error| Refusal::of(&error, Refusal::blob_unknown))?;
    empty(StatusCode::ACCEPTED, &[])
}
