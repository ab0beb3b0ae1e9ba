//! Digests of content: an algorithm and a hash (image-spec, descriptor.md "Digests").
//!
//! Use a [`Digest`] to name and to verify content in memory, and a [`Hasher`] for content that arrives in pieces.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

/// A hash function with which ORAS can verify content. [`Digest::of`] and [`Hasher::new`] compute digests with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, which every implementation must support and which ORAS writes.
    Sha256,
    /// SHA-384, which OCI does not register. ORAS reads it because the Go libraries do.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Returns the name before the colon of a digest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the algorithm with a name, if ORAS can compute it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// A well-formed digest, which is cheap to clone, compare and hash.
///
/// A digest may have an algorithm that ORAS does not know (image-spec: "implementations SHOULD allow digests with
/// unrecognized algorithms to pass validation"). Such a digest is kept unchanged, but it cannot verify content, and
/// [`Digest::algorithm`] returns `None`.
///
/// ```
/// use oras_spec::{Algorithm, Digest, DigestError};
///
/// let digest = Digest::of(Algorithm::Sha512, b"{}");
/// assert_eq!(digest.to_string().parse::<Digest>()?, digest);
/// assert_eq!(digest.verify(b"{}"), Ok(true));
/// assert_eq!("sha256:abc".parse::<Digest>(), Err(DigestError::Length));
///
/// let unknown: Digest = "blake3:abc".parse()?;
/// assert_eq!(unknown.verify(b"{}"), Err(DigestError::Unsupported));
/// # Ok::<(), DigestError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Sha256([u8; 32]),
    // Boxed, because these are rare and would otherwise make every digest larger than SHA-256 needs.
    Sha384(Arc<[u8; 48]>),
    Sha512(Arc<[u8; 64]>),
    Other(Arc<str>),
}

/// An error of parsing a digest or verifying content. Content that does not match its digest is not an error here:
/// [`Digest::verify`] returns false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text does not follow the grammar `algorithm:encoded`.
    #[error("invalid checksum digest format")]
    Format,
    /// The hash of a known algorithm has the wrong length.
    #[error("invalid checksum digest length")]
    Length,
    /// ORAS cannot compute the algorithm.
    #[error("unsupported digest algorithm")]
    Unsupported,
}

impl Digest {
    /// Computes the SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(Repr::Sha256(sha2::Sha256::digest(bytes).into()))
    }

    /// Computes the digest of `bytes` with `algorithm`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Returns the algorithm, or `None` if ORAS cannot compute it.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self.0 {
            Repr::Sha256(_) => Some(Algorithm::Sha256),
            Repr::Sha384(_) => Some(Algorithm::Sha384),
            Repr::Sha512(_) => Some(Algorithm::Sha512),
            Repr::Other(_) => None,
        }
    }

    /// Returns the text before the colon.
    pub fn algorithm_name(&self) -> &str {
        match &self.0 {
            Repr::Other(text) => text.split(':').next().unwrap_or_default(),
            _ => self.algorithm().map_or("", Algorithm::as_str),
        }
    }

    /// Returns the text after the colon, which contains neither `/` nor `.`. It is lower-case hex for known algorithms.
    pub fn encoded(&self) -> String {
        match &self.0 {
            Repr::Sha256(hash) => hex(hash),
            Repr::Sha384(hash) => hex(&**hash),
            Repr::Sha512(hash) => hex(&**hash),
            Repr::Other(text) => text.split_once(':').map_or("", |(_, encoded)| encoded).to_owned(),
        }
    }

    /// Returns true if `bytes` have this digest.
    ///
    /// # Errors
    /// [`DigestError::Unsupported`] if ORAS cannot compute the algorithm.
    pub fn verify(&self, bytes: &[u8]) -> Result<bool, DigestError> {
        let algorithm = self.algorithm().ok_or(DigestError::Unsupported)?;
        Ok(Self::of(algorithm, bytes) == *self)
    }

    /// Returns the short form for status lines: the first twelve hex digits of a SHA-256 digest, or any other digest in
    /// full.
    pub fn short(&self) -> String {
        match &self.0 {
            Repr::Sha256(hash) => hex(&hash[..6]),
            _ => self.to_string(),
        }
    }
}

