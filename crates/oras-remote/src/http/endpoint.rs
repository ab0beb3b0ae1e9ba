//! A server, and the headers that only this server may receive.

mod credential_origin;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_store::{Error, ErrorKind, Result};
use reqwest::header::HeaderMap;
use url::Url;

use crate::http::network_error::ServerRole;

/// A server with its own headers. Headers and credentials are sent to no other origin.
///
/// The type enforces that: the headers are private, and [`Endpoint::headers_for`] in `credential_origin.rs`, the only
/// way to read them, takes the address that they are sent to. Only connections to addresses of the registry use the
/// client certificate.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    base: Url,
    server: String,
    /// The repository in use, because credentials may be per repository.
    repository: Option<String>,
    headers: HeaderMap,
    /// For a token server: the registry that named it.
    named_by: Option<Url>,
    /// Whether the server's certificate is not verified.
    insecure: bool,
    /// The address without TLS, if the registry is insecure and may be reached by HTTP.
    plain: Option<Arc<Plain>>,
}

/// The address without TLS, and whether it is in use. All clones share it.
#[derive(Debug)]
struct Plain {
    base: Url,
    chosen: AtomicBool,
}

impl Endpoint {
    /// Creates the endpoint of the registry `server`: `plain` selects HTTP or HTTPS. Without it, only `localhost` uses
    /// HTTP.
    pub(crate) fn registry(server: &str, plain: Option<bool>, headers: HeaderMap) -> Result<Self> {
        let name = server.rsplit_once(':').map_or(server, |(name, _)| name);
        let scheme = if plain.unwrap_or(name == "localhost") { "http" } else { "https" };
        let host = registry_host(server);
        let invalid =
            || Error::new(ErrorKind::InvalidInput, format!("invalid reference: invalid registry {server:?}"));
        let base = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| invalid())?;
        // Rejects anything but a host and a port, which would become part of the path or the credentials.
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

    /// Disables certificate verification; allows HTTP if the server has no TLS and `plain` is true.
    pub(crate) fn insecure(self, plain: bool) -> Self {
        let mut base = self.base.clone();
        let is_plain = plain && base.scheme() == "https" && base.set_scheme("http").is_ok();
        let plain = is_plain.then(|| Arc::new(Plain { base, chosen: AtomicBool::new(false) }));
        Self { insecure: true, plain, ..self }
    }

    /// Returns the endpoint of the token server at `realm`, which this registry named.
    pub(crate) fn token_server(&self, realm: &Url) -> Self {
        // The rule of `registries.conf` is only for the registry, so a token server on another origin is verified.
        let insecure = self.insecure && self.owns(realm);
        Self {
            base: realm.clone(),
            server: String::new(),
            repository: None,
            headers: HeaderMap::new(),
            named_by: Some(self.base().clone()),
            insecure,
            plain: None,
        }
    }

    /// Returns the endpoint for work on `repository`.
    pub(crate) fn for_repository(self, repository: &str) -> Self {
        Self { repository: Some(repository.to_owned()), ..self }
    }

    /// Returns the base address of the server.
    pub(crate) fn base(&self) -> &Url {
        match &self.plain {
            Some(plain) if plain.chosen.load(Ordering::Relaxed) => &plain.base,
            _ => &self.base,
        }
    }

    /// Returns true if the server's certificate is not verified.
    pub(crate) fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// Records that this server has no TLS, if `url` is its address and HTTP is allowed.
    pub(crate) fn refuses_tls(&self, url: &Url) {
        if let Some(plain) = self.plain.as_ref().filter(|_| self.base.origin() == url.origin()) {
            plain.chosen.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the address to use for `url`, with HTTP if this server turned out to have no TLS.
    pub(crate) fn address_in_use(&self, url: &Url) -> Url {
        let mut address = url.clone();
        if self.base() != &self.base && self.base.origin() == url.origin() {
            let changed = address.set_scheme("http");
            debug_assert!(changed.is_ok(), "one special scheme becomes another");
        }
        address
    }

    /// Returns the name of the registry in references.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Returns the host of the registry, which is the key of its credential.
    pub(crate) fn host(&self) -> &str {
        registry_host(&self.server)
    }

    /// Returns the repository in use.
    pub(crate) fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// Returns scheme, host and port as one string.
    pub(crate) fn origin(&self) -> String {
        let base = self.base();
        let host = base.host_str().unwrap_or_default();
        format!("{}://{host}:{}", base.scheme(), base.port_or_known_default().unwrap_or_default())
    }

    /// Returns true for a registry, false for a token server. Only registries get client certificates and ask for
    /// credentials.
    pub(crate) fn is_registry(&self) -> bool {
        self.named_by.is_none()
    }

    /// Returns the address of the registry, or of the one that named this token server.
    pub(crate) fn registry_base(&self) -> &Url {
        self.named_by.as_ref().unwrap_or_else(|| self.base())
    }

    /// Returns the role of the server of `url`.
    pub(crate) fn role(&self, url: &Url) -> ServerRole {
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        match self.is_registry() {
            false => ServerRole::TokenServer,
            true if place(url) == place(&self.base) => ServerRole::Registry,
            true => ServerRole::RedirectTarget,
        }
    }

    /// Returns the address of `path`, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        self.base()
            .join(path)
            .ok()
            .filter(|url| self.owns(url))
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("invalid address {path:?}")))
    }
}

/// Returns the host to connect to for the registry `server` of a reference.
pub(crate) fn registry_host(server: &str) -> &str {
    // Docker Hub serves its API at another host than its name in references.
    if server == "docker.io" { "registry-1.docker.io" } else { server }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(server: &str, plain: Option<bool>) -> Endpoint {
        Endpoint::registry(server, plain, HeaderMap::new()).unwrap()
    }

    #[test]
    fn uses_plain_http_only_for_localhost_by_default() {
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
            let reference: oras_spec::Reference = format!("{server}/a").parse().unwrap();
            assert_eq!(endpoint.host(), reference.host());
        }
        assert!(endpoint("h:5000", Some(true)).url("//other/x").is_err());
        for bad in ["", "a/b", "u@h", "h?x", "h#x", "h:port", "a b"] {
            assert!(Endpoint::registry(bad, None, HeaderMap::new()).is_err(), "{bad}");
        }
    }

    #[test]
    fn insecure_registry_falls_back_to_http() {
        let url = |text: &str| Url::parse(text).unwrap();
        let [asked, other] = ["https://h:5000/v2/x", "https://i:5000/v2/x"].map(url);
        let secure = endpoint("h:5000", None);
        let insecure = secure.clone().insecure(true);
        let settled = secure.clone().insecure(false);
        let clone = insecure.clone();
        for endpoint in [&secure, &insecure, &settled] {
            endpoint.refuses_tls(&other);
            assert!(endpoint.owns(&asked) && endpoint.address_in_use(&asked) == asked);
            endpoint.refuses_tls(&asked);
            assert_eq!(endpoint.address_in_use(&other), other);
        }
        let plain = url("http://h:5000/v2/x");
        assert!(clone.owns(&plain) && !clone.owns(&asked) && clone.address_in_use(&asked) == plain);
        assert_eq!((clone.url("/v2/x").unwrap(), clone.origin()), (plain, "http://h:5000".to_owned()));
        for endpoint in [&secure, &settled] {
            assert!(endpoint.owns(&asked) && endpoint.address_in_use(&asked) == asked);
        }
    }
}
