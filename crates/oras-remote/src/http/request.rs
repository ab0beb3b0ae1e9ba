//! A request to a registry and its answer, without the sending.

use std::ops::Range;

use bytes::Bytes;
use oras_store::{Error, Kind, MAX_MANIFEST_SIZE, Result};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::encoding::{DecodedBody, Encodings};
use crate::pool::Lease;
use crate::response::ResponseError;
use crate::scope::Scopes;
use crate::upload::Payload;

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Empty,
    Bytes(Bytes),
    /// A form with a secret in it: never sent to another origin, whatever redirect asks for it.
    Secret(crate::Secret),
    /// A part of a blob, opened anew each time the request is sent.
    Part(Payload, Range<u64>),
}

/// A request to a registry.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// What a token must allow.
    pub(crate) scopes: Scopes,
    /// The largest body that is read into memory; `None` leaves it to be streamed.
    pub(crate) limit: Option<u64>,
    /// Whether the answer is a list, which is streamed from where it is long.
    pub(crate) is_list: bool,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url, scopes: Scopes) -> Self {
        let limit = Some(MAX_MANIFEST_SIZE);
        Self { method, url, headers: HeaderMap::new(), body: Body::Empty, scopes, limit, is_list: false }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::new(Kind::InvalidInput, format!("{value:?} cannot be sent as a header")))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn limit(mut self, limit: Option<u64>) -> Self {
        self.limit = limit;
        self
    }

    /// The request for a list of at most `limit` bytes.
    pub(crate) fn list(url: Url, scopes: Scopes, limit: u64) -> Self {
        Self { is_list: true, ..Self::new(Method::GET, url, scopes).limit(Some(limit)) }
    }

    /// Returns true if the body of an answer is needed: what is written is known to be there by the headers alone.
    pub(crate) fn needs_answer_body(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD) || matches!(self.body, Body::Secret(_))
    }

    /// Whether it can be sent a second time.
    pub(crate) fn is_replayable(&self) -> bool {
        !matches!(&self.body, Body::Part(payload, _) if !payload.is_replayable())
    }
}

/// An answer, with the address that gave it.
pub(crate) struct Response {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Answer,
    /// The connections that it came by.
    pub(crate) lease: Lease,
}

/// The body of an answer.
pub(crate) enum Answer {
    /// All of it, or the beginning of an error's.
    Whole(Bytes),
    /// A long list, decoded, still to be read. The lock only makes it shareable.
    Long(Mutex<DecodedBody>),
    /// Still to be read, as the server sends it.
    Stream(reqwest::Response),
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The declared length of the body, unless it is encoded; after a `HEAD`, that of the body there would be.
    pub(crate) fn content_length(&self) -> Option<u64> {
        let length = self.header("content-length").filter(|_| self.encodings().is_empty())?;
        length.trim().parse().ok()
    }

    /// The encodings of the body.
    pub(crate) fn encodings(&self) -> Encodings {
        Encodings::of(&self.headers)
    }

    /// The media type of the body, without its parameters.
    pub(crate) fn content_type(&self) -> Option<&str> {
        let essence = self.header("content-type")?.split(';').next()?.trim();
        (!essence.is_empty()).then_some(essence)
    }

    /// The body, if it was read.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.body {
            Answer::Whole(bytes) => bytes,
            Answer::Long(_) | Answer::Stream(_) => &[],
        }
    }

    /// The body as its owner, if it was read.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.body {
            Answer::Whole(bytes) => bytes,
            Answer::Long(_) | Answer::Stream(_) => Bytes::new(),
        }
    }

    /// The response, if its status is one of those; the registry's error otherwise.
    pub(crate) fn expect(self, statuses: &[u16]) -> Result<Self> {
        if statuses.contains(&self.status.as_u16()) { Ok(self) } else { Err(self.error().into_error()) }
    }

    /// What the registry says went wrong.
    pub(crate) fn error(&self) -> ResponseError {
        ResponseError::new(&self.method, &self.url, self.status, self.bytes())
    }

    /// An error in what the registry answered: `GET "url": why`.
    pub(crate) fn bad(&self, kind: Kind, why: &str) -> Error {
        Error::new(kind, format!("{} \"{}\": {why}", self.method, crate::response::redact(&self.url)))
    }
}
