//! Decodes bodies that a server compresses although the client asked for `identity` (RFC 9110, section 8.4).

use std::io::{self, Write};

use bytes::{Buf, Bytes, BytesMut};
use flate2::Decompress;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oras_store::ErrorKind;
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use url::Url;
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder};
use zstd::stream::zio;

use crate::http::network_error::{self, ServerRole};
use crate::http::response_error::request_error;
use crate::http::retry::FailedAttempt;

/// The maximum number of encodings of one body. Each decoder needs memory for its window.
const MAX_ENCODINGS: usize = 4;
/// The largest window of a zstd frame, as a power of two: the limit of RFC 9659 for HTTP.
const MAX_WINDOW: u32 = 23;
/// Encoded bytes allowed beyond the decoded limit, because incompressible content grows a little.
const OVERHEAD: u64 = 64 << 10;
/// The number of bytes at the start of a body that identify its format.
const MAGIC: usize = 4;

/// The encodings of a body, in the order in which they were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encodings(Vec<String>);

/// An error while reading a body.
#[derive(Debug)]
pub(crate) enum BodyError {
    Network(reqwest::Error),
    /// The server used an unsupported encoding.
    Unsupported(String),
    /// The body does not match its encoding.
    Malformed(String),
}

/// A decoded body.
pub(crate) type DecodedBody = BoxStream<'static, Result<Bytes, BodyError>>;

impl Encodings {
    /// Reads the encodings from `Content-Encoding`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(CONTENT_ENCODING).iter().map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
        });
        let is_encoding = |name: &String| !name.is_empty() && name != "identity";
        Self(values.flatten().filter(is_encoding).collect())
    }

    /// Returns true if the body is not encoded.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the decoded body of `http` in chunks of bounded size. `limit` is the largest decoded size that the
    /// caller reads.
    pub(crate) fn decode(&self, http: reqwest::Response, limit: u64) -> DecodedBody {
        let body = http.bytes_stream().map_err(BodyError::Network).boxed();
        if self.is_empty() {
            return body;
        }
        if self.0.len() > MAX_ENCODINGS {
            let why = format!("{} content encodings, more than {MAX_ENCODINGS}", self.0.len());
            return stream::iter([Err(BodyError::Unsupported(why))]).boxed();
        }
        // Allows an eighth more than the decoded limit, because encoded content is rarely longer than decoded content.
        let body = bounded(body, limit.saturating_add(limit / 8).saturating_add(OVERHEAD));
        // Encodings are removed in the reverse order of their application.
        self.0.iter().rev().fold(body, |body, name| Stage::new(body, name).decoded())
    }
}

impl BodyError {
    /// Converts into the failure of the request `method` to `url`.
    pub(crate) fn into_failed(self, method: &Method, url: &Url) -> FailedAttempt {
        let bad = |kind, why: &str| FailedAttempt::from(request_error(kind, method, url, why));
        match self {
            Self::Network(error) => network_error::failed(method, url, ServerRole::Registry, None, &error),
            Self::Unsupported(why) => bad(ErrorKind::Unsupported, &format!("the answer has {why}")),
            Self::Malformed(why) => bad(ErrorKind::InvalidContent, &why),
        }
    }
}

/// Limits the encoded bytes, because endless encoded input may decode to nothing.
fn bounded(body: DecodedBody, limit: u64) -> DecodedBody {
    let mut total = 0_u64;
    let counted = body.and_then(move |chunk| {
        total += chunk.len() as u64;
        let why = || BodyError::Malformed(format!("the encoded answer exceeds {limit} bytes"));
        std::future::ready(if total > limit { Err(why()) } else { Ok(chunk) })
    });
    counted.boxed()
}

/// The removal of one encoding.
struct Stage {
    body: DecodedBody,
    name: String,
    decoder: Option<Box<dyn Decoder>>,
    input: Bytes,
    is_ended: bool,
}

impl Stage {
    fn new(body: DecodedBody, name: &str) -> Self {
        Self { body, name: name.to_owned(), decoder: None, input: Bytes::new(), is_ended: false }
    }

    fn decoded(self) -> DecodedBody {
        let next = |mut stage: Self| async move { Ok(stage.next().await?.map(|piece| (piece, stage))) };
        stream::try_unfold(self, next).boxed()
    }

