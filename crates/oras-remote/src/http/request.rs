//! A request to a registry.

use std::ops::Range;

use bytes::Bytes;
use oras_store::{Error, ErrorKind, MAX_MANIFEST_SIZE, Result};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::auth::scope::Scopes;
use crate::auth::secret::Secret;
use crate::http::payload::Payload;

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Empty,
    Bytes(Bytes),
    /// A form that contains a secret. It is never redirected to another origin.
    Secret(Secret),
    /// A range of a blob. Each attempt opens it again.
    Part(Payload, Range<u64>),
}

/// A request to a registry.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// The scopes that a token needs.
    pub(crate) scopes: Scopes,
    /// Size of the largest body that is read into memory; `None` streams it.
    pub(crate) limit: Option<u64>,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url, scopes: Scopes) -> Self {
        // The answer is bounded by default. A request must opt in to an unbounded one.
        let limit = Some(MAX_MANIFEST_SIZE);
        Self { method, url, headers: HeaderMap::new(), body: Body::Empty, scopes, limit }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, format!("{value:?} cannot be sent as a header"))
        })?;
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

    /// Returns true if the caller needs the body of the answer. For writes, the headers are enough.
    pub(crate) fn needs_answer_body(&self) -> bool {
        // A token server answers a `POST` with the token in the body.
        matches!(self.method, Method::GET | Method::HEAD) || matches!(self.body, Body::Secret(_))
    }

    /// Returns true if the request can be sent again.
    pub(crate) fn is_replayable(&self) -> bool {
        !matches!(&self.body, Body::Part(payload, _) if !payload.is_replayable())
    }
}
