//! Proxies that are themselves reached by HTTPS.

use hyper_util::client::proxy::matcher::Matcher;
use oras_store::{Error, Kind};
use url::Url;

/// The host of the proxy for `url`, if the system has one and it is reached by HTTPS.
pub(crate) fn secure(url: &Url) -> Option<String> {
    // What the client does itself, once more: it tells nobody what it found.
    let proxy = Matcher::from_system().intercept(&url.as_str().parse().ok()?)?;
    (proxy.uri().scheme_str() == Some("https")).then(|| proxy.uri().host().unwrap_or_default().to_owned())
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
