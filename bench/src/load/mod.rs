//! `cargo xtask load`: tests `oras serve` under load, and compares it with distribution.
//!
//! First, many clients push and pull while some of their connections are cut. The chore fails if retries do
//! not help, if acknowledged content is missing, or if the server uses too much memory. Then it measures both
//! servers alternately with a large blob, and with many small blobs. `--dir` selects where the servers store
//! content. On a disk, the results include the cost of flushing.

mod client;
mod index_growth;
mod large_blob;
mod server_process;
mod small_blobs;
mod storm;
mod transfer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command_line::{Given, read_options};
use server_process::Loaded;
use small_blobs::Way;
use xtask::files::ScratchDir;
use xtask::process::{Result, cargo, run as run_command};
use xtask::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask load [options]

  --growth       measure only writes into layouts of 100 to 200,000 entries, and write docs/layout-growth.md
  --quick        only test a debug build for 5 seconds; measure nothing
  --clients N    number of clients that push and pull at once (default 200)
  --seconds N    how long these clients run (default 60)
  --size MIB     size of the large blob (default 1024)
  --runs N       measured transfers of the large blob, after one to warm up (default 5)
  --dir DIR      where the servers store content (default: the directory for temporary files)
  --ours FILE    test this program instead of a new release build";

/// The memory limit of the server while all clients are active.
const MEMORY_MIB: f64 = 128.0;
/// The duration of the small-blob test.
const SMALL: Duration = Duration::from_secs(5);

/// The options of `cargo xtask load`.
struct Options {
    growth: bool,
    quick: bool,
    clients: u64,
    seconds: u64,
    mib: u64,
    runs: usize,
    dir: PathBuf,
    ours: Option<PathBuf>,
}

/// Prints the results. Fails if content was lost, retries failed, or the server used too much memory.
pub(crate) fn run(args: &[String]) -> Result {
    let Some(options) = Options::parse(args)? else {
        println!("{HELP}");
        return Ok(());
    };
    let program = program(&options)?;
    let scratch = ScratchDir::new(&options.dir, "oras-load")?;
    if options.growth {
        let page = index_growth::run(&program, scratch.path())?;
        println!("{page}");
        return xtask::files::write(&xtask::env::root().join(index_growth::PAGE), page);
    }
    let ours = Loaded::ours(&program, scratch.path())?;
    storm(&ours, &options)?;
    if options.quick {
        return Ok(());
    }
    let servers = [ours, Loaded::distribution(scratch.path())?];
    large(&servers, scratch.path(), &options)?;
    many(&servers)?;
    for server in &servers {
        println!("{}: {:.1} MiB of memory at most", server.name, server.peak_mib());
    }
    Ok(())
}

fn program(options: &Options) -> Result<PathBuf> {
    if let Some(file) = &options.ours {
        return Ok(file
            .canonicalize()
            .map_err(|error| format!("cannot find {}: {error}", file.display()))?);
    }
    let profile = if options.quick { "--quiet" } else { "--release" };
    let words: &[&str] = if options.quick { &["--workspace", "--bins"] } else { &["-p", "oras-cli"] };
    run_command(cargo(&["build", profile]).args(words))?;
    let dir = if options.quick { "debug/oras" } else { "release/oras" };
    Ok(Workspace::load()?.target_dir.join(dir))
}

fn storm(server: &Loaded, options: &Options) -> Result {
    let time = Duration::from_secs(options.seconds);
    let storm = storm::run(server, options.clients, time);
    let memory = server.peak_mib();
    println!(
        "{} clients for {} s: {} blobs ({:.1} MiB) and {} manifests pushed, {} pulled, {} cut, {} retried, {} \
         failed; {} acknowledged items checked; {memory:.1} MiB of memory at most",
        options.clients,
        options.seconds,
        storm.pushed,
        storm.bytes as f64 / f64::from(1 << 20),
        storm.manifests,
        storm.pulled,
        storm.cut,
        storm.retried,
        storm.failed,
        storm.checked,
    );
    if storm.failed > 0 {
        return Err(storm.failures.join("\n").into());
    }
    if storm.checked == 0 || storm.pulled == 0 || storm.cut == 0 {
        return Err("the test proves nothing: no item checked, no item pulled, or no connection cut".into());
    }
    if memory > MEMORY_MIB {
        return Err(format!("{memory:.1} MiB of memory, {MEMORY_MIB} allowed").into());
    }
    Ok(())
}

