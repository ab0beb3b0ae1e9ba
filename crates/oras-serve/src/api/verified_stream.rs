//! A stream that verifies content while it is sent.

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use futures::{FutureExt, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest};
use oras_store::{ByteStream, Error, ErrorKind, Result, Verifier};

/// The maximum number of bytes that are sent before they are hashed. A lower limit would make sending and hashing
/// wait for each other.
const AHEAD: usize = 512 * 1024;

/// Returns the bytes of `stream`, which must be the complete content of `node`. If the bytes do not match the digest,
/// an error replaces the last piece. A client never receives damaged content as a complete response.
///
/// The blocking pool hashes in short jobs: sending does not wait for it, and a slow client occupies no thread.
pub(super) fn verified_stream(node: &Descriptor, stream: ByteStream) -> Result<ByteStream> {
    let job = future::ready(Ok(Verifier::new(node)?)).boxed();
    let verifying = Verifying {
        // Fused: it is polled again after its end, when the last piece was sent.
        stream: stream.fuse().boxed(),
        held: None,
        hashing: Some(Hashing { job, waiting: Vec::new(), size: 0 }),
        digest: node.digest.clone(),
    };
    let next = |mut verifying: Verifying| async move {
        match verifying.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, verifying))),
            Err(error) => {
                let digest = &verifying.digest;
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
    /// `None` after the end.
    hashing: Option<Hashing>,
    digest: Digest,
}

impl Verifying {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        // The piece is hashed before the previous one is sent, so at the end only the last one is held back.
        while let Some(piece) = self.stream.try_next().await? {
            if let Some(hashing) = &mut self.hashing {
                hashing.add(piece.clone()).await?;
            }
            if let Some(earlier) = self.held.replace(piece) {
                return Ok(Some(earlier));
            }
        }
        if let Some(hashing) = self.hashing.take() {
            hashing.finish().await?;
        }
        Ok(self.held.take())
    }
}

/// Hashes the pieces of a stream, in jobs on the blocking pool.
struct Hashing {
    /// The last job.
    job: BoxFuture<'static, Result<Verifier>>,
    /// The pieces for the next job.
    waiting: Vec<Bytes>,
    /// The length of `waiting`.
    size: usize,
}

impl Hashing {
    async fn add(&mut self, piece: Bytes) -> Result<()> {
        self.size += piece.len();
        self.waiting.push(piece);
        // Waits for the job only when the hash is too far behind.
        let done =
            if self.size < AHEAD { (&mut self.job).now_or_never() } else { Some((&mut self.job).await) };
        if let Some(verifier) = done {
            // One job takes all waiting pieces, which costs less than a job for each.
            self.job = hash(verifier?, std::mem::take(&mut self.waiting)).boxed();
            self.size = 0;
        }
        Ok(())
    }

    /// Fails unless all pieces together match the digest.
    async fn finish(self) -> Result<()> {
        let verifier = self.job.await?;
        let verifier = if self.waiting.is_empty() { verifier } else { hash(verifier, self.waiting).await? };
        verifier.finish()
    }
}

/// Starts a job that hashes `pieces`.
fn hash(mut verifier: Verifier, pieces: Vec<Bytes>) -> impl Future<Output = Result<Verifier>> {
    let job = tokio::task::spawn_blocking(move || {
        pieces.iter().try_for_each(|piece| verifier.update(piece))?;
        Ok(verifier)
    });
    job.map(|done| {
        done.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Other, "hashing was interrupted").with_source(error))
        })
    })
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
