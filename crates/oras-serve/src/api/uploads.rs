//! Blob uploads: in one request, streamed, or in chunks (distribution-spec, "Pushing blobs").

use std::sync::Arc;

use http::{StatusCode, header};
use hyper::body::Body as _;
use oras_spec::{Algorithm, Digest, MediaType};
use oras_store::{Error, IngestName, IngestOptions, Store};

use super::blobs::parse_digest;
use super::error::{Answer, ApiError};
use super::mount::mount;
use super::query::Query;
use super::range;
use super::request_context::RequestContext;
use super::upload_body::{invalid, receive};
use super::upload_session::{UploadLock, UploadSession};
use super::upload_sessions::NewSession;
use crate::http_message::{Body, Response, empty, set_header};

/// POST: mounts a blob, stores a whole blob, or opens an upload session.
pub(super) async fn open(context: &RequestContext, name: &str, body: Body) -> Answer {
    let (uploads, query) = (&context.registry.uploads, &context.query);
    let mounted = query.get("mount").map(parse_digest).transpose()?;
    let whole = query.get("digest").map(parse_digest).transpose()?;
    let algorithm = algorithm(query, whole.as_ref().or(mounted.as_ref()))?;
    let client = context.client_id();
    // This check comes before the store is opened: a rejected request must not create a repository.
    uploads.make_room(Some(&client))?;
    let store = context.writable(name, true).await?;
    if let Some(digest) = mounted
        && mount(context, query.get("from"), &*store, &digest).await?
    {
        return Ok(created(context, name, &digest));
    }
    if let Some(digest) = whole {
        store_whole(&*store, algorithm, &digest, body).await?;
        return Ok(created(context, name, &digest));
    }
    let id = uploads.new_id();
    let (media_type, ingest_name) = (MediaType::OCTET_STREAM, IngestName::New(&id));
    let options = IngestOptions::new(media_type).algorithm(algorithm).name(ingest_name);
    let ingest = store.begin(options).await.map_err(failed)?;
    uploads.insert(NewSession { repository: name, id: &id, client: Some(client) }, ingest);
    let upload = UploadRequest { context, name, id: &id };
    let mut response = upload.accepted(0, StatusCode::ACCEPTED);
    if let Some(minimum) = context.registry.options.min_chunk_size {
        set_header(&mut response, "oci-chunk-min-length", &minimum.to_string());
    }
    Ok(response)
}

/// Returns the algorithm for hashing the bytes as they arrive: the algorithm of the digest if the request has one, or
/// else the requested algorithm (distribution-spec, main, "Pushing a blob in chunks"). If the digest at the end has
/// another algorithm, the store hashes again.
fn algorithm(query: &Query, known: Option<&Digest>) -> Result<Algorithm, ApiError> {
    match query.get("digest-algorithm") {
        Some(name) => {
            Algorithm::from_name(name).ok_or_else(|| ApiError::digest_invalid("unsupported digest algorithm"))
        }
        None => Ok(known.and_then(Digest::algorithm).unwrap_or(Algorithm::Sha256)),
    }
}

/// Stores a blob that one request uploads.
async fn store_whole(
    store: &dyn Store,
    algorithm: Algorithm,
    digest: &Digest,
    body: Body,
) -> Result<(), ApiError> {
    let options = IngestOptions::new(MediaType::OCTET_STREAM).algorithm(algorithm);
    let ingest = store.begin(options).await.map_err(failed)?;
    // There is no session, so a failed request drops the ingest and its bytes.
    let mut slot = Some(ingest);
    receive(&mut slot, body, 0, None).await?;
    let ingest = slot.ok_or_else(ApiError::upload_unknown)?;
    ingest.commit(Some(digest)).await.map_err(failed)?;
    Ok(())
}

/// A request to an upload session.
pub(super) struct UploadRequest<'a> {
    pub(super) context: &'a RequestContext,
    pub(super) name: &'a str,
    pub(super) id: &'a str,
}

