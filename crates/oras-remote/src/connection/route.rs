//! How a request reaches its server: override, proxy, TLS, address guard and connection pool.

use oras_store::Result;
use url::{Host, Url};

use crate::client::Client;
use crate::config::certs_d;
use crate::connection::address_guard::AddressGuard;
use crate::connection::connection_pool::{Lease, PoolKey};
use crate::connection::name_resolution::ResolveOverride;
use crate::connection::proxy::{ProxyServer, certificate_refused};
use crate::http::endpoint::Endpoint;

/// The connections for a request, and the address to use with them.
pub(crate) struct Route {
    pub(crate) http: reqwest::Client,
    /// The address for the request.
    pub(crate) url: Url,
    /// The `Host` header, if it differs from the address.
    pub(crate) host: Option<String>,
    pub(crate) lease: Lease,
    pub(crate) proxy: Option<ProxyServer>,
}

impl Client {
    /// Returns the connections for `url`.
    ///
    /// # Errors
    /// `Denied` for an address that the registry must not name.
    pub(crate) fn connect(&self, endpoint: &Endpoint, url: &Url) -> Result<Route> {
        let options = self.options();
        let applies = |rule: &ResolveOverride| {
            let is_host = url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&rule.host));
            is_host && url.port_or_known_default() == Some(rule.port)
        };
        // The last matching override is used, so that a later option replaces an earlier one.
        let rule = options.resolve.iter().rposition(applies);
        let is_direct = is_local(url) || self.no_proxy().covers(url);
        // An address override bypasses any proxy.
        let proxy = if is_direct || rule.is_some() { None } else { options.proxy.server(url) };
        let https_proxy = proxy.as_ref().and_then(ProxyServer::https_host);
        // Client certificates identify the user, so only the registry itself gets them.
        let is_registry = url.scheme() == "https" && endpoint.is_registry() && endpoint.owns(url);
        let has_client_certificate = is_registry && options.client_certificate.is_some();
        if let Some(proxy) = https_proxy.filter(|_| has_client_certificate) {
            return Err(certificate_refused(url, proxy));
        }
        let directory = || certs_d::directory(&options.certificate_directories, endpoint.server());
        let directory = if is_registry { directory() } else { None };
        let pool = PoolKey {
            secure: url.scheme() == "https" || https_proxy.is_some(),
            unverified: options.insecure || (endpoint.is_insecure() && endpoint.owns(url)),
            certificate: has_client_certificate || (directory.is_some() && https_proxy.is_none()),
            directory,
            proxy: proxy.clone(),
            http2: self.uses_http2(url),
            rule,
            // The user chose the target of an override, so no guard applies.
            guard: match rule {
                Some(_) => None,
                None => AddressGuard::new(endpoint.registry_base(), url, &options.allowed_hosts),
            },
        };
        if let Some(guard) = &pool.guard {
            // An address needs no name resolution, so the resolver would never check it.
            guard.check_literal(self.addresses())?;
        }
        let (http, lease) = self.pools().get(pool, options, self.addresses())?;
        let mut route = Route { http, url: url.clone(), host: None, lease, proxy };
        if let Some(rule) = rule.and_then(|rule| options.resolve.get(rule)) {
            // reqwest connects to the port of the URL and ignores the port of the override, so the URL gets that port.
            // The `Host` header keeps the original one.
            let moved = rule.address_port != rule.port && route.url.set_port(Some(rule.address_port)).is_ok();
            route.host = moved.then(|| format!("{}:{}", rule.host, rule.port));
        }
        Ok(route)
    }
}

/// Returns true for `localhost` and loopback addresses, which are never reached by a proxy.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_options::ClientOptions;

    #[test]
    fn override_applies_to_one_host_and_port() {
        let rule = |host: &str, port, address_port| {
            ResolveOverride::new(host, port, ([127, 0, 0, 1], address_port).into())
        };
        let resolve = vec![rule("a.test", 80, 5000), rule("a.test", 81, 81), rule("a.test", 80, 5001)];
        let client = Client::new(ClientOptions { resolve, ..ClientOptions::default() }).unwrap();
        let endpoint = client.endpoint("a.test", "a.test").unwrap();
        for (url, target, host) in [
            ("http://a.test/x", "http://a.test:5001/x", Some("a.test:80")),
            ("http://a.test:81/x", "http://a.test:81/x", None),
            ("http://a.test:82/x", "http://a.test:82/x", None),
            ("http://b.test/x", "http://b.test/x", None),
        ] {
            let route = client.connect(&endpoint, &Url::parse(url).unwrap()).unwrap();
            assert_eq!((route.url.as_str(), route.host.as_deref()), (target, host));
        }
    }
}
