//! `oras serve`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use oras::server::{Options, Tls};
use oras::{GarbageCollection, ProxyOptions, ServeFrom, ServeOptions};

use crate::access_log;
use crate::args;
use crate::args::flags::{self, Matches};
use crate::args::network::size;
use crate::error::Failure;
use crate::output::Printer;
use crate::remote::Remote;

/// Where it listens unless it is told: reached from this machine alone.
const ADDRESS: &str = "127.0.0.1:5000";

/// How long what nobody needs is kept unless it is told: longer than clients take to push an image.
const DELAY: Duration = Duration::from_secs(60 * 60);
/// Connections that may be open at once unless it is told.
const MAX_CONNECTIONS: usize = 1024;

/// Open files that are for neither connections nor their content: indexes, locks, downloads of a proxy, second files of
/// mounts.
const SPARE_FILES: usize = 128;

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "serve",
        "Be a registry: keep repositories in OCI layouts, or in memory",
        concat!(
            "The path is a directory with one OCI layout for each repository below it, which is made if it\n",
            "is not there; or one OCI layout, in a directory or, to be read, in a tar archive. Without a path\n",
            "all is kept in memory. The layouts are plain OCI layouts at any time, also while the server runs.\n\n",
            "The address is printed when clients can connect; the log goes to standard error, one line a\n",
            "request. On SIGTERM and SIGINT the server finishes what it is doing, for ten seconds at most.\n\n",
            "Examples:\n",
            "  oras serve\n",
            "  oras serve --addr 127.0.0.1:8000 registry\n",
            "  oras serve --read-only registry\n",
            "  oras serve --gc-interval 1h registry\n",
            "  oras serve --repository hello backup.tar\n",
            "  oras serve --cert-file server.pem --key-file server.key registry\n",
            "  oras serve --htpasswd users --anonymous-pull registry\n",
            "  oras serve --htpasswd users --rules rules.toml registry\n",
            "  oras serve --proxy ghcr.io cache\n",
            "  oras serve --proxy docker.io --proxy ghcr.io cache"
        ),
    )
    .args([
        flags::text("addr", "HOST:PORT", "Listen there; port 0 is any free port [default: 127.0.0.1:5000]"),
        flags::switch("memory", "Keep everything in memory"),
        flags::text("memory-size", "SIZE", "Keep at most so much there (as 2G) [default: a quarter of RAM]")
            .value_parser(size),
        flags::switch("read-only", "Refuse what changes a repository"),
        flags::switch("no-page", "Leave out the web page at / that shows what is there"),
        flags::switch("sparse", "Take manifests and indexes whose blobs and manifests are not all there"),
        flags::text("min-chunk-size", "SIZE", "Refuse smaller chunks but for the last (as 5M), and tell clients")
            .value_parser(size),
        flags::text("repository", "NAME", "Name of the repository, where the path is one layout"),
        flags::text("gc-interval", "DURATION", "So often remove blobs that no manifest needs"),
        flags::text("gc-delay", "DURATION", "Keep what was written or asked for within this time [default: 1h]"),
        flags::switch("gc-untagged", "Remove manifests that no tag reaches, too"),
        flags::text("cert-file", "PATH", "Speak TLS with this certificate (PEM)"),
        flags::text("key-file", "PATH", "Key of the certificate (PEM)"),
        flags::text("htpasswd", "PATH", "Let in the users of this file only; its hashes are bcrypt's"),
        flags::switch("anonymous-pull", "Let everybody read where --htpasswd lets in users only"),
        flags::list("proxy", "HOST", "Be a proxy of this registry, and keep what is pulled; may be repeated"),
        flags::text("rules", "PATH", "Who of --htpasswd may do what in which repositories (TOML)"),
        flags::text("public-url", "URL", "What clients call this server, where a proxy is in front of it"),
        flags::switch("open-metrics", "Let everybody read /metrics where --htpasswd lets in users only"),
        flags::number("max-connections", "Connections that may be open at once [default: 1024]"),
        flags::positional("[<path>]", "Directory of OCI layouts, OCI layout, or tar archive of one"),
    ])
    .args(upstream_flags())
}

