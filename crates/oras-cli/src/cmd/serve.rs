//! `oras serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use oras::server::{ServerOptions, Tls};
use oras::{GarbageCollection, ProxyOptions, ServeFrom, ServeOptions};

use crate::args::{
    self, RegistryArgs, TransferArgs, flags,
    values::{self, period, size},
};
use crate::failure::Failure;
use crate::print;
use crate::registry_access::RegistryAccess;
use crate::server_log;
use crate::server_summary::{ServerAccess, ServerStorage, ServerSummary};

/// The default address, which only this machine can reach.
const ADDRESS: &str = "127.0.0.1:5000";

/// The default delay of garbage collection. No manifest names the blobs of an image until the end of its push, so a
/// delay shorter than a push would delete them.
const GC_DELAY: Duration = Duration::from_secs(60 * 60);
/// The default limit of open connections.
const MAX_CONNECTIONS: usize = 1024;

/// The number of open files reserved for indexes, locks, downloads of a proxy, and the second file of each mount.
const SPARE_FILES: usize = 128;

flags::flags! {
    /// The arguments of `oras serve`, without those of `upstream_flags`.
    struct ServeArgs {
        addr: Option<String> =
            flags::text("HOST:PORT", "Listen address; port 0 is any free port [default: 127.0.0.1:5000]"),
        memory: bool = flags::switch("Keep everything in memory"),
        memory_size: Option<u64> =
            flags::text("SIZE", "Size limit in memory, such as 2G [default: a quarter of RAM]")
                .value_parser(size),
        read_only: bool = flags::switch("Reject requests that change a repository"),
        no_page: bool = flags::switch("Do not serve the web page at / that lists the content"),
        sparse: bool =
            flags::switch("Accept manifests and indexes with missing blobs or manifests"),
        min_chunk_size: Option<u64> =
            flags::text("SIZE", "Reject smaller chunks except the last, such as 5M; sent to clients")
                .value_parser(size),
        repository: Option<String> =
            flags::text("NAME", "Name of the repository, where the path is one layout"),
        gc_interval: Option<String> = flags::text("DURATION", "Interval of garbage collection, which deletes unneeded blobs"),
        gc_delay: Option<String> =
            flags::text("DURATION", "Keep content written or requested within this time [default: 1h]"),
        gc_untagged: bool = flags::switch("Also delete manifests that no tag reaches"),
        cert_file: Option<String> = flags::text("PATH", "Speak TLS with this certificate (PEM)"),
        key_file: Option<String> = flags::text("PATH", "Key of the certificate (PEM)"),
        htpasswd: Option<String> =
            flags::text("PATH", "Allow only the users of this file, which has bcrypt hashes"),
        anonymous_pull: bool = flags::switch("Allow everybody to pull in spite of --htpasswd"),
        proxy: Vec<String> =
            flags::list("HOST", "Proxy this registry and cache what is pulled; may be repeated"),
        rules: Option<String> =
            flags::text("PATH", "Permissions of the users of --htpasswd by repository (TOML)"),
        public_url: Option<String> =
            flags::text("URL", "URL of this server for clients, if a proxy is in front of it"),
        open_metrics: bool = flags::switch("Allow everybody to read /metrics in spite of --htpasswd"),
        max_connections: Option<i64> = flags::number("Limit of open connections [default: 1024]"),
        words: Vec<String> =
            flags::positional("[<path>]", "Directory of OCI layouts, OCI layout, or tar archive of one"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command_without_debug(
        "serve",
        "Run a registry server backed by OCI layouts or memory",
        concat!(
            "The path is a directory with one OCI layout for each repository below it, which is made if it\n",
            "is not there; or one OCI layout, in a directory or, to be read, in a tar archive. A bundle is\n",
            "served with all of its repositories, to be read. Without a path all is kept in memory. The\n",
            " layouts are plain OCI layouts at any time, also while the server runs.\n\n",
            "The address is printed when clients can connect; the log goes to standard error, one line a\n",
            "request, which is short on a terminal. On SIGTERM and SIGINT the server finishes what it is doing,\n",
            "for ten seconds at most.\n\n",
            "Examples:\n",
            "  oras serve\n",
            "  oras serve --addr 127.0.0.1:8000 registry\n",
            "  oras serve --read-only registry\n",
            "  oras serve --gc-interval 1h registry\n",
            "  oras serve --repository hello backup.tar\n",
            "  oras serve bundle.tar\n",
            "  oras serve --cert-file server.pem --key-file server.key registry\n",
            "  oras serve --htpasswd users --anonymous-pull registry\n",
            "  oras serve --htpasswd users --rules rules.toml registry\n",
            "  oras serve --proxy ghcr.io cache\n",
            "  oras serve --proxy docker.io --proxy ghcr.io cache"
        ),
    )
    .args(ServeArgs::flags(""))
    .args(upstream_flags())
}

/// Returns the flags for the connections to the registries of `--proxy`. There are no flags for secrets, which the list
/// of processes would show while the server runs: `oras login` stores them for each registry.
fn upstream_flags() -> impl Iterator<Item = Arg> {
    const SECRET: [&str; 4] = ["proxy-username", "proxy-password", "proxy-identity-token", "proxy-header"];
    // A proxy never reads `registries.conf`.
    const UNSUPPORTED: &str = "proxy-no-registries-conf";
    let transfer = TransferArgs::flags(flags::UPSTREAM);
    let flags = RegistryArgs::flags(flags::UPSTREAM).into_iter().chain(transfer);
    flags.filter(|flag| !SECRET.contains(&flag.get_id().as_str()) && flag.get_id() != UNSUPPORTED)
}

/// Runs the server until SIGTERM or SIGINT.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    // The log starts first, so that it shows problems during the start.
    server_log::show();
    let args = &ServeArgs::read(matches, "");
    let options = ServeOptions::new(args.addr.as_deref().unwrap_or(ADDRESS), from(args)?)
        .repository(args.repository.clone())
        .garbage_collection(garbage_collection(args)?)
        .proxy(proxy(args, matches)?)
        .server(server_options(args)?);
    // The handlers are installed before the start, because an early signal would end the process at once.
    let stop = stop()?;
    let server = oras::serve(options).await?;
    summary(args, server.local_addr())?.print();
    print::line(format!("listening on {}", server.local_addr()))?;
    server.run(stop).await.map_err(|error| Failure::new(format!("failed to serve: {error}")))
}

/// Returns what the command prints about the server.
fn summary(args: &ServeArgs, address: SocketAddr) -> Result<ServerSummary, Failure> {
    let storage = match from(args)? {
        ServeFrom::Memory { .. } if !args.proxy.is_empty() => {
            ServerStorage::Cache { of: args.proxy.clone(), path: None }
        }
        ServeFrom::Path(path) if !args.proxy.is_empty() => {
            ServerStorage::Cache { of: args.proxy.clone(), path: Some(path) }
        }
        ServeFrom::Memory { max_size } => ServerStorage::Memory { max_size: max_size.unwrap_or(u64::MAX) },
        ServeFrom::Path(path) => ServerStorage::Path(path),
    };
    let access = ServerAccess {
        is_read_only: args.read_only,
        htpasswd: args.htpasswd.clone(),
        rules: args.rules.clone(),
    };
    Ok(ServerSummary {
        address,
        has_tls: args.cert_file.is_some(),
        storage,
        access,
        public_url: args.public_url.clone(),
        has_page: !args.no_page,
    })
}

/// Returns the options of the server itself.
fn server_options(args: &ServeArgs) -> Result<ServerOptions, Failure> {
    let mut options = ServerOptions::default()
        .read_only(args.read_only)
        .sparse(args.sparse)
        .anonymous_pull(args.anonymous_pull)
        .open_metrics(args.open_metrics)
        .max_connections(max_connections(args)?)
        .page(!args.no_page);
    options.htpasswd = htpasswd(args)?;
    options.rules = args.rules.as_ref().map(PathBuf::from);
    options.public_url.clone_from(&args.public_url);
    options.tls = tls(args)?;
    options.min_chunk_size = args.min_chunk_size;
    Ok(options)
}

/// Returns the storage of the server: the path of the layouts, or memory if no path is given.
fn from(args: &ServeArgs) -> Result<ServeFrom, Failure> {
    match args.words.as_slice() {
        [] => Ok(ServeFrom::Memory { max_size: Some(memory_size(args)?) }),
        [_] if args.memory => Err(Failure::new("a path and `--memory` cannot be both used")),
        [_] if args.memory_size.is_some() => {
            Err(Failure::new("`--memory-size` is for a server without a path"))
        }
        [path] => Ok(ServeFrom::Path(path.into())),
        more => Err(Failure::new(format!("\"oras serve\" takes at most 1 argument but got {}", more.len()))),
    }
}

/// Returns the size limit of a server in memory.
fn memory_size(args: &ServeArgs) -> Result<u64, Failure> {
    match args.memory_size {
        Some(0) => Err(Failure::new("`--memory-size` must be more than nothing")),
        Some(size) => Ok(size),
        // The operating system and other programs need memory too.
        None => Ok(memory_of_machine() / 4),
    }
}

/// Returns the size of this machine's memory, or 8 GiB where the system does not report it.
fn memory_of_machine() -> u64 {
    let report = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = report.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.map_or(8 << 30, |kilobytes| kilobytes * 1024)
}

/// Returns the settings of garbage collection, which requires an interval and a writable directory.
fn garbage_collection(args: &ServeArgs) -> Result<Option<GarbageCollection>, Failure> {
    let parse = |flag: &str, given: Option<&String>| {
        let parsed = given.map(|text| period(text)).transpose();
        parsed.map_err(|error| Failure::new(format!("`--{flag}`: {error}")))
    };
    let interval = parse("gc-interval", args.gc_interval.as_ref())?;
    let delay = parse("gc-delay", args.gc_delay.as_ref())?;
    let untagged = args.gc_untagged;
    let Some(interval) = interval else {
        return match delay.is_some() || untagged {
            true => Err(Failure::new("`--gc-delay` and `--gc-untagged` need `--gc-interval`")),
            false => Ok(None),
        };
    };
    if interval.is_zero() {
        return Err(Failure::new("`--gc-interval` must be more than nothing"));
    }
    if args.read_only || args.words.is_empty() {
        return Err(Failure::new("`--gc-interval` needs a directory that is not only read"));
    }
    Ok(Some(GarbageCollection::new(interval, delay.unwrap_or(GC_DELAY)).untagged(untagged)))
}

/// Returns the file of `--htpasswd`. Fails if the flags for permissions contradict each other.
fn htpasswd(args: &ServeArgs) -> Result<Option<PathBuf>, Failure> {
    let (has_users, has_rules) = (args.htpasswd.is_some(), args.rules.is_some());
    let mistake = if args.anonymous_pull && !has_users {
        "`--anonymous-pull` needs `--htpasswd`: without it everybody may do everything"
    } else if has_rules && !has_users {
        "`--rules` needs `--htpasswd`: without users there is nobody to tell apart"
    } else if has_rules && args.anonymous_pull {
        "`--anonymous-pull` and `--rules` cannot be both used: give \"anonymous\" a rule"
    } else {
        return Ok(args.htpasswd.as_ref().map(PathBuf::from));
    };
    Err(Failure::new(mistake))
}

/// Returns the registries of `--proxy`, and the options of the connections to them.
fn proxy(args: &ServeArgs, matches: &ArgMatches) -> Result<Option<ProxyOptions>, Failure> {
    let upstreams = args.proxy.clone();
    if upstreams.is_empty() {
        // A flag without effect is an error, because the user expects it to apply.
        let given = upstream_flags().find(|flag| matches.contains_id(flag.get_id().as_str()));
        return match given {
            Some(flag) => Err(Failure::new(format!("`--{}` needs `--proxy`", flag.get_id()))),
            None => Ok(None),
        };
    }
    let access = RegistryAccess::new(&RegistryArgs::read(matches, flags::UPSTREAM), flags::UPSTREAM)?;
    let mut client = access.options_for(upstreams.iter().map(String::as_str));
    // The client would present the certificate to every registry, but it is meant for only one.
    if upstreams.len() > 1 && client.client_certificate.is_some() {
        return Err(Failure::new("`--proxy-cert-file` is for one registry, and there are several `--proxy`"));
    }
    // A server writes structured log lines, so the warnings of registries become events of the log.
    client.warnings = Some(Arc::new(|registry: &str, text: &str| {
        tracing::warn!(target: "oras_serve::proxy", upstream = registry, text, "an upstream warns");
    }));
    Ok(Some(ProxyOptions::new(upstreams, client)))
}

/// Returns the limit of connections. Each needs two open files: the connection and its content.
fn max_connections(args: &ServeArgs) -> Result<usize, Failure> {
    let files = open_files();
    // Under a low limit of open files at most a quarter is reserved, so that some connections remain.
    let most = (files - SPARE_FILES.min(files / 4)) / 2;
    if args.max_connections.is_none() {
        return Ok(MAX_CONNECTIONS.min(most));
    }
    match values::count(args.max_connections, 0) {
        0 => Err(Failure::new("`--max-connections` must be at least 1")),
        wanted if wanted > most => Err(Failure::new(format!(
            "`--max-connections` can be {most} here at most: a process may have {files} files open"
        ))),
        wanted => Ok(wanted),
    }
}

/// Raises the limit of open files to its maximum, as the Go runtime does, and returns it.
#[cfg(unix)]
fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // If the limit can't be raised, the present one is used.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let current = getrlimit(Resource::Nofile).current;
    current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn open_files() -> usize {
    usize::MAX
}

/// Returns the certificate and the key of the server.
fn tls(args: &ServeArgs) -> Result<Option<Tls>, Failure> {
    match (&args.cert_file, &args.key_file) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Tls::new(certificate, key))),
        _ => Err(Failure::new("`--cert-file` and `--key-file` go together")),
    }
}

/// Returns a future that completes on SIGTERM or SIGINT.
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
