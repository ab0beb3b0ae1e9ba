//! Where a registry may lead: redirects, upload locations and token servers on other hosts are reached only if their
//! addresses, looked at after names are resolved, lead nowhere that the registry has no business with.
//!
//! By an HTTP or a SOCKS5 proxy, names are resolved at the proxy, whose network may know other names than this one. Then the
//! guard sees the hosts that are written as addresses, and `localhost`; which names lead where is for the proxy to decide,
//! as it decides for every other program. To resolve a name here first would tell nothing of where the proxy connects to.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use oras_store::{Error, Kind, Result};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::address::{AddressClass, classify};

/// A host that a registry may name wherever it is, with its port or with any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// A name or an address, the latter without brackets.
    pub host: String,
    /// The port; `None` for all.
    pub port: Option<u16>,
}

impl AllowedHost {
    fn covers(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case(self.host.trim_matches(['[', ']']))
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

impl std::str::FromStr for AllowedHost {
    type Err = Error;

    /// Reads `host`, `host:port`, `1.2.3.4:port`, `::1`, `[::1]:port`.
    fn from_str(text: &str) -> Result<Self> {
        let failed =
            || Error::new(Kind::InvalidInput, format!("invalid host {text:?}: expecting host[:port]"));
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| failed())?))
            }
            _ => (text, None),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(failed());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A registry named a host at an address that it has no business with; found in the chain of an error of kind `Denied`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("refusing to connect to {host} as {registry} asks: {address} is {class}")]
pub struct AddressRefused {
    /// The host that was named.
    pub host: String,
    /// The registry that named it, or whose token server did.
    pub registry: String,
    /// The first of its addresses that was refused.
    pub address: IpAddr,
    /// What kind of address that is.
    pub class: AddressClass,
}

/// What is known of the addresses of hosts that were reached as registries.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<String, Option<AddressClass>>>);

impl Seen {
    /// Takes note of where a registry is. What was noted first stays, and a registry that is in two kinds of places
    /// counts as public: its owner could else move it to where it wants to lead.
    fn note(&self, host: &str, addresses: &[SocketAddr]) {
        let class = place(addresses.iter().map(SocketAddr::ip));
        let mut seen = self.0.lock();
        let noted = seen.entry(host.to_owned()).or_insert(class);
        if *noted != class {
            *noted = None;
        }
    }

    /// Where a registry is; public unless its addresses say otherwise.
    fn place(&self, registry: &Host<String>) -> AddressClass {
        let place = match registry {
            Host::Ipv4(address) => place([IpAddr::V4(*address)]),
            Host::Ipv6(address) => place([IpAddr::V6(*address)]),
            Host::Domain(name) if is_localhost(name) => Some(AddressClass::Loopback),
            Host::Domain(name) => self.0.lock().get(name).copied().flatten(),
        };
        place.unwrap_or(AddressClass::Public)
    }
}

/// The one place of all those addresses, link-local ones aside; `None` if there is more than one.
fn place(addresses: impl IntoIterator<Item = IpAddr>) -> Option<AddressClass> {
    let mut classes =
        addresses.into_iter().map(classify).filter(|class| !matches!(class, AddressClass::Forbidden));
    let first = classes.next()?;
    classes.all(|class| class == first).then_some(first)
}

/// `localhost` and what is below it (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// The rule for one host that a registry named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Guard {
    /// The host of the registry.
    registry: Host<String>,
    /// The host that it named.
    host: Host<String>,
}

impl Guard {
    /// The rule for `url`, if there is any: none for the registry itself and for hosts that the user allows.
    pub(crate) fn new(registry: &Url, url: &Url, allowed: &[AllowedHost]) -> Option<Self> {
        let owned = |url: &Url| url.host().map(|host| host.to_owned());
        let (registry, host) = (owned(registry)?, owned(url)?);
        let free = registry == host || allowed.iter().any(|allowed| allowed.covers(url));
        (!free).then_some(Self { registry, host })
    }

    /// Checks a host that is an address; a name is checked when it is resolved.
    ///
    /// # Errors
    /// `Denied`, with [`AddressRefused`].
    pub(crate) fn check_literal(&self, seen: &Seen) -> Result<()> {
        let address = match &self.host {
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => IpAddr::V6(*address),
            Host::Domain(name) if is_localhost(name) => IpAddr::V4([127, 0, 0, 1].into()),
            Host::Domain(_) => return Ok(()),
        };
        self.check(address, seen).map_err(|refused| Error::from_source(Kind::Denied, refused))
    }

    fn check(&self, address: IpAddr, seen: &Seen) -> Result<(), AddressRefused> {
        let class = classify(address);
        let allowed = match class {
            AddressClass::Public => true,
            AddressClass::Forbidden => false,
            AddressClass::Private | AddressClass::Loopback => seen.place(&self.registry) == class,
        };
        if allowed {
            return Ok(());
        }
        let (host, registry) = (self.host.to_string(), self.registry.to_string());
        Err(AddressRefused { host, registry, address, class })
    }
}