/// How the registries of `--proxy` are reached. Without secrets, which everybody on the machine would see as long as
/// the server runs: those are where `oras login` keeps them, each for its registry.
fn upstream_flags() -> impl Iterator<Item = Arg> {
    const SECRET: [&str; 4] = ["proxy-username", "proxy-password", "proxy-identity-token", "proxy-header"];
    // Those files are not read.
    const NOT_HEEDED: &str = "proxy-no-registries-conf";
    let flags = flags::remote(flags::UPSTREAM).into_iter();
    flags.filter(|flag| !SECRET.contains(&flag.get_id().as_str()) && flag.get_id() != NOT_HEEDED)
}

/// Runs it until it is told to stop.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    access_log::show(*printer);
    let options = ServeOptions {
        address: matches.text("addr").unwrap_or_else(|| ADDRESS.to_owned()),
        from: from(matches)?,
        repository: matches.text("repository"),
        garbage_collection: garbage_collection(matches)?,
        proxy: proxy(matches, printer)?,
        server: Options {
            read_only: matches.on("read-only"),
            sparse: matches.on("sparse"),
            htpasswd: htpasswd(matches)?,
            anonymous_pull: matches.on("anonymous-pull"),
            rules: rules(matches)?,
            public_url: matches.text("public-url"),
            open_metrics: matches.on("open-metrics"),
            max_connections: max_connections(matches)?,
            tls: tls(matches)?,
            page: !matches.on("no-page"),
            min_chunk_size: matches.get_one::<u64>("min-chunk-size").copied(),
            ..Options::default()
        },
    };
    // From the beginning, or a signal that comes early would end the process at once.
    let stop = stop()?;
    let server = oras::serve(options).await?;
    printer.line(format!("listening on {}", server.local_addr()))?;
    server.run(stop).await.map_err(|error| Failure::new(format!("failed to serve: {error}")))
}

/// Reads the path, or the limit of a server in memory.
fn from(matches: &ArgMatches) -> Result<ServeFrom, Failure> {
    match matches.words().as_slice() {
        [] => Ok(ServeFrom::Memory { max_size: Some(memory_size(matches)?) }),
        [_] if matches.on("memory") => Err(Failure::new("a path and `--memory` cannot be both used")),
        [_] if matches.given("memory-size") => {
            Err(Failure::new("`--memory-size` is for a server without a path"))
        }
        [path] => Ok(ServeFrom::Path(path.into())),
        more => Err(Failure::new(format!("\"oras serve\" takes at most 1 argument but got {}", more.len()))),
    }
}

/// Reads `--memory-size`.
fn memory_size(matches: &ArgMatches) -> Result<u64, Failure> {
    match matches.get_one::<u64>("memory-size").copied() {
        Some(0) => Err(Failure::new("`--memory-size` must be more than nothing")),
        Some(size) => Ok(size),
        None => Ok(ram() / 4),
    }
}

/// Returns the memory of this machine, or 8 GiB where Linux does not report it.
fn ram() -> u64 {
    let report = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = report.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.map_or(8 << 30, |kilobytes| kilobytes * 1024)
}

/// Reads the flags `--gc-*`.
fn garbage_collection(matches: &ArgMatches) -> Result<Option<GarbageCollection>, Failure> {
    let period = |flag| {
        let parsed = matches.text(flag).map(|text| args::network::period(&text)).transpose();
        parsed.map_err(|error| Failure::new(format!("`--{flag}`: {error}")))
    };
    let (interval, delay, untagged) =
        (period("gc-interval")?, period("gc-delay")?, matches.on("gc-untagged"));
    let Some(interval) = interval else {
        return match delay.is_some() || untagged {
            true => Err(Failure::new("`--gc-delay` and `--gc-untagged` need `--gc-interval`")),
            false => Ok(None),
        };
    };
    if interval.is_zero() {
        return Err(Failure::new("`--gc-interval` must be more than nothing"));
    }
    if matches.on("read-only") || matches.words().is_empty() {
        return Err(Failure::new("`--gc-interval` needs a directory that is not only read"));
    }
    Ok(Some(GarbageCollection { interval, delay: delay.unwrap_or(DELAY), untagged }))
}

