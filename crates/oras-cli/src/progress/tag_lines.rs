//! Lines about tags: stored, found, exported, skipped.

use std::path::Path;
use std::sync::Arc;

use oras::{Listener, Step};

use crate::format::Format;
use crate::humanize;
use crate::log;
use crate::print;

/// Prints the lines that follow the status of a manifest: one for the stored manifest, then one for each further tag.
pub(crate) struct StoredLines {
    pub(crate) inner: Arc<dyn Listener>,
    /// The line for a stored manifest; `None` prints nothing.
    pub(crate) stored: Option<String>,
}

impl Listener for StoredLines {
    fn step(&self, step: Step<'_>) {
        self.inner.step(step);
        let Some(stored) = &self.stored else { return };
        // Errors of a closed pipe are ignored here: the report that follows detects it.
        match step {
            Step::Stored(_) => drop(print::status(stored)),
            Step::Tagged(tag) => drop(print::status(format!("Tagged {tag}"))),
            _ => {}
        }
    }
}

/// Returns the listener of a command that transfers tags. `source` names the place with the tags, and `done` is the
/// word for a finished tag, such as `Pulled`. `nodes` shows the progress of nodes.
pub(crate) fn listener(
    nodes: Arc<dyn Listener>,
    format: &Format,
    source: &str,
    done: &'static str,
) -> Arc<dyn Listener> {
    // Warnings appear in every format, lines about tags only in text.
    if format.is_for_people() {
        Arc::new(TagWarnings { inner: Arc::new(TagLines { source: source.to_owned(), done, nodes }) })
    } else {
        Arc::new(TagWarnings { inner: nodes })
    }
}

/// Prints lines about tags and archives, and passes events of nodes to `nodes`.
struct TagLines {
    source: String,
    done: &'static str,
    nodes: Arc<dyn Listener>,
}

impl TagLines {
    /// Prints a line. Ignores a closed pipe, which must not stop a transfer; the last line detects it.
    fn line(&self, text: &str) {
        drop(print::status(text));
    }

    fn found(&self, tags: &[String]) {
        let head = format!("Found {} tag(s) in {}:", tags.len(), self.source);
        // A long list is easier to read with one tag in each line.
        if tags.len() > 5 {
            self.line(&format!("{head}\n{}", tags.join("\n")));
        } else {
            self.line(&format!("{head} {}", tags.join(", ")));
        }
    }

    fn exported(&self, path: &Path, size: u64) {
        self.line(&format!("Exported to {} ({})", path.display(), humanize::bytes(size)));
    }
}

impl Listener for TagLines {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::TagsFound(tags) => self.found(tags),
            Step::ArtifactDone { tag, referrers } => {
                self.line(&format!("{} tag {tag} with {referrers} referrer(s)", self.done));
            }
            Step::Exporting(path) => self.line(&format!("Exporting to {}", path.display())),
            Step::Exported(path, size) => self.exported(path, size),
            step => self.nodes.step(step),
        }
    }
}

/// Warns of tags that are skipped or would be replaced, in every format, and passes all other steps to `inner`.
struct TagWarnings {
    inner: Arc<dyn Listener>,
}

impl Listener for TagWarnings {
    fn step(&self, step: Step<'_>) {
        let text = match step {
            Step::InvalidTag(tag) => format!("skipped invalid tag {tag:?}"),
            Step::TagMoves { tag, from } => format!("tag {tag} names {from} and would be replaced"),
            step => return self.inner.step(step),
        };
        log::warning(&text, &[]);
    }
}
