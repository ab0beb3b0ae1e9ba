//! Status lines: one per event on standard output, in the words of the Go tool.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use oras::spec::{Descriptor, Digest};
use oras::store::Pushed;
use oras::{Event, Listener, Quiet, Step};
use parking_lot::Mutex;

use crate::log;
use crate::output::Printer;
use crate::progress::Bars;
use crate::target::Target;

/// The words of a family of commands, padded as they are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) started: &'static str,
    pub(crate) finished: &'static str,
    pub(crate) existed: &'static str,
    pub(crate) adopted: &'static str,
    /// Content that came already, under another title.
    pub(crate) duplicate: &'static str,
    /// Whether reading a manifest has lines of its own.
    pub(crate) reads: bool,
    /// Whether a root that only gets its name has a line: in a layout, where names are apart from content.
    pub(crate) names: bool,
    /// Whether blobs may be mounted, of which only the end is told.
    pub(crate) mounts: bool,
    /// Whether nothing moves in truth: only what would move is told.
    pub(crate) dry: bool,
}

const NONE: Words = Words {
    started: "",
    finished: "",
    existed: "",
    adopted: "",
    duplicate: "",
    reads: false,
    names: false,
    mounts: false,
    dry: false,
};

impl Words {
    /// The words for content that goes to `target`.
    pub(crate) fn to(self, target: &Target) -> Self {
        Self { names: target.kind() == "oci-layout", ..self }
    }

    /// The words for what would happen, if `dry`.
    pub(crate) fn dry(self, dry: bool) -> Self {
        let started = match self.started {
            "Copying" => "Would copy",
            _ => "Would upload",
        };
        if dry { Self { started, dry, mounts: false, ..self } } else { self }
    }

    /// The words for content that comes from `from`: of the same registry it is mounted; that a layout linked what it
    /// was to copy is not told.
    pub(crate) fn between(self, from: &Target, to: &Target) -> Self {
        let mounts = from.registry().is_some() && from.registry() == to.registry();
        let adopted = if mounts { self.adopted } else { self.finished };
        Self { mounts, adopted, ..self.to(to) }
    }
}

pub(crate) const PUSH: Words = Words {
    started: "Uploading",
    finished: "Uploaded ",
    existed: "Exists   ",
    adopted: "Mounted  ",
    duplicate: "Exists   ",
    ..NONE
};

pub(crate) const COPY: Words = Words {
    started: "Copying",
    finished: "Copied ",
    existed: "Exists ",
    adopted: "Mounted",
    duplicate: "Skipped",
    ..NONE
};

pub(crate) const PULL: Words = Words {
    started: "Downloading",
    finished: "Downloaded ",
    existed: "Skipped    ",
    adopted: "Restored   ",
    duplicate: "",
    reads: true,
    ..NONE
};

pub(crate) const BACKUP: Words = Words {
    started: "Pulling  ",
    finished: "Pulled   ",
    existed: "Exists   ",
    adopted: "Pulled   ",
    duplicate: "Skipped  ",
    ..NONE
};

pub(crate) const RESTORE: Words = Words {
    started: "Pushing  ",
    finished: "Pushed   ",
    existed: "Exists   ",
    adopted: "Pushed   ",
    duplicate: "Skipped  ",
    ..NONE
};

/// What is said when the referrers of an index stay behind.
pub(crate) const REFERRERS_LEFT: &str = "referrers of the source index are not copied because selecting a subset of \
                                         platforms produces a new index digest";

/// What a command shows while it works.
pub(crate) fn listener(words: Words, look: Look, printer: Printer) -> Arc<dyn Listener> {
    match look {
        Look::Bars => Arc::new(Bars::new(words, printer)),
        Look::Lines { verbose } => {
            Arc::new(Lines { words, verbose, printer, committed: Mutex::default(), moving: Mutex::default() })
        }
        Look::Quiet => Arc::new(Quiet),
    }
}

/// Tells two listeners.
pub(crate) struct Both(pub(crate) Arc<dyn Listener>, pub(crate) Arc<dyn Listener>);

impl Listener for Both {
    fn step(&self, step: Step<'_>) {
        self.0.step(step);
        self.1.step(step);
    }
}

/// Tells what comes after the status of a node: that it is stored, then each tag beyond the first.
pub(crate) struct Told {
    pub(crate) inner: Arc<dyn Listener>,
    pub(crate) printer: Printer,
    /// The line for a stored manifest; `None` tells nothing.
    pub(crate) stored: Option<String>,
}