/// The file of `--htpasswd`.
fn htpasswd(matches: &ArgMatches) -> Result<Option<PathBuf>, Failure> {
    let htpasswd = matches.text("htpasswd").map(PathBuf::from);
    if htpasswd.is_none() && matches.on("anonymous-pull") {
        let message = "`--anonymous-pull` needs `--htpasswd`: without it everybody may do everything";
        return Err(Failure::new(message));
    }
    Ok(htpasswd)
}

/// The registries of `--proxy`, and how they are reached.
fn proxy(matches: &ArgMatches, printer: &Printer) -> Result<Option<ProxyOptions>, Failure> {
    let upstreams = matches.list("proxy");
    if upstreams.is_empty() {
        let given = upstream_flags().find(|flag| matches.given(flag.get_id().as_str()));
        return match given {
            Some(flag) => Err(Failure::new(format!("`--{}` needs `--proxy`", flag.get_id()))),
            None => Ok(None),
        };
    }
    let mut client = Remote::new(matches, flags::UPSTREAM, printer)?.options;
    if upstreams.len() > 1 && client.client_certificate.is_some() {
        return Err(Failure::new("`--proxy-cert-file` is for one registry, and there are several `--proxy`"));
    }
    client.warnings = Some(Arc::new(|registry: &str, text: &str| {
        tracing::warn!(target: "oras_serve::proxy", upstream = registry, text, "an upstream warns");
    }));
    Ok(Some(ProxyOptions { upstreams, client }))
}

/// The connections of `--max-connections`, for which there must be files, too: one each and as many for content.
fn max_connections(matches: &ArgMatches) -> Result<usize, Failure> {
    let files = open_files();
    let most = (files - SPARE_FILES.min(files / 4)) / 2;
    if !matches.given("max-connections") {
        return Ok(MAX_CONNECTIONS.min(most));
    }
    match matches.count("max-connections", 0) {
        0 => Err(Failure::new("`--max-connections` must be at least 1")),
        wanted if wanted > most => {
            let message = format!(
                "`--max-connections` can be {most} here at most: a process may have {files} files open"
            );
            Err(Failure::new(message))
        }
        wanted => Ok(wanted),
    }
}

/// The files that this process may have open: as many as it is allowed to ask for, as programs in Go have.
#[cfg(unix)]
fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // What can't be had is not there; the limit before is asked for below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let current = getrlimit(Resource::Nofile).current;
    current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn open_files() -> usize {
    usize::MAX
}

/// The file of `--rules`, which say alone what everybody may do.
fn rules(matches: &ArgMatches) -> Result<Option<PathBuf>, Failure> {
    let rules = matches.text("rules").map(PathBuf::from);
    if rules.is_some() && matches.text("htpasswd").is_none() {
        return Err(Failure::new(
            "`--rules` needs `--htpasswd`: without users there is nobody to tell apart",
        ));
    }
    if rules.is_some() && matches.on("anonymous-pull") {
        let message = "`--anonymous-pull` and `--rules` cannot be both used: give \"anonymous\" a rule";
        return Err(Failure::new(message));
    }
    Ok(rules)
}

fn tls(matches: &ArgMatches) -> Result<Option<Tls>, Failure> {
    match (matches.text("cert-file"), matches.text("key-file")) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Tls { certificate: certificate.into(), key: key.into() })),
        _ => Err(Failure::new("`--cert-file` and `--key-file` go together")),
    }
}

/// Ready when the process is told to end.
#[cfg(unix)]
fn stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen =
        |kind| signal(kind).map_err(|error| Failure::new(format!("failed to listen to signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
fn stop() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
