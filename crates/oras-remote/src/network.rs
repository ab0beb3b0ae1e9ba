//! Failures of the network in the words of the Go tool: `Get "url": dial tcp ...: connection refused`.

use std::error::Error as StdError;
use std::io::ErrorKind;

use oras_store::{Error, Kind};
use reqwest::Method;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use url::Url;

use crate::guard::AddressRefused;
use crate::response::redact;
use crate::retry::{Again, Failed};

/// The failure to send a request or to read its answer.
pub(crate) fn failed(method: &Method, url: &Url, error: &reqwest::Error) -> Failed {
    if let Some(refused) = find::<AddressRefused>(error) {
        return Error::from_source(Kind::Denied, refused.clone()).into();
    }
    let (cause, again) = explain(url, error);
    Failed { error: spoken(method, url, &cause), again }
}

/// Whether the handshake ended because the server speaks no HTTP/1.1 (RFC 7301, section 3.2).
pub(crate) fn refuses_http1(error: &reqwest::Error) -> bool {
    let tls = find::<rustls::Error>(error);
    matches!(tls, Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)))
}

/// Whether there is nobody who speaks TLS: nobody listens, or the handshake was answered by something else or hung up
/// on.
pub(crate) fn speaks_no_tls(error: &reqwest::Error) -> bool {
    match find::<rustls::Error>(error) {
        Some(tls) => matches!(tls, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)),
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
        return (explain_tls(host, tls), Again::Never);
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

fn explain_tls(host: &str, error: &rustls::Error) -> String {
    const UNVERIFIED: &str = "tls: failed to verify certificate: x509";
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            // The latter is an authority of the same name with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("{UNVERIFIED}: certificate signed by unknown authority")
            }
            CertificateError::Expired
            | CertificateError::NotValidYet
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYetContext { .. } => {
                format!("{UNVERIFIED}: certificate has expired or is not yet valid: {why}")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("{UNVERIFIED}: certificate is not valid for {host}: {why}")
            }
            other => format!("{UNVERIFIED}: {other}"),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::BadCertificate) => {
            "remote error: tls: bad certificate".to_owned()
        }
        rustls::Error::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    }
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
