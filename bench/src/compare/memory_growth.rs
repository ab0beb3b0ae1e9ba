//! Checks that our peak memory does not grow with the size of the file.

use std::fs::File;

use super::environment::Scene;
use super::measure;
use super::options::{FLAT, Options};
use super::registry::Protocol;
use super::report::{ToolReport, WorkloadReport};
use super::runner::{LONGEST, without_wire};
use super::tool::Tool;
use xtask::process::Result;

const SMALLEST_MIB: u64 = 100;

/// Measures push, copy and pull, once for each size.
pub(super) fn run(scene: &Scene, options: &Options) -> Result<Vec<WorkloadReport>> {
    let mut sizes = vec![SMALLEST_MIB.min(scene.sizes().big_mib), scene.sizes().big_mib];
    sizes.extend(options.flat_mib);
    sizes.dedup();
    let mut reports = Vec::new();
    for mib in sizes {
        scene.clear_results()?;
        let file = format!("data/{FLAT}.bin");
        // A sparse file uses no memory.
        File::create(scene.path(&file))?.set_len(mib << 20)?;
        let from = format!("{}/run/{FLAT}:v1", scene.source().door(Protocol::Plain)?.host());
        let to = scene.names(Protocol::Plain, false, String::new())?.to;
        let steps = [
            ("push", format!("push {from} {FLAT}.bin")),
            ("copy", format!("cp {from} {to}/run/{FLAT}:v1")),
            ("pull", format!("pull {from} -o ../out/{FLAT}")),
        ];
        for (verb, line) in steps {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let mut report = ToolReport::new(Tool::Ours);
            match measure::measure(scene, scene.ours(), &args, LONGEST) {
                Ok(sample) => report.add(without_wire(sample)),
                Err(error) => report.fail(&error.to_string()),
            }
            reports.push(WorkloadReport {
                name: format!("{FLAT}-{verb}-{mib}"),
                what: format!("{verb} of {mib} MiB, memory"),
                tools: vec![report],
            });
            if verb == "copy" {
                scene.empty_sink()?;
            }
        }
        scene.remove(&file)?;
        scene.clear_results()?;
        scene.empty_source()?;
    }
    Ok(reports)
}
