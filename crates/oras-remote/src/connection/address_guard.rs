//! Guards against registries that use the client to reach private networks. Hosts that a registry names (redirects,
//! upload locations, token servers) are checked after name resolution.
//!
//! An HTTP or SOCKS5 proxy resolves names itself, in a network that may know other names. Then the guard checks only
//! hosts that are addresses, and `localhost`; resolving a name here would not show where the proxy connects.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use oras_store::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::connection::address_class::{AddressClass, classify};
use crate::connection::name_resolution::NameResolver;
use crate::connection::no_proxy::split_port;
use oras_store::setters;

/// A host that a registry may name although its address is private or loopback. Link-local addresses and metadata
/// services stay forbidden. The entry is for one port or for all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowedHost {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port; `None` for all ports.
    pub port: Option<u16>,
}

impl AllowedHost {
    /// Allows all ports of `host`, a name or an address.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), port: None }
    }

    setters! {
        port: u16 => Some(port);
    }

    fn covers(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case(self.host.trim_matches(['[', ']']))
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

impl std::str::FromStr for AllowedHost {
    type Err = Error;

    /// Parses `host`, `host:port`, `1.2.3.4:port`, `::1` and `[::1]:port`.
    fn from_str(text: &str) -> Result<Self> {
        let failed =
            || Error::new(ErrorKind::InvalidInput, format!("invalid host {text:?}: expecting host[:port]"));
        let (host, port) = split_port(text);
        let port = port.map(str::parse).transpose().map_err(|_| failed())?;
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(failed());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A registry named a host at a forbidden address; found in the chain of an error of kind `Denied`. A program can
/// propose to allow the host:
///
/// ```
/// use oras_remote::store::Error;
/// use oras_remote::{AddressClass, AddressRefused, AllowedHost};
///
/// /// Returns the entry for [`ClientOptions::allowed_hosts`](oras_remote::ClientOptions::allowed_hosts) that helps.
/// fn entry(error: &Error) -> Option<AllowedHost> {
///     let refused = error.find::<AddressRefused>()?;
///     // Metadata services and the like stay forbidden.
///     (refused.class != AddressClass::Forbidden).then(|| AllowedHost::new(&refused.host))
/// }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("refusing to connect to {host} as {registry} asks: {address} is {class}")]
pub struct AddressRefused {
    /// The host that the registry named.
    pub host: String,
    /// The registry that named it, directly or by its token server.
    pub registry: String,
    /// The first address that was refused.
    pub address: IpAddr,
    /// The class of the address.
    pub class: AddressClass,
}

/// The address classes of registries, by host. `None` stands for more than one class.
#[derive(Debug, Default)]
pub(crate) struct RegistryAddresses(Mutex<HashMap<String, Option<AddressClass>>>);

impl RegistryAddresses {
    /// Records the addresses of a registry. A registry with addresses of two classes counts as public: otherwise its
    /// owner could change the DNS record to make a private target allowed.
    fn record(&self, host: &str, addresses: &[SocketAddr]) {
        let class = common_class(addresses.iter().map(SocketAddr::ip));
        let mut registries = self.0.lock();
        let known = registries.entry(host.to_owned()).or_insert(class);
        // Two look-ups with different classes also count as public, because DNS records may change between them.
        if *known != class {
            *known = None;
        }
    }

    /// Returns the class of a registry, `Public` if unknown.
    fn class_of(&self, registry: &Host<String>) -> AddressClass {
        let class = match registry {
            Host::Ipv4(address) => common_class([IpAddr::V4(*address)]),
            Host::Ipv6(address) => common_class([IpAddr::V6(*address)]),
            Host::Domain(name) if is_localhost(name) => Some(AddressClass::Loopback),
            Host::Domain(name) => self.0.lock().get(name).copied().flatten(),
        };
        // `Public` is the strictest class: a public registry may name only public addresses.
        class.unwrap_or(AddressClass::Public)
    }
}

/// Returns the common class of the addresses except link-local ones; `None` if they differ.
fn common_class(addresses: impl IntoIterator<Item = IpAddr>) -> Option<AddressClass> {
    let mut classes =
        addresses.into_iter().map(classify).filter(|class| !matches!(class, AddressClass::Forbidden));
    let first = classes.next()?;
    classes.all(|class| class == first).then_some(first)
}

/// Returns true for `localhost` and its subdomains (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// The check of one host that a registry named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AddressGuard {
    /// The host of the registry.
    registry: Host<String>,
    /// The host that the registry named.
    host: Host<String>,
    /// The user allows the host, so it may have a private or loopback address.
    is_allowed: bool,
}

impl AddressGuard {
    /// Returns the guard for `url`, or `None` for the registry itself.
    pub(crate) fn new(registry: &Url, url: &Url, allowed: &[AllowedHost]) -> Option<Self> {
        let owned = |url: &Url| url.host().map(|host| host.to_owned());
        let (registry, host) = (owned(registry)?, owned(url)?);
        let is_allowed = allowed.iter().any(|allowed| allowed.covers(url));
        // Compares hosts without ports: another port of the registry's own host is not another network.
        (registry != host).then_some(Self { registry, host, is_allowed })
    }

    /// Checks a host that is an address; a name is checked when it is resolved.
    ///
    /// # Errors
    /// `Denied`, with [`AddressRefused`].
    pub(crate) fn check_literal(&self, registries: &RegistryAddresses) -> Result<()> {
        let address = match &self.host {
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => IpAddr::V6(*address),
            Host::Domain(name) if is_localhost(name) => IpAddr::V4([127, 0, 0, 1].into()),
            Host::Domain(_) => return Ok(()),
        };
        self.check(address, registries).map_err(|refused| Error::from_source(ErrorKind::Denied, refused))
    }

    fn check(&self, address: IpAddr, registries: &RegistryAddresses) -> Result<(), AddressRefused> {
        let class = classify(address);
        let allowed = match class {
            AddressClass::Public => true,
            // The owner of an allowed name controls its addresses, so it must not lead to a metadata service either.
            AddressClass::Forbidden => false,
            AddressClass::Private | AddressClass::Loopback => {
                self.is_allowed || registries.class_of(&self.registry) == class
            }
        };
        if allowed {
            return Ok(());
        }
        let (host, registry) = (self.host.to_string(), self.registry.to_string());
        Err(AddressRefused { host, registry, address, class })
    }
}

/// A DNS resolver that applies the guard, if there is one, to the addresses from the system or from `own`.
pub(crate) struct GuardedResolver {
    pub(crate) registries: Arc<RegistryAddresses>,
    pub(crate) guard: Option<AddressGuard>,
    /// Resolves names instead of the system.
    pub(crate) own: Option<Arc<dyn NameResolver>>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (registries, guard, own) = (Arc::clone(&self.registries), self.guard.clone(), self.own.clone());
        Box::pin(async move {
            // Port 0 stands for the port of the address, which reqwest sets afterwards.
            let mut addresses: Vec<SocketAddr> = match own {
                Some(own) => {
                    let found = own.resolve(name.as_str()).await?;
                    found.into_iter().map(|address| SocketAddr::new(address, 0)).collect()
                }
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            match guard {
                None => registries.record(name.as_str(), &addresses),
                // Any other name is the name of a proxy. The user chose it, so no guard applies.
                Some(guard) if guard.host == Host::Domain(name.as_str().to_owned()) => {
                    let mut refused = None;
                    // The connection uses exactly the addresses checked here, so a changed DNS record can't bypass
                    // the check.
                    addresses.retain(|address| match guard.check(address.ip(), &registries) {
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

    fn registries() -> RegistryAddresses {
        let registries = RegistryAddresses::default();
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
            registries.record(host, &addresses);
        }
        registries
    }

    #[test]
    fn registry_may_name_addresses_of_its_own_class() {
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
                let guard = AddressGuard::new(
                    &url(&format!("http://{registry}")),
                    &url(&format!("http://{host}/x")),
                    &[],
                );
                guard.map_or(Ok(()), |guard| guard.check_literal(&registries()))
            };
            for host in reached.split_whitespace() {
                check(host).unwrap();
            }
            for host in refused.split_whitespace().chain(["169.254.170.2", "0.0.0.0", "[fe80::3]", "[::]"]) {
                let error = check(host).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Denied, "{registry} {host}");
                assert!(error.find::<AddressRefused>().is_some());
            }
        }
    }

    #[test]
    fn allows_hosts_that_the_user_allows() {
        let allowed: Vec<AllowedHost> = [
            "10.0.0.1",
            "127.0.0.1:80",
            "[::1]:81",
            "fd00::1",
            "169.254.169.254",
            "fe80::1",
            "100.100.100.200",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        let registry = url("https://r.test");
        for (host, is_allowed) in [
            ("http://10.0.0.1/x", true),
            ("https://10.0.0.1:8/x", true),
            ("http://127.0.0.1/x", true),
            ("https://127.0.0.1/x", false),
            ("http://[::1]:81/x", true),
            ("http://[::1]/x", false),
            ("http://[fd00::1]/x", true),
            ("http://10.0.0.2/x", false),
            ("http://8.8.8.8/x", true),
            ("http://169.254.169.254/x", false),
            ("http://[fe80::1]/x", false),
            ("http://100.100.100.200/x", false),
        ] {
            let guard = AddressGuard::new(&registry, &url(host), &allowed).unwrap();
            assert_eq!(guard.check_literal(&registries()).is_ok(), is_allowed, "{host}");
        }
        let named = |text: &str| AllowedHost { host: "h.test".into(), port: text.parse().ok() };
        for (host, port, covers) in [
            ("http://H.test/x", "", true),
            ("http://h.test/x", "80", true),
            ("https://h.test/x", "80", false),
            ("http://g.test/x", "80", false),
        ] {
            assert_eq!(named(port).covers(&url(host)), covers, "{host}");
        }
        for bad in ["", ":80", "h:x", "h:70000", "a/b", "u@h", "http://h"] {
            assert!(bad.parse::<AllowedHost>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn checks_names_after_resolution() {
        let resolve = async |registry: &str, host: &str, name: &str| {
            let guard = AddressGuard::new(
                &url(&format!("http://{registry}")),
                &url(&format!("http://{host}/x")),
                &[],
            );
            let resolver = GuardedResolver { registries: Arc::new(registries()), guard, own: None };
            resolver.resolve(name.parse().unwrap()).await.map(Iterator::count)
        };
        let error = resolve("public.test", "localhost", "localhost").await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1 is an address of this machine"), "{error}");
        assert!(resolve("loop.test", "localhost", "localhost").await.unwrap() > 0);
        let allow = ["localhost".parse().unwrap()];
        let guard = AddressGuard::new(&url("http://public.test"), &url("http://localhost/x"), &allow);
        let resolver = GuardedResolver { registries: Arc::new(registries()), guard, own: None };
        assert!(resolver.resolve("localhost".parse().unwrap()).await.unwrap().count() > 0);
        // The guard does not apply to the name of a proxy.
        assert!(resolve("public.test", "host.test", "localhost").await.unwrap() > 0);
    }

    #[tokio::test]
    async fn checks_addresses_of_an_own_resolver() {
        struct Fixed(&'static [&'static str]);
        #[async_trait::async_trait]
        impl NameResolver for Fixed {
            async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
                assert_eq!(host, "h.test");
                Ok(self.0.iter().map(|address| address.parse().unwrap()).collect())
            }
        }
        let resolve = async |found, guard: Option<AddressGuard>, registries: &Arc<RegistryAddresses>| {
            let registries = Arc::clone(registries);
            let resolver = GuardedResolver { registries, guard, own: Some(Arc::new(Fixed(found))) };
            let found = resolver.resolve("h.test".parse().unwrap()).await;
            found.map(|found| found.map(|address| address.ip().to_string()).collect::<Vec<_>>())
        };
        let registries = Arc::new(registries());
        let guard = || AddressGuard::new(&url("http://public.test"), &url("http://h.test/x"), &[]);
        let error = resolve(&["10.0.0.1"], guard(), &registries).await.unwrap_err();
        assert!(error.to_string().contains("10.0.0.1 is an address of a private network"), "{error}");
        assert_eq!(resolve(&["10.0.0.1", "8.8.8.8"], guard(), &registries).await.unwrap(), ["8.8.8.8"]);
        assert!(resolve(&[], guard(), &registries).await.is_err());
        // The addresses of a registry itself are recorded, and decide which hosts it may name.
        assert_eq!(resolve(&["10.0.0.1"], None, &registries).await.unwrap(), ["10.0.0.1"]);
        assert_eq!(registries.class_of(&Host::Domain("h.test".to_owned())), AddressClass::Private);
    }
}
