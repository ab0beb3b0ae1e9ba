//! Which proxy of the system a request goes by, where that changes how connections are set up.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use oras_store::{Error, Kind};
use url::Url;

/// The port of a SOCKS proxy whose address has none (Go: `net/http`, `portMap`).
const SOCKS_PORT: u16 = 1080;

/// A proxy of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SystemProxy {
    /// Reached by HTTP.
    Http,
    /// Reached by HTTPS; its host.
    Https(String),
    /// A SOCKS5 proxy that resolves names itself.
    Socks(Url),
}

impl SystemProxy {
    /// The proxy for `url`, if the system has one.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        // What the client does itself, once more: it does not report what it found.
        let proxy = Matcher::from_system().intercept(&url.as_str().parse().ok()?)?;
        Some(match proxy.uri().scheme_str() {
            Some("https") => Self::Https(proxy.uri().host().unwrap_or_default().to_owned()),
            Some("socks5" | "socks5h") => Self::Socks(socks_url(&proxy)?),
            _ => Self::Http,
        })
    }

    /// The host of a proxy that is reached by HTTPS.
    pub(crate) fn https_host(&self) -> Option<&str> {
        match self {
            Self::Https(host) => Some(host),
            _ => None,
        }
    }
}

/// The address of a SOCKS5 proxy in the form by which the client leaves names to the proxy.
///
/// For the client, `socks5` means that names are resolved here, and `socks5h` that the proxy resolves them; in Go both mean
/// the latter. A name behind a jump host has no address here, and to ask for it would tell the resolver of this network.
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

/// A connection to such a proxy is set up like that to the registry, and would be shown the certificate for it.
pub(crate) fn shown_certificate(url: &Url, proxy: &str) -> Error {
    let host = url.host_str().unwrap_or_default();
    let message = format!(
        "refusing to use a client certificate through the proxy {proxy}, which is reached by HTTPS and would be shown \
         it: reach the proxy by HTTP, or {host} without it (NO_PROXY)"
    );
    Error::new(Kind::Denied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socks_proxies_resolve_names() {
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
