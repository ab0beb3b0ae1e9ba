//! Failures of the network in the words of the Go tool: `Get "url": dial tcp ...: connection refused`.

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;

use oras_store::{Error, Kind};
use reqwest::header::CONNECTION;
use reqwest::{Method, StatusCode, Version};
use rustls::{AlertDescription, InvalidMessage};
use url::Url;

use crate::guard::AddressRefused;
use crate::response::{reason, redact};
use crate::retry::{Again, Failed};

/// A server speaks another scheme than the address says; found in the chain of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongScheme {
    /// The address begins with `https`.
    #[error("the {0} speaks HTTP, not HTTPS")]
    SpeaksHttp(ServerRole),
    /// The address begins with `http`.
    #[error("the {0} speaks HTTPS, not HTTP")]
    SpeaksHttps(ServerRole),
}

/// What a server is to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerRole {
    /// The registry, whose address the user gave.
    Registry,
    /// The token server, whose address the registry gave.
    TokenServer,
    /// A server that the registry redirects to.
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

/// The failure to send a request or to read its answer.
pub(crate) fn failed(method: &Method, url: &Url, role: ServerRole, error: &reqwest::Error) -> Failed {
    if let Some(refused) = find::<AddressRefused>(error) {
        return Error::from_source(Kind::Denied, refused.clone()).into();
    }
    if speaks_plain_http(error) {
        let cause = "http: server gave HTTP response to HTTPS client";
        return spoken(method, url, cause).with_source(WrongScheme::SpeaksHttp(role)).into();
    }
    let (cause, again) = explain(url, error);
    Failed { error: spoken(method, url, &cause), again }
}

/// Returns true if the server, or a machine before it, may be restarting: no connection was made although there was an
/// address to connect to, or the connection ended before an answer came. A load balancer and the port forward of a
/// container accept connections and reset them while the server behind them is gone.
pub(crate) fn is_outage(error: &reqwest::Error) -> bool {
    use ErrorKind as E;
    if error.is_timeout() || find::<AddressRefused>(error).is_some() {
        return false;
    }
    // TLS that fails is no outage, unless the connection ended within its handshake.
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

/// What servers that speak TLS answer to a request without it: Go, nginx, Apache, HAProxy and Envoy say so in these words.
const ASKS_FOR_TLS: [&str; 4] = [
    "client sent an http request to an https server",
    "plain http request was sent to https port",
    "speaking plain http to an ssl-enabled server port",
    "this combination of host and port requires tls",
];

/// Returns true for an answer as servers give it to a request without TLS that should have come by TLS: 400, and the end of
/// the connection, without the header of a registry.
pub(crate) fn may_lack_tls(url: &Url, answer: &reqwest::Response) -> bool {
    let headers = answer.headers();
    let closes = headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    url.scheme() == "http"
        && answer.status() == StatusCode::BAD_REQUEST
        && (closes || answer.version() == Version::HTTP_10)
        && !headers.contains_key("docker-distribution-api-version")
}

/// Returns true if the server answered a request without TLS that it speaks TLS.
pub(crate) fn asks_for_tls(url: &Url, status: StatusCode, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_lowercase();
    url.scheme() == "http"
        && status == StatusCode::BAD_REQUEST
        && ASKS_FOR_TLS.iter().any(|words| text.contains(words))
}

/// The failure of a request that was sent without TLS to a server that speaks it.
pub(crate) fn lacks_tls(method: &Method, url: &Url, role: ServerRole, status: StatusCode) -> Failed {
    let reason = reason(status).unwrap_or_default();
    spoken(method, url, &format!("response status code {}: {reason}", status.as_u16()))
        .with_source(WrongScheme::SpeaksHttps(role))
        .into()
}

/// Whether the handshake ended because the server speaks no HTTP/1.1 (RFC 7301, section 3.2).
pub(crate) fn refuses_http1(error: &reqwest::Error) -> bool {
    let tls = find::<rustls::Error>(error);
    matches!(tls, Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)))
}

/// Whether the handshake was answered by something else than TLS.
fn speaks_plain_http(error: &reqwest::Error) -> bool {
    let tls = find::<rustls::Error>(error);
    matches!(tls, Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)))
}

/// Whether there is nobody who speaks TLS: nobody listens, or the handshake was answered by something else or hung up
/// on.
pub(crate) fn speaks_no_tls(error: &reqwest::Error) -> bool {
    match find::<rustls::Error>(error) {
        Some(_) => speaks_plain_http(error),
        None => find::<std::io::Error>(error).is_some_and(|io| {
            use ErrorKind::{ConnectionRefused, ConnectionReset, UnexpectedEof};
            error.is_connect() && matches!(io.kind(), ConnectionRefused | ConnectionReset | UnexpectedEof)
        }),
    }
}

