//! Receives the body of an upload. It reads ahead while earlier bytes are written.

use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use http_body_util::{BodyDataStream, BodyExt};
use oras_store::Ingest;

use super::error::ApiError;
use crate::http_message::Body;

/// The maximum number of bytes that are read ahead while earlier bytes are written.
const READ_AHEAD: usize = 128 * 1024;

/// Writes a body as it arrives, after the first `written` bytes, and calls `on_progress` with the bytes written so far.
///
/// When a write fails, or the future is dropped during one, `slot` is left empty, because it is unknown how much was
/// written.
pub(super) async fn receive(
    slot: &mut Option<Box<dyn Ingest>>,
    body: Body,
    mut written: u64,
    on_progress: impl Fn(u64),
) -> Result<(), ApiError> {
    let mut reader = BodyReader { body: body.into_data_stream(), pieces: Vec::new(), length: 0, end: None };
    loop {
        while reader.pieces.is_empty() && reader.end.is_none() {
            reader.read().await;
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
        on_progress(written);
        *slot = Some(ingest);
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
