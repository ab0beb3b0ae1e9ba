//! Compares the results of the two tools.

use oras_testkit::readable_output::unreadable;

use crate::differences::Differences;
use crate::normalization::plain;
use crate::scene_file::Case;

/// The results of a case, normalized for the comparison.
#[derive(Clone, Debug, Default)]
pub(crate) struct Channels {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    /// Standard error without the hint.
    pub(crate) stderr: String,
    /// The line `Hint: …` at the end of standard error, which only our tool prints.
    pub(crate) hint: String,
    pub(crate) files: Vec<String>,
    pub(crate) state: Vec<String>,
    pub(crate) requests: Vec<String>,
}

impl Channels {
    fn named(&self, case: &Case) -> Vec<(&'static str, String)> {
        let mut channels = vec![
            ("status", format!("{:?}", self.status)),
            ("stdout", self.stdout.clone()),
            ("stderr", self.stderr.clone()),
            ("files", self.files.join("\n")),
            ("state", self.state.join("\n")),
        ];
        if case.requests {
            channels.push(("requests", self.requests.join("\n")));
        }
        channels
    }

    /// Returns true if any channel contains `text`.
    fn says(&self, text: &str) -> bool {
        let lines = self.files.iter().chain(&self.state).chain(&self.requests);
        format!("status {:?}", self.status.unwrap_or(-1)) == text
            || plain(&self.stdout).contains(text)
            || plain(&self.stderr).contains(text)
            || plain(&self.hint).contains(text)
            || lines.into_iter().any(|line| line.contains(text))
    }
}

/// The result of a comparison.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) scene: String,
    pub(crate) number: usize,
    pub(crate) line: String,
    /// The accepted difference that the case shows.
    pub(crate) difference: Option<String>,
    pub(crate) problems: Vec<String>,
}

/// Compares channel by channel. An intended difference must show, and only on the channels that it names.
pub(crate) fn compare(
    scene: &str,
    case: &Case,
    go: &Channels,
    ours: &Channels,
    differences: &Differences,
) -> Verdict {
    let mut problems = Vec::new();
    let meant: &[String] = case.differs.as_ref().map_or(&[], |differs| &differs.channels);
    for ((channel, go), (_, ours)) in go.named(case).into_iter().zip(ours.named(case)) {
        let is_meant = meant.iter().any(|meant| meant == channel);
        match (go == ours, is_meant) {
            (true, true) => problems.push(format!("  {channel}: is the same, but should differ")),
            (false, false) => problems.push(format!("  {channel}:\n{}", lines(&go, &ours))),
            _ => {}
        }
    }
    for output in [&ours.stdout, &ours.stderr, &ours.hint] {
        if let Some(text) = unreadable(&plain(output)) {
            problems.push(format!("  ours shows {text:?}, which only a programmer understands"));
        }
    }
    if !go.hint.is_empty() {
        problems.push(format!("  the Go tool has a hint: {:?}", go.hint));
    }
    if let Some(differs) = &case.differs {
        if !differences.knows(&differs.id) {
            problems.push(format!("  {} is not in differences.txt", differs.id));
        }
        let tells = differs.channels.iter().any(|channel| channel != "requests" && channel != "stdout");
        if tells && differs.ours.is_empty() && differs.go.is_empty() {
            problems.push("  a difference must say what differs: `ours|` or `go|`".to_owned());
        }
        for (texts, has, lacks, who) in [(&differs.ours, ours, go, "ours"), (&differs.go, go, ours, "go")] {
            for text in texts {
                if !has.says(text) {
                    problems.push(format!("  {who} should say {text:?}:\n{}{}", has.stdout, has.stderr));
                }
                if lacks.says(text) {
                    problems.push(format!("  only {who} should say {text:?}"));
                }
            }
        }
    }
    Verdict {
        scene: scene.to_owned(),
        number: case.number,
        line: case.line.clone(),
        difference: case.differs.as_ref().map(|differs| differs.id.clone()),
        problems,
    }
}

/// Returns the lines that only one of the tools has, at most a screen of them.
fn lines(go: &str, ours: &str) -> String {
    let (left, right): (Vec<_>, Vec<_>) = (go.lines().collect(), ours.lines().collect());
    let mut shown = String::new();
    for (sign, lines, others) in [("go  ", &left, &right), ("ours", &right, &left)] {
        for line in lines.iter().filter(|line| !others.contains(line)).take(12) {
            let line: String = line.chars().take(600).collect();
            shown.push_str(&format!("    {sign} {line:?}\n"));
        }
    }
    if shown.is_empty() {
        shown = format!("    in another order\n    go   {go:?}\n    ours {ours:?}\n");
    }
    shown
}
