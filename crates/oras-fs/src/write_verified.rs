//! Hashes and writes content on a blocking thread while it arrives.

use std::io::Write;

use bytes::Bytes;
use futures::TryStreamExt;
use tokio::sync::mpsc;

use crate::{CHUNK, blocking, failed_to};
use oras_store::{ByteStream, Content, Error, Result, Verifier};

/// The number of chunks between the reader and the writer. It bounds the memory of one stream to a few MiB.
const MAX_QUEUED_CHUNKS: usize = 8;

/// Writes `content` to `sink` while the bytes arrive, verifies it, and then calls `finish`. Write errors contain
/// `name`.
///
/// Hashing, writing and `finish` run on threads that may block. `finish` runs only if the content matches its
/// descriptor. After an error, and shortly after the future is dropped, `sink` is dropped with the bytes it got.
///
/// # Errors
/// The errors of reading the content, `DigestMismatch` or `SizeMismatch`, `Io`, and the errors of `finish`.
pub async fn write_verified<W: Write + Send + 'static, T: Send + 'static>(
    content: &Content,
    mut sink: W,
    name: String,
    finish: impl FnOnce(W) -> Result<T> + Send + 'static,
) -> Result<T> {
    let descriptor = content.descriptor();
    if descriptor.size <= CHUNK as u64 {
        // Small content needs one blocking call to write and finish it. Streaming would wake threads several times.
        let bytes = content.bytes(descriptor.size).await?;
        return blocking(move || {
            sink.write_all(&bytes).map_err(failed_to("write", &name))?;
            finish(sink)
        })
        .await;
    }
    let stream = content.unverified(0..descriptor.size).await?;
    let sink = write_stream(stream, Verifier::new(descriptor)?, sink, name).await?;
    blocking(move || finish(sink)).await
}

/// Writes `stream` to `sink` and returns `sink`. `verifier` has seen the bytes before the stream.
pub(crate) async fn write_stream<W: Write + Send + 'static>(
    mut stream: ByteStream,
    mut verifier: Verifier,
    mut sink: W,
    name: String,
) -> Result<W> {
    let (sender, mut chunks) = mpsc::channel::<Bytes>(MAX_QUEUED_CHUNKS);
    // One thread hashes and writes, so that the chunk is still in the processor's cache when it is written.
    // The runtime reads the next chunks at the same time.
    let writer = blocking(move || {
        while let Some(chunk) = chunks.blocking_recv() {
            verifier.update(&chunk)?;
            sink.write_all(&chunk).map_err(failed_to("write", &name))?;
        }
        verifier.finish()?;
        Ok(sink)
    });
    let reader = async {
        while let Some(chunk) = stream.try_next().await? {
            // The writer has failed and closed the channel. Its error is returned below.
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok::<_, Error>(())
    };
    let (read, written) = futures::future::join(reader, writer).await;
    // A failed read also makes the writer fail, as bytes are missing. The read error is the cause, so it comes first.
    read?;
    written
}
