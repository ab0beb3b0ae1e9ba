//! Errors that a registry returns (distribution-spec, "Error Codes"), in the words of the Go tool.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use oras_spec::api_bodies::{ErrorBody, ErrorEntry};
use oras_store::{Error, ErrorKind};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::http::redact::redact;
use crate::http::retry_after::retry_after;

/// An error response of a registry, or of its token server.
///
/// [`Error::find`] finds it in every error that such a response caused, also in those of kind
/// [`NotFound`](ErrorKind::NotFound), whose message does not show it:
///
/// ```
/// use oras_remote::{Repository, ResponseError};
/// use oras_store::{Error, ErrorKind, Source};
///
/// /// Returns true if the repository has the tag.
/// async fn has_tag(repository: &Repository, tag: &str) -> Result<bool, Error> {
///     match repository.resolve_with_bytes(tag).await {
///         Ok(_) => Ok(true),
///         Err(error) if error.find::<ResponseError>().is_some_and(ResponseError::is_unknown_repository) => {
///             Err(error.context("the repository does not exist"))
///         }
///         Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
///         Err(error) => Err(error),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResponseError {
    /// The method of the request.
    pub method: String,
    /// The address of the request, without the values of its query.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// The errors in its body, if they can be parsed.
    pub errors: Vec<ErrorEntry>,
    /// How long the client should wait before a retry (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The time at the server (`Date`).
    pub date: Option<SystemTime>,
}

/// The registry requires basic authentication and no credential was found. A program that finds it asks the user to log
/// in:
///
/// ```
/// use oras_remote::MissingCredential;
/// use oras_remote::store::Error;
///
/// fn should_log_in(error: &Error) -> bool {
///     error.find::<MissingCredential>().is_some()
/// }
/// ```
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("basic credential not found")]
pub struct MissingCredential;

impl ResponseError {
    pub(crate) fn new(method: &Method, url: &Url, status: StatusCode, body: &[u8]) -> Self {
        let errors = serde_json::from_slice::<ErrorBody>(body).map(|body| body.errors).unwrap_or_default();
        let errors =
            // Entries without code and message are dropped. Without entries, the message contains the status.
            errors.into_iter().filter(|error| !error.code.is_empty() || !error.message.is_empty()).collect();
        Self {
            method: method.to_string(),
            url: redact(url),
            status: status.as_u16(),
            errors,
            retry_after: None,
            date: None,
        }
    }

    /// Adds the times in the headers.
    pub(crate) fn with_headers(mut self, headers: &HeaderMap) -> Self {
        let date = headers.get(DATE).and_then(|value| value.to_str().ok());
        self.retry_after = retry_after(headers);
        self.date = date.and_then(|text| httpdate::parse_http_date(text).ok());
        self
    }

    /// Returns true if the body has an error with that code.
    pub fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }

    /// Returns true if the registry says that the whole repository does not exist (`NAME_UNKNOWN`).
    ///
    /// False does not mean that it exists. Some registries answer `MANIFEST_UNKNOWN` in an unknown repository: the
    /// registry of distribution has the code only for its list of tags. The answer to a `HEAD` request, which
    /// [`resolve`](oras_store::Source::resolve) sends, has no code at all;
    /// [`resolve_with_bytes`](oras_store::Source::resolve_with_bytes) sends a `GET`.
    pub fn is_unknown_repository(&self) -> bool {
        self.status == 404 && self.has_code("NAME_UNKNOWN")
    }

    pub(crate) fn into_error(self) -> Error {
        let kind = match self.status {
            404 => ErrorKind::NotFound,
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Denied,
            405 => ErrorKind::Unsupported,
            413 => ErrorKind::TooLarge,
            // These codes mean invalid content, not an invalid request, so they have separate error kinds.
            400 if self.has_code("DIGEST_INVALID") => ErrorKind::DigestMismatch,
            400 if self.has_code("SIZE_INVALID") => ErrorKind::SizeMismatch,
            _ => ErrorKind::Other,
        };
        Error::from_source(kind, self)
    }
}

/// Returns an error about a request: `GET "url": why`.
pub(crate) fn request_error(kind: ErrorKind, method: &Method, url: &Url, why: &str) -> Error {
    Error::new(kind, format!("{method} \"{}\": {why}", redact(url)))
}

/// Returns the name of a status, with Go's names where they differ.
pub(crate) fn reason(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        413 => Some("Request Entity Too Large"),
        414 => Some("Request URI Too Long"),
        416 => Some("Requested Range Not Satisfiable"),
        _ => status.canonical_reason(),
    }
}

impl std::error::Error for ResponseError {}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            let reason = StatusCode::from_u16(self.status).ok().and_then(reason);
            return write!(
                f,
                "{} \"{}\": response status code {}: {}",
                self.method,
                self.url,
                self.status,
                reason.unwrap_or_default()
            );
        }
        let errors: Vec<_> = self.errors.iter().map(entry_text).collect();
        f.write_str(&errors.join("; "))
    }
}

fn entry_text(error: &ErrorEntry) -> String {
    let code = error.code.to_lowercase().replace('_', " ");
    match (error.message.is_empty(), error.detail.is_null()) {
        (true, _) => code,
        (false, true) => format!("{code}: {}", error.message),
        (false, false) => format!("{code}: {}: {}", error.message, go_value(&error.detail)),
    }
}

/// Formats a JSON value as Go's `%v` prints it: `map[a:1 b:[x y]]`.
fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(object) => {
            // Go prints maps with sorted keys.
            let sorted: BTreeMap<_, _> = object.iter().collect();
            let entries: Vec<_> =
                sorted.into_iter().map(|(key, value)| format!("{key}:{}", go_value(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        Value::Number(number) => go_number(number.as_f64().unwrap_or_default()),
        Value::Bool(flag) => flag.to_string(),
    }
}

/// Formats a number as Go prints a `float64`: with an exponent from a million on.
fn go_number(number: f64) -> String {
    let exact = format!("{number:e}");
    let (digits, exponent) = exact.split_once('e').unwrap_or((&exact, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> String {
        let url = Url::parse("http://h/v2/a/blobs/x?sig=secret").unwrap();
        ResponseError::new(&Method::GET, &url, StatusCode::SERVICE_UNAVAILABLE, body.as_bytes()).to_string()
    }

    #[test]
    fn formats_errors_like_go() {
        assert_eq!(
            text(
                r#"{"errors":[{"code":"DENIED","message":"nope","detail":{"b":[1,"x"],"a":{}}},{"code":"UNKNOWN"}]}"#
            ),
            "denied: nope: map[a:map[] b:[1 x]]; unknown"
        );
        assert_eq!(
            text(
                r#"{"errors":[{"code":"A_B","detail":{"x":1}},{"code":"C","message":"m","detail":[1.5,true,null,1e6]},{}]}"#
            ),
            "a b; c: m: [1.5 true <nil> 1e+06]"
        );
        assert_eq!(
            text("<html>"),
            "GET \"http://h/v2/a/blobs/x?sig=REDACTED\": response status code 503: Service Unavailable"
        );
    }

    #[test]
    fn formats_numbers_like_go() {
        let numbers = [
            (5.0, "5"),
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (123_456.5, "123456.5"),
            (1e6, "1e+06"),
            (4_294_967_296.0, "4.294967296e+09"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-3.0, "-3"),
            (0.0, "0"),
        ];
        for (number, text) in numbers {
            assert_eq!(go_number(number), text);
        }
    }
}
