//! An answer of a registry.

use std::fmt;

use bytes::Bytes;
use oras_store::{Error, ErrorKind, Result};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use url::Url;

use crate::connection::connection_pool::Lease;
use crate::http::content_encoding::Encodings;
use crate::http::response_error::{ResponseError, request_error};

/// An answer, with the address that sent it.
pub(crate) struct Response {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ResponseBody,
    /// The connections that it used.
    pub(crate) lease: Lease,
}

/// The body of an answer.
pub(crate) enum ResponseBody {
    /// The whole body, or the beginning of the body of an error.
    Whole(Bytes),
    /// A body that is not yet read.
    Stream(reqwest::Response),
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the declared length of the body, unless it is encoded. After a `HEAD`, the length that a `GET` would
    /// return.
    pub(crate) fn content_length(&self) -> Option<u64> {
        // With an encoding, the header states the encoded length, which no descriptor contains.
        let length = self.header("content-length").filter(|_| self.encodings().is_empty())?;
        length.trim().parse().ok()
    }

    /// Returns the encodings of the body.
    pub(crate) fn encodings(&self) -> Encodings {
        Encodings::of(&self.headers)
    }

    /// Returns the media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> Option<&str> {
        let essence = self.header("content-type")?.split(';').next()?.trim();
        (!essence.is_empty()).then_some(essence)
    }

    /// Returns the body, or nothing if it was not read.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.body {
            ResponseBody::Whole(bytes) => bytes,
            ResponseBody::Stream(_) => &[],
        }
    }

    /// Returns the body by value, or nothing if it was not read.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.body {
            ResponseBody::Whole(bytes) => bytes,
            ResponseBody::Stream(_) => Bytes::new(),
        }
    }

    /// Returns the response if its status is one of `statuses`, otherwise the registry's error.
    pub(crate) fn expect(self, statuses: &[u16]) -> Result<Self> {
        if statuses.contains(&self.status.as_u16()) { Ok(self) } else { Err(self.error().into_error()) }
    }

    /// Returns the registry's error.
    pub(crate) fn error(&self) -> ResponseError {
        ResponseError::new(&self.method, &self.url, self.status, self.bytes()).with_headers(&self.headers)
    }

    /// Returns the error that `what` does not exist, in the words of the Go tool, with the registry's error as its
    /// detail.
    pub(crate) fn not_found(&self, what: impl fmt::Display) -> Error {
        Error::not_found(what).with_detail(self.error())
    }

    /// Returns an error about this answer: `GET "url": why`.
    pub(crate) fn bad(&self, kind: ErrorKind, why: &str) -> Error {
        request_error(kind, &self.method, &self.url, why)
    }
}
