//! Blobs (distribution-spec, "Pulling blobs", "Deleting Blobs").

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use futures::{StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest};
use oras_store::{ByteStream, Content, Error, Kind, Source};

use crate::conditions::{Conditions, etag};
use crate::error::Refusal;
use crate::range::{self, Part};
use crate::respond::{Answer, empty, set};
use crate::server::Registry;
use crate::stores::{self, Doomed};
use crate::verified_stream::verified_stream;

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
    if let Some(response) = answer(registry, name, &digest, &wanted).await? {
        return Ok(response);
    }
    let again = answer(registry, name, &digest, &wanted).await?;
    again.ok_or_else(|| Refusal::of_read(&damaged(&digest), Refusal::blob_unknown))
}

fn damaged(digest: &Digest) -> Error {
    Error::new(Kind::DigestMismatch, format!("{digest} is damaged"))
}

/// The answer; `None` if the store had damaged bytes, which it deleted as it can get others.
async fn answer(
    registry: &Registry,
    name: &str,
    digest: &Digest,
    wanted: &Wanted,
) -> Result<Option<Response<Body>>, Refusal> {
    let store = registry.blobs(name).await?;
    let node = find(&*store, digest).await?;
    if let Some(unchanged) = wanted.conditions.unchanged(digest)? {
        return Ok(Some(unchanged));
    }
    let size = node.size;
    let ranged = !wanted.head && wanted.conditions.takes_range_of(digest);
    let (status, sent) = match range::wanted(wanted.range.as_deref().filter(|_| ranged), size) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Nothing => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let refusal = Refusal::new(status, "SIZE_INVALID", "the blob has no such range");
            return Err(refusal.with("content-range", format!("bytes */{size}")));
        }
    };
    let content = Content::from_source(store as Arc<dyn Source>, node);
    let body = if wanted.head {
        Body::empty()
    } else {
        let stream = match sent == (0..size) {
            true => verified(registry, name, &content).await,
            // Not verified, as that would take reading the rest, too: the client verifies what it puts together.
            false => content.unverified(sent.clone()).await.map(Some),
        };
        let stream = stream.map_err(|error| Refusal::of_read(&error, Refusal::blob_unknown))?;
        let Some(stream) = stream else { return Ok(None) };
        Body::from_stream(stream)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.end - sent.start));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set(&mut response, "docker-content-digest", &digest.to_string());
    set(&mut response, "etag", &etag(digest));
    *response.status_mut() = status;
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", sent.start, sent.end.saturating_sub(1));
        set(&mut response, "content-range", &text);
    }
    Ok(Some(response))
}

/// All bytes of a blob, an error in place of the last piece if they are damaged. A blob of one piece is verified before its
/// answer begins. `None` if it is damaged and was deleted.
async fn verified(registry: &Registry, name: &str, content: &Content) -> Result<Option<ByteStream>, Error> {
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
                // The next request gets other bytes, if the store can.
                stores.discard_damaged(&name, &node).await;
            }
            Err(error)
        }
    });
    Ok(Some(futures::stream::iter(first.map(Ok)).chain(rest).boxed()))
}

/// Returns true if all bytes could be read and are not those of their digest.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), Kind::DigestMismatch | Kind::SizeMismatch)
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
    let deleted = stores::delete(&*registry.stores, &*store, Doomed::Node(&node)).await;
    deleted.map_err(|error| Refusal::of(&error, Refusal::blob_unknown))?;
    empty(StatusCode::ACCEPTED, &[])
}
