//! Flags that say how the network is used, none of which the Go tool has.

use std::time::Duration;

use clap::{Arg, ArgMatches};
use oras::remote::{AllowedHost, ClientOptions, HttpVersion, RateLimit, RegistriesConf};

use super::flags::{EXTENSIONS, Matches, UPSTREAM, list, switch, text};
use crate::env;
use crate::error::Failure;

/// What to do about a file that can't be used.
const UNREADABLE: &str = "Please correct that file, or leave it out by --no-registries-conf (cp: --from-no-registries-conf, --to-no-registries-conf)";

/// The flags; `prefix` is `from-` or `to-` for `cp`.
pub(crate) fn flags(prefix: &str) -> Vec<Arg> {
    let name = |name: &str| format!("{prefix}{name}");
    let flags = [
        list(
            name("allow-host"),
            "HOST[:PORT]",
            "Follow the registry to this host although it is on this machine or in a private network",
        )
        .value_parser(|text: &str| text.parse::<AllowedHost>().map_err(|error| error.chain())),
        text(
            name("connect-timeout"),
            "DURATION",
            "Give up a connection that is not made in this time [default: 30s]",
        )
        .value_parser(duration),
        text(name("idle-timeout"), "DURATION", "Give up a transfer that stalls for this time [default: 1m]")
            .value_parser(duration),
        text(
            name("http-version"),
            "VERSION",
            "Speak HTTP 1.1 or 2 [default: 1.1, or 2 with servers that speak nothing else]",
        )
        .value_parser(version),
        text(
            name("connections"),
            "N",
            "Fetch a big blob over up to N connections to a registry where one is slow; 1: never [default: 8]",
        )
        .value_parser(clap::value_parser!(u16).range(1..=64)),
        text(
            name("limit-rate"),
            "RATE",
            "Move no more bytes of blobs in a second, all transfers together, for example 500k or 10M",
        )
        .value_parser(|text: &str| size(text).map(RateLimit::per_second)),
        text(
            name("max-manifest-size"),
            "SIZE",
            "Read manifests up to this size, for example 16MiB [default: 4MiB]",
        )
        .value_parser(size),
        switch(
            name("no-registries-conf"),
            "Do as if there were no registries.conf: no mirrors, nothing blocked",
        ),
    ];
    flags.into_iter().map(|flag| flag.help_heading(EXTENSIONS)).collect()
}

/// Takes over what those flags say, and the files that one of them turns off.
pub(crate) fn apply(matches: &ArgMatches, prefix: &str, options: &mut ClientOptions) -> Result<(), Failure> {
    let name = |name: &str| format!("{prefix}{name}");
    if let Ok(Some(hosts)) = matches.try_get_many::<AllowedHost>(&name("allow-host")) {
        options.allowed_hosts = hosts.cloned().collect();
    }
    let duration = |flag: &str| matches.try_get_one::<Duration>(&name(flag)).ok().flatten().copied();
    if let Some(timeout) = duration("connect-timeout") {
        options.connect_timeout = timeout;
    }
    if let Some(timeout) = duration("idle-timeout") {
        options.idle_timeout = timeout;
    }
    if let Ok(Some(version)) = matches.try_get_one::<HttpVersion>(&name("http-version")) {
        options.http_version = *version;
    }
    if let Ok(Some(connections)) = matches.try_get_one::<u16>(&name("connections")) {
        options.parallel.connections = usize::from(*connections);
    }
    // Clones share one budget: this is the only one of the command, or of its side.
    if let Ok(Some(limit)) = matches.try_get_one::<RateLimit>(&name("limit-rate")) {
        options.limit_rate = Some(limit.clone());
    }
    if let Ok(Some(size)) = matches.try_get_one::<u64>(&name("max-manifest-size")) {
        options.max_manifest_size = *size;
    }
    options.unfinished_uploads = env::unfinished_uploads();
    // A rule for reading a registry elsewhere may lead back to the proxy that it is read through.
    if prefix != UPSTREAM && !matches.on(&name("no-registries-conf")) {
        let (file, directories) = env::registries_conf();
        let advise = |error| Failure::from(error).advise(UNREADABLE);
        options.registries = RegistriesConf::load(file.as_deref(), &directories).map_err(advise)?.into();
    }
    Ok(())
}

fn version(text: &str) -> Result<HttpVersion, String> {
    match text {
        "1" | "1.1" => Ok(HttpVersion::Http1),
        "2" | "2.0" => Ok(HttpVersion::Http2),
        _ => Err(format!("unknown version of HTTP: {text}\nAvailable options: 1.1, 2")),
    }
}

/// Parses a time to wait: more than nothing.
fn duration(text: &str) -> Result<Duration, String> {
    // A timeout beyond that is none, and would not fit where it is added to a time.
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
    match period(text)? {
        Duration::ZERO => Err(format!("invalid duration {text:?}: expecting for example 30s or 2m")),
        period => Ok(period.min(LONGEST)),
    }
}

/// Parses `30s`, `1m30s`, `500ms`, `1.5h` as Go does, `7d`, and a number as seconds.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration {text:?}: expecting for example 30s or 2m");
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 24.0 * 3600.0,
            "" if number.len() == text.len() => 1.0,
            _ => return Err(invalid()),
        };
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| invalid())?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    if text.is_empty() { Err(invalid()) } else { Ok(total) }
}

/// Parses `4194304`, `16MiB`, `16M`, `1.5 GiB`, `2GB`; one letter is a binary unit, as `dd` has it.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid size {text:?}: expecting for example 16MiB");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(invalid()),
    };
    match number.split_once('.') {
        None => {
            let number: u64 = number.parse().map_err(|_| invalid())?;
            number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(invalid)
        }
        // Three digits of a fraction are more than anybody writes.
        Some((whole, fraction)) if (1..=3).contains(&fraction.len()) => {
            let scale = 10_u64.pow(u32::try_from(fraction.len()).unwrap_or(1));
            let digits: u64 = format!("{whole}{fraction}").parse().map_err(|_| invalid())?;
            digits.checked_mul(factor).map(|size| size / scale).filter(|size| *size > 0).ok_or_else(invalid)
        }
        Some(_) => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
            ("1d1h", 90_000_000),
            ("45", 45_000),
            ("999999h", 604_800_000),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "0", "0s", "-1s", "s", "1x", "1m30", "1..s", "9e9s", "1s ", "999999999999999999999h"]
        {
            assert!(duration(text).unwrap_err().starts_with("invalid duration"), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("4194304", 4 << 20),
            ("16MiB", 16 << 20),
            ("16m", 16 << 20),
            ("1.5 GiB", 3 << 29),
            ("2KB", 2000),
            ("0.5k", 512),
            ("7B", 7),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "0", "-1", "MiB", "1XB", "1.2345M", "1.", "99999999999999999999", "99999999999G"] {
            assert!(size(text).unwrap_err().starts_with("invalid size"), "{text}");
        }
    }
}
