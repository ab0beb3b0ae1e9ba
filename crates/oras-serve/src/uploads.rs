//! Uploads: in one request, streamed, or in chunks (distribution-spec, "Pushing blobs").

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt;
use oras_spec::{Algorithm, Digest, MediaType};
use oras_store::Ingest;

use crate::blobs::digest;
use crate::error::Refusal;
use crate::mount::mount;
use crate::query::Query;
use crate::range;
use crate::respond::{Answer, empty, set};
use crate::server::Registry;
use crate::sessions::Session;
use crate::trace::Remote;
use crate::visitor::Visitor;

/// A client that sends nothing for so long is gone: its upload can be continued on another connection.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes of a body that are read while others are written.
const AHEAD: usize = 128 * 1024;
/// How long a write that was given up may take to end, and how often to wait as long.
const SETTLING: Duration = Duration::from_millis(20);
const SETTLING_TIMES: u32 = 10;

/// POST: a mount, a whole blob, or a session.
pub(crate) async fn open(
    registry: &Registry,
    (name, visitor): (&str, &Visitor),
    query: &Query,
    request: Request<Body>,
) -> Answer {
    let mounted = query.get("mount").map(digest).transpose()?;
    let whole = query.get("digest").map(digest).transpose()?;
    let algorithm = algorithm(query, whole.as_ref().or(mounted.as_ref()))?;
    let owner = visitor.owner(request.extensions().get::<Remote>());
    registry.sessions.check_room(&owner)?;
    let store = registry.writable(name, true).await?;
    if let Some(digest) = mounted
        && mount(registry, visitor, query.get("from"), &*store, &digest).await?
    {
        return created(name, &digest);
    }
    if let Some(digest) = whole {
        let ingest = store.begin(MediaType::OCTET_STREAM, algorithm).await.map_err(|error| failed(&error))?;
        let mut slot = Some(ingest);
        receive(&mut slot, request.into_body(), |_| ()).await?;
        let ingest = slot.ok_or_else(Refusal::upload_unknown)?;
        ingest.commit(Some(&digest)).await.map_err(|error| failed(&error))?;
        return created(name, &digest);
    }
    let id = registry.sessions.id();
    let begun = store.begin_named(&id, MediaType::OCTET_STREAM, algorithm).await;
    registry.sessions.insert(name, &owner, &id, begun.map_err(|error| failed(&error))?);
    registry.begun.note(visitor, &id);
    let mut response = accepted(name, &id, 0, StatusCode::ACCEPTED)?;
    if let Some(minimum) = registry.options.min_chunk_size {
        set(&mut response, "oci-chunk-min-length", &minimum.to_string());
    }
    Ok(response)
}

/// The hash to compute while the bytes arrive: that of the digest, if it is known, or the one asked for
/// (distribution-spec, main, "Pushing a blob in chunks"). A store finds another one at the end, if need be.
fn algorithm(query: &Query, known: Option<&Digest>) -> Result<Algorithm, Refusal> {
    match query.get("digest-algorithm") {
        Some(name) => {
            Algorithm::from_name(name).ok_or_else(|| Refusal::digest_invalid("unsupported digest algorithm"))
        }
        None => Ok(known.and_then(Digest::algorithm).unwrap_or(Algorithm::Sha256)),
    }
}

/// The upload of that id: one that is in use, or one that the store kept.
async fn find(registry: &Registry, name: &str, id: &str) -> Result<Arc<Session>, Refusal> {
    if let Some(session) = registry.sessions.get(name, id) {
        return Ok(session);
    }
    let store = registry.stores.uploading(name).await.map_err(|error| failed(&error))?;
    match store.filter(|_| !registry.options.read_only) {
        Some(store) => registry.sessions.find(name, id, &*store).await,
        None => Err(Refusal::upload_unknown()),
    }
}

/// PATCH: more bytes; with a `Content-Range`, those that come next.
pub(crate) async fn append(registry: &Registry, name: &str, id: &str, request: Request<Body>) -> Answer {
    let session = find(registry, name, id).await?;
    let mut slot = session.lock().await;
    let before = session.written();
    fill(registry, (name, id), (&session, &mut slot), request).await?;
    registry.begun.took(id, session.written() - before, registry.options.min_chunk_size);
    accepted(name, id, session.written(), StatusCode::ACCEPTED)
}

/// PUT: the last bytes, if any, and the digest of all. The upload is over, whether the digest is right or not, unless
/// the body ended early: then it can be continued.
pub(crate) async fn close(
    registry: &Registry,
    (name, id): (&str, &str),
    query: &Query,
    request: Request<Body>,
) -> Answer {
    let session = find(registry, name, id).await?;
    let digest =
        digest(query.get("digest").ok_or_else(|| Refusal::digest_invalid("the digest is missing"))?)?;
    let mut slot = session.lock().await;
    fill(registry, (name, id), (&session, &mut slot), request).await?;
    let ingest = slot.take().ok_or_else(Refusal::upload_unknown)?;
    registry.sessions.remove(id);
    ingest.commit(Some(&digest)).await.map_err(|error| failed(&error))?;
    created(name, &digest)
}

/// GET: how much has arrived; also while more arrives.
pub(crate) async fn status(registry: &Registry, name: &str, id: &str) -> Answer {
    let session = find(registry, name, id).await?;
    accepted(name, id, session.written(), StatusCode::NO_CONTENT)
}

