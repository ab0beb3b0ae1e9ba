//! Where a registry is, and what may be sent there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_store::{Error, Kind, Result};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::network::ServerRole;

/// A server together with what is meant for it alone: headers and credentials go to no other origin.
///
/// That holds by type: the headers are private to this file and leave it by [`Endpoint::headers_for`] alone, which takes
/// the address that they are sent to; requests have no other way to carry them, and a client certificate is shown only
/// on connections that are kept apart by whether the address is owned.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    base: Url,
    server: String,
    /// The repository that is worked on, if it is one: credentials may differ by it.
    repository: Option<String>,
    headers: HeaderMap,
    /// For a token server, the registry that named it.
    named_by: Option<Url>,
    /// Whether its certificate is not checked.
    insecure: bool,
    /// Where it is without TLS, for one that may be.
    plain: Option<Arc<Plain>>,
}

/// The address without TLS, and whether it turned out to be the right one: all clones know.
#[derive(Debug)]
struct Plain {
    base: Url,
    chosen: AtomicBool,
}

impl Endpoint {
    /// The registry `server`, by HTTP if `plain` says so, else only if it is `localhost`.
    pub(crate) fn registry(server: &str, plain: Option<bool>, headers: HeaderMap) -> Result<Self> {
        let name = server.rsplit_once(':').map_or(server, |(name, _)| name);
        let scheme = if plain.unwrap_or(name == "localhost") { "http" } else { "https" };
        let host = if server == "docker.io" { "registry-1.docker.io" } else { server };
        let invalid =
            || Error::new(Kind::InvalidInput, format!("invalid reference: invalid registry {server:?}"));
        let base = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| invalid())?;
        // Anything but a host and a port would end up elsewhere in the address.
        if base.path() != "/" || base.query().is_some() || base.fragment().is_some() || base.username() != ""
        {
            return Err(invalid());
        }
        Ok(Self {
            base,
            server: server.to_owned(),
            repository: None,
            headers,
            named_by: None,
            insecure: false,
            plain: None,
        })
    }

    /// The same registry, whose certificate is not checked; without TLS where it has none, if `plain` says so.
    pub(crate) fn insecure(self, plain: bool) -> Self {
        let mut base = self.base.clone();
        let is_plain = plain && base.scheme() == "https" && base.set_scheme("http").is_ok();
        let plain = is_plain.then(|| Arc::new(Plain { base, chosen: AtomicBool::new(false) }));
        Self { insecure: true, plain, ..self }
    }

    /// The token server at `realm`, which this registry names.
    pub(crate) fn token_server(&self, realm: &Url) -> Self {
        let (server, headers) = Default::default();
        let insecure = self.insecure && self.owns(realm);
        let named_by = Some(self.base().clone());
        Self { base: realm.clone(), server, repository: None, headers, named_by, insecure, plain: None }
    }

    /// The same registry, for work on `repository`.
    pub(crate) fn for_repository(self, repository: &str) -> Self {
        Self { repository: Some(repository.to_owned()), ..self }
    }

    /// The address of the server.
    pub(crate) fn base(&self) -> &Url {
        match &self.plain {
            Some(plain) if plain.chosen.load(Ordering::Relaxed) => &plain.base,
            _ => &self.base,
        }
    }

    /// Whether its certificate is not checked.
    pub(crate) fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// Remembers that the server of `url` speaks no TLS, if this is it and may do without.
    pub(crate) fn refuses_tls(&self, url: &Url) {
        if let Some(plain) = self.plain.as_ref().filter(|_| self.base.origin() == url.origin()) {
            plain.chosen.store(true, Ordering::Relaxed);
        }
    }

    /// The address to use for `url`: another one for what was to be asked by TLS of a server that turned out to have
    /// none.
    pub(crate) fn spoken(&self, url: &Url) -> Url {
        let mut spoken = url.clone();
        if self.base() != &self.base && self.base.origin() == url.origin() {
            let changed = spoken.set_scheme("http");
            debug_assert!(changed.is_ok(), "one special scheme becomes another");
        }
        spoken
    }

    /// The name that credentials are kept under.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The repository that is worked on, if it is one.
    pub(crate) fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// Scheme, host and port in one text.
    pub(crate) fn origin(&self) -> String {
        let base = self.base();
        let host = base.host_str().unwrap_or_default();
        format!("{}://{host}:{}", base.scheme(), base.port_or_known_default().unwrap_or_default())
    }

    /// Whether this is a registry, and so may have a client certificate and be asked for credentials.
    pub(crate) fn is_registry(&self) -> bool {
        self.named_by.is_none()
    }

    /// The registry: this, or the one that named this token server.
    pub(crate) fn registry_base(&self) -> &Url {
        self.named_by.as_ref().unwrap_or_else(|| self.base())
    }

    /// What the server of `url` is: this registry or token server, or one that it redirects to.
    pub(crate) fn role(&self, url: &Url) -> ServerRole {
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        match self.is_registry() {
            false => ServerRole::TokenServer,
            true if place(url) == place(&self.base) => ServerRole::Registry,
            true => ServerRole::RedirectTarget,
        }
    }

    /// Whether `url` is on this server: same scheme, host and port.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        self.base().origin() == url.origin()
    }

    /// The address of `path`, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        self.base()
            .join(path)
            .ok()
            .filter(|url| self.owns(url))
            .ok_or_else(|| Error::new(Kind::InvalidInput, format!("invalid address {path:?}")))
    }

    /// The headers that may be sent to `url`: none unless this server owns it.
    pub(crate) fn headers_for(&self, url: &Url, authorization: Option<&HeaderValue>) -> HeaderMap {
        if !self.owns(url) {
            return HeaderMap::new();
        }
        let mut headers = self.headers.clone();
        if let (Some(value), false) = (authorization, self.brings_authorization()) {
            headers.insert(reqwest::header::AUTHORIZATION, value.clone());
        }
        headers
    }

    /// Whether the user gave a header of that name.
    pub(crate) fn has_own(&self, name: &HeaderName) -> bool {
        self.headers.contains_key(name)
    }

    /// Whether the user's own headers already say who is asking.
    pub(crate) fn brings_authorization(&self) -> bool {
        self.headers.contains_key(reqwest::header::AUTHORIZATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(server: &str, plain: Option<bool>) -> Endpoint {
        let mut headers = HeaderMap::new();
        headers.insert("x-own", "1".parse().unwrap());
        Endpoint::registry(server, plain, headers).unwrap()
    }

    #[test]
    fn plain_http_is_for_localhost() {
        for (server, plain, base, origin) in [
            ("localhost", None, "http://localhost/", "http://localhost:80"),
            ("localhost:5000", None, "http://localhost:5000/", "http://localhost:5000"),
            ("localhost:5000", Some(false), "https://localhost:5000/", "https://localhost:5000"),
            ("127.0.0.1:5000", None, "https://127.0.0.1:5000/", "https://127.0.0.1:5000"),
            ("[::1]:5000", Some(true), "http://[::1]:5000/", "http://[::1]:5000"),
            ("localhost.example", None, "https://localhost.example/", "https://localhost.example:443"),
            ("docker.io", None, "https://registry-1.docker.io/", "https://registry-1.docker.io:443"),
        ] {
            let endpoint = endpoint(server, plain);
            assert_eq!((endpoint.base().as_str(), endpoint.origin().as_str()), (base, origin));
            assert_eq!(endpoint.server(), server);
        }
        for bad in ["", "a/b", "u@h", "h?x", "h#x", "h:port", "a b"] {
            assert!(Endpoint::registry(bad, None, HeaderMap::new()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_insecure_registry_may_turn_out_to_have_no_tls() {
        let url = |text: &str| Url::parse(text).unwrap();
        let [asked, other] = ["https://h:5000/v2/x", "https://i:5000/v2/x"].map(url);
        let secure = endpoint("h:5000", None);
        let insecure = secure.clone().insecure(true);
        let settled = secure.clone().insecure(false);
        let clone = insecure.clone();
        for endpoint in [&secure, &insecure, &settled] {
            endpoint.refuses_tls(&other);
            assert!(endpoint.owns(&asked) && endpoint.spoken(&asked) == asked);
            endpoint.refuses_tls(&asked);
            assert_eq!(endpoint.spoken(&other), other);
        }
        let plain = url("http://h:5000/v2/x");
        assert!(clone.owns(&plain) && !clone.owns(&asked) && clone.spoken(&asked) == plain);
        assert_eq!((clone.url("/v2/x").unwrap(), clone.origin()), (plain, "http://h:5000".to_owned()));
        for endpoint in [&secure, &settled] {
            assert!(endpoint.owns(&asked) && endpoint.spoken(&asked) == asked);
        }
    }

    #[test]
    fn nothing_leaves_the_origin() {
        let endpoint = endpoint("h:5000", Some(true));
        let secret = HeaderValue::from_static("Basic x");
        let sent = |url: &str| endpoint.headers_for(&Url::parse(url).unwrap(), Some(&secret)).len();
        assert_eq!(sent("http://h:5000/v2/x"), 2);
        for other in ["https://h:5000/", "http://h/", "http://h:5001/", "http://i:5000/", "http://x.h:5000/"]
        {
            assert_eq!(sent(other), 0, "{other}");
        }
        assert!(endpoint.url("//other/x").is_err());
    }
}
