//! The measurements, and their table and JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::link::Counts;
use super::measure::Sample;
use super::tool::Tool;

/// All samples of one workload.
pub(super) struct WorkloadReport {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) tools: Vec<ToolReport>,
}

/// The samples of one tool.
pub(super) struct ToolReport {
    pub(super) tool: Tool,
    pub(super) samples: Vec<Sample>,
    registry_cpu: Vec<Duration>,
    pub(super) wire: Option<Wire>,
    /// The error of the tool, if it failed.
    pub(super) failure: Option<String>,
    /// Whether all runs are done.
    pub(super) is_done: bool,
}

/// The result of one run.
pub(super) struct Outcome {
    pub(super) sample: Sample,
    pub(super) registry_cpu: Duration,
    pub(super) wire: Option<Wire>,
}

/// The results of the run over the counting links.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    /// The peak number of bytes on disk in addition to the result.
    pub(super) temporary: u64,
    pub(super) from: Counts,
    pub(super) to: Counts,
}

impl WorkloadReport {
    /// Returns the report of a tool, unless it failed or did not run.
    pub(super) fn of(&self, tool: Tool) -> Option<&ToolReport> {
        self.tools.iter().find(|report| report.tool == tool && !report.samples.is_empty())
    }

    /// Returns the fastest other tool.
    pub(super) fn best_peer(&self) -> Option<&ToolReport> {
        let peers =
            self.tools.iter().filter(|report| report.tool != Tool::Ours && !report.samples.is_empty());
        peers.min_by_key(|report| report.wall())
    }

    /// Returns our time divided by that of another tool.
    pub(super) fn ratio(&self, to: &ToolReport, of: fn(&ToolReport) -> Duration) -> Option<f64> {
        let theirs = of(to).as_secs_f64();
        self.of(Tool::Ours).filter(|_| theirs > 0.0).map(|ours| of(ours).as_secs_f64() / theirs)
    }
}

impl ToolReport {
    pub(super) fn new(tool: Tool) -> Self {
        Self {
            tool,
            samples: Vec::new(),
            registry_cpu: Vec::new(),
            wire: None,
            failure: None,
            is_done: false,
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.samples.push(outcome.sample);
        self.registry_cpu.push(outcome.registry_cpu);
        self.wire = outcome.wire.or(self.wire.take());
    }

    /// Records a failure and drops the figures of all runs of the tool.
    pub(super) fn fail(&mut self, why: &str) {
        println!("{} failed: {why}", self.tool.name());
        self.samples.clear();
        self.failure = Some(without_queries(why.lines().next().unwrap_or_default()));
    }

    pub(super) fn wall(&self) -> Duration {
        median(self.samples.iter().map(|sample| sample.wall).collect())
    }

    pub(super) fn cpu(&self) -> Duration {
        median(self.samples.iter().map(|sample| sample.cpu).collect())
    }

    fn registry_cpu(&self) -> Duration {
        median(self.registry_cpu.clone())
    }

    /// Returns the largest value of all runs, because a memory limit must hold in every run.
    pub(super) fn peak_mib(&self) -> f64 {
        let largest = self.samples.iter().map(|sample| sample.peak_kib).max().unwrap_or(0);
        largest as f64 / 1024.0
    }
}

/// Removes queries from URLs: upload URLs carry a long state that differs in each run.
fn without_queries(text: &str) -> String {
    let mut parts = text.split('?');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "\"\\'`".contains(c)).unwrap_or(part.len());
        shown.push_str(&part[end..]);
    }
    shown
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    match values.len() {
        0 => Duration::ZERO,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2,
    }
}

