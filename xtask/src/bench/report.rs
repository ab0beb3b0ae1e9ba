//! The table and the JSON of the bench.

use std::time::Duration;

use serde_json::{Value, json};

use super::cases::Tool;
use super::measure::Sample;

/// All samples of one case.
pub(super) struct CaseReport {
    pub(super) name: &'static str,
    pub(super) tools: Vec<ToolReport>,
}

/// The samples of one tool.
pub(super) struct ToolReport {
    pub(super) tool: Tool,
    pub(super) samples: Vec<Sample>,
}

impl ToolReport {
    pub(super) fn new(tool: Tool) -> Self {
        Self { tool, samples: Vec::new() }
    }

    fn sorted(&self, of: fn(&Sample) -> Duration) -> Vec<Duration> {
        let mut values: Vec<Duration> = self.samples.iter().map(of).collect();
        values.sort();
        values
    }

    fn wall(&self) -> Duration {
        median(&self.sorted(|sample| sample.wall))
    }

    fn cpu(&self) -> Duration {
        median(&self.sorted(|sample| sample.cpu))
    }

    /// The largest of all runs: a limit on memory holds always, not in the median.
    fn peak_mib(&self) -> f64 {
        let largest = self.samples.iter().map(|sample| sample.peak_kib).max().unwrap_or(0);
        largest as f64 / 1024.0
    }
}

fn median(sorted: &[Duration]) -> Duration {
    match sorted.len() {
        0 => Duration::ZERO,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
    }
}

/// One line for each case and tool. The ratio is ours to that tool's: below 1, ours is faster.
pub(super) fn table(cases: &[CaseReport]) -> String {
    let mut text = format!(
        "{:<12} {:<7} {:>10}  {:<23} {:>10} {:>9} {:>10}\n",
        "case", "tool", "wall", "(min .. max)", "CPU", "RSS MiB", "ours/tool"
    );
    for case in cases {
        let ours = case.tools.iter().find(|tool| tool.tool == Tool::Ours).map(ToolReport::wall);
        for tool in &case.tools {
            let walls = tool.sorted(|sample| sample.wall);
            let range = match (walls.first(), walls.last()) {
                (Some(min), Some(max)) => format!("({} .. {})", shown(*min), shown(*max)),
                _ => String::new(),
            };
            let ratio = match ours {
                Some(ours) if tool.tool != Tool::Ours => format!("{:.2}", ratio(ours, tool.wall())),
                _ => "-".into(),
            };
            text.push_str(&format!(
                "{:<12} {:<7} {:>10}  {:<23} {:>10} {:>9.1} {:>10}\n",
                case.name,
                tool.tool.name(),
                shown(tool.wall()),
                range,
                shown(tool.cpu()),
                tool.peak_mib(),
                ratio
            ));
        }
    }
    text
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.3} s") }
}

/// Everything that was measured, in seconds and KiB.
pub(super) fn json(cases: &[CaseReport], size_mib: u64) -> Value {
    let sample = |sample: &Sample| json!({"wall": sample.wall.as_secs_f64(), "cpu": sample.cpu.as_secs_f64(), "peak_kib": sample.peak_kib});
    let tool = |tool: &ToolReport| {
        json!({
            "tool": tool.tool.name(),
            "wall_median": tool.wall().as_secs_f64(),
            "cpu_median": tool.cpu().as_secs_f64(),
            "peak_mib": tool.peak_mib(),
            "samples": tool.samples.iter().map(sample).collect::<Vec<_>>(),
        })
    };
    let case = |case: &CaseReport| json!({"case": case.name, "tools": case.tools.iter().map(tool).collect::<Vec<_>>()});
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({"file_mib": size_mib, "cores": cores, "cases": cases.iter().map(case).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tool: Tool, millis: &[u64]) -> ToolReport {
        let sample = |ms: &u64| Sample {
            wall: Duration::from_millis(*ms),
            cpu: Duration::from_millis(1),
            peak_kib: ms * 1024,
        };
        ToolReport { tool, samples: millis.iter().map(sample).collect() }
    }

    #[test]
    fn medians_and_ratios() {
        let tools = vec![report(Tool::Ours, &[90, 10, 30]), report(Tool::GoOras, &[40, 80])];
        let cases = [CaseReport { name: "pull-file", tools }];
        let table = table(&cases);
        let ours = table.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(ours, "pull-file ours 30.0 ms (10.0 ms .. 90.0 ms) 1.0 ms 90.0 -");
        assert!(table.lines().nth(2).unwrap().ends_with("0.50"), "{table}");
        assert_eq!(json(&cases, 1)["cases"][0]["tools"][1]["wall_median"], 0.06);
    }
}
