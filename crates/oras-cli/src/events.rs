//! `--progress json`: what happens, a JSON object a line on standard error.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use oras::spec::Descriptor;
use oras::store::Pushed;
use oras::{Event, Listener, Step};
use parking_lot::Mutex;
use serde::Serialize;

use crate::output::Printer;

/// The time between two reports on one transfer.
const INTERVAL: Duration = Duration::from_millis(250);

/// A line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    /// Bytes that have moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<u64>,
    /// How a node came to be there: `copied`, `mounted`, `existed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(event: &'static str) -> Self {
        let (digest, media_type, size, title) = (None, None, None, None);
        Self { event, digest, media_type, size, title, moved: None, outcome: None, tag: None }
    }

    fn of(event: &'static str, node: &'a Descriptor) -> Self {
        Self {
            digest: Some(node.digest.to_string()),
            media_type: Some(node.media_type.as_str()),
            size: Some(node.size),
            title: node.title(),
            ..Self::new(event)
        }
    }
}

/// Writes a line for each step.
pub(crate) struct Events {
    printer: Printer,
    /// Bytes moved, and when that was last told: by digest, or by title before that is known.
    moving: Mutex<HashMap<String, (u64, Instant)>>,
}

impl Events {
    pub(crate) fn new(printer: Printer) -> Self {
        Self { printer, moving: Mutex::default() }
    }

    fn line(&self, line: &Line<'_>) {
        self.printer.error(&serde_json::to_string(line).unwrap_or_default());
    }

    fn progress(&self, key: String, bytes: u64, line: Line<'_>) {
        let now = Instant::now();
        let mut moving = self.moving.lock();
        let (moved, told) = moving.entry(key).or_insert((0, now));
        *moved += bytes;
        if now.duration_since(*told) < INTERVAL {
            return;
        }
        *told = now;
        let moved = Some(*moved);
        drop(moving);
        self.line(&Line { moved, ..line });
    }
}

impl Listener for Events {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Preparing(title) => self.line(&Line { title: Some(title), ..Line::new("preparing") }),
            Step::Skipped(node) => self.line(&Line::of("skipped", node)),
            Step::Restored(node) => self.line(&Line::of("restored", node)),
            Step::Tagged(tag) => self.line(&Line { tag: Some(tag), ..Line::new("tagged") }),
            Step::Node(Event::Started(node)) => self.line(&Line::of("started", node)),
            Step::Node(Event::Progress(node, bytes)) => {
                self.progress(node.digest.to_string(), bytes, Line::of("progress", node));
            }
            Step::Sending { title, size, bytes } => {
                let line = Line { title: Some(title), size: Some(size), ..Line::new("progress") };
                self.progress(title.to_owned(), bytes, line);
            }
            Step::Node(Event::Finished { node, outcome, .. }) => {
                let outcome = Some(match outcome {
                    Pushed::Copied => "copied",
                    Pushed::Adopted => "mounted",
                    Pushed::Existed => "existed",
                });
                self.line(&Line { outcome, ..Line::of("finished", node) });
            }
            _ => {}
        }
    }
}
