//! Flags for timeouts, limits and rules of network connections. The Go tool does not have these flags.

use std::time::Duration;

use oras::remote::{AllowedHost, ClientOptions, HttpVersion, RateLimit, RegistriesConf};

use super::flags::{self, list, switch, text};
use super::values::{duration, http_version, size};
use crate::env;
use crate::failure::Failure;

/// The advice for an unreadable `registries.conf`.
const UNREADABLE: &str = "Please correct that file, or leave it out by --no-registries-conf (cp: --from-no-registries-conf, --to-no-registries-conf)";

flags::flags! {
    /// Timeouts, limits and rules of the connections to a registry.
    struct NetworkArgs {
        allow_host: Vec<AllowedHost> = list(
            "HOST[:PORT]",
            "Follow the registry to this host although it is on this machine or in a private network",
        )
        .value_parser(|text: &str| text.parse::<AllowedHost>().map_err(|error| error.chain())),
        connect_timeout: Option<Duration> =
            text("DURATION", "Give up a connection that is not made in this time [default: 30s]")
                .value_parser(duration),
        idle_timeout: Option<Duration> =
            text("DURATION", "Give up a transfer that stalls for this time [default: 1m]")
                .value_parser(duration),
        http_version: Option<HttpVersion> = text(
            "VERSION",
            "Speak HTTP 1.1 or 2 [default: 1.1, or 2 with servers that speak nothing else]",
        )
        .value_parser(http_version),
        // Only the commands with `TransferArgs` declare these two flags.
        connections: Option<u16>,
        limit_rate: Option<RateLimit>,
        max_manifest_size: Option<u64> =
            text("SIZE", "Read manifests up to this size, for example 16MiB [default: 4MiB]")
                .value_parser(size),
        no_registries_conf: bool =
            switch("Do as if there were no registries.conf: no mirrors, nothing blocked"),
    }
}

flags::flags! {
    /// The flags of commands that transfer blobs. [`NetworkArgs`] reads them.
    struct TransferArgs {
        _connections: Option<u16> = text(
            "N",
            "Fetch a big blob over up to N connections to a registry where one is slow; 1: never [default: 8]",
        )
        .value_parser(clap::value_parser!(u16).range(1..=64)),
        _limit_rate: Option<RateLimit> = text(
            "RATE",
            "Move no more bytes of blobs in a second, all transfers together, for example 500k or 10M",
        )
        .value_parser(|text: &str| size(text).map(RateLimit::per_second)),
    }
}

impl NetworkArgs {
    /// Sets the options that these flags and `registries.conf` describe. A proxy does not read that file: it may
    /// declare the proxy as a mirror, and the proxy would then send requests to itself.
    pub(crate) fn apply(&self, options: &mut ClientOptions, is_for_proxy: bool) -> Result<(), Failure> {
        options.allowed_hosts.extend(self.allow_host.iter().cloned());
        options.connect_timeout = self.connect_timeout.unwrap_or(options.connect_timeout);
        options.idle_timeout = self.idle_timeout.unwrap_or(options.idle_timeout);
        options.http_version = self.http_version.unwrap_or(options.http_version);
        options.parallel.connections = self.connections.map_or(options.parallel.connections, usize::from);
        // All clones of a rate limit share one budget, so the limit holds for the sum of all transfers of these flags.
        options.limit_rate = self.limit_rate.clone();
        options.max_manifest_size = self.max_manifest_size.unwrap_or(options.max_manifest_size);
        // The client stores the state of uploads there, so that a later run can resume them.
        options.unfinished_uploads = env::unfinished_uploads();
        if !is_for_proxy && !self.no_registries_conf {
            let advise = |error| Failure::from(error).advise(UNREADABLE);
            options.registries = RegistriesConf::system().map_err(advise)?.into();
        }
        Ok(())
    }
}