impl Listener for Told {
    fn step(&self, step: Step<'_>) {
        self.inner.step(step);
        let Some(stored) = &self.stored else { return };
        // A closed pipe is found out by the report.
        match step {
            Step::Stored(_) => drop(self.printer.line(stored)),
            Step::Tagged(tag) => drop(self.printer.line(format!("Tagged {tag}"))),
            _ => {}
        }
    }
}

/// How a command shows its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Progress bars on standard error.
    Bars,
    /// Lines on standard output.
    Lines {
        /// Also for content without a title.
        verbose: bool,
    },
    /// Nothing: standard output is for the report.
    Quiet,
}

/// What a status line calls a node: its title, else its media type.
pub(crate) fn name_of(node: &Descriptor) -> String {
    let name = node.title().unwrap_or(node.media_type.as_str());
    // What a registry says must not steer the terminal.
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

struct Lines {
    words: Words,
    verbose: bool,
    printer: Printer,
    /// Digests that are there, with the titles they have a line under.
    committed: Mutex<HashMap<Digest, HashSet<Option<String>>>>,
    /// Blobs of which bytes have moved.
    moving: Mutex<HashSet<Digest>>,
}

impl Lines {
    fn node(&self, word: &str, node: &Descriptor) {
        if self.verbose || node.title().is_some() {
            self.line(&format!("{word} {} {}", node.digest.short(), name_of(node)));
        }
    }

    /// Whether no byte of the blob was seen before.
    fn is_new(&self, node: &Descriptor) -> bool {
        !node.media_type.is_manifest() && self.moving.lock().insert(node.digest.clone())
    }

    /// A closed pipe is found out by the report; status must not stop a transfer.
    fn line(&self, text: &str) {
        drop(self.printer.line(text));
    }

    fn commit(&self, node: &Descriptor) {
        let title = node.title().map(ToOwned::to_owned);
        let mut committed = self.committed.lock();
        committed.entry(node.digest.clone()).or_default().insert(title);
    }

    fn finished(&self, node: &Descriptor, outcome: Pushed, children: &[Descriptor]) {
        self.commit(node);
        if self.words.dry && outcome != Pushed::Existed {
            return;
        }
        if self.words.reads {
            if outcome != Pushed::Existed || node.media_type.is_manifest() {
                self.node(self.words.finished, node);
            }
            return;
        }
        for child in children {
            let committed = self.committed.lock();
            let title = child.title().map(ToOwned::to_owned);
            let other = committed.get(&child.digest).is_some_and(|titles| !titles.contains(&title));
            drop(committed);
            if other {
                self.node(self.words.duplicate, child);
            }
        }
        self.node(
            match outcome {
                Pushed::Copied => self.words.finished,
                Pushed::Adopted => self.words.adopted,
                Pushed::Existed => self.words.existed,
            },
            node,
        );
    }
}

impl Listener for Lines {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Preparing(title) if self.verbose => self.line(&format!("Preparing {title}")),
            Step::EmptyArtifact => self.line("Uploading empty artifact"),
            Step::Skipped(node) => self.node("Skipped    ", node),
            Step::Restored(node) => self.node("Restored   ", node),
            Step::ReferrersLeft(_) => log::warning(self.printer, REFERRERS_LEFT, &[]),
            Step::Node(Event::Naming(node)) if self.words.names => self.node(self.words.existed, node),
            Step::Node(Event::Opening(node)) if self.words.reads => self.node(self.words.started, node),
            Step::Node(Event::Opened(node)) if self.words.reads => self.node("Processing ", node),
            Step::Node(Event::Started(node)) if self.words.mounts && !node.media_type.is_manifest() => {}
            // The first byte tells that a blob is not mounted.
            Step::Node(Event::Progress(node, _)) if self.words.mounts && self.is_new(node) => {
                self.node(self.words.started, node);
            }
            Step::Node(Event::Started(node)) if !(self.words.reads && node.media_type.is_manifest()) => {
                self.node(self.words.started, node);
            }
            Step::Node(Event::Finished { node, outcome, children }) => self.finished(node, outcome, children),
            Step::Node(Event::Twin { node, outcome }) => {
                let moved = outcome != Pushed::Existed && !(self.words.mounts && outcome == Pushed::Adopted);
                if moved {
                    self.node(self.words.started, node);
                }
                self.finished(node, outcome, &[]);
            }
            _ => {}
        }
    }
}