/// Measures pushes and pulls of a large blob, and prints the results.
fn large(servers: &[Loaded], dir: &Path, options: &Options) -> Result {
    let figures = large_blob::run(servers, dir, options.mib, options.runs)?;
    let gib = options.mib as f64 / 1024.0;
    for (way, of) in
        [("push", (|big| big.push) as fn(&large_blob::Big) -> large_blob::Cost), ("pull", |big| big.pull)]
    {
        for (server, figure) in servers.iter().zip(&figures) {
            let (cost, other) = (of(figure), figures.last().map_or_else(|| of(figure), of));
            println!(
                "{way} of {} MiB, {:<12} {:>7.0} MiB/s ({:.2} of distribution's time), {:.2} s of CPU for a GiB ({:.2})",
                options.mib,
                server.name,
                options.mib as f64 / cost.wall.as_secs_f64(),
                cost.wall.as_secs_f64() / other.wall.as_secs_f64(),
                cost.cpu.as_secs_f64() / gib,
                cost.cpu.as_secs_f64() / other.cpu.as_secs_f64().max(0.01),
            );
        }
    }
    Ok(())
}

/// Measures pushes of small blobs, and prints the results.
fn many(servers: &[Loaded]) -> Result {
    let ways =
        servers.iter().map(|server| (server, Way::Two)).chain(servers.first().map(|ours| (ours, Way::One)));
    for (seed, (server, way)) in (1..).zip(ways) {
        let rate = small_blobs::run(server, way, SMALL, seed)?;
        let requests = if way == Way::One { "one request" } else { "two requests" };
        println!(
            "small blobs, {requests}, {:<12} {:>6.0} a second, {:>6.0} for a second of CPU",
            server.name, rate.wall, rate.core
        );
    }
    Ok(())
}

impl Options {
    /// Reads the command line. Returns `None` if help is requested.
    fn parse(args: &[String]) -> Result<Option<Self>> {
        let quick = args.iter().any(|arg| arg == "--quick");
        let mut options = Self {
            growth: args.iter().any(|arg| arg == "--growth"),
            quick,
            clients: 200,
            seconds: if quick { 5 } else { 60 },
            mib: 1024,
            runs: 5,
            dir: std::env::temp_dir(),
            ours: None,
        };
        let is_complete = read_options(args, &["--quick", "--growth"], HELP, |option| {
            let Given { name, value } = option;
            match name {
                "--quick" | "--growth" => {}
                "--clients" => options.clients = option.number()?,
                "--seconds" => options.seconds = option.number()?,
                "--size" => options.mib = option.number()?,
                "--runs" => options.runs = usize::try_from(option.number()?)?,
                "--dir" => options.dir = value.into(),
                "--ours" => options.ours = Some(value.into()),
                _ => return Err(format!("unknown option {name}\n\n{HELP}").into()),
            }
            Ok(())
        })?;
        Ok(is_complete.then_some(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_the_command_line() {
        let options = parse("--quick --clients 20").unwrap().unwrap();
        assert_eq!((options.clients, options.seconds, options.quick), (20, 5, true));
        assert!(parse("--help").unwrap().is_none());
        for (line, said) in
            [("--runs 0", "above 0"), ("--runs", "needs a value"), ("--fast 1", "unknown option")]
        {
            assert!(parse(line).err().unwrap().to_string().contains(said), "{line}");
        }
    }
}