impl UploadRequest<'_> {
    /// PATCH: appends bytes; a `Content-Range` must begin where the upload ends.
    pub(super) async fn append(&self, body: Body) -> Answer {
        let session = self.find().await?;
        let mut lock = session.lock().await;
        let before = session.written();
        self.receive(&session, &mut lock, body).await?;
        let registry = &self.context.registry;
        registry.uploads.record_chunk(self.id, session.written() - before, registry.options.min_chunk_size);
        Ok(self.accepted(session.written(), StatusCode::ACCEPTED))
    }

    /// PUT: appends the last bytes, if any, and commits the blob under its digest. The session ends, even if the digest
    /// is wrong; it stays open only if the body ended early.
    pub(super) async fn close(&self, body: Body) -> Answer {
        let session = self.find().await?;
        let digest = self.context.query.get("digest");
        let digest = parse_digest(digest.ok_or_else(|| ApiError::digest_invalid("the digest is missing"))?)?;
        let mut lock = session.lock().await;
        self.receive(&session, &mut lock, body).await?;
        let ingest = lock.take().ok_or_else(ApiError::upload_unknown)?;
        // Removed before the commit, which consumes the ingest: a concurrent request sees an unknown upload.
        self.context.registry.uploads.remove(self.id);
        ingest.commit(Some(&digest)).await.map_err(failed)?;
        Ok(created(self.context, self.name, &digest))
    }

    /// GET: returns the number of received bytes, even while another request appends bytes.
    pub(super) async fn status(&self) -> Answer {
        let session = self.find().await?;
        Ok(self.accepted(session.written(), StatusCode::NO_CONTENT))
    }

    /// DELETE: cancels the upload (distribution-spec, main, "Canceling a blob upload").
    pub(super) async fn cancel(&self) -> Answer {
        let (session, uploads) = (self.find().await?, &self.context.registry.uploads);
        if !uploads.cancel(self.id, &session).await
            && let Ok(resumed) = self.find().await
        {
            // An earlier write was cancelled, so the session had no ingest. The partial file may still be in
            // the store: this cancels the upload that was resumed from it.
            uploads.cancel(self.id, &resumed).await;
        }
        Ok(empty(StatusCode::NO_CONTENT, &[]))
    }

    /// Returns the open session. If there is none, resumes the upload from the store.
    async fn find(&self) -> Result<Arc<UploadSession>, ApiError> {
        let registry = &self.context.registry;
        if let Some(session) = registry.uploads.get(self.name, self.id) {
            return Ok(session);
        }
        let store = registry.stores.upload_repository(self.name).await.map_err(failed)?;
        // Resuming opens the upload for writing, which a read-only server must not do.
        match store.filter(|_| !registry.options.read_only) {
            Some(store) => registry.uploads.resume(self.name, self.id, &*store).await,
            None => Err(ApiError::upload_unknown()),
        }
    }

    /// Appends the body to the upload. A chunk that does not begin at the end of the upload is rejected, and the
    /// session stays open.
    async fn receive(
        &self,
        session: &UploadSession,
        lock: &mut UploadLock<'_>,
        body: Body,
    ) -> Result<(), ApiError> {
        let uploads = &self.context.registry.uploads;
        // While this request waited for the lock, another request closed or cancelled the upload, or failed
        // to write.
        if lock.is_none() {
            uploads.remove(self.id);
            return Err(ApiError::upload_unknown());
        }
        let written = session.written();
        self.check_content_range(written)?;
        // A PUT without a body only closes the upload, so it may follow the last chunk.
        if body.size_hint().exact() != Some(0) {
            let minimum = self.context.registry.options.min_chunk_size;
            let accepted = uploads.check_accepts_chunk(self.id, minimum);
            accepted.map_err(|error| self.with_location(error, written))?;
        }
        let received = receive(lock, body, written, Some(session)).await;
        // After a failed write, only the store knows how much was written: the next request resumes from
        // there.
        if lock.is_none() {
            uploads.remove(self.id);
        }
        received
    }

    /// Compares `Content-Range`, if there is one, with the number of written bytes and with the length of the
    /// body.
    fn check_content_range(&self, written: u64) -> Result<(), ApiError> {
        let text = |name| self.context.head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let Some(range) = text(header::CONTENT_RANGE) else { return Ok(()) };
        let chunk = range::chunk(range).ok_or_else(|| invalid("malformed Content-Range"))?;
        // The client retries from the `Range` of the response.
        if chunk.start != written {
            let message = format!("the next chunk begins at {written}");
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Err(self.with_location(ApiError::new(status, "BLOB_UPLOAD_INVALID", message), written));
        }
        let length = text(header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        if length.is_some_and(|length| length != chunk.end - chunk.start) {
            let message = "Content-Range and Content-Length disagree";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message));
        }
        Ok(())
    }

    /// Adds headers to an error, with which the client can resume the upload.
    fn with_location(&self, error: ApiError, written: u64) -> ApiError {
        let headers = self.headers(written).into_iter();
        headers.fold(error, |error, (name, value)| error.with_header(name, value))
    }

    /// Returns the headers with the URL of the upload and the range of its received bytes. `0-0` also means no bytes,
    /// because the grammar has no empty range.
    fn headers(&self, written: u64) -> [(&'static str, String); 2] {
        let location = self.context.api_path(format_args!("{}/blobs/uploads/{}", self.name, self.id));
        [("location", location), ("range", format!("0-{}", written.saturating_sub(1)))]
    }

    fn accepted(&self, written: u64, status: StatusCode) -> Response {
        empty(status, &self.headers(written))
    }
}

fn failed(error: Error) -> ApiError {
    ApiError::from_store(error, ApiError::upload_unknown)
}

fn created(context: &RequestContext, name: &str, digest: &Digest) -> Response {
    let location = context.api_path(format_args!("{name}/blobs/{digest}"));
    empty(StatusCode::CREATED, &[("location", location), ("docker-content-digest", digest.to_string())])
}
