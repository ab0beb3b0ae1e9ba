//! `--progress json`: a line with a JSON object for each event, on standard error.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use oras::spec::Descriptor;
use oras::store::Pushed;
use oras::{Event, Listener, Step};
use parking_lot::Mutex;
use serde::Serialize;

use crate::print;

/// The interval between two lines about one transfer.
// Four lines in a second are enough for a display, and they keep the log short.
const INTERVAL: Duration = Duration::from_millis(250);

/// A line about an event.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventLine<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    /// The transferred bytes, or in an event `present` the bytes that the target had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<u64>,
    /// How the target got the node: `copied`, `mounted` or `existed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
}

impl<'a> EventLine<'a> {
    fn new(event: &'static str) -> Self {
        Self { event, ..Self::default() }
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
#[derive(Default)]
pub(crate) struct JsonProgress {
    /// The transferred bytes and the time of the last line, by digest, or by title while the digest is unknown.
    moving: Mutex<HashMap<String, (u64, Instant)>>,
}

impl JsonProgress {
    fn line(&self, line: &EventLine<'_>) {
        print::error(&serde_json::to_string(line).unwrap_or_default());
    }

    fn progress(&self, key: String, bytes: u64, line: EventLine<'_>) {
        let now = Instant::now();
        let mut moving = self.moving.lock();
        // The first line comes after a full interval, so a short transfer prints no progress line.
        let (moved, last_line) = moving.entry(key).or_insert((0, now));
        *moved += bytes;
        // A line for each chunk would flood the log.
        if now.duration_since(*last_line) < INTERVAL {
            return;
        }
        *last_line = now;
        let moved = Some(*moved);
        // Printing may block, so the lock is released first.
        drop(moving);
        self.line(&EventLine { moved, ..line });
    }
}

impl Listener for JsonProgress {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Preparing(title) => {
                self.line(&EventLine { title: Some(title), ..EventLine::new("preparing") })
            }
            Step::Skipped(node) => self.line(&EventLine::of("skipped", node)),
            Step::Restored(node) => self.line(&EventLine::of("restored", node)),
            Step::Tagged(tag) => self.line(&EventLine { tag: Some(tag), ..EventLine::new("tagged") }),
            Step::Node(Event::Started(node)) => self.line(&EventLine::of("started", node)),
            Step::Node(Event::Progress(node, bytes)) => {
                self.progress(node.digest.to_string(), bytes, EventLine::of("progress", node));
            }
            Step::Node(Event::Present(node, bytes)) => {
                self.line(&EventLine { moved: Some(bytes), ..EventLine::of("present", node) });
            }
            Step::Sent { title, size, bytes } => {
                let line = EventLine { title: Some(title), size: Some(size), ..EventLine::new("present") };
                self.line(&EventLine { moved: Some(bytes), ..line });
            }
            Step::Sending { title, size, bytes } => {
                let line = EventLine { title: Some(title), size: Some(size), ..EventLine::new("progress") };
                self.progress(title.to_owned(), bytes, line);
            }
            Step::Node(Event::Finished { node, outcome, .. }) => {
                let outcome = Some(match outcome {
                    Pushed::Copied => "copied",
                    Pushed::Adopted => "mounted",
                    Pushed::Existed => "existed",
                });
                self.line(&EventLine { outcome, ..EventLine::of("finished", node) });
            }
            _ => {}
        }
    }
}
