//! Draws the SVG chart: our time relative to the Go tool and to the fastest other tool, for each workload.

use super::report::{ToolReport, WorkloadReport, shown_ratio};
use super::tool::Tool;

const ROW: usize = 20;
const TOP: usize = 58;
const LABELS: f64 = 190.0;
const PLOT: f64 = 480.0;
const WIDTH: usize = 760;
/// The ends of the scale, as powers of two: 1/64 and 4.
const LEAST: f64 = -6.0;
const MOST: f64 = 2.0;

/// Colours that are readable on white and on black. The colour of the labels follows the reader's colour
/// scheme.
const STYLE: &str = "<style>\
    text{font:12px sans-serif;fill:#1f2328}.faint{fill:#59636e}.grid{stroke:#d1d9e0}.one{stroke:#59636e}\
    .faster{fill:#2da44e}.slower{fill:#cf222e}.peer{fill:none;stroke:#0969da;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.faint{fill:#9198a1}.grid{stroke:#3d444d}\
    .one{stroke:#9198a1}.peer{stroke:#4493f8}}</style>\n";

/// Returns the chart. It has one bar for each workload that both our tool and the Go tool support.
pub(super) fn svg(workloads: &[WorkloadReport]) -> String {
    let rows: Vec<Row<'_>> = workloads.iter().filter_map(Row::of).collect();
    let height = TOP + rows.len() * ROW + 10;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Wall time of ours by that of other tools</title>\n{STYLE}"
    );
    text.push_str(
        "<text x=\"8\" y=\"16\">Wall time, ours / other: left of 1 ours is faster (each line halves)</text>\n\
         <text x=\"8\" y=\"34\" class=\"faint\">bar: the Go oras; ring: the fastest other tool</text>\n",
    );
    text.push_str(&grid(height));
    for (n, row) in rows.iter().enumerate() {
        text.push_str(&row.svg(TOP + n * ROW));
    }
    text.push_str("</svg>\n");
    text
}

struct Row<'a> {
    name: &'a str,
    go: f64,
    peer: Option<f64>,
}

impl<'a> Row<'a> {
    fn of(workload: &'a WorkloadReport) -> Option<Self> {
        let go = workload.ratio(workload.of(Tool::GoOras)?, ToolReport::wall)?;
        let peer = workload.best_peer().filter(|peer| peer.tool != Tool::GoOras);
        let peer = peer.and_then(|peer| workload.ratio(peer, ToolReport::wall));
        Some(Self { name: &workload.name, go, peer })
    }

    fn svg(&self, top: usize) -> String {
        let (one, end) = (across(1.0), across(self.go));
        let class = if self.go <= 1.0 { "faster" } else { "slower" };
        let base = top + 14;
        let mut text = format!(
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" class=\"{class}\"/>\n\
             <text x=\"{}\" y=\"{base}\" text-anchor=\"end\" class=\"faint\">{}</text>\n",
            LABELS - 8.0,
            escaped(self.name),
            one.min(end),
            top + 3,
            (one - end).abs().max(1.0),
            ROW - 6,
            WIDTH - 8,
            shown_ratio(self.go),
        );
        if let Some(peer) = self.peer {
            let (x, y) = (across(peer), top + ROW / 2);
            text.push_str(&format!("<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"5\" class=\"peer\"/>\n"));
        }
        text
    }
}

fn grid(height: usize) -> String {
    let mut text = String::new();
    for power in LEAST as i32..=MOST as i32 {
        let x = across(2f64.powi(power));
        let class = if power == 0 { "one" } else { "grid" };
        let label = if power < 0 { format!("1/{}", 1 << -power) } else { (1 << power).to_string() };
        text.push_str(&format!(
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\" class=\"{class}\"/>\n\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" class=\"faint\">{label}</text>\n",
            height - 8,
            TOP - 6,
        ));
    }
    text
}

/// Returns the horizontal position of a ratio. A ratio outside the scale is at the nearer end.
fn across(ratio: f64) -> f64 {
    let at = ratio.max(f64::MIN_POSITIVE).log2().clamp(LEAST, MOST);
    LABELS + (at - LEAST) / (MOST - LEAST) * PLOT
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::report::example;

    /// Returns true if every tag is closed in the right order.
    fn is_well_formed(text: &str) -> bool {
        let mut open = Vec::new();
        for tag in text.split('<').skip(1) {
            let Some((tag, _)) = tag.split_once('>') else { return false };
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
            if tag.starts_with('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        open.is_empty()
    }

    #[test]
    fn draws_bar_and_ring() {
        let mut workloads = example();
        workloads[0].name = "a<b".into();
        let text = svg(&workloads);
        assert!(is_well_formed(&text), "{text}");
        assert!(!is_well_formed("<svg><g></svg></g>"));
        assert!(text.contains("a&lt;b") && text.contains("<circle") && text.contains("class=\"faster\""));
    }

    #[test]
    fn places_half_the_time_one_grid_line_left() {
        assert_eq!(across(1.0) - across(0.5), PLOT / 8.0);
        assert_eq!(across(0.0), LABELS);
        assert_eq!(across(100.0), LABELS + PLOT);
    }
}
