//! Hosts that are reached without a proxy, by the rules of the Go tool (`golang.org/x/net/http/httpproxy`).

use std::net::IpAddr;

use url::{Host, Url};

/// The entries of `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoProxy(Vec<NoProxyEntry>);

#[derive(Clone, Debug)]
struct NoProxyEntry {
    pattern: HostPattern,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum HostPattern {
    Anywhere,
    Network(IpAddr, u8),
    /// A name in lower case, and whether it matches itself or only its subdomains.
    Name {
        name: String,
        includes_self: bool,
    },
}

impl NoProxy {
    /// Parses a comma-separated list of `*`, `host` (with its subdomains), `.suffix` and `*.suffix` (subdomains
    /// only), addresses and `address/bits`. A port may follow a name or an address. Invalid entries are skipped.
    pub(crate) fn parse(list: &str) -> Self {
        Self(
            list.split(',')
                .filter_map(|entry| NoProxyEntry::parse(&entry.trim().to_ascii_lowercase()))
                .collect(),
        )
    }

    /// Returns true if `url` is reached without a proxy.
    pub(crate) fn covers(&self, url: &Url) -> bool {
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|port| url.port_or_known_default() == Some(port))
                && entry.pattern.matches(url)
        })
    }
}

impl NoProxyEntry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self { pattern: HostPattern::Anywhere, port: None });
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
            let fits = bits <= if address.is_ipv4() { 32 } else { 128 };
            return fits.then_some(Self { pattern: HostPattern::Network(address, bits), port: None });
        }
        let (host, port) = split_port(text);
        let port = port.map(str::parse).transpose().ok()?;
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            // 128 bits are the whole address; `is_within` lowers the number for IPv4.
            return Some(Self { pattern: HostPattern::Network(address, 128), port });
        }
        let below = host.strip_prefix("*.").or_else(|| host.strip_prefix('.'));
        let name = below.unwrap_or(host).to_owned();
        (!name.is_empty())
            .then_some(Self { pattern: HostPattern::Name { name, includes_self: below.is_none() }, port })
    }
}

impl HostPattern {
    fn matches(&self, url: &Url) -> bool {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        match (self, address) {
            (Self::Anywhere, _) => true,
            (Self::Network(network, bits), Some(address)) => is_within(address, *network, *bits),
            (Self::Name { name, includes_self }, None) => {
                let host = url.host_str().unwrap_or_default();
                let above = host.strip_suffix(name.as_str());
                above
                    .is_some_and(|above| if above.is_empty() { *includes_self } else { above.ends_with('.') })
            }
            _ => false,
        }
    }
}

/// Splits `host:port`. A second colon without brackets belongs to an IPv6 address, not to a port.
pub(crate) fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Returns true if the first `bits` of both addresses are equal.
fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    // An IPv4 address may be written in its mapped IPv6 form; both are the same host.
    match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = (address.to_bits() ^ network.to_bits()).leading_zeros();
            differing >= u32::from(bits.min(32))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = (address.to_bits() ^ network.to_bits()).leading_zeros();
            differing >= u32::from(bits.min(128))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_all_forms_of_entries() {
        for (list, past, through) in [
            ("", "", "a.test 10.0.0.1"),
            ("*", "a.test 10.0.0.1 [::1]:80", ""),
            ("a.test", "a.test A.TEST:81 x.a.test", "b.test xa.test a.test.b"),
            (".a.test", "x.a.test", "a.test xa.test"),
            ("*.a.test", "x.a.test x.y.a.test", "a.test"),
            (" b.test , a.test:81", "a.test:81 x.a.test:81 b.test", "a.test a.test:82"),
            ("10.0.0.0/8,fd00::/8", "10.1.2.3 [fd12::1]:5000", "11.0.0.1 [fe80::1] a.test"),
            ("10.0.0.1,10.0.0.2:81", "10.0.0.1 10.0.0.2:81", "10.0.0.2 10.0.0.3"),
            ("[fd00::1]:81,fd00::2", "[fd00::1]:81 [fd00::2]", "[fd00::1]"),
            ("10.0.0.0/33,a.test:x,/,:80,.", "", "10.0.0.1 a.test"),
        ] {
            let parsed = NoProxy::parse(list);
            let covers = |host: &str| parsed.covers(&Url::parse(&format!("http://{host}/v2/")).unwrap());
            assert!(past.split_whitespace().all(covers), "{list}: {past}");
            assert!(!through.split_whitespace().any(covers), "{list}: {through}");
        }
    }
}
