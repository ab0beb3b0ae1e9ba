//! `cargo xtask bench`: compares time, CPU, memory, bytes and requests of `oras` with those of other tools.
//!
//! Only the ratios of one bench are meaningful. Each round runs all tools on the same data and the same
//! registries (distribution, with storage on a memory file system), so a busy or slow machine affects all
//! tools. Each run writes to a new repository or directory. Its result is checked, and removed before the
//! next run.

mod certificate;
mod chart;
mod command_lines;
mod data_files;
mod environment;
mod input;
mod layout;
mod link;
mod machine;
mod measure;
mod memory_growth;
mod options;
mod page;
mod prepared_inputs;
mod registry;
pub(crate) mod report;
mod runner;
mod temporary_disk_use;
mod tool;
mod workload;

use std::path::{Path, PathBuf};

use environment::Scene;
use options::{FLAT, Options};
use prepared_inputs::PreparedInputs;
use registry::Protocol;
use report::WorkloadReport;
use tool::Tool;
use workload::WORKLOADS;
use xtask::files::write;
use xtask::process::{Result, cargo, run as run_command};
use xtask::workspace::Workspace;

pub(crate) use measure::{MEASURE_VERB, measure_child};
pub(crate) use registry::Door;

/// Runs the chosen workloads and prints the table. Writes the samples and the page if the options request
/// them.
pub(crate) fn run(args: &[String]) -> Result {
    let Some(options) = Options::parse(args)? else {
        print!("{}", options::help());
        return Ok(());
    };
    let ours = program(&options)?;
    warn_if_busy();
    let scene = Scene::set_up(&options, ours)?;
    let reports = run_all(&scene, &options)?;
    println!("\n{}", report::table(&reports));
    if let Some(file) = &options.json {
        write(file, format!("{:#}\n", report::json(&reports, options.sizes.big_mib)))?;
    }
    if options.publish {
        let top = xtask::env::root();
        write(&top.join(page::PAGE), page::page(&reports, &options, &machine::describe(&scene)))?;
        write(&top.join(page::CHART), chart::svg(&reports))?;
        println!("wrote {} and {}", page::PAGE, page::CHART);
    }
    let failed = |report: &&WorkloadReport| options.wants_tool(Tool::Ours) && report.of(Tool::Ours).is_none();
    let failed: Vec<&str> = reports.iter().filter(failed).map(|report| report.name.as_str()).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("our own oras could not do {}", failed.join(", ")).into())
    }
}

/// Returns our program, built if necessary.
fn program(options: &Options) -> Result<PathBuf> {
    if let Some(file) = &options.ours {
        return file
            .canonicalize()
            .map_err(|error| format!("cannot find {}: {error}", file.display()).into());
    }
    run_command(&mut cargo(&["build", "--release", "-p", "oras-cli"]))?;
    Ok(Workspace::load()?.target_dir.join("release/oras"))
}

fn run_all(scene: &Scene, options: &Options) -> Result<Vec<WorkloadReport>> {
    let mut reports = Vec::new();
    let mut inputs = PreparedInputs::default();
    for workload in WORKLOADS.iter().filter(|workload| options.wants(|word| workload.is_meant_by(word))) {
        let (tls, single_post) = (options.wants_tls(workload), workload.single_post);
        let others = [(tls, Protocol::Tls), (single_post, Protocol::SinglePost)];
        let others = others.into_iter().filter_map(|(wanted, protocol)| wanted.then_some(protocol));
        for protocol in std::iter::once(Protocol::Plain).chain(others) {
            println!("\n==> {}: {}", workload.name, workload.what);
            scene.clear_results()?;
            inputs.prepare(workload.needs, scene)?;
            let report = runner::run(workload, protocol, scene, options)?;
            if options.wants_tool(Tool::Ours) && !report.tools.iter().any(|tool| tool.tool == Tool::Ours) {
                println!("skipped: ours has no such option yet");
                continue;
            }
            reports.push(report);
            print!("{}", report::table(&reports[reports.len() - 1..]));
        }
    }
    if options.wants(|word| word == FLAT) && options.wants_tool(Tool::Ours) {
        println!("\n==> {FLAT}: peak memory by size");
        inputs.prepare(&[], scene)?;
        reports.extend(memory_growth::run(scene, options)?);
    }
    Ok(reports)
}

/// Prints a warning if the machine is busy.
fn warn_if_busy() {
    let load = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    let minute: f64 = load.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0);
    if minute > 0.5 {
        println!("note: the load of the last minute is {minute}: times will vary, ratios less so");
    }
}