    /// Returns the next decoded chunk. A decoder writes at most its buffer of some 32 KiB per step, so that a small
    /// input with a large decoded size never needs much memory.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            while !self.input.is_empty()
                // The decoder is chosen by the first bytes, so it waits until enough of them have arrived.
                && (self.is_ended || self.decoder.is_some() || self.input.len() >= MAGIC)
            {
                let piece = self.step()?;
                if !piece.is_empty() {
                    return Ok(Some(piece.into()));
                }
            }
            if self.is_ended {
                let Some(mut decoder) = self.decoder.take() else { return Ok(None) };
                // A truncated body must be an error, not a short result.
                decoder.end().map_err(|error| malformed(&self.name, &error))?;
                let rest = std::mem::take(decoder.output());
                return Ok((!rest.is_empty()).then(|| rest.into()));
            }
            match self.body.try_next().await? {
                Some(chunk) if self.input.is_empty() => self.input = chunk,
                Some(chunk) => {
                    let mut input = BytesMut::from(&self.input[..]);
                    input.extend_from_slice(&chunk);
                    self.input = input.freeze();
                }
                None => self.is_ended = true,
            }
        }
    }

    fn step(&mut self) -> Result<Vec<u8>, BodyError> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(decoder(&self.name, &self.input)?),
        };
        match decoder.write(&self.input).map_err(|error| malformed(&self.name, &error))? {
            // Ignores bytes after the end of the encoded content.
            0 => self.input.clear(),
            taken => self.input.advance(taken),
        }
        Ok(std::mem::take(decoder.output()))
    }
}

fn malformed(name: &str, error: &io::Error) -> BodyError {
    BodyError::Malformed(format!("the answer is not valid {name}, its content encoding: {error}"))
}

/// Returns the decoder for content that begins with `start`.
///
/// Some servers announce an encoding and send plain JSON, which is accepted.
fn decoder(name: &str, start: &[u8]) -> Result<Box<dyn Decoder>, BodyError> {
    let is_json = matches!(start.first(), Some(b'{' | b'['));
    Ok(match name {
        "gzip" | "x-gzip" | "zstd" if is_json => Box::new(Vec::new()),
        "gzip" | "x-gzip" => Box::new(MultiGzDecoder::new(Vec::new())),
        // Servers send deflate with and without the zlib header.
        "deflate" => {
            let raw = Decompress::new(is_zlib(start));
            Box::new(ZlibDecoder::new_with_decompress(Vec::new(), raw))
        }
        "zstd" => {
            let mut raw = ZstdDecoder::new().map_err(|error| malformed(name, &error))?;
            let window = DParameter::WindowLogMax(MAX_WINDOW);
            raw.set_parameter(window).map_err(|error| malformed(name, &error))?;
            Box::new(zio::Writer::new(Vec::new(), raw))
        }
        // Data in these encodings may begin like JSON.
        "br" | "dcb" | "dcz" | "compress" | "x-compress" => return Err(unsupported(name)),
        _ if is_json => Box::new(Vec::new()),
        _ => return Err(unsupported(name)),
    })
}

fn unsupported(name: &str) -> BodyError {
    BodyError::Unsupported(format!("the content encoding {name:?}, which is not supported"))
}

/// Returns true if `start` is a zlib header (RFC 1950): the method deflate and a checksum.
fn is_zlib(start: &[u8]) -> bool {
    let [method, flags, ..] = *start else { return false };
    method & 0x0f == 8 && (u32::from(method) << 8 | u32::from(flags)).is_multiple_of(31)
}

trait Decoder: Write + Send {
    /// The decoded bytes so far.
    fn output(&mut self) -> &mut Vec<u8>;
    /// Fails if the encoded content is incomplete.
    fn end(&mut self) -> io::Result<()>;
}

impl Decoder for MultiGzDecoder<Vec<u8>> {
    fn output(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn end(&mut self) -> io::Result<()> {
        self.try_finish()
    }
}

impl Decoder for ZlibDecoder<Vec<u8>> {
    fn output(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn end(&mut self) -> io::Result<()> {
        self.try_finish()
    }
}

impl Decoder for zio::Writer<Vec<u8>, ZstdDecoder<'static>> {
    fn output(&mut self) -> &mut Vec<u8> {
        self.writer_mut()
    }

    fn end(&mut self) -> io::Result<()> {
        self.finish()
    }
}

/// The decoder for plain content, which returns its input.
impl Decoder for Vec<u8> {
    fn output(&mut self) -> &mut Vec<u8> {
        self
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}
