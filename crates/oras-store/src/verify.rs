//! Verifies size and digest of content while it is read.

use bytes::Bytes;
use futures::StreamExt;
use oras_spec::{Descriptor, Digest, Hasher};

use crate::{ByteStream, Error, ErrorKind, Result};

/// Verifies bytes against a descriptor: pass all bytes to [`Verifier::update`], then call [`Verifier::finish`].
///
/// Use it for bytes that do not come from [`Content::reader`](crate::Content::reader), which verifies by itself.
///
/// ```
/// use oras_store::spec::{Descriptor, MediaType};
/// use oras_store::{ErrorKind, Verifier};
///
/// # fn main() -> oras_store::Result<()> {
/// let descriptor = Descriptor::of(MediaType::LAYER_TAR, b"hello world\n");
/// let mut verifier = Verifier::new(&descriptor)?;
/// verifier.update(b"hello ")?;
/// let mut other = verifier.clone();
/// verifier.update(b"world\n")?;
/// verifier.finish()?;
///
/// other.update(b"w0rld\n")?;
/// assert_eq!(other.finish().unwrap_err().kind(), ErrorKind::DigestMismatch);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    expected: Digest,
    size: u64,
    seen: u64,
    hasher: Hasher,
}

impl Verifier {
    /// Starts to verify the content of `descriptor`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an unknown digest algorithm.
    pub fn new(descriptor: &Descriptor) -> Result<Self> {
        // Content that cannot be verified must not be used, so an unknown algorithm is an error.
        let algorithm = descriptor.digest.algorithm().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("cannot verify {}: unsupported digest algorithm", descriptor.digest),
            )
        })?;
        Ok(Self {
            expected: descriptor.digest.clone(),
            size: descriptor.size,
            seen: 0,
            hasher: Hasher::new(algorithm),
        })
    }

    /// Hashes the next bytes.
    ///
    /// # Errors
    /// [`ErrorKind::SizeMismatch`] as soon as there are more bytes than the descriptor says.
    pub fn update(&mut self, bytes: &[u8]) -> Result<()> {
        // The size is checked before the bytes are hashed, so that an endless stream fails as soon as it
        // exceeds the size.
        self.seen += bytes.len() as u64;
        if self.seen > self.size {
            let message =
                format!("content of {} is longer than its {} bytes: trailing data", self.expected, self.size);
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Checks that all bytes were hashed and match the digest.
    ///
    /// # Errors
    /// [`ErrorKind::SizeMismatch`] or [`ErrorKind::DigestMismatch`].
    pub fn finish(self) -> Result<()> {
        // Each message contains the text that the Go library uses for the same error.
        if self.seen < self.size {
            let message = format!(
                "content of {} ended after {} of {} bytes: unexpected EOF",
                self.expected, self.seen, self.size
            );
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        let found = self.hasher.finish();
        if found != self.expected {
            let message = format!("mismatched digest: expected {}, got {found}", self.expected);
            return Err(Error::new(ErrorKind::DigestMismatch, message));
        }
        Ok(())
    }
}

/// Wraps `stream` in a stream that ends with an error if the bytes do not match `descriptor`.
pub(crate) fn verified(descriptor: &Descriptor, stream: ByteStream) -> Result<ByteStream> {
    let verifier = Verifier::new(descriptor)?;
    let next = |state: Option<(ByteStream, Verifier)>| async move {
        // The state is `None` after an error, which ends the stream.
        let (mut stream, mut verifier) = state?;
        match stream.next().await {
            Some(Ok(chunk)) => match verifier.update(&chunk) {
                Ok(()) => Some((Ok(chunk), Some((stream, verifier)))),
                Err(error) => Some((Err(error), None)),
            },
            Some(Err(error)) => Some((Err(error), None)),
            // The digest is known only at the end. The receiver already has all bytes and must discard them after an
            // error.
            None => verifier.finish().err().map(|error| (Err::<Bytes, _>(error), None)),
        }
    };
    Ok(futures::stream::unfold(Some((stream, verifier)), next).boxed())
}