/// Resolves names as the system does, by the rule of a guard if there is one.
pub(crate) struct Resolver {
    pub(crate) seen: Arc<Seen>,
    pub(crate) guard: Option<Guard>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (seen, guard) = (Arc::clone(&self.seen), self.guard.clone());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut addresses: Vec<SocketAddr> = found.collect();
            match guard {
                None => seen.note(name.as_str(), &addresses),
                // Any other name is that of a proxy, which the user chose.
                Some(guard) if guard.host == Host::Domain(name.as_str().to_owned()) => {
                    let mut refused = None;
                    addresses.retain(|address| match guard.check(address.ip(), &seen) {
                        Ok(()) => true,
                        Err(error) => {
                            refused.get_or_insert(error);
                            false
                        }
                    });
                    if let Some(error) = refused.filter(|_| addresses.is_empty()) {
                        return Err(error.into());
                    }
                }
                Some(_) => {}
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn seen() -> Seen {
        let seen = Seen::default();
        for (host, addresses) in [
            ("private.test", &["10.0.0.1", "fe80::1"][..]),
            ("loop.test", &["127.0.0.1", "::1"]),
            ("public.test", &["8.8.8.8"]),
            ("mixed.test", &["8.8.8.8", "10.0.0.1"]),
            ("moved.test", &["8.8.8.8"]),
            ("moved.test", &["10.0.0.1"]),
        ] {
            let addresses: Vec<_> =
                addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
            seen.note(host, &addresses);
        }
        seen
    }

    #[test]
    fn a_registry_leads_to_places_of_its_kind() {
        for (registry, reached, refused) in [
            (
                "public.test",
                "8.8.8.8 other.test",
                "10.0.0.1 127.0.0.1 [::1] [fd00::1] localhost LOCALHOST. a.localhost",
            ),
            ("private.test", "8.8.8.8 192.168.0.1 [fd00::1] private.test:81", "127.0.0.1 localhost [::1]"),
            ("loop.test", "8.8.8.8 127.0.0.2 [::1] localhost a.localhost", "10.0.0.1"),
            ("localhost:5000", "localhost:5001 127.0.0.1:5001 [::1]", "10.0.0.1 [::ffff:10.0.0.1]"),
            ("127.0.0.1:5000", "localhost 127.1 2130706433", "192.168.1.1"),
            ("10.0.0.1", "10.0.0.1:8080 10.0.0.2 [::ffff:10.0.0.2]", "127.0.0.1"),
            ("[fe80::1]", "[fe80::1]:81", "[fe80::2] 10.0.0.1"),
            ("169.254.169.254", "169.254.169.254:81", "169.254.169.253"),
            ("mixed.test", "8.8.8.8", "10.0.0.1 127.0.0.1"),
            ("moved.test", "8.8.8.8", "10.0.0.1"),
            ("never.test", "8.8.8.8", "10.0.0.1 127.0.0.1 0x7f000001"),
        ] {
            let check = |host: &str| {
                let guard =
                    Guard::new(&url(&format!("http://{registry}")), &url(&format!("http://{host}/x")), &[]);
                guard.map_or(Ok(()), |guard| guard.check_literal(&seen()))
            };
            for host in reached.split_whitespace() {
                check(host).unwrap();
            }
            for host in refused.split_whitespace().chain(["169.254.170.2", "0.0.0.0", "[fe80::3]", "[::]"]) {
                let error = check(host).unwrap_err();
                assert_eq!(error.kind(), Kind::Denied, "{registry} {host}");
                assert!(error.find::<AddressRefused>().is_some());
            }
        }
    }

    #[test]
    fn the_user_allows_hosts() {
        let allowed: Vec<AllowedHost> = ["10.0.0.1", "h.test:80", "[::1]:81", "fd00::1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let registry = url("https://r.test");
        for (host, free) in [
            ("http://10.0.0.1/x", true),
            ("https://10.0.0.1:8/x", true),
            ("http://H.test/x", true),
            ("https://h.test/x", false),
            ("http://[::1]:81/x", true),
            ("http://[::1]/x", false),
            ("http://[fd00::1]/x", true),
            ("http://10.0.0.2/x", false),
        ] {
            assert_eq!(Guard::new(&registry, &url(host), &allowed).is_none(), free, "{host}");
        }
        for bad in ["", ":80", "h:x", "h:70000", "a/b", "u@h", "http://h"] {
            assert!(bad.parse::<AllowedHost>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn names_are_checked_where_they_lead() {
        let resolve = async |registry: &str, host: &str, name: &str| {
            let guard =
                Guard::new(&url(&format!("http://{registry}")), &url(&format!("http://{host}/x")), &[]);
            let resolver = Resolver { seen: Arc::new(seen()), guard };
            resolver.resolve(name.parse().unwrap()).await.map(Iterator::count)
        };
        let error = resolve("public.test", "localhost", "localhost").await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1 is an address of this machine"), "{error}");
        assert!(resolve("loop.test", "localhost", "localhost").await.unwrap() > 0);
        // The name of a proxy is none that a registry has named.
        assert!(resolve("public.test", "host.test", "localhost").await.unwrap() > 0);
    }
}
