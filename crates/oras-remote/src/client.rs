//! The client: connections, options and tokens that repositories share.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use oras_store::{Error, Kind, Result};
use parking_lot::Mutex;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Origin, Url};

use crate::certificates::{self, Certificates};
use crate::connections::Connections;
use crate::endpoint::Endpoint;
use crate::guard::{Guard, Seen};
use crate::no_proxy::NoProxy;
use crate::options::{ClientOptions, HttpVersion, ResolveOverride};
use crate::pool::{Lease, Pool, Pools};
use crate::proxy::{self, SystemProxy};
use crate::registries_conf::Found;
use crate::request::Response;
use crate::retry::{Again, again, is_gateway_error};
use crate::session::Sessions;
use crate::throttle::Throttle;
use crate::tls;
use crate::upload;

/// The longest warning that is handed on (distribution-spec, "Warnings").
const MAX_WARNING: usize = 4096;
/// Different warnings that are handed on.
const MAX_WARNINGS: usize = 1000;

/// A client of any number of registries; cheap to clone, clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: ClientOptions,
    headers: HeaderMap,
    no_proxy: NoProxy,
    pools: Pools,
    seen: Arc<Seen>,
    sessions: Sessions,
    warned: Mutex<HashSet<(String, String)>>,
    /// The origins that speak nothing but HTTP/2.
    http2: Mutex<HashSet<Origin>>,
    /// The origins that answered a request.
    answered: Mutex<HashSet<Origin>>,
    /// The budgets of the registries, by their origins.
    connections: Mutex<HashMap<String, Arc<Connections>>>,
    /// What the servers bear at the same time.
    throttles: Mutex<HashMap<Origin, Arc<Throttle>>>,
    hosts: upload::Hosts,
}

/// The connections of a request, and how it uses them.
pub(crate) struct Route {
    pub(crate) http: reqwest::Client,
    /// The address to use with them.
    pub(crate) url: Url,
    /// The `Host` to send if it differs from that.
    pub(crate) host: Option<String>,
    pub(crate) lease: Lease,
    /// The host of the proxy, if it is reached by HTTPS.
    pub(crate) https_proxy: Option<String>,
}