// A table avoids a call of `format!` for each byte.
fn hex(hash: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(hash.len() * 2);
    for byte in hash {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

fn unhex<const N: usize>(text: &str) -> Result<[u8; N], DigestError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        // The image-spec allows only lower-case hex digits, so that a hash has exactly one text form.
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(DigestError::Format),
    };
    if text.len() != N * 2 {
        return Err(DigestError::Length);
    }
    let mut hash = [0; N];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(hash)
}

/// Returns true if `name` is `component *(("+" | "." | "_" | "-") component)`, where a component consists of lower-case
/// letters and digits.
fn is_algorithm(name: &str) -> bool {
    name.split(['+', '.', '_', '-'])
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, encoded) = text.split_once(':').ok_or(DigestError::Format)?;
        let encoded_ok = !encoded.is_empty()
            && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'));
        if !is_algorithm(name) || !encoded_ok {
            return Err(DigestError::Format);
        }
        Ok(Self(match Algorithm::from_name(name) {
            // Hashes of known algorithms are stored as bytes, which need half the memory of text.
            Some(Algorithm::Sha256) => Repr::Sha256(unhex(encoded)?),
            Some(Algorithm::Sha384) => Repr::Sha384(Arc::new(unhex(encoded)?)),
            Some(Algorithm::Sha512) => Repr::Sha512(Arc::new(unhex(encoded)?)),
            None => Repr::Other(text.into()),
        }))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Other(text) => f.write_str(text),
            _ => write!(f, "{}:{}", self.algorithm_name(), self.encoded()),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("digest {text:?}: {error}")))
    }
}

/// An incremental hash, for content that arrives in pieces. [`Hasher::update`] adds bytes, and [`Hasher::finish`]
/// returns the digest. A clone is a snapshot of the state.
///
/// ```
/// use oras_spec::{Algorithm, Digest, Hasher};
///
/// let mut hasher = Hasher::new(Algorithm::Sha256);
/// for piece in [&b"hello "[..], b"world\n"] {
///     hasher.update(piece);
/// }
/// assert_eq!(hasher.finish(), Digest::sha256(b"hello world\n"));
/// ```
#[derive(Clone, Debug)]
pub struct Hasher(HashState);

#[derive(Clone, Debug)]
enum HashState {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts a hash.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => HashState::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => HashState::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => HashState::Sha512(sha2::Sha512::new()),
        })
    }

    /// Adds `bytes` to the hash.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            HashState::Sha256(hash) => hash.update(bytes),
            HashState::Sha384(hash) => hash.update(bytes),
            HashState::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Returns the digest of all bytes that were added.
    pub fn finish(self) -> Digest {
        Digest(match self.0 {
            HashState::Sha256(hash) => Repr::Sha256(hash.finalize().into()),
            HashState::Sha384(hash) => Repr::Sha384(Arc::new(hash.finalize().into())),
            HashState::Sha512(hash) => Repr::Sha512(Arc::new(hash.finalize().into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_known_digests() {
        let text = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest, Digest::sha256(b"{}"));
        assert_eq!(digest.short(), "44136fa355b3");
        assert_eq!(digest.verify(b"{}"), Ok(true));
        assert_eq!(digest.verify(b"{ }"), Ok(false));
        for algorithm in [Algorithm::Sha384, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"x");
            assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
            assert_eq!(digest.algorithm(), Some(algorithm));
        }
    }

    #[test]
    fn keeps_digests_of_unknown_algorithms() {
        let digest: Digest = "blake3:abc_D-=".parse().unwrap();
        assert_eq!(digest.algorithm(), None);
        assert_eq!((digest.algorithm_name(), digest.encoded().as_str()), ("blake3", "abc_D-="));
        assert_eq!(digest.verify(b""), Err(DigestError::Unsupported));
    }

    #[test]
    fn rejects_malformed_digests() {
        use DigestError::{Format, Length};
        let hex = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        for (text, error) in [
            ("", Format),
            ("sha256", Format),
            ("sha256:", Format),
            (":abc", Format),
            ("sha256:abc", Length),
            ("SHA256:abc", Format),
            ("sha256:../../etc/passwd", Format),
            ("md5+:abc", Format),
            (&format!("sha256:{}", hex.to_uppercase()), Format),
            (&format!("sha256:{hex}0"), Length),
            (&format!("sha512:{hex}"), Length),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }
}
