//! Replaces values that may differ between equal runs: ports, directories, durations and times, and digests
//! if the case requests it.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::scene_file::Case;
use crate::tool_sandbox::Stage;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

static DURATION: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(in|after) (\d+(\.\d+)?(h|m|s|ms|µs|ns))+"));
static LOG_TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\[\d{4}-\d\d-\d\dT[\d:.]+Z\]"));
static LOG_DATE: LazyLock<Regex> = LazyLock::new(|| regex(r#"("Date": )"[^"]+""#));
static LOG_AGENT: LazyLock<Regex> = LazyLock::new(|| regex(r#"("User-Agent": "oras)/[\d.]+"#));
static LOG_UPLOAD: LazyLock<Regex> = LazyLock::new(|| regex(r#"("Docker-Upload-Uuid": )"[^"]+""#));
static UPLOAD: LazyLock<Regex> = LazyLock::new(|| regex(r"(/uploads/)[^?\s\x22]+"));
static UPLOAD_STATE: LazyLock<Regex> = LazyLock::new(|| regex(r"(_state=)[^&\s\x22]+"));
static EPHEMERAL: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(read|write) tcp 127\.0\.0\.1:\d+->127\.0\.0\.1:\d+"));
static DIGEST: LazyLock<Regex> = LazyLock::new(|| regex(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b"));
static SIZE: LazyLock<Regex> = LazyLock::new(|| regex(r#"("size": ?)\d+|\b\d+(\.\d+)? ( B|KB|MB)\b"#));
static TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"));
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| regex(r"\x1b(\[[0-9;?]*[A-Za-z]|[78])"));

/// Normalizes the output of one tool.
pub(crate) struct Normal<'a> {
    stage: &'a Stage,
    case: &'a Case,
    seen: HashMap<String, usize>,
}

impl<'a> Normal<'a> {
    pub(crate) fn new(stage: &'a Stage, case: &'a Case) -> Self {
        Self { stage, case, seen: HashMap::new() }
    }

    /// Returns the text with a placeholder for each value that may differ.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        let sandbox = self.stage.sandbox.root().display().to_string();
        text = text.replace(&sandbox, "SANDBOX");
        for (name, registry) in &self.stage.registries {
            for port in [registry.port(), registry.inner_port()] {
                text = text.replace(&format!(":{port}"), &format!(":<{name}>"));
            }
        }
        text = EPHEMERAL.replace_all(&text, "$1 tcp <A>-><B>").into_owned();
        text = DURATION.replace_all(&text, "$1 <DURATION>").into_owned();
        text = LOG_TIME.replace_all(&text, "[<TIME>]").into_owned();
        text = LOG_DATE.replace_all(&text, "$1<DATE>").into_owned();
        text = LOG_AGENT.replace_all(&text, "$1/<VERSION>").into_owned();
        text = LOG_UPLOAD.replace_all(&text, "$1<UPLOAD>").into_owned();
        text = sort_headers(&text);
        // The same prefix in a URL.
        text = text.replace("sha256%3A", "sha256:");
        text = UPLOAD.replace_all(&text, "$1<UPLOAD>").into_owned();
        text = UPLOAD_STATE.replace_all(&text, "$1<STATE>").into_owned();
        if self.case.opaque {
            text = TIME.replace_all(&text, "<TIME>").into_owned();
            text = SIZE.replace_all(&text, "${1}<SIZE>").into_owned();
            text = self.digests(&text);
        }
        text
    }

    /// Normalizes a change that a case made. If digests differ, sorts its words again, because they were
    /// sorted by digest.
    pub(crate) fn change(&mut self, line: &str) -> String {
        let line = self.text(line);
        if !self.case.opaque {
            return line;
        }
        let mut words: Vec<_> = line.split(' ').collect();
        words.sort_unstable();
        words.join(" ")
    }

    /// Normalizes standard output. Sorts its lines if the case allows any order.
    pub(crate) fn output(&mut self, text: &str) -> String {
        let text = self.text(text);
        if !self.case.unordered {
            return text;
        }
        // The last line of a tree has a different prefix, so all prefixes are made equal.
        let text = text.replace("├── ", "└── ").replace("│   ", "    ");
        let mut lines: Vec<_> = text.split_inclusive('\n').collect();
        lines.sort_unstable();
        lines.concat()
    }

    fn digests(&mut self, text: &str) -> String {
        let (unordered, seen) = (self.case.unordered, &mut self.seen);
        let named = |found: &Captures<'_>| {
            if unordered {
                return "<DIGEST>".to_owned();
            }
            let next = seen.len() + 1;
            let number = *seen.entry(found[0][..12].to_owned()).or_insert(next);
            format!("<DIGEST {number}>")
        };
        DIGEST.replace_all(text, named).into_owned()
    }
}

/// Sorts the headers of a log entry, because the Go tool writes them in any order.
fn sort_headers(text: &str) -> String {
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    let is_header = |line: &&str| line.starts_with("   \"");
    for headers in lines.chunk_by_mut(|a, b| is_header(a) == is_header(b)) {
        if headers.first().is_some_and(is_header) {
            headers.sort_unstable();
        }
    }
    lines.concat()
}

/// Returns a text without the escape sequences that move the cursor or set a colour.
pub(crate) fn plain(text: &str) -> String {
    ESCAPE.replace_all(text, "").into_owned()
}
