//! Classes of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an address, which decides whether a registry may name it. [`AddressRefused`](crate::AddressRefused)
/// contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// An address on the internet.
    Public,
    /// A private network: RFC 1918, shared addresses of providers, unique local addresses.
    Private,
    /// This machine.
    Loopback,
    /// An address that a registry never has a reason to name: link-local, metadata services of clouds, broadcast,
    /// multicast, reserved and unspecified addresses.
    Forbidden,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Private => "an address of a private network",
            Self::Loopback => "an address of this machine",
            Self::Forbidden => "a link-local or reserved address",
        })
    }
}

/// Metadata services outside of link-local addresses: Alibaba, Oracle, Azure, and AWS over IPv6.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Returns the class of an address. An IPv6 address that embeds an IPv4 address has the class of the latter.
pub(crate) fn classify(address: IpAddr) -> AddressClass {
    match address {
        _ if METADATA.contains(&address) => AddressClass::Forbidden,
        IpAddr::V4(address) => classify_v4(address),
        // Otherwise a registry could reach a private IPv4 address by its IPv6 form.
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => classify(IpAddr::V4(inner)),
            None => classify_v6(address),
        },
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let [first, second, ..] = address.octets();
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    // 0.0.0.0/8, and the reserved addresses including broadcast.
    if first == 0 || first >= 240 || address.is_link_local() || address.is_multicast() {
        return AddressClass::Forbidden;
    }
    // Shared addresses of providers (100.64.0.0/10) and of benchmark networks (198.18.0.0/15).
    let is_shared = first == 100 && second & 0xc0 == 0x40;
    let is_benchmark = first == 198 && second & 0xfe == 18;
    if address.is_private() || is_shared || is_benchmark {
        AddressClass::Private
    } else {
        AddressClass::Public
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    if address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local() {
        return AddressClass::Forbidden;
    }
    // Unique local addresses and the deprecated site-local ones (fec0::/10).
    let is_site_local = address.segments()[0] & 0xffc0 == 0xfec0;
    if address.is_unique_local() || is_site_local { AddressClass::Private } else { AddressClass::Public }
}

/// Returns the embedded IPv4 address: mapped, compatible, NAT64 or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // `::1` and `::` look like compatible addresses but are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_addresses() {
        use AddressClass::{Forbidden, Loopback, Private, Public};
        for (class, addresses) in [
            (
                Public,
                "8.8.8.8 1.0.0.1 172.15.255.255 172.32.0.1 100.63.0.1 100.128.0.1 169.253.0.1 192.169.0.1 \
                 223.255.255.255 2001:db8::1 2606:4700::1 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1",
            ),
            (
                Private,
                "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 \
                 198.19.0.1 fc00::1 fd12::1 fec0::1 ::ffff:10.0.0.1 ::ffff:a00:1 ::a00:1 64:ff9b::c0a8:101 \
                 2002:a00:1::1 ::ffff:0:10.0.0.1",
            ),
            (Loopback, "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 ::7f00:1 64:ff9b::7f00:1"),
            (
                Forbidden,
                "0.0.0.0 0.1.2.3 169.254.169.254 224.0.0.1 240.0.0.1 255.255.255.255 :: fe80::1 febf::1 ff02::1 \
                 ::ffff:169.254.169.254 ::a9fe:a9fe 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1 ::ffff:0.0.0.0 \
                 100.100.100.200 ::ffff:100.100.100.200 192.0.0.192 168.63.129.16 fd00:ec2::254",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(classify(address.parse().unwrap()), class, "{address}");
            }
        }
    }
}