/// The failure of a server that stopped talking.
pub(crate) fn silent(method: &Method, url: &Url) -> Failed {
    Failed::later(spoken(method, url, "timeout awaiting the answer"))
}

/// The failure of an answer that ended before all of it came.
pub(crate) fn short(method: &Method, url: &Url) -> Failed {
    Failed::later(spoken(method, url, "unexpected EOF"))
}

fn spoken(method: &Method, url: &Url, cause: &str) -> Error {
    let (first, rest) = method.as_str().split_at(1.min(method.as_str().len()));
    Error::new(Kind::Network, format!("{first}{} \"{}\": {cause}", rest.to_lowercase(), redact(url)))
}

fn explain(url: &Url, error: &reqwest::Error) -> (String, Again) {
    let host = url.host_str().unwrap_or_default();
    let address = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    if let Some(tls) = find::<rustls::Error>(error) {
        return (oras_tls::describe(host, tls), Again::Never);
    }
    if chain(error).any(|error| error.to_string() == "dns error") {
        return (format!("dial tcp: lookup {host}: no such host"), Again::Never);
    }
    let io = find::<std::io::Error>(error).map(std::io::Error::kind);
    let dialed = || dialed(error).unwrap_or_else(|| numeric(&address));
    let dial = if error.is_connect() { format!("dial tcp {}: ", dialed()) } else { String::new() };
    match io {
        Some(ErrorKind::ConnectionRefused) => (format!("{dial}connect: connection refused"), Again::Never),
        _ if error.is_timeout() => (format!("{dial}i/o timeout"), Again::Later),
        Some(ErrorKind::ConnectionReset) => (format!("{dial}connection reset by peer"), Again::Later),
        Some(ErrorKind::BrokenPipe) => (format!("{dial}broken pipe"), Again::Later),
        // The server hung up on the handshake.
        Some(ErrorKind::UnexpectedEof) if error.is_connect() => ("EOF".to_owned(), Again::Later),
        Some(ErrorKind::UnexpectedEof) => (format!("{dial}unexpected EOF"), Again::Later),
        _ if is_cut(error) => ("unexpected EOF".to_owned(), Again::Later),
        _ if is_head_too_large(error) => {
            ("the head of the answer has too many fields or bytes".to_owned(), Again::Never)
        }
        _ if url.scheme() == "http" && is_no_http(error) => {
            let why = "malformed HTTP response: the server may speak HTTPS, not HTTP";
            (why.to_owned(), Again::Later)
        }
        _ if error.is_builder() => (innermost(error), Again::Never),
        _ => (format!("{dial}{}", innermost(error)), Again::Later),
    }
}

/// The address that did not answer, which may be that of a proxy: only the debug form of the error tells it.
fn dialed(error: &reqwest::Error) -> Option<String> {
    let refused =
        chain(error).map(|error| format!("{error:?}")).find(|text| text.starts_with("ConnectError("))?;
    let address = refused.strip_prefix("ConnectError(\"tcp connect error\", ")?.split(',').next()?;
    address.parse::<std::net::SocketAddr>().ok().map(|address| address.to_string())
}

/// Go dials addresses, not names; of the names only this one is known for sure.
fn numeric(address: &str) -> String {
    match address.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => address.to_owned(),
    }
}

/// Whether the connection ended before the answer did.
fn is_cut(error: &reqwest::Error) -> bool {
    chain(error).any(|error| {
        let text = error.to_string();
        text.contains("connection closed before message completed")
            || text.contains("end of file before message")
    })
}

/// Whether the head of an answer exceeds the limits of hyper or of h2.
fn is_head_too_large(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.to_string() == "message head is too large")
}

/// Whether what came is no answer of HTTP/1.1, such as an alert of TLS.
fn is_no_http(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.to_string().starts_with("invalid HTTP version"))
}

type Cause<'a> = &'a (dyn StdError + 'static);

fn chain(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below(error: Cause<'_>) -> Option<Cause<'_>> {
    // The source of such an error is the source of what it wraps.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn find<'a, T: StdError + 'static>(error: Cause<'a>) -> Option<&'a T> {
    chain(error).filter_map(|error| error.downcast_ref::<T>()).last()
}

/// The innermost text of an error: the outer ones repeat the address.
fn innermost(error: Cause<'_>) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