/// Returns a table with one line for each workload and tool. The ratio is our time divided by that of the
/// tool: below 1, ours is faster.
pub(super) fn table(workloads: &[WorkloadReport]) -> String {
    let mut rows = vec![
        [
            "workload",
            "tool",
            "wall",
            "min .. max",
            "CPU",
            "RSS MiB",
            "registry CPU",
            "requests",
            "wire MiB",
            "temp MiB",
            "ours/tool",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for workload in workloads {
        for tool in &workload.tools {
            rows.push(row(workload, tool));
        }
    }
    markdown(&rows)
}

fn row(workload: &WorkloadReport, tool: &ToolReport) -> Vec<String> {
    let mut cells = vec![workload.name.clone(), tool.tool.name().to_owned()];
    if tool.samples.is_empty() {
        cells.push("failed".into());
        cells.resize(11, String::new());
        return cells;
    }
    let walls = || tool.samples.iter().map(|sample| sample.wall);
    let range = match (walls().min(), walls().max()) {
        (Some(min), Some(max)) if tool.samples.len() > 1 => format!("{} .. {}", shown(min), shown(max)),
        _ => String::new(),
    };
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let both = |of: &dyn Fn(&Counts) -> String| {
        tool.wire.as_ref().map_or(String::new(), |wire| format!("{} + {}", of(&wire.from), of(&wire.to)))
    };
    let ratio = workload.ratio(tool, ToolReport::wall).filter(|_| tool.tool != Tool::Ours);
    cells.extend([
        shown(tool.wall()),
        range,
        shown(tool.cpu()),
        format!("{:.1}", tool.peak_mib()),
        shown(tool.registry_cpu()),
        both(&requests),
        both(&|counts| mib(counts.bytes())),
        tool.wire.as_ref().map_or(String::new(), |wire| mib(wire.temporary)),
        ratio.map_or(String::new(), shown_ratio),
    ]);
    cells
}

/// Returns the number as text, or `?` over TLS, where it is unknown.
fn requests(counts: &Counts) -> String {
    match counts.requests() {
        0 if counts.bytes() > 0 => "?".into(),
        requests => requests.to_string(),
    }
}

/// Formats a Markdown table with columns of equal width. The first row is the head.
pub(crate) fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("| {cell:<width$} "));
        }
        text.push_str("|\n");
        if n == 0 {
            text.extend(widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    text
}

pub(super) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

pub(super) fn shown_ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// Returns all measurements as JSON, in seconds, bytes and KiB.
pub(super) fn json(workloads: &[WorkloadReport], size_mib: u64) -> Value {
    let sample = |sample: &Sample| json!({"wall": sample.wall.as_secs_f64(), "cpu": sample.cpu.as_secs_f64(), "peak_kib": sample.peak_kib});
    let counts = |counts: &Counts| json!({"up": counts.up, "down": counts.down, "connections": counts.connections, "requests": counts.requests});
    let wire = |wire: &Wire| json!({"from": counts(&wire.from), "to": counts(&wire.to), "temporary": wire.temporary});
    let tool = |tool: &ToolReport| {
        json!({
            "tool": tool.tool.name(),
            "failure": tool.failure,
            "wall_median": tool.wall().as_secs_f64(),
            "cpu_median": tool.cpu().as_secs_f64(),
            "registry_cpu_median": tool.registry_cpu().as_secs_f64(),
            "peak_mib": tool.peak_mib(),
            "wire": tool.wire.as_ref().map(wire),
            "samples": tool.samples.iter().map(sample).collect::<Vec<_>>(),
        })
    };
    let workload = |workload: &WorkloadReport| json!({"workload": workload.name, "tools": workload.tools.iter().map(tool).collect::<Vec<_>>()});
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({"file_mib": size_mib, "cores": cores, "workloads": workloads.iter().map(workload).collect::<Vec<_>>()})
}

/// Returns reports for tests.
#[cfg(test)]
pub(super) fn example() -> Vec<WorkloadReport> {
    let report = |tool, millis: &[u64]| {
        let mut report = ToolReport::new(tool);
        for ms in millis {
            let sample = Sample {
                wall: Duration::from_millis(*ms),
                cpu: Duration::from_millis(1),
                peak_kib: ms * 1024,
            };
            report.add(super::runner::without_wire(sample));
        }
        report
    };
    let mut ours = report(Tool::Ours, &[90, 10, 30]);
    let from = Counts { down: 3 << 20, requests: [("GET".into(), 2)].into(), ..Counts::default() };
    ours.wire = Some(Wire { from, to: Counts::default(), temporary: 1 << 19 });
    let mut failed = report(Tool::Crane, &[1]);
    failed.fail("no <such> thing");
    vec![WorkloadReport {
        name: "b2-pull".into(),
        what: "pull & more".into(),
        tools: vec![ours, report(Tool::GoOras, &[40, 80]), failed, report(Tool::Regctl, &[50])],
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_addresses_without_query() {
        let text = r#"Put "http://a/b?_state=x%3D&y=1": unexpected EOF; got http://c/?z and more"#;
        let shown = r#"Put "http://a/b": unexpected EOF; got http://c/ and more"#;
        assert_eq!(without_queries(text), shown);
    }

    #[test]
    fn shows_unreadable_request_count_as_unknown() {
        assert_eq!(requests(&Counts::default()), "0");
        assert_eq!(requests(&Counts { up: 1, ..Counts::default() }), "?");
    }

    #[test]
    fn computes_medians_and_ratios_and_keeps_failures() {
        let reports = example();
        let table = table(&reports);
        let line = |n: usize| {
            let cells: Vec<&str> = table.lines().nth(n).unwrap().split('|').map(str::trim).collect();
            cells.join("|")
        };
        assert_eq!(
            line(2),
            "|b2-pull|ours|30.0 ms|10.0 ms .. 90.0 ms|1.0 ms|90.0|0.0 ms|2 + 0|3.0 + 0.0|0.5||"
        );
        assert!(line(3).ends_with("|0.50|"), "{table}");
        assert_eq!(line(4), "|b2-pull|crane|failed|||||||||");
        assert_eq!(json(&reports, 1)["workloads"][0]["tools"][1]["wall_median"], 0.06);
        assert_eq!(reports[0].best_peer().unwrap().tool, Tool::Regctl);
        let lengths: std::collections::BTreeSet<usize> = table.lines().map(str::len).collect();
        assert_eq!(lengths.len(), 1);
    }
}
