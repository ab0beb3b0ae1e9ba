//! Error responses (distribution-spec, "Error Codes").

use std::io;

use http::StatusCode;
use oras_spec::api_bodies::{ErrorBody, ErrorEntry};
use oras_spec::json;
use oras_store::{Error, ErrorKind};

use crate::http_message::{Response, full, make_response};

/// The result of a handler.
pub(crate) type Answer = Result<Response, ApiError>;

/// An error response: a status, a code of the specification, and a message for people.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
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

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "internal error")
    }

    /// Returns a 503 with `Retry-After`.
    pub(crate) fn unavailable(message: &str, retry_after_seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
            .with_header("retry-after", retry_after_seconds.to_string())
    }

    /// Returns a 429 with `Retry-After`.
    pub(crate) fn too_many_requests(message: &str, retry_after_seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
            .with_header("retry-after", retry_after_seconds.to_string())
    }

    /// Converts an error of a store; `not_found` returns the error for a missing blob, manifest or upload.
    pub(crate) fn from_store(error: Error, not_found: fn() -> Self) -> Self {
        match error.kind() {
            // If the registry `distribution` has a message for an error, this code uses the same message.
            ErrorKind::NotFound => not_found(),
            ErrorKind::DigestMismatch => {
                Self::digest_invalid("provided digest did not match uploaded content")
            }
            ErrorKind::SizeMismatch => {
                Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", "provided length did not match content")
            }
            ErrorKind::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", root_cause(&error))
            }
            // Stores return this kind for a repository name that they can't represent.
            ErrorKind::InvalidInput => Self::name_invalid(),
            ErrorKind::InvalidContent => Self::manifest_invalid("invalid content"),
            // The message omits the causes, whose details belong in the log.
            ErrorKind::Unauthorized | ErrorKind::Denied => {
                Self::new(StatusCode::FORBIDDEN, "DENIED", error.to_string())
            }
            ErrorKind::Unsupported => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", error.to_string())
            }
            // A remote store failed, such as the upstream of a proxy, and not this server.
            ErrorKind::Network => Self::new(StatusCode::BAD_GATEWAY, "UNAVAILABLE", error.to_string()),
            _ if is_storage_full(&error) => {
                tracing::error!(error = error.chain(), "no room is left");
                let message = "no room is left on the server: delete something or try again later";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "UNAVAILABLE", message)
            }
            // Errors of the file system contain paths, which the log may contain and clients must not see.
            _ => {
                tracing::error!(error = error.chain(), "a store failed");
                Self::internal()
            }
        }
    }

    /// Converts an error of reading stored content. Content that does not match its digest is damaged at the server, so
    /// the status is 500 instead of 400.
    pub(crate) fn from_read(error: Error, not_found: fn() -> Self) -> Self {
        match error.kind() {
            ErrorKind::DigestMismatch | ErrorKind::SizeMismatch | ErrorKind::InvalidContent => {
                tracing::error!(error = error.chain(), "stored content is damaged");
                let message = "the stored content is damaged: push it again";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
            }
            _ => Self::from_store(error, not_found),
        }
    }

    /// Returns true if something that the request named does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    pub(crate) fn into_response(self) -> Response {
        let entry = ErrorEntry { code: self.code.to_owned(), message: self.message, ..ErrorEntry::default() };
        let body = json::to_vec(&ErrorBody { errors: vec![entry] });
        let content_type = ("content-type", "application/json".to_owned());
        make_response(self.status, [content_type].into_iter().chain(self.headers), full(body))
    }
}

/// Converts "not found" to `None`. Returns every other error unchanged.
pub(crate) fn found_or_none<T>(found: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns true if a disk, a quota or the limit of a store in memory is exhausted.
pub(crate) fn is_storage_full(error: &Error) -> bool {
    // The store's error has a generic kind, so the system error in its chain is checked.
    error.find::<io::Error>().is_some_and(|error| {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    })
}

/// Returns the text of the last cause. For an exceeded limit, the text contains no path of the server.
fn root_cause(error: &Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
