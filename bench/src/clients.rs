//! `cargo xtask clients`: the same jobs with the library `oras` and with `oci-client`, against one registry.
//!
//! The programs are in `bench/clients`, a workspace of its own. They take turns; each runs once to warm up. Every push
//! goes to a new repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::peers;
use xtask::process::{Result, capture, cargo, run as run_command};

use crate::compare::Door;
use crate::compare::report::markdown;

const HELP: &str = "\
usage: cargo xtask clients [--runs N] [--publish]

Pushes and pulls 512 MiB in one blob and 500 blobs of 4 KiB, with the library `oras` and with `oci-client`, and prints
medians of wall time, CPU time and peak memory. --publish writes docs/clients.md.";

/// The jobs: a name, the number of blobs, and their size in bytes.
const JOBS: [(&str, u64, u64); 2] =
    [("one blob of 512 MiB", 1, 512 << 20), ("500 blobs of 4 KiB", 500, 4096)];
const PROGRAMS: [&str; 2] = ["oras", "oci_client"];
const DEFAULT_RUNS: usize = 5;

/// The cost of one run.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
    peak_mib: f64,
}

/// Runs the verb.
pub(crate) fn run(args: &[String]) -> Result {
    let (mut runs, mut publish) = (DEFAULT_RUNS, false);
    let mut args = args.iter();
    while let Some(option) = args.next() {
        match option.as_str() {
            "--runs" => runs = args.next().ok_or("--runs needs a number")?.parse()?,
            "--publish" => publish = true,
            "--help" => {
                println!("{HELP}");
                return Ok(());
            }
            _ => return Err(format!("unknown option {option}\n\n{HELP}").into()),
        }
    }
    let programs = build()?;
    let dir = PathBuf::from("/dev/shm").join(format!("oras-clients-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let compared = compare(&programs, &dir, runs.max(1));
    std::fs::remove_dir_all(&dir)?;
    let page = page(&compared?, runs);
    println!("{page}");
    if publish {
        xtask::files::write(&xtask::env::root().join("docs/clients.md"), page)?;
    }
    Ok(())
}

/// Builds the programs, and returns their directory.
fn build() -> Result<PathBuf> {
    let package = xtask::env::root().join("bench/clients");
    let mut command = cargo(&["build", "--release", "--locked", "--manifest-path"]);
    run_command(command.arg(package.join("Cargo.toml")))?;
    Ok(package.join("target/release"))
}

/// Returns one row of costs for each job: those of pushes by each program, then those of pulls.
fn compare(programs: &Path, dir: &Path, runs: usize) -> Result<Vec<[Vec<Cost>; 4]>> {
    let registry = peers::find("registry").ok_or("needs the registry of `cargo xtask peers`")?;
    let storage = dir.join("storage");
    std::fs::create_dir_all(&storage)?;
    let door = Door::plain(&registry, dir, &storage)?;
    let host = format!("localhost:{}", door.address().port());
    let mut jobs = Vec::new();
    for (name, count, size) in JOBS {
        eprintln!("==> {name}");
        let mut costs: [Vec<Cost>; 4] = Default::default();
        for round in 0..=runs {
            for (number, program) in PROGRAMS.iter().enumerate() {
                let reference = format!("{host}/{program}-{count}-{round}:v1");
                for (verb, column) in [("push", number), ("pull", 2 + number)] {
                    let cost = measure(&programs.join(program), verb, &reference, (count, size))?;
                    // The first round warms up the registry and the caches.
                    if round > 0 {
                        costs[column].push(cost);
                    }
                }
            }
            // The memory of the machine bounds the number of repositories.
            std::fs::remove_dir_all(storage.join("docker"))?;
        }
        jobs.push(costs);
    }
    Ok(jobs)
}

fn measure(program: &Path, verb: &str, reference: &str, (count, size): (u64, u64)) -> Result<Cost> {
    let mut command = Command::new(program);
    command.args([verb, reference, &count.to_string(), &size.to_string()]);
    let printed = capture(&mut command)?;
    let numbers: Vec<f64> =
        printed.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
    let [wall, cpu, peak_kib] = numbers[..] else {
        return Err(format!("unexpected output: {printed}").into());
    };
    Ok(Cost { wall, cpu, peak_mib: peak_kib / 1024.0 })
}

fn median(costs: &[Cost], value: fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn page(jobs: &[[Vec<Cost>; 4]], runs: usize) -> String {
    let head = [
        "job",
        "wall oras",
        "wall oci-client",
        "ratio",
        "CPU oras",
        "CPU oci-client",
        "ratio",
        "MiB oras",
        "MiB oci-client",
    ];
    let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
    for ((name, ..), costs) in JOBS.iter().zip(jobs) {
        for (verb, column) in [("push", 0), ("pull", 2)] {
            let pair =
                |value: fn(&Cost) -> f64| (median(&costs[column], value), median(&costs[column + 1], value));
            let (wall, cpu, peak) =
                (pair(|cost| cost.wall), pair(|cost| cost.cpu), pair(|cost| cost.peak_mib));
            rows.push(vec![
                format!("{verb} {name}"),
                format!("{:.3} s", wall.0),
                format!("{:.3} s", wall.1),
                format!("{:.2}", wall.0 / wall.1),
                format!("{:.2} s", cpu.0),
                format!("{:.2} s", cpu.1),
                format!("{:.2}", cpu.0 / cpu.1),
                format!("{:.1}", peak.0),
                format!("{:.1}", peak.1),
            ]);
        }
    }
    format!(
        "<!-- Written by `cargo xtask clients --publish`. -->\n# The library beside oci-client\n\n\
         The same jobs with the library `oras` and with `oci-client` 0.18, both with default options, against distribution on \
         one machine with files in memory. The medians of {runs} runs, which take turns. A push sends random bytes from \
         memory and includes hashing; a pull verifies the bytes and discards them. CPU time and memory are those of the \
         program, with the making of the data. The programs are in `bench/clients`.\n\n{}",
        markdown(&rows)
    )
}
