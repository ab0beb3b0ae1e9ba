//! Finds the system's proxy for a request. The kind of proxy affects how the client sets up connections.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use oras_store::{Error, ErrorKind};
use url::Url;

/// The default port of a SOCKS proxy (Go: `net/http`, `portMap`).
const SOCKS_PORT: u16 = 1080;

/// A proxy from the system's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SystemProxy {
    /// A proxy that the client connects to by HTTP.
    Http,
    /// The host of a proxy that the client connects to by HTTPS.
    Https(String),
    /// A SOCKS5 proxy, which resolves names itself.
    Socks(Url),
}

impl SystemProxy {
    /// Returns the proxy for `url`, if there is one.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        // reqwest matches proxies too but does not report the result.
        let proxy = Matcher::from_system().intercept(&url.as_str().parse().ok()?)?;
        Some(match proxy.uri().scheme_str() {
            Some("https") => Self::Https(proxy.uri().host().unwrap_or_default().to_owned()),
            Some("socks5" | "socks5h") => Self::Socks(socks_url(&proxy)?),
            _ => Self::Http,
        })
    }
}

/// Returns the address of a SOCKS5 proxy in the form that makes the proxy resolve names.
///
/// In reqwest, `socks5` resolves names locally and `socks5h` at the proxy; in Go both resolve at the proxy.
/// The result follows Go: only the proxy may be able to resolve a name, as behind a jump host, and a local
/// lookup would reveal the name to the local resolver.
fn socks_url(proxy: &Intercept) -> Option<Url> {
    let uri = proxy.uri();
    let port = uri.port_u16().unwrap_or(SOCKS_PORT);
    let mut url = Url::parse(&format!("socks5h://{}:{port}", uri.host()?)).ok()?;
    if let Some((user, password)) = proxy.raw_auth() {
        url.set_username(user).ok()?;
        url.set_password(Some(password)).ok()?;
    }
    Some(url)
}

/// Returns the error for a client certificate with an HTTPS proxy: reqwest would show the certificate to the proxy.
pub(crate) fn certificate_refused(url: &Url, proxy: &str) -> Error {
    let host = url.host_str().unwrap_or_default();
    let message = format!(
        "refusing to use a client certificate through the proxy {proxy}, which is reached by HTTPS and would be shown \
         it: reach the proxy by HTTP, or {host} without it (NO_PROXY)"
    );
    Error::new(ErrorKind::Denied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socks_proxy_resolves_names() {
        for (given, expected) in [
            ("socks5://h", "socks5h://h:1080"),
            ("socks5h://h:99", "socks5h://h:99"),
            ("socks5://us%40er:p%3Aw@[::1]:99", "socks5h://us%40er:p%3Aw@[::1]:99"),
            ("socks5://user@h", "socks5h://user@h:1080"),
        ] {
            let matcher = Matcher::builder().all(given).build();
            let proxy = matcher.intercept(&"https://a.test/".parse().unwrap()).unwrap();
            assert_eq!(socks_url(&proxy).unwrap().as_str(), expected);
        }
    }
}
