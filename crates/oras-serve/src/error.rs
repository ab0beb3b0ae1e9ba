//! What the server answers when it refuses (distribution-spec, "Error Codes").

use std::io::ErrorKind;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use oras_spec::json;
use oras_spec::wire::{ErrorBody, ErrorEntry};
use oras_store::{Error, Kind};

use crate::respond::set;

/// What an error says in the end. Where that is of bounds, it names no path of the server.
fn cause(error: &Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What was found, or `None` if it is not there. Every other refusal stays one.
pub(crate) fn absent_is_none<T>(found: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(refusal) if refusal.is_absence() => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Returns true if a disk, a quota or the bound of a store in memory is used up.
pub(crate) fn is_full(error: &Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

/// A refusal: a status, a code of the specification, and a text for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// The same refusal with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn name_invalid() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", "invalid repository name")
    }

    pub(crate) fn manifest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(crate) fn name_unknown(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("repository {name} is not known"))
    }

    pub(crate) fn blob_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
    }

    pub(crate) fn manifest_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown to registry")
    }

    pub(crate) fn digest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(crate) fn upload_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "upload unknown to registry")
    }

    pub(crate) fn unsupported() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported")
    }

    /// The refusal for an error of a store; what was not found is a blob or a manifest.
    pub(crate) fn of(error: &Error, not_found: fn() -> Self) -> Self {
        match error.kind() {
            Kind::NotFound => not_found(),
            Kind::DigestMismatch => Self::digest_invalid("provided digest did not match uploaded content"),
            Kind::SizeMismatch => {
                Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", "provided length did not match content")
            }
            Kind::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", cause(error)),
            Kind::InvalidInput => Self::name_invalid(),
            Kind::InvalidContent => Self::manifest_invalid("invalid content"),
            // Without what caused it, which may be for the log only.
            Kind::Unauthorized | Kind::Denied => {
                Self::new(StatusCode::FORBIDDEN, "DENIED", error.to_string())
            }
            Kind::Unsupported => Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", error.to_string()),
            Kind::Network => Self::new(StatusCode::BAD_GATEWAY, "UNAVAILABLE", error.to_string()),
            _ if is_full(error) => {
                tracing::error!(error = error.chain(), "no room is left");
                let message = "no room is left on the server: delete something or try again later";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "UNAVAILABLE", message)
            }
            // What the disk says is for the log, not for clients.
            _ => {
                tracing::error!(error = error.chain(), "a store failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "internal error")
            }
        }
    }

    /// The refusal for an error of reading what a store has. Content that is not what its digest says is damaged, which is no
    /// fault of the request.
    pub(crate) fn of_read(error: &Error, not_found: fn() -> Self) -> Self {
        match error.kind() {
            Kind::DigestMismatch | Kind::SizeMismatch | Kind::InvalidContent => {
                tracing::error!(error = error.chain(), "stored content is damaged");
                let message = "the stored content is damaged: push it again";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
            }
            _ => Self::of(error, not_found),
        }
    }

    /// Returns true if what a request named is not there, rather than that it could not be looked for.
    pub(crate) fn is_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    pub(crate) fn response(self) -> Response<Body> {
        let entry = ErrorEntry { code: self.code.to_owned(), message: self.message, ..ErrorEntry::default() };
        let body = json::to_vec(&ErrorBody { errors: vec![entry] });
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        set(&mut response, "content-type", "application/json");
        for (name, value) in &self.headers {
            set(&mut response, name, value);
        }
        response
    }
}
