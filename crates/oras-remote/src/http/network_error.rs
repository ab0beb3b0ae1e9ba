//! Formats network failures as the Go tool does: `Get "url": dial tcp ...: connection refused`.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use oras_store::{Error, ErrorKind};
use reqwest::header::CONNECTION;
use reqwest::{Method, StatusCode, Version};
use rustls::{AlertDescription, InvalidMessage};
use url::Url;

use crate::connection::address_guard::AddressRefused;
use crate::http::network_failure::{NetworkFailure, NetworkReason, chain, find};
use crate::http::redact::redact;
use crate::http::response_error::reason;
use crate::http::retry::{FailedAttempt, RetryAdvice};

/// The error for a server that does not use the scheme of its address. It is a source of another error.
///
/// ```
/// use oras_remote::store::Error;
/// use oras_remote::{ServerRole, WrongScheme};
///
/// /// Returns true if the option `plain_http` would help.
/// fn needs_plain_http(error: &Error) -> bool {
///     error.find::<WrongScheme>() == Some(&WrongScheme::SpeaksHttp(ServerRole::Registry))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongScheme {
    /// The address begins with `https`, and the server speaks HTTP.
    #[error("the {0} speaks HTTP, not HTTPS")]
    SpeaksHttp(ServerRole),
    /// The address begins with `http`, and the server speaks HTTPS.
    #[error("the {0} speaks HTTPS, not HTTP")]
    SpeaksHttps(ServerRole),
}

/// The role of a server for the client. A [`WrongScheme`] contains it: only the address of the registry comes from the
/// user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerRole {
    /// The registry, whose address came from the user.
    Registry,
    /// The token server, whose address came from the registry.
    TokenServer,
    /// A server to which the registry redirects.
    RedirectTarget,
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "server",
            Self::TokenServer => "token server that the registry names",
            Self::RedirectTarget => "server that the registry redirects to",
        })
    }
}

/// Describes the failure to send a request or to read its answer. `proxy` is the host and port of the proxy.
pub(crate) fn failed(
    method: &Method,
    url: &Url,
    role: ServerRole,
    proxy: Option<String>,
    error: &reqwest::Error,
) -> FailedAttempt {
    if let Some(refused) = find::<AddressRefused>(error) {
        return Error::from_source(ErrorKind::Denied, refused.clone()).into();
    }
    // Users know Go's special message for this case.
    if speaks_plain_http(error) {
        let cause = "http: server gave HTTP response to HTTPS client";
        return go_error(method, url, cause).with_source(WrongScheme::SpeaksHttp(role)).into();
    }
    let (cause, advice) = explain(url, error);
    let reason = NetworkReason::of(error, proxy.is_some());
    FailedAttempt { error: go_error(method, url, &cause).with_detail(failure(url, proxy, reason)), advice }
}

fn failure(url: &Url, proxy: Option<String>, reason: NetworkReason) -> NetworkFailure {
    NetworkFailure { host: url.host_str().unwrap_or_default().to_owned(), proxy, reason }
}

/// Returns true if the server, or a machine in front of it, may be restarting: the connection was refused, or ended
/// before an answer. While a server is down, its load balancer or port forward may accept connections and reset them.
pub(crate) fn is_outage(error: &reqwest::Error) -> bool {
    use io::ErrorKind as E;
    if error.is_timeout() || find::<AddressRefused>(error).is_some() {
        return false;
    }
    // A TLS failure is not an outage, unless the connection ended during the handshake.
    if find::<rustls::Error>(error).is_some() {
        return false;
    }
    let lost = find::<std::io::Error>(error).is_some_and(|io| {
        matches!(
            io.kind(),
            E::ConnectionRefused
                | E::ConnectionReset
                | E::ConnectionAborted
                | E::BrokenPipe
                | E::UnexpectedEof
                | E::NotConnected
                | E::HostUnreachable
                | E::NetworkUnreachable
                | E::NetworkDown
        )
    });
    lost || is_cut(error)
}

/// Answers of TLS servers to requests without TLS: Go, nginx, Apache, HAProxy and Envoy use these words.
const ASKS_FOR_TLS: [&str; 4] = [
    "client sent an http request to an https server",
    "plain http request was sent to https port",
    "speaking plain http to an ssl-enabled server port",
    "this combination of host and port requires tls",
];

/// Returns true if the answer looks like that of a TLS server to a request without TLS: 400 and `Connection: close`,
/// without the header of a registry.
pub(crate) fn may_lack_tls(url: &Url, answer: &reqwest::Response) -> bool {
    let headers = answer.headers();
    let closes = headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    url.scheme() == "http"
        && answer.status() == StatusCode::BAD_REQUEST
        && (closes || answer.version() == Version::HTTP_10)
        && !headers.contains_key("docker-distribution-api-version")
}

/// Returns true if the answer to a request without TLS says that the server expects TLS.
pub(crate) fn asks_for_tls(url: &Url, status: StatusCode, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_lowercase();
    url.scheme() == "http"
        && status == StatusCode::BAD_REQUEST
        && ASKS_FOR_TLS.iter().any(|words| text.contains(words))
}

/// Describes a request without TLS to a server that expects TLS.
pub(crate) fn expects_tls_error(
    method: &Method,
    url: &Url,
    role: ServerRole,
    status: StatusCode,
) -> FailedAttempt {
    let reason = reason(status).unwrap_or_default();
    go_error(method, url, &format!("response status code {}: {reason}", status.as_u16()))
        .with_source(WrongScheme::SpeaksHttps(role))
        .into()
}