impl Client {
    /// A client with those options. Connects to nobody; the system's certificates are read when TLS is first used.
    ///
    /// # Errors
    /// `InvalidInput` for headers that can't be sent and for certificate files that can't be used.
    pub fn new(options: ClientOptions) -> Result<Self> {
        if options.ca_file.is_some() || options.client_certificate.is_some() {
            // An error of the options, not of the first request.
            tls::configure(&options, true, &Certificates::default(), (false, options.insecure))?;
        }
        let headers = parse_headers(&options.headers)?;
        let no_proxy = NoProxy::parse(&options.no_proxy);
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                headers,
                no_proxy,
                pools: Pools::default(),
                seen: Arc::default(),
                sessions: Sessions::default(),
                warned: Mutex::default(),
                http2: Mutex::default(),
                answered: Mutex::default(),
                connections: Mutex::default(),
                throttles: Mutex::default(),
                hosts: upload::Hosts::default(),
            }),
        })
    }

    /// The options it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// The registry `server`, for work on `name`: the registry or a repository there.
    ///
    /// # Errors
    /// `Denied` for one that is blocked.
    pub(crate) fn endpoint(&self, server: &str, name: &str) -> Result<Endpoint> {
        self.endpoint_by(server, name, self.inner.options.plain_http)
    }

    /// The same, without TLS if `plain` says so whatever the options do.
    pub(crate) fn endpoint_by(&self, server: &str, name: &str, plain: Option<bool>) -> Result<Endpoint> {
        let rule = self.inner.options.registries.find(name);
        if let Some(blocked) = rule.as_ref().and_then(Found::blocked) {
            return Err(blocked);
        }
        self.spoken_to(server, rule.is_some_and(|found| found.rule.insecure), plain)
    }

    /// The registry `server`, whatever the options have to say of it.
    pub(crate) fn unruled_endpoint(&self, server: &str, insecure: bool) -> Result<Endpoint> {
        self.spoken_to(server, insecure, self.inner.options.plain_http)
    }

    fn spoken_to(&self, server: &str, insecure: bool, plain: Option<bool>) -> Result<Endpoint> {
        let endpoint = Endpoint::registry(server, plain, self.inner.headers.clone())?;
        Ok(if insecure { endpoint.insecure(plain.is_none()) } else { endpoint })
    }

    /// What was learned of the uploads of the registry `endpoint`.
    pub(crate) fn host(&self, endpoint: &Endpoint) -> Arc<upload::Host> {
        self.inner.hosts.get(endpoint.origin(), endpoint.server())
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// The budget of connections to the registry.
    pub(crate) fn connections(&self, endpoint: &Endpoint) -> Arc<Connections> {
        let mut budgets = self.inner.connections.lock();
        let new = || Arc::new(Connections::new(self.inner.options.parallel.connections));
        Arc::clone(budgets.entry(endpoint.origin()).or_insert_with(new))
    }

    /// What the server of `url` bears at the same time.
    pub(crate) fn throttle(&self, url: &Url) -> Arc<Throttle> {
        let mut throttles = self.inner.throttles.lock();
        Arc::clone(throttles.entry(url.origin()).or_default())
    }

    /// The connections for `url`.
    ///
    /// # Errors
    /// `Denied` for an address that a registry must not name.
    pub(crate) fn connect(&self, endpoint: &Endpoint, url: &Url) -> Result<Route> {
        let options = &self.inner.options;
        let applies = |rule: &ResolveOverride| {
            let is_host = url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&rule.host));
            is_host && url.port_or_known_default() == Some(rule.port)
        };
        let rule = options.resolve.iter().rposition(applies);
        let direct = is_this_machine(url) || self.inner.no_proxy.covers(url);
        // An override leads past any proxy.
        let proxy = if direct || rule.is_some() { None } else { SystemProxy::of(url) };
        let https_proxy = proxy.as_ref().and_then(SystemProxy::https_host).map(str::to_owned);
        let private = url.scheme() == "https" && endpoint.is_registry() && endpoint.owns(url);
        let given = private && options.client_certificate.is_some();
        if let Some(proxy) = https_proxy.as_ref().filter(|_| given) {
            return Err(proxy::shown_certificate(url, proxy));
        }
        let directory = || certificates::directory(&options.certificate_directories, endpoint.server());
        let directory = if private { directory() } else { None };
        let pool = Pool {
            secure: url.scheme() == "https" || https_proxy.is_some(),
            unverified: options.insecure || (endpoint.is_insecure() && endpoint.owns(url)),
            certificate: given || (directory.is_some() && https_proxy.is_none()),
            directory,
            direct,
            socks: match proxy {
                Some(SystemProxy::Socks(address)) => Some(address),
                _ => None,
            },
            http2: self.uses_http2(url),
            rule,
            // Where the user's own override leads is the user's wish.
            guard: match rule {
                Some(_) => None,
                None => Guard::new(endpoint.registry_base(), url, &options.allowed_hosts),
            },
        };
        if let Some(guard) = &pool.guard {
            guard.check_literal(&self.inner.seen)?;
        }
        let (http, lease) = self.inner.pools.get(pool, options, &self.inner.seen)?;
        let mut route = Route { http, url: url.clone(), host: None, lease, https_proxy };
        if let Some(rule) = rule.and_then(|rule| options.resolve.get(rule)) {
            // The port of an address wins over that of an override.
            let moved = rule.address_port != rule.port && route.url.set_port(Some(rule.address_port)).is_ok();
            route.host = moved.then(|| format!("{}:{}", rule.host, rule.port));
        }
        Ok(route)
    }

    /// Whether HTTP/2 is spoken with the server of `url`.
    pub(crate) fn uses_http2(&self, url: &Url) -> bool {
        match self.inner.options.http_version {
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
            HttpVersion::Auto => {
                let known = self.inner.http2.lock();
                known.contains(&url.origin())
            }
        }
    }

    /// Remembers that the server of `url` refused HTTP/1.1.
    pub(crate) fn refuses_http1(&self, url: &Url) {
        self.inner.http2.lock().insert(url.origin());
    }

    /// Keeps later requests from the connections of `lease`, one of which went silent.
    pub(crate) fn discard(&self, lease: &Lease) {
        self.inner.pools.discard(lease);
    }

    /// Notes that the server of `url` answered a request, unless a gateway did in its place.
    pub(crate) fn note_answer(&self, url: &Url, status: StatusCode) {
        if is_gateway_error(status) {
            return;
        }
        self.inner.answered.lock().insert(url.origin());
    }

    /// Returns true if the server of `url` answered a request of this client before.
    pub(crate) fn has_answered(&self, url: &Url) -> bool {
        self.inner.answered.lock().contains(&url.origin())
    }

    /// What the status of an answer says about another try.
    pub(crate) fn again(&self, response: &Response) -> Again {
        match again(response.status, &response.headers) {
            again @ (Again::Later | Again::After(_))
                if is_gateway_error(response.status) && self.has_answered(&response.url) =>
            {
                let asked = if let Again::After(asked) = again { Some(asked) } else { None };
                Again::Outage { asked }
            }
            again => again,
        }
    }

    /// Hands on warnings that were not seen before (distribution-spec, "Warnings": `299 - "text"`).
    pub(crate) fn warn(&self, registry: &str, headers: &HeaderMap) {
        if self.inner.options.warnings.is_none() {
            return;
        }
        for value in headers.get_all("warning").iter().filter_map(|value| value.to_str().ok()) {
            if let Some(text) = warning(value) {
                self.tell(registry, &text);
            }
        }
    }

    /// Hands on a warning about a registry, unless it was told before.
    pub(crate) fn tell(&self, registry: &str, text: &str) {
        let Some(handler) = &self.inner.options.warnings else { return };
        let is_new = {
            let mut warned = self.inner.warned.lock();
            warned.len() < MAX_WARNINGS && warned.insert((registry.to_owned(), text.to_owned()))
        };
        if is_new {
            handler(registry, text);
        }
    }
}