/// DELETE: forget it (distribution-spec, main, "Canceling a blob upload").
pub(crate) async fn cancel(registry: &Registry, name: &str, id: &str) -> Answer {
    let mut session = find(registry, name, id).await?;
    for _ in 0..SETTLING_TIMES {
        if registry.sessions.cancel(id, &session).await {
            break;
        }
        tokio::time::sleep(SETTLING).await;
        if let Ok(kept) = find(registry, name, id).await {
            session = kept;
        }
    }
    empty(StatusCode::NO_CONTENT, &[])
}

/// Writes the body behind what is there. A chunk that does not begin there is refused, and the upload goes on.
async fn fill(
    registry: &Registry,
    (name, id): (&str, &str),
    (session, slot): (&Session, &mut Option<Box<dyn Ingest>>),
    request: Request<Body>,
) -> Result<(), Refusal> {
    let written = slot.as_ref().map(|ingest| ingest.written());
    let filled = match written {
        Some(written) => {
            check_chunk(&request, (name, id), written)?;
            if request.body().size_hint().exact() != Some(0) {
                let goes_on = registry.begun.check_goes_on(id, registry.options.min_chunk_size);
                goes_on.map_err(|refusal| with_place(refusal, (name, id), written))?;
            }
            let body = receive(slot, request.into_body(), |written| session.advance(written));
            tokio::select! {
                received = body => received,
                () = session.cancelled() => Err(Refusal::upload_unknown()),
            }
        }
        None => Err(Refusal::upload_unknown()),
    };
    if slot.is_none() {
        registry.sessions.remove(id);
    }
    filled
}

/// Compares `Content-Range`, if there is one, with what is there already and with the length of the body.
fn check_chunk(request: &Request<Body>, (name, id): (&str, &str), written: u64) -> Result<(), Refusal> {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(range) = text(header::CONTENT_RANGE) else { return Ok(()) };
    let chunk = range::chunk(range).ok_or_else(|| invalid("malformed Content-Range"))?;
    if chunk.start != written {
        let message = format!("the next chunk begins at {written}");
        let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message);
        return Err(with_place(refusal, (name, id), written));
    }
    let length = text(header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length != chunk.end - chunk.start) {
        let message = "Content-Range and Content-Length disagree";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message));
    }
    Ok(())
}

/// Writes a body as it arrives, telling how far it has come; while some of it is written more is read. When a write fails, or
/// is given up in its middle because the client is gone, `slot` is left empty: nobody knows what was written.
async fn receive(slot: &mut Option<Box<dyn Ingest>>, body: Body, told: impl Fn(u64)) -> Result<(), Refusal> {
    let mut pieces = Pieces { body: body.into_data_stream(), read: Vec::new(), length: 0, end: None };
    loop {
        while pieces.read.is_empty() && pieces.end.is_none() {
            pieces.next().await;
        }
        let batch = pieces.take();
        if batch.is_empty() {
            return pieces.end.unwrap_or(Ok(()));
        }
        let mut ingest = slot.take().ok_or_else(Refusal::upload_unknown)?;
        let written = {
            let mut write = ingest.write_all(batch);
            loop {
                tokio::select! {
                    written = &mut write => break written,
                    () = pieces.next(), if pieces.has_room() => (),
                }
            }
        };
        written.map_err(|error| failed(&error))?;
        told(ingest.written());
        *slot = Some(ingest);
    }
}

/// A body that is read ahead.
struct Pieces {
    body: BodyDataStream,
    read: Vec<Bytes>,
    length: usize,
    /// How the body ended.
    end: Option<Result<(), Refusal>>,
}

impl Pieces {
    fn has_room(&self) -> bool {
        self.end.is_none() && self.length < AHEAD
    }

    /// Reads the next piece, or the end. Nothing is lost when this is dropped.
    async fn next(&mut self) {
        match tokio::time::timeout(SILENCE, self.body.next()).await {
            Ok(Some(Ok(piece))) if piece.is_empty() => {}
            Ok(Some(Ok(piece))) => {
                self.length += piece.len();
                self.read.push(piece);
            }
            Ok(None) => self.end = Some(Ok(())),
            Ok(Some(Err(_))) => self.end = Some(Err(invalid("the body ended early"))),
            Err(_) => self.end = Some(Err(invalid("the body stopped"))),
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.length = 0;
        std::mem::take(&mut self.read)
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
}

fn failed(error: &oras_store::Error) -> Refusal {
    Refusal::of(error, Refusal::upload_unknown)
}

fn created(name: &str, digest: &Digest) -> Answer {
    let location = format!("/v2/{name}/blobs/{digest}");
    empty(StatusCode::CREATED, &[("location", location), ("docker-content-digest", digest.to_string())])
}

/// Where an upload goes on, and what it has: `0-0` stands for nothing too, as no range can be empty.
fn place(name: &str, id: &str, written: u64) -> [(&'static str, String); 2] {
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    [("location", location), ("range", format!("0-{}", written.saturating_sub(1)))]
}

fn with_place(refusal: Refusal, (name, id): (&str, &str), written: u64) -> Refusal {
    place(name, id, written).into_iter().fold(refusal, |all, (name, value)| all.with(name, value))
}

fn accepted(name: &str, id: &str, written: u64, status: StatusCode) -> Answer {
    empty(status, &place(name, id, written))
}