/// Returns true if the server rejected HTTP/1.1 in the handshake (RFC 7301, section 3.2).
pub(crate) fn refuses_http1(error: &reqwest::Error) -> bool {
    let tls = find::<rustls::Error>(error);
    matches!(tls, Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)))
}

/// Returns true if the server answered the TLS handshake without TLS.
fn speaks_plain_http(error: &reqwest::Error) -> bool {
    let tls = find::<rustls::Error>(error);
    matches!(tls, Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)))
}

/// Returns true if the server does not speak TLS: it refused or reset the connection, or answered the handshake
/// without TLS.
pub(crate) fn lacks_tls_server(error: &reqwest::Error) -> bool {
    match find::<rustls::Error>(error) {
        Some(_) => speaks_plain_http(error),
        None => find::<std::io::Error>(error).is_some_and(|io| {
            use io::ErrorKind::{ConnectionRefused, ConnectionReset, UnexpectedEof};
            error.is_connect() && matches!(io.kind(), ConnectionRefused | ConnectionReset | UnexpectedEof)
        }),
    }
}

/// Describes the timeout of a server that stopped sending.
pub(crate) fn timeout(method: &Method, url: &Url) -> FailedAttempt {
    let error = go_error(method, url, "timeout awaiting the answer");
    FailedAttempt::later(error.with_detail(failure(url, None, NetworkReason::Timeout)))
}

/// Describes an answer that ended too early.
pub(crate) fn unexpected_eof(method: &Method, url: &Url) -> FailedAttempt {
    let error = go_error(method, url, "unexpected EOF");
    FailedAttempt::later(error.with_detail(failure(url, None, NetworkReason::Closed)))
}

fn go_error(method: &Method, url: &Url, cause: &str) -> Error {
    let (first, rest) = method.as_str().split_at(1.min(method.as_str().len()));
    Error::new(ErrorKind::Network, format!("{first}{} \"{}\": {cause}", rest.to_lowercase(), redact(url)))
}

fn explain(url: &Url, error: &reqwest::Error) -> (String, RetryAdvice) {
    let host = url.host_str().unwrap_or_default();
    let address = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    if let Some(tls) = find::<rustls::Error>(error) {
        // A certificate or protocol error is the same in each attempt.
        return (oras_tls::describe(host, tls), RetryAdvice::Never);
    }
    // The type of this error is private in hyper-util, so its text is compared.
    if chain(error).any(|error| error.to_string() == "dns error") {
        return (format!("dial tcp: lookup {host}: no such host"), RetryAdvice::Never);
    }
    let io = find::<std::io::Error>(error).map(std::io::Error::kind);
    let dialed = || dialed(error).unwrap_or_else(|| numeric(&address));
    let dial = if error.is_connect() { format!("dial tcp {}: ", dialed()) } else { String::new() };
    match io {
        Some(io::ErrorKind::ConnectionRefused) => {
            // A refused connection usually means a wrong port. If the server answered before, the caller treats it as
            // an outage and retries.
            (format!("{dial}connect: connection refused"), RetryAdvice::Never)
        }
        _ if error.is_timeout() => (format!("{dial}i/o timeout"), RetryAdvice::Later),
        Some(io::ErrorKind::ConnectionReset) => {
            (format!("{dial}connection reset by peer"), RetryAdvice::Later)
        }
        Some(io::ErrorKind::BrokenPipe) => (format!("{dial}broken pipe"), RetryAdvice::Later),
        // The server closed the connection during the handshake.
        Some(io::ErrorKind::UnexpectedEof) if error.is_connect() => ("EOF".to_owned(), RetryAdvice::Later),
        Some(io::ErrorKind::UnexpectedEof) => (format!("{dial}unexpected EOF"), RetryAdvice::Later),
        _ if is_cut(error) => ("unexpected EOF".to_owned(), RetryAdvice::Later),
        _ if is_head_too_large(error) => {
            ("the head of the answer has too many fields or bytes".to_owned(), RetryAdvice::Never)
        }
        _ if url.scheme() == "http" && is_not_http(error) => {
            let why = "malformed HTTP response: the server may speak HTTPS, not HTTP";
            (why.to_owned(), RetryAdvice::Later)
        }
        _ if error.is_builder() => (innermost(error), RetryAdvice::Never),
        _ => (format!("{dial}{}", innermost(error)), RetryAdvice::Later),
    }
}

/// Returns the address that failed, which may be a proxy's. Only the debug form of the error contains it.
fn dialed(error: &reqwest::Error) -> Option<String> {
    let refused =
        chain(error).map(|error| format!("{error:?}")).find(|text| text.starts_with("ConnectError("))?;
    let address = refused.strip_prefix("ConnectError(\"tcp connect error\", ")?.split(',').next()?;
    address.parse::<std::net::SocketAddr>().ok().map(|address| address.to_string())
}

/// Replaces `localhost` with its address, because Go's messages contain addresses instead of names. The
/// address of any other name is not certain.
fn numeric(address: &str) -> String {
    match address.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => address.to_owned(),
    }
}

/// Returns true if the connection ended before the answer did.
fn is_cut(error: &reqwest::Error) -> bool {
    chain(error).any(|error| {
        let text = error.to_string();
        text.contains("connection closed before message completed")
            || text.contains("end of file before message")
    })
}

/// Returns true if the headers of an answer exceed the limits of hyper or h2.
fn is_head_too_large(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.to_string() == "message head is too large")
}

/// Returns true if the answer is not HTTP/1.1, such as a TLS alert.
fn is_not_http(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.to_string().starts_with("invalid HTTP version"))
}

/// Returns the innermost message: the outer ones repeat the address.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