/// The text of a warning `299 - "text"`.
fn warning(value: &str) -> Option<String> {
    let quoted = value.strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    (!text.is_empty() && text.len() <= MAX_WARNING).then_some(text)
}

fn parse_headers(headers: &[(String, String)]) -> Result<HeaderMap> {
    let mut parsed = HeaderMap::new();
    for (name, value) in headers {
        // The value may be a secret.
        let invalid = |_| Error::new(Kind::InvalidInput, format!("invalid header: {name:?}"));
        let mut value = HeaderValue::from_str(value).map_err(|error| invalid(error.to_string()))?;
        value.set_sensitive(true);
        let name = HeaderName::try_from(name).map_err(|error| invalid(error.to_string()))?;
        parsed.append(name, value);
    }
    Ok(parsed)
}

/// `localhost` and loopback addresses are never reached by a proxy.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn overrides_apply_to_one_host_and_port() {
        let rule = |host: &str, port, address_port| ResolveOverride {
            host: host.into(),
            port,
            address: [127, 0, 0, 1].into(),
            address_port,
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

    #[test]
    fn warnings_are_told_once() {
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        let handler = Arc::new(move |_: &str, text: &str| {
            assert_eq!(text, "old");
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let client =
            Client::new(ClientOptions { warnings: Some(handler), ..ClientOptions::default() }).unwrap();
        let mut headers = HeaderMap::new();
        for value in
            ["299 - \"old\"", "199 - \"other\"", "299 - \"old\"", "299 x", "299 - \"\"", "299 - \"a\"b\""]
        {
            headers.append("warning", value.parse().unwrap());
        }
        client.warn("a", &headers);
        client.warn("a", &headers);
        client.warn("b", &headers);
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn bad_options_are_refused_without_their_secrets() {
        let headers = vec![("X-A".to_owned(), "secret\n".to_owned())];
        let error = Client::new(ClientOptions { headers, ..ClientOptions::default() }).unwrap_err();
        assert_eq!(error.chain(), "invalid header: \"X-A\"");
        let ca_file = Some("none.crt".into());
        let error = Client::new(ClientOptions { ca_file, ..ClientOptions::default() }).unwrap_err();
        assert_eq!(error.chain(), "open none.crt: no such file or directory");
    }
}
