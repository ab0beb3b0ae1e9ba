//! Content that is verified while it is sent.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use oras_spec::Descriptor;
use oras_store::{ByteStream, Error, Kind, Result, Verifier};
use tokio::task::{JoinError, JoinHandle};

/// Bytes that may be sent before they are hashed. With less, sending and hashing wait for each other.
const AHEAD: usize = 512 * 1024;

/// Returns `stream`, which must be all of `node`, with an error in place of its last piece when the bytes are not those of
/// `node`. So a client never gets damaged content as a complete answer.
///
/// Other threads hash, in short pieces of work: sending does not wait for it, and a slow client keeps no thread.
pub(crate) fn verified_stream(node: &Descriptor, stream: ByteStream) -> Result<ByteStream> {
    let hashing = Hashing { state: Some(Verifier::new(node)?), job: None, waiting: Vec::new(), size: 0 };
    // It is asked again after its end, when the last piece was sent.
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
    /// The last piece that came. It is sent when another one has come, or all were found right.
    held: Option<Bytes>,
    hashing: Hashing,
    node: Descriptor,
}

impl Verifying {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
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

/// Pieces on their way through a hash.
struct Hashing {
    /// `None` while a job has it, and after the end.
    state: Option<Verifier>,
    job: Option<JoinHandle<Result<Verifier>>>,
    waiting: Vec<Bytes>,
    /// Bytes that wait.
    size: usize,
}

impl Hashing {
    async fn add(&mut self, piece: Bytes) -> Result<()> {
        self.size += piece.len();
        self.waiting.push(piece);
        if let Some(job) = &mut self.job {
            let done = if self.size < AHEAD { job.now_or_never() } else { Some(job.await) };
            if let Some(done) = done {
                (self.state, self.job) = (Some(done.map_err(interrupted)??), None);
            }
        }
        self.start();
        Ok(())
    }

    /// Hashes what waits, unless a job is under way.
    fn start(&mut self) {
        if let Some(mut verifier) = self.state.take() {
            self.size = 0;
            let pieces = std::mem::take(&mut self.waiting);
            let work = move || {
                pieces.iter().try_for_each(|piece| verifier.update(piece))?;
                Ok(verifier)
            };
            self.job = Some(tokio::task::spawn_blocking(work));
        }
    }

    /// Fails unless all pieces together are right.
    async fn finish(&mut self) -> Result<()> {
        loop {
            if let Some(job) = self.job.take() {
                self.state = Some(job.await.map_err(interrupted)??);
            }
            match self.state.take() {
                Some(verifier) if self.waiting.is_empty() => return verifier.finish(),
                state => self.state = state,
            }
            self.start();
            if self.job.is_none() {
                // Asked again after the end.
                return Ok(());
            }
        }
    }
}

fn interrupted(error: JoinError) -> Error {
    Error::new(Kind::Other, "hashing was interrupted").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_spec::MediaType;

    /// What of `sent` comes for the digest of `expected`, and how it ends.
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
    async fn only_right_content_is_complete() {
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
                    assert_eq!(end.unwrap_err().kind(), Kind::DigestMismatch);
                    assert!(received.len() < size, "{size}");
                    let (received, end) = receive(&right, &right[..at]).await;
                    assert_eq!(end.unwrap_err().kind(), Kind::SizeMismatch);
                    assert!(received.len() <= at);
                }
            }
            assert!(receive(&right, &longer).await.1.is_err());
        }
    }
}
