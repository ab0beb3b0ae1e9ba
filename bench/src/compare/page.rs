//! Writes the page with the results.

use super::options::Options;
use super::report::{ToolReport, WorkloadReport, markdown, shown, shown_ratio, table};
use super::tool::Tool;

/// The path of the page below the work tree.
pub(super) const PAGE: &str = "docs/benchmarks.md";
pub(super) const CHART: &str = "docs/benchmarks.svg";

/// Returns the text of the page.
pub(super) fn page(workloads: &[WorkloadReport], options: &Options, machine: &[String]) -> String {
    let sizes = &options.sizes;
    let data = format!(
        "The big file has {} MiB, and nothing can compress it. Small files: {} of 4 KiB. The directory: {} files, {} MiB of \
         text. {} referrers, an index of {} manifests, a layout of {} nodes. The median of {} runs counts, after one \
         to warm up; what takes over 20 s, a slow link and interrupted transfers run once.",
        sizes.big_mib,
        sizes.small_files,
        sizes.tree_files,
        sizes.tree_bytes >> 20,
        sizes.referrers,
        sizes.manifests,
        sizes.nodes,
        options.runs,
    );
    let facts: String = machine.iter().map(|fact| format!("- {fact}\n")).collect();
    format!(
        "<!-- Written by `cargo xtask bench --publish`. -->\n# Benchmarks\n\n\
         `oras` of this repository (ours) beside the Go `oras`, crane, regctl and skopeo, each where it can do the job. The \
         tools take turns on the same data and the same registries, each run with empty caches and to a new \
         repository or directory; its result is checked. Ratios of one run are what counts: absolute times are \
         those of the machine.\n\n![Wall time by workload](benchmarks.svg)\n\n\
         ## Unchanged content\n\nContent is always hashed: no digest is taken from file times. So the workloads `…-again` cost one hash pass \
         of the content, and nothing is transferred. The digest of a packed directory is known only at the end of the packing. So a \
         directory of more than 2 MiB is compared with the layers of earlier artifacts first: those of the same tag, of four other \
         tags, and for `attach` of the subject and its referrers. If one of them has the same title and the same tar digest, the \
         directory is packed and hashed without a transfer, and sent only if the registry lacks the result. Any other directory is \
         sent while it is packed.\n\n\
         ## Machine\n\n{facts}\n{data}\n\n\
         ## In short\n\nBelow 1, ours needs less. Failures of the others are in the long table.\n\n{}\n\
         ## All figures\n\n\
         Wall and CPU time are medians, memory is the largest of all runs. *Requests* and *wire* (both directions) \
         are those to the registry that is read + those to the one that is written, counted by a proxy in a run \
         of its own, which also measures what is on disk beside the result (*temp*).\n\n{}\n{}\
         ## Again\n\n\
         `cargo xtask peers` installs the other tools, `cargo xtask bench` measures; `--help` lists workloads and options.\n",
        summary(workloads),
        table(workloads),
        failures(workloads),
    )
}

fn summary(workloads: &[WorkloadReport]) -> String {
    let head = ["workload", "", "ours", "RSS MiB", "wall / Go oras", "CPU / Go oras", "wall / fastest other"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for workload in workloads {
        let ours = workload.of(Tool::Ours);
        let go = workload.of(Tool::GoOras);
        let ratio = |of| go.and_then(|go| workload.ratio(go, of)).map_or(String::new(), shown_ratio);
        let peer = workload.best_peer().filter(|peer| peer.tool != Tool::GoOras).and_then(|peer| {
            workload
                .ratio(peer, ToolReport::wall)
                .map(|ratio| format!("{} {}", shown_ratio(ratio), peer.tool.name()))
        });
        rows.push(vec![
            workload.name.clone(),
            workload.what.clone(),
            ours.map_or("failed".into(), |ours| shown(ours.wall())),
            ours.map_or(String::new(), |ours| format!("{:.1}", ours.peak_mib())),
            ratio(ToolReport::wall),
            ratio(ToolReport::cpu),
            peer.unwrap_or_default(),
        ]);
    }
    markdown(&rows)
}

/// Returns the error output of failed tools.
fn failures(workloads: &[WorkloadReport]) -> String {
    let mut text = String::new();
    for workload in workloads {
        for tool in &workload.tools {
            if let Some(why) = &tool.failure {
                let short: String = why.chars().take(160).collect();
                text.push_str(&format!(
                    "- {}, {}: `{}`\n",
                    workload.name,
                    tool.tool.name(),
                    short.replace('`', "'")
                ));
            }
        }
    }
    if text.is_empty() { text } else { format!("Failures:\n\n{text}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::report::example;

    #[test]
    fn shows_ratios_failures_and_machine() {
        let options = Options::parse(&["--quick".to_owned()]).unwrap().unwrap();
        let text = page(&example(), &options, &["CPU: fast".into()]);
        for part in
            ["- CPU: fast\n", "| 0.50 ", "| 0.60 regctl", "- b2-pull, crane: `no <such> thing`", "![Wall"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
