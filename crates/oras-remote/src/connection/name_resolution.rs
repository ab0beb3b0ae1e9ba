//! How a client finds the addresses of a host: overrides, and a resolver of the program.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;

/// Resolves the names of hosts, in place of the system's resolver.
///
/// The client also resolves the hosts that a registry names in this way, and the names of HTTP proxies. The guard
/// against private addresses ([`AddressClass`](crate::AddressClass)) checks the results like those of the system.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
///
/// use async_trait::async_trait;
/// use oras_remote::{ClientOptions, NameResolver};
///
/// /// Knows the registries of a test network.
/// struct TestNetwork;
///
/// #[async_trait]
/// impl NameResolver for TestNetwork {
///     async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
///         match host {
///             "registry.test" => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
///             _ => Err(std::io::ErrorKind::NotFound.into()),
///         }
///     }
/// }
/// let options = ClientOptions::default().resolver(TestNetwork);
/// # let _ = options;
/// ```
#[async_trait]
pub trait NameResolver: Send + Sync {
    /// Returns the addresses of `host`. The client tries them in this order.
    ///
    /// # Errors
    /// If the name can't be resolved. An empty list has the same effect.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The address to connect to for a host and port. Use it to reach a registry whose name is not in the DNS yet, or to
/// test one server behind a shared name. [`ClientOptions::resolve`](crate::ClientOptions) holds the overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolveOverride {
    /// The host in the reference.
    pub host: String,
    /// The port in the reference.
    pub port: u16,
    /// The address to connect to.
    pub address: IpAddr,
    /// The port to connect to.
    pub address_port: u16,
}

impl ResolveOverride {
    /// Creates an override: connections to `port` of `host` go to `address` instead.
    pub fn new(host: impl Into<String>, port: u16, address: SocketAddr) -> Self {
        Self { host: host.into(), port, address: address.ip(), address_port: address.port() }
    }
}
