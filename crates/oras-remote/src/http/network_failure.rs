//! The reason why a request got no answer, as a value.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// Why a request got no answer. [`Error::find`](oras_store::Error::find) finds it in the error of the request, whose
/// message has the same reason in the words of the Go tool.
///
/// ```
/// use oras_remote::{Client, ClientOptions, NetworkFailure, NetworkReason, Repository};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_remote::store::Result<()> {
/// let client = Client::new(ClientOptions::default())?;
/// // No server listens on this port.
/// let repository = Repository::open(&client, "localhost:9/app")?;
/// let error = repository.resolve("v1").await.unwrap_err();
/// let failure = error.find::<NetworkFailure>().unwrap();
/// assert_eq!((failure.host.as_str(), failure.reason), ("localhost", NetworkReason::Refused));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {reason}")]
#[non_exhaustive]
pub struct NetworkFailure {
    /// The host of the request's address.
    pub host: String,
    /// The host and port of the proxy of the request, if it has one.
    pub proxy: Option<String>,
    /// The reason.
    pub reason: NetworkReason,
}

/// The reason of a [`NetworkFailure`]. A program chooses its advice by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkReason {
    /// The name of the host has no address.
    #[error("no such host")]
    UnknownHost,
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// No connection or no answer in time.
    #[error("timeout")]
    Timeout,
    /// The connection ended before the answer.
    #[error("connection closed")]
    Closed,
    /// The process has too many open files.
    #[error("too many open files")]
    TooManyFiles,
    /// The proxy asks for a user and a password.
    #[error("the proxy requires authentication")]
    ProxyAuthentication,
    /// The proxy does not connect to the host.
    #[error("the proxy refused the connection")]
    ProxyRefused,
    /// No trusted authority signed the certificate.
    #[error("unknown authority")]
    UnknownAuthority,
    /// The certificate has expired.
    #[error("certificate expired")]
    CertificateExpired,
    /// The certificate is not valid yet.
    #[error("certificate not yet valid")]
    CertificateNotYetValid,
    /// The certificate is for other names.
    #[error("certificate for another name")]
    WrongName,
    /// The server asks for a certificate of the client.
    #[error("client certificate required")]
    ClientCertificate,
    /// Another failure of TLS.
    #[error("TLS failure")]
    Tls,
    /// Another reason.
    #[error("network failure")]
    Other,
}

impl NetworkReason {
    /// Returns the reason of a failed request, which went through a proxy if `has_proxy`.
    pub(crate) fn of(error: &reqwest::Error, has_proxy: bool) -> Self {
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::of_tls(tls);
        }
        // These types are private in hyper-util, so their texts are compared.
        let says = |text: &str| chain(error).any(|error| error.to_string().ends_with(text));
        if says("dns error") {
            return Self::UnknownHost;
        }
        if has_proxy && says("proxy authorization required") {
            return Self::ProxyAuthentication;
        }
        if has_proxy && says("tunnel error: unsuccessful") {
            return Self::ProxyRefused;
        }
        let io = find::<io::Error>(error);
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Self::Refused,
            _ if error.is_timeout() => Self::Timeout,
            Some(
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof,
            ) => Self::Closed,
            _ if io.and_then(io::Error::raw_os_error).is_some_and(is_file_limit) => Self::TooManyFiles,
            _ => Self::Other,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => match why {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::CertificateExpired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::CertificateNotYetValid
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName
                }
                _ => Self::Tls,
            },
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Self::ClientCertificate,
            _ => Self::Tls,
        }
    }
}

/// Returns true for `EMFILE` and `ENFILE`, which have the same numbers on all systems with these errors.
fn is_file_limit(number: i32) -> bool {
    cfg!(unix) && matches!(number, 23 | 24)
}

type Cause<'a> = &'a (dyn StdError + 'static);

/// Returns the error and its causes.
pub(crate) fn chain(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below(error: Cause<'_>) -> Option<Cause<'_>> {
    // `io::Error::source` skips the wrapped error itself, so the chain continues at `get_ref`.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Returns the innermost cause of type `T`.
pub(crate) fn find<'a, T: StdError + 'static>(error: Cause<'a>) -> Option<&'a T> {
    chain(error).filter_map(|error| error.downcast_ref::<T>()).last()
}
