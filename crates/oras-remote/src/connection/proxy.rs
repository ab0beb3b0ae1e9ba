//! The proxies of a client. The kind of proxy affects how the client sets up connections.

use std::sync::Arc;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use oras_store::{Error, ErrorKind, Result};
use reqwest::header::HeaderValue;
use url::Url;

/// The default port of a SOCKS proxy (Go: `net/http`, `portMap`).
const SOCKS_PORT: u16 = 1080;

/// The proxies that a client uses; by default none.
///
/// An address of a proxy begins with `http://`, `https://` or `socks5://`, and may contain a user and a password. A
/// SOCKS5 proxy resolves the names of hosts. The client connects directly to `localhost`, to loopback addresses, to the
/// hosts in [`ClientOptions::no_proxy`](crate::ClientOptions::no_proxy), and to hosts with a
/// [`ResolveOverride`](crate::ResolveOverride).
///
/// ```
/// use oras_remote::{ClientOptions, Proxy};
///
/// # fn main() -> oras_store::Result<()> {
/// let options = ClientOptions::default().proxy(Proxy::all("http://proxy.example:3128")?);
/// # let _ = options;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proxy(Option<Arc<Matcher>>);

impl Proxy {
    /// Uses no proxy.
    pub fn none() -> Self {
        Self::default()
    }

    /// Uses the proxy at `url` for every host.
    ///
    /// # Errors
    /// `InvalidInput` if `url` is not the address of a proxy.
    pub fn all(url: &str) -> Result<Self> {
        Self::by_scheme(Some(url), Some(url))
    }

    /// Uses the proxy `http` for requests without TLS and the proxy `https` for requests over TLS, like the variables
    /// `HTTP_PROXY` and `HTTPS_PROXY`. `None` connects directly.
    ///
    /// # Errors
    /// `InvalidInput` if one of them is not the address of a proxy.
    pub fn by_scheme(http: Option<&str>, https: Option<&str>) -> Result<Self> {
        let mut builder = Matcher::builder();
        if let Some(url) = http {
            builder = builder.http(checked(url)?);
        }
        if let Some(url) = https {
            builder = builder.https(checked(url)?);
        }
        Ok(Self::from_matcher(builder.build()))
    }

    /// Uses the proxies that `matcher` selects.
    pub(crate) fn from_matcher(matcher: Matcher) -> Self {
        Self(Some(Arc::new(matcher)))
    }

    /// Returns the proxy for `url`, if there is one.
    pub(crate) fn server(&self, url: &Url) -> Option<ProxyServer> {
        // reqwest matches proxies too but does not report the result, so it only gets the result of this match.
        let proxy = self.0.as_ref()?.intercept(&url.as_str().parse().ok()?)?;
        ProxyServer::new(&proxy)
    }
}

/// Returns `url` if it is the address of a proxy that can be used.
fn checked(url: &str) -> Result<&str> {
    let target = "http://host.invalid/".parse();
    let found = target.ok().and_then(|target| Matcher::builder().all(url).build().intercept(&target));
    match found.as_ref().and_then(ProxyServer::new) {
        Some(_) => Ok(url),
        // The message omits the address, which may contain a password.
        None => Err(Error::new(
            ErrorKind::InvalidInput,
            "invalid proxy: expecting http://host[:port], https://host[:port] or socks5://host[:port]",
        )),
    }
}

/// The proxy of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProxyServer {
    /// The address. That of a SOCKS proxy contains the user and the password.
    url: Url,
    /// The header with the user and the password of an HTTP proxy.
    authorization: Option<HeaderValue>,
}

impl ProxyServer {
    /// Converts the result of a match. A SOCKS5 proxy gets the form of address that makes the proxy resolve names.
    ///
    /// In reqwest, `socks5` resolves names locally and `socks5h` at the proxy; in Go both resolve at the proxy. A name
    /// behind a jump host has no address here, and resolving it would reveal it to the local resolver.
    fn new(proxy: &Intercept) -> Option<Self> {
        let uri = proxy.uri();
        let scheme = match uri.scheme_str()? {
            "socks5" => "socks5h",
            scheme => scheme,
        };
        let mut url = Url::parse(&format!("{scheme}://{}", uri.host()?)).ok()?;
        let default = scheme.starts_with("socks").then_some(SOCKS_PORT);
        url.set_port(uri.port_u16().or(default)).ok()?;
        if let Some((user, password)) = proxy.raw_auth() {
            url.set_username(user).ok()?;
            url.set_password(Some(password)).ok()?;
        }
        Some(Self { url, authorization: proxy.basic_auth().cloned() })
    }

    /// Returns the host of a proxy that the client connects to by HTTPS.
    pub(crate) fn https_host(&self) -> Option<&str> {
        self.url.host_str().filter(|_| self.url.scheme() == "https")
    }

    /// Returns scheme, host and port, without the user and the password.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.address())
    }

    /// Returns the host and port, without user and password.
    pub(crate) fn address(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Returns the proxy for reqwest.
    pub(crate) fn for_reqwest(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.url.clone())?;
        Ok(match &self.authorization {
            Some(authorization) => proxy.custom_http_auth(authorization.clone()),
            None => proxy,
        })
    }
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

    fn server(proxy: &Proxy, url: &str) -> Option<String> {
        proxy.server(&Url::parse(url).unwrap()).map(|server| server.url.to_string())
    }

    #[test]
    fn socks_proxy_resolves_names() {
        for (given, expected) in [
            ("socks5://h", "socks5h://h:1080"),
            ("socks5h://h:99", "socks5h://h:99"),
            ("socks5://us%40er:p%3Aw@[::1]:99", "socks5h://us%40er:p%3Aw@[::1]:99"),
            ("socks5://user@h", "socks5h://user@h:1080"),
        ] {
            let proxy = Proxy::all(given).unwrap();
            assert_eq!(server(&proxy, "https://a.test/").unwrap(), expected);
        }
    }

    #[test]
    fn selects_proxy_by_scheme() {
        let proxy = Proxy::by_scheme(Some("http://one:3128"), Some("https://two")).unwrap();
        assert_eq!(server(&proxy, "http://a.test/").unwrap(), "http://one:3128/");
        assert_eq!(server(&proxy, "https://a.test/").unwrap(), "https://two/");
        let proxy = Proxy::by_scheme(None, Some("http://two")).unwrap();
        assert_eq!(server(&proxy, "http://a.test/"), None);
        assert_eq!(server(&Proxy::none(), "http://a.test/"), None);
    }

    #[test]
    fn hides_passwords() {
        let proxy = Proxy::all("http://user:secret@h:3128").unwrap();
        let found = proxy.server(&Url::parse("https://a.test/").unwrap()).unwrap();
        assert_eq!(found.url.as_str(), "http://h:3128/");
        assert_eq!(found.authorization.as_ref().unwrap(), "Basic dXNlcjpzZWNyZXQ=");
        assert!(!format!("{proxy:?} {found:?}").contains("ecret"));
        for bad in ["", "/secret", "ftp://secret", "http://", "http://user:secret@"] {
            let error = Proxy::all(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(!error.chain().contains("secret"), "{error:?}");
        }
    }
}
