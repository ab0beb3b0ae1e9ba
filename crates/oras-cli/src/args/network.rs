//! Flags that say how the network is used, none of which the Go tool has.

use clap::{Arg, ArgMatches};
use oras::remote::{AllowedHost, ClientOptions};

use super::flags::{EXTENSIONS, list};

/// The flags; `prefix` is `from-` or `to-` for `cp`.
pub(crate) fn flags(prefix: &str) -> Vec<Arg> {
    let name = |name: &str| format!("{prefix}{name}");
    let flags = [list(
        name("allow-host"),
        "HOST[:PORT]",
        "Follow the registry to this host although it is on this machine or in a private network",
    )
    .value_parser(|text: &str| text.parse::<AllowedHost>().map_err(|error| error.chain()))];
    flags.into_iter().map(|flag| flag.help_heading(EXTENSIONS)).collect()
}

/// Takes over what those flags say.
pub(crate) fn apply(matches: &ArgMatches, prefix: &str, options: &mut ClientOptions) {
    if let Ok(Some(hosts)) = matches.try_get_many::<AllowedHost>(&format!("{prefix}allow-host")) {
        options.allowed_hosts = hosts.cloned().collect();
    }
}
