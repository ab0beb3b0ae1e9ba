//! The client, which holds what its repositories share: options, connections, tokens and the state of hosts.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use oras_store::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::{Origin, Url};

use crate::auth::token_cache::TokenCaches;
use crate::client_options::{ClientOptions, HttpVersion};
use crate::config::registries_conf::RuleMatch;
use crate::connection::address_guard::RegistryAddresses;
use crate::connection::connection_pool::ConnectionPools;
use crate::connection::no_proxy::NoProxy;
use crate::connection::tls_config;
use crate::host_state::HostState;
use crate::http::endpoint::Endpoint;

/// The most distinct warnings that one client passes to its handler. Bounds the memory that registries can fill.
const MAX_WARNINGS: usize = 1000;

/// A client for any number of registries, from which repositories are opened. A program usually has one. Cheap to
/// clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: ClientOptions,
    headers: HeaderMap,
    no_proxy: NoProxy,
    pools: ConnectionPools,
    addresses: Arc<RegistryAddresses>,
    tokens: TokenCaches,
    /// The warnings that the handler has received, as registry and text.
    warned: Mutex<HashSet<(String, String)>>,
    hosts: Mutex<HashMap<Origin, Arc<HostState>>>,
}

impl Client {
    /// Creates a client without connecting. The system's certificates are read when TLS is first used.
    ///
    /// # Errors
    /// `InvalidInput` for headers that can't be sent and for certificate files that can't be used.
    pub fn new(options: ClientOptions) -> Result<Self> {
        // Reports unusable certificates here rather than at the first request.
        tls_config::check(&options)?;
        let headers = parse_headers(&options.headers)?;
        let no_proxy = NoProxy::parse(&options.no_proxy);
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                headers,
                no_proxy,
                pools: ConnectionPools::default(),
                addresses: Arc::default(),
                tokens: TokenCaches::default(),
                warned: Mutex::default(),
                hosts: Mutex::default(),
            }),
        })
    }

    /// Returns the options of this client.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// Returns the endpoint of the registry `server`, by the rule of `registries.conf` for `name`: the name of the
    /// registry itself or of one of its repositories.
    ///
    /// # Errors
    /// `Denied` if the registry is blocked.
    pub(crate) fn endpoint(&self, server: &str, name: &str) -> Result<Endpoint> {
        self.endpoint_with_scheme(server, name, self.inner.options.plain_http)
    }

    /// Like [`Client::endpoint`], but `plain` replaces the option: HTTP if it is true, HTTPS if it is false.
    pub(crate) fn endpoint_with_scheme(
        &self,
        server: &str,
        name: &str,
        plain: Option<bool>,
    ) -> Result<Endpoint> {
        let rule = self.inner.options.registries.find(name);
        // A blocked registry is rejected here, before any connection, for reads and writes alike.
        if let Some(blocked) = rule.as_ref().and_then(RuleMatch::blocked) {
            return Err(blocked);
        }
        self.build_endpoint(server, rule.is_some_and(|found| found.rule.insecure), plain)
    }

    /// Returns the registry `server` without applying the rules of `registries.conf`.
    pub(crate) fn endpoint_ignoring_rules(&self, server: &str, insecure: bool) -> Result<Endpoint> {
        self.build_endpoint(server, insecure, self.inner.options.plain_http)
    }

    fn build_endpoint(&self, server: &str, insecure: bool, plain: Option<bool>) -> Result<Endpoint> {
        let endpoint = Endpoint::registry(server, plain, self.inner.headers.clone())?;
        // An explicit scheme is final. Without one, an insecure registry may fall back to HTTP.
        Ok(if insecure { endpoint.insecure(plain.is_none()) } else { endpoint })
    }

    pub(crate) fn tokens(&self) -> &TokenCaches {
        &self.inner.tokens
    }

    pub(crate) fn pools(&self) -> &ConnectionPools {
        &self.inner.pools
    }

    /// Returns the addresses at which registries were reached.
    pub(crate) fn addresses(&self) -> &Arc<RegistryAddresses> {
        &self.inner.addresses
    }

    pub(crate) fn no_proxy(&self) -> &NoProxy {
        &self.inner.no_proxy
    }

    /// Returns the state of the server of `url`.
    pub(crate) fn host(&self, url: &Url) -> Arc<HostState> {
        // The map is locked only for the look-up: each state has its own locks, so hosts don't block each other.
        let mut hosts = self.inner.hosts.lock();
        let new = || Arc::new(HostState::new(self.inner.options.parallel.connections));
        Arc::clone(hosts.entry(url.origin()).or_insert_with(new))
    }

    /// Returns true if requests to the server of `url` use HTTP/2.
    pub(crate) fn uses_http2(&self, url: &Url) -> bool {
        match self.inner.options.http_version {
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
            // HTTP/1.1 is the default, because one HTTP/2 connection transfers a large blob more slowly.
            HttpVersion::Auto => self.host(url).requires_http2(),
        }
    }

    /// Records that `registry` sent the warning `text`; returns true if it is new, so that the handler should receive
    /// it.
    pub(crate) fn insert_warning(&self, registry: &str, text: &str) -> bool {
        let mut warned = self.inner.warned.lock();
        // A full set drops new warnings, because a dropped old warning could be reported a second time.
        warned.len() < MAX_WARNINGS && warned.insert((registry.to_owned(), text.to_owned()))
    }
}

fn parse_headers(headers: &[(String, String)]) -> Result<HeaderMap> {
    let mut parsed = HeaderMap::new();
    for (name, value) in headers {
        // The message omits the value, which may be a secret.
        let invalid = |_| Error::new(ErrorKind::InvalidInput, format!("invalid header: {name:?}"));
        let mut value = HeaderValue::from_str(value).map_err(|error| invalid(error.to_string()))?;
        // Sensitive values are hidden in logs and are not added to the compression table of HTTP/2.
        value.set_sensitive(true);
        let name = HeaderName::try_from(name).map_err(|error| invalid(error.to_string()))?;
        // `append` and not `insert`, because the user may set the same header several times.
        parsed.append(name, value);
    }
    Ok(parsed)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::connection::root_certificates::RootCertificates;

    #[test]
    fn errors_for_invalid_options_hide_secrets() {
        let error = Client::new(ClientOptions::default().header("X-A", "secret\n")).unwrap_err();
        assert_eq!(error.chain(), "invalid header: \"X-A\"");
        for (roots, message) in [
            (
                RootCertificates::none().pem(PathBuf::from("none.crt")),
                "open none.crt: no such file or directory",
            ),
            (
                RootCertificates::system().pem(b"secret".as_slice()),
                "Failed to load certificate in file: PEM in memory",
            ),
            (
                RootCertificates::none().der([b"secret".as_slice().into()]),
                "invalid root certificate: tls: failed to verify certificate: x509: malformed certificate",
            ),
        ] {
            let error = Client::new(ClientOptions::default().roots(roots)).unwrap_err();
            assert_eq!(error.chain(), message);
        }
        let options = ClientOptions::default().client_certificate(b"secret".to_vec(), b"secret".to_vec());
        let error = Client::new(options).unwrap_err();
        assert!(
            error.chain().starts_with("tls: failed to find any PEM data in certificate input"),
            "{error:?}"
        );
        assert!(!error.chain().contains("secret"), "{error:?}");
    }
}
