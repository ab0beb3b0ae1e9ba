//! The identity of a client, by which the server divides shared resources between clients.

use std::net::IpAddr;
use std::sync::Arc;

/// A client of the server: a user, or the network of a client that has not logged in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClientId {
    User(Arc<str>),
    Network(IpAddr),
}

impl ClientId {
    /// Identifies a client that has not logged in.
    pub(crate) fn of_address(address: IpAddr) -> Self {
        Self::Network(client_network(address))
    }
}

/// Returns the network that counts as one client: an IPv4 address, or the /64 network of an IPv6 address, because one
/// host can use all addresses of it.
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    // A socket for both versions reports IPv4 clients as mapped IPv6 addresses.
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_an_ipv4_address_or_an_ipv6_network() {
        let network = |text: &str| client_network(text.parse().unwrap()).to_string();
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }
}
