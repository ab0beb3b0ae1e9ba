//! A stream that verifies content while it is sent.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use oras_spec::Descriptor;
use oras_store::{ByteStream, Error, ErrorKind, Result, Verifier};
use tokio::task::{JoinError, JoinHandle};

/// The maximum number of bytes that are sent before they are hashed. A lower limit would make sending and hashing
/// wait for each other.
const AHEAD: usize = 512 * 1024;

/// Returns the bytes of `stream`, which must be the complete content of `node`. If the bytes do not match the digest,
/// an error replaces the last piece. A client never receives damaged content as a complete response.
///
/// The blocking pool hashes in short jobs: sending does not wait for it, and a slow client occupies no thread.
pub(super) fn verified_stream(node: &Descriptor, stream: ByteStream) -> Result<ByteStream> {
    let hashing = Hashing { verifier: Some(Verifier::new(node)?), job: None, waiting: Vec::new(), size: 0 };
    // Fused: it is polled again after its end, when the last piece was sent.
    let stream = stream.fuse().boxed();
    let verifying = Verifying { stream, held: None, hashing, node: node.clone() };
    let next = |mut verifying: Verifying| async move {
        match verifying.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, verifying))),
            Err(error) => {
                let digest = &verifying.node.digest;
                tracing::error!(%digest, error = error.chain(), "content could not be sent to its end");
                Err(error)
            }
        }
    };
    Ok(futures::stream::try_unfold(verifying, next).boxed())
}

struct Verifying {
    stream: ByteStream,
    /// The last received piece. It is sent when the next piece arrives, or when all pieces are verified.
    held: Option<Bytes>,
    hashing: Hashing,
    node: Descriptor,
}

impl Verifying {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            // The piece is hashed before the previous one is sent, so at the end only the last one is held back.
            let Some(piece) = self.stream.try_next().await? else {
                self.hashing.finish().await?;
                return Ok(self.held.take());
            };
            self.hashing.add(piece.clone()).await?;
            if let Some(earlier) = self.held.replace(piece) {
                return Ok(Some(earlier));
            }
        }
    }
}

/// Hashes the pieces of a stream, in jobs on the blocking pool.
struct Hashing {
    /// `None` while a job owns it, and after the end.
    verifier: Option<Verifier>,
    job: Option<JoinHandle<Result<Verifier>>>,
    waiting: Vec<Bytes>,
    /// The length of `waiting`.
    size: usize,
}

impl Hashing {
    async fn add(&mut self, piece: Bytes) -> Result<()> {
        self.size += piece.len();
        self.waiting.push(piece);
        if let Some(job) = &mut self.job {
            // Waits for the job only when the hash is too far behind.
            let done = if self.size < AHEAD { job.now_or_never() } else { Some(job.await) };
            if let Some(done) = done {
                (self.verifier, self.job) = (Some(done.map_err(interrupted)??), None);
            }
        }
        self.start();
        Ok(())
    }

    /// Starts a job for the waiting pieces, unless one is running.
    fn start(&mut self) {
        if let Some(mut verifier) = self.verifier.take() {
            self.size = 0;
            // One job takes all waiting pieces, which costs less than a job for each.
            let pieces = std::mem::take(&mut self.waiting);
            let work = move || {
                pieces.iter().try_for_each(|piece| verifier.update(piece))?;
                Ok(verifier)
            };
            self.job = Some(tokio::task::spawn_blocking(work));
        }
    }

    /// Fails unless all pieces together match the digest.
    async fn finish(&mut self) -> Result<()> {
        loop {
            if let Some(job) = self.job.take() {
                self.verifier = Some(job.await.map_err(interrupted)??);
            }
            match self.verifier.take() {
                Some(verifier) if self.waiting.is_empty() => return verifier.finish(),
                verifier => self.verifier = verifier,
            }
            self.start();
            if self.job.is_none() {
                // It was already finished.
                return Ok(());
            }
        }
    }
}

fn interrupted(error: JoinError) -> Error {
    Error::new(ErrorKind::Other, "hashing was interrupted").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_spec::MediaType;

    /// Streams `sent` as the content of `expected`. Returns the received bytes and the result of the stream.
    async fn receive(expected: &[u8], sent: &[u8]) -> (Vec<u8>, Result<()>) {
        let node = Descriptor::of(MediaType::OCTET_STREAM, expected);
        let pieces: Vec<_> = sent.chunks(64 * 1024).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut stream = verified_stream(&node, futures::stream::iter(pieces).boxed()).unwrap();
        let mut received = Vec::new();
        loop {
            match stream.try_next().await {
                Ok(Some(piece)) => received.extend_from_slice(&piece),
                Ok(None) => return (received, Ok(())),
                Err(error) => return (received, Err(error)),
            }
        }
    }

    #[tokio::test]
    async fn stream_of_damaged_content_never_completes() {
        for size in [0, 1, 65_536, 65_537, 3_000_000] {
            let right: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            let (received, end) = receive(&right, &right).await;
            assert!(end.is_ok() && received == right, "{size}");
            let mut longer = right.clone();
            longer.push(0);
            for at in [0, size / 2, size.saturating_sub(1)] {
                let mut wrong = right.clone();
                if let Some(byte) = wrong.get_mut(at) {
                    *byte ^= 1;
                    let (received, end) = receive(&right, &wrong).await;
                    assert_eq!(end.unwrap_err().kind(), ErrorKind::DigestMismatch);
                    assert!(received.len() < size, "{size}");
                    let (received, end) = receive(&right, &right[..at]).await;
                    assert_eq!(end.unwrap_err().kind(), ErrorKind::SizeMismatch);
                    assert!(received.len() <= at);
                }
            }
            assert!(receive(&right, &longer).await.1.is_err());
        }
    }
}
