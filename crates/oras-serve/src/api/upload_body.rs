//! Receives the body of an upload. It reads ahead while earlier bytes are written.

use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use http_body_util::{BodyDataStream, BodyExt};
use oras_store::Ingest;

use super::error::ApiError;
use super::upload_session::UploadSession;
use crate::http_message::Body;

/// The maximum number of bytes that are read ahead while earlier bytes are written.
const READ_AHEAD: usize = 128 * 1024;

/// Writes a body as it arrives, after the first `written` bytes. Records the progress in `session`, if there is one, and
/// fails when it is cancelled.
///
/// When a write fails, or the future is dropped during one, `slot` is left empty, because it is unknown how much was
/// written.
pub(super) async fn receive(
    slot: &mut Option<Box<dyn Ingest>>,
    body: Body,
    mut written: u64,
    session: Option<&UploadSession>,
) -> Result<(), ApiError> {
    let mut reader = BodyReader { body: body.into_data_stream(), pieces: Vec::new(), length: 0, end: None };
    loop {
        // A cancelled session stops between two writes, and does not wait for the client's next byte.
        tokio::select! {
            biased;
            () = cancelled(session) => return Err(ApiError::upload_unknown()),
            () = reader.fill() => (),
        }
        let batch = reader.take();
        // An error of the body is returned after the earlier bytes are written, so that the client can resume there.
        if batch.is_empty() {
            return reader.end.unwrap_or(Ok(()));
        }
        // The ingest is taken out of the slot: if this future is dropped during the write, the slot stays empty.
        let mut ingest = slot.take().ok_or_else(ApiError::upload_unknown)?;
        let size: u64 = batch.iter().map(|piece| piece.len() as u64).sum();
        let result = {
            // Reads during the write, so that neither the network nor the disk waits for the other.
            let mut write = ingest.write(batch);
            loop {
                tokio::select! {
                    result = &mut write => break result,
                    () = reader.read(), if reader.has_room() => (),
                }
            }
        };
        result.map_err(|error| ApiError::from_store(error, ApiError::upload_unknown))?;
        written += size;
        if let Some(session) = session {
            session.set_written(written);
        }
        *slot = Some(ingest);
    }
}

async fn cancelled(session: Option<&UploadSession>) {
    match session {
        Some(session) => session.cancelled().await,
        None => std::future::pending().await,
    }
}

/// A body that is read ahead.
struct BodyReader {
    body: BodyDataStream<Body>,
    pieces: Vec<Bytes>,
    /// The length of `pieces`.
    length: usize,
    /// How the body ended.
    end: Option<Result<(), ApiError>>,
}

impl BodyReader {
    fn has_room(&self) -> bool {
        self.end.is_none() && self.length < READ_AHEAD
    }

    /// Reads until there is a piece, or the end.
    async fn fill(&mut self) {
        while self.pieces.is_empty() && self.end.is_none() {
            self.read().await;
        }
    }

    /// Reads the next piece, or the end. Cancel safe: no piece is lost when the future is dropped.
    async fn read(&mut self) {
        match self.body.next().await {
            // Skipped, because an empty batch means the end of the body.
            Some(Ok(piece)) if piece.is_empty() => {}
            Some(Ok(piece)) => {
                self.length += piece.len();
                self.pieces.push(piece);
            }
            None => self.end = Some(Ok(())),
            Some(Err(_)) => self.end = Some(Err(invalid("the body ended early, or came too slowly"))),
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.length = 0;
        std::mem::take(&mut self.pieces)
    }
}

/// Returns a 400 for a malformed upload request.
pub(super) fn invalid(message: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
}
