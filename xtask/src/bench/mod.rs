//! `cargo xtask bench`: time, CPU and memory of `oras`, side by side with every other tool that can do the job.
//!
//! Ratios of one run are what counts: the tools take turns on the same data and the same registries (distribution,
//! storage on a memory file system), so that a busy or a slow machine is busy and slow for all of them. Each run
//! writes to a new repository or directory, its result is checked, and it is removed before the next one.

mod cases;
mod data;
mod measure;
mod options;
mod registry;
mod report;
mod scene;

use std::path::Path;

use crate::files::write;
use crate::process::{Result, cargo, run as run_command};
use crate::tidy::workspace::Workspace;
use cases::{CASES, Case, Tool};
use measure::Sample;
use options::Options;
use report::{CaseReport, ToolReport};
use scene::Scene;

pub(crate) use measure::{MEASURE_VERB, measure_child};

/// Runs the chosen cases, prints the table, and writes the samples as JSON when asked to.
pub(crate) fn run(args: &[String]) -> Result {
    let Some(options) = Options::parse(args)? else {
        println!("{}", options::HELP);
        return Ok(());
    };
    let ours = match &options.ours {
        Some(file) => {
            file.canonicalize().map_err(|error| format!("cannot find {}: {error}", file.display()))?
        }
        None => {
            run_command(&mut cargo(&["build", "--release", "-p", "oras-cli"]))?;
            Workspace::load()?.target_dir.join("release/oras")
        }
    };
    warn_if_busy();
    let scene = Scene::set_up(&options, ours)?;
    let mut reports = Vec::new();
    for case in CASES.iter().filter(|case| options.wants(case.name)) {
        reports.push(run_case(case, &scene, &options)?);
        print!("{}", report::table(&reports[reports.len() - 1..]));
    }
    println!("\n{} runs a tool after one to warm up, 1 file of {} MiB", options.runs, options.size_mib);
    if reports.len() > 1 {
        print!("{}", report::table(&reports));
    }
    if let Some(file) = &options.json {
        write(file, format!("{:#}\n", report::json(&reports, options.size_mib)))?;
    }
    let ours_failed = |report: &CaseReport| !report.tools.iter().any(|tool| tool.tool == Tool::Ours);
    match reports.iter().find(|report| ours_failed(report)) {
        Some(report) => Err(format!("our own oras could not do {}", report.name).into()),
        None => Ok(()),
    }
}

/// All tools in turn, round after round; the first round warms up and is not counted.
fn run_case(case: &Case, scene: &Scene, options: &Options) -> Result<CaseReport> {
    println!("\n==> {}: {}", case.name, case.what);
    let mut tools: Vec<ToolReport> = Tool::ALL
        .into_iter()
        .filter(|tool| scene.program(*tool).is_some() && case.args(*tool, scene, "0").is_some())
        .map(ToolReport::new)
        .collect();
    for round in 0..=options.runs {
        let mut failed = Vec::new();
        for tool in &mut tools {
            match run_once(case, tool.tool, scene, round) {
                Ok(sample) if round > 0 => tool.samples.push(sample),
                Ok(_) => {}
                Err(error) => {
                    println!("{} is left out: {error}", tool.tool.name());
                    failed.push(tool.tool);
                }
            }
        }
        tools.retain(|tool| !failed.contains(&tool.tool));
        // The one who goes first may find colder caches: take turns in that, too.
        if !tools.is_empty() {
            tools.rotate_left(1);
        }
    }
    tools.sort_by_key(|tool| tool.tool);
    Ok(CaseReport { name: case.name, tools })
}

fn run_once(case: &Case, tool: Tool, scene: &Scene, round: usize) -> Result<Sample> {
    let run = format!("{}-{round}", tool.name());
    let args = case.args(tool, scene, &run).ok_or("it cannot do this")?;
    let program = scene.program(tool).ok_or("it is not installed")?;
    scene.clear_results()?;
    let sample = measure::measure(scene, &program, &args)?;
    let stored = scene.result_bytes()?;
    let expected = case.expected_bytes(scene);
    if stored < expected {
        return Err(format!("it succeeded, but left {stored} bytes of {expected}").into());
    }
    scene.clear_results()?;
    Ok(sample)
}

/// Says so when someone else is using the machine.
fn warn_if_busy() {
    let load = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    let minute: f64 = load.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0);
    if minute > 0.5 {
        println!("note: the load of the last minute is {minute}: times will vary, ratios less so");
    }
}
