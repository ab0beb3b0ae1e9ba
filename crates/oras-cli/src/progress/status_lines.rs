//! Status lines: one for each event, on standard output, in the words of the Go tool.

use std::collections::{HashMap, HashSet};

use oras::spec::{Descriptor, Digest};
use oras::store::Pushed;
use oras::{Event, Listener, Step};
use parking_lot::Mutex;

use super::words::{REFERRERS_LEFT, StatusWords, name_of};
use crate::log;
use crate::print;

/// Prints a line for each event.
pub(crate) struct StatusLines {
    words: StatusWords,
    verbose: bool,
    /// The digests of finished content, each with the titles of that content.
    committed: Mutex<HashMap<Digest, HashSet<Option<String>>>>,
    /// The blobs of which some bytes were transferred.
    moving: Mutex<HashSet<Digest>>,
}

impl StatusLines {
    pub(crate) fn new(words: StatusWords, verbose: bool) -> Self {
        Self { words, verbose, committed: Mutex::default(), moving: Mutex::default() }
    }

    /// Prints the line of a node.
    fn node(&self, word: &str, node: &Descriptor) {
        if self.verbose || node.title().is_some() {
            self.line(&format!("{word} {} {}", node.digest.short(), name_of(node)));
        }
    }

    /// Returns true for the first transferred bytes of a blob.
    fn is_first_progress(&self, node: &Descriptor) -> bool {
        !node.media_type.is_manifest() && self.moving.lock().insert(node.digest.clone())
    }

    /// Prints a line. Ignores a closed pipe, which must not stop a transfer; the report detects it.
    fn line(&self, text: &str) {
        drop(print::status(text));
    }

    /// Records that content is finished.
    fn commit(&self, node: &Descriptor) {
        let title = node.title().map(ToOwned::to_owned);
        let mut committed = self.committed.lock();
        committed.entry(node.digest.clone()).or_default().insert(title);
    }

    fn finished(&self, node: &Descriptor, outcome: Pushed, children: &[Descriptor]) {
        self.commit(node);
        // In a dry run the first line already shows what would be transferred.
        if self.words.is_dry_run && outcome != Pushed::Existed {
            return;
        }
        if self.words.shows_manifests {
            if outcome != Pushed::Existed || node.media_type.is_manifest() {
                self.node(self.words.finished, node);
            }
            return;
        }
        // Blobs with the same digest are transferred only once. This prints a line for each other title.
        for child in children {
            let committed = self.committed.lock();
            let title = child.title().map(ToOwned::to_owned);
            let other = committed.get(&child.digest).is_some_and(|titles| !titles.contains(&title));
            // Printing may block, so the lock is released first.
            drop(committed);
            if other {
                self.node(self.words.duplicate, child);
            }
        }
        self.node(self.words.outcome(outcome), node);
    }
}

impl Listener for StatusLines {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Preparing(title) if self.verbose => self.line(&format!("Preparing {title}")),
            Step::EmptyArtifact => self.line("Uploading empty artifact"),
            Step::Skipped(node) => self.node("Skipped    ", node),
            Step::Restored(node) => self.node("Restored   ", node),
            Step::ReferrersLeft(_) => log::warning(REFERRERS_LEFT, &[]),
            Step::Node(Event::Naming(node)) if self.words.shows_naming => self.node(self.words.existed, node),
            Step::Node(Event::Opening(node)) if self.words.shows_manifests => {
                self.node(self.words.started, node)
            }
            Step::Node(Event::Opened { node, .. }) if self.words.shows_manifests => {
                self.node("Processing ", node)
            }
            // The client does not know yet whether the blob will be mounted or copied, so this event prints no line.
            Step::Node(Event::Started(node)) if self.words.may_mount && !node.media_type.is_manifest() => {}
            // Mounting transfers no bytes, so the first progress event shows that the blob is copied.
            Step::Node(Event::Progress(node, _)) if self.words.may_mount && self.is_first_progress(node) => {
                self.node(self.words.started, node);
            }
            Step::Node(Event::Started(node))
                if !(self.words.shows_manifests && node.media_type.is_manifest()) =>
            {
                self.node(self.words.started, node);
            }
            Step::Node(Event::Finished { node, outcome, children }) => self.finished(node, outcome, children),
            Step::Node(Event::Twin { node, outcome }) => {
                let moved =
                    outcome != Pushed::Existed && !(self.words.may_mount && outcome == Pushed::Adopted);
                if moved {
                    self.node(self.words.started, node);
                }
                self.finished(node, outcome, &[]);
            }
            _ => {}
        }
    }
}
