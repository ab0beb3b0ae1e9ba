//! The words of status lines and progress bars, which are the words of the Go tool.

use oras::spec::Descriptor;
use oras::store::Pushed;

use crate::artifact_location::ArtifactLocation;
use crate::terminal_text;

/// The words of a family of commands, with the padding of the printed lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusWords {
    pub(crate) started: &'static str,
    pub(crate) finished: &'static str,
    pub(crate) existed: &'static str,
    pub(crate) adopted: &'static str,
    /// For content that was transferred under another title.
    pub(crate) duplicate: &'static str,
    /// Whether reading a manifest prints lines.
    pub(crate) shows_manifests: bool,
    /// Whether tagging an existing root prints a line. It does in a layout, which writes the tag separately.
    pub(crate) shows_naming: bool,
    /// Whether blobs may be mounted, for which only the last line is printed.
    pub(crate) may_mount: bool,
    /// Whether the items of the transfer are files with titles; else they are all blobs and manifests.
    pub(crate) counts_files: bool,
    /// The word for the complete part of an interrupted transfer, which a later run continues; empty if it starts anew.
    pub(crate) partial: &'static str,
    /// Whether this is a dry run, which transfers nothing. The lines show what would be transferred.
    pub(crate) is_dry_run: bool,
}

const NONE: StatusWords = StatusWords {
    started: "",
    finished: "",
    existed: "",
    adopted: "",
    duplicate: "",
    shows_manifests: false,
    shows_naming: false,
    may_mount: false,
    counts_files: false,
    partial: "",
    is_dry_run: false,
};

impl StatusWords {
    /// Returns the word for a finished node.
    pub(crate) fn outcome(&self, outcome: Pushed) -> &'static str {
        match outcome {
            Pushed::Copied => self.finished,
            Pushed::Adopted => self.adopted,
            Pushed::Existed => self.existed,
        }
    }

    /// Returns why adopted content was not transferred.
    pub(crate) fn adopted_reason(&self) -> &'static str {
        if self.shows_manifests { "restored" } else { "linked" }
    }

    /// Returns the words for a transfer to `target`.
    pub(crate) fn to(self, target: &ArtifactLocation) -> Self {
        let is_layout = target.kind() == "oci-layout";
        Self { shows_naming: is_layout, partial: if is_layout { "kept" } else { self.partial }, ..self }
    }

    /// Returns the words for a dry run, if `is_dry_run`.
    pub(crate) fn dry(self, is_dry_run: bool) -> Self {
        let started = match self.started {
            "Copying" => "Would copy",
            _ => "Would upload",
        };
        if is_dry_run { Self { started, is_dry_run, may_mount: false, ..self } } else { self }
    }

    /// Returns the words for content that is copied between two locations. Blobs are mounted within one registry; a
    /// layout that links a blob reports it as copied.
    pub(crate) fn between(self, from: &ArtifactLocation, to: &ArtifactLocation) -> Self {
        let may_mount = from.registry().is_some() && from.registry() == to.registry();
        let adopted = if may_mount { self.adopted } else { self.finished };
        Self { may_mount, adopted, ..self.to(to) }
    }
}

pub(crate) const PUSH: StatusWords = StatusWords {
    started: "Uploading",
    finished: "Uploaded ",
    existed: "Exists   ",
    adopted: "Mounted  ",
    duplicate: "Exists   ",
    counts_files: true,
    // The registry keeps what it has stored of an upload, which this process does not know.
    partial: "sent",
    ..NONE
};

pub(crate) const COPY: StatusWords = StatusWords {
    started: "Copying",
    finished: "Copied ",
    existed: "Exists ",
    adopted: "Mounted",
    duplicate: "Skipped",
    partial: "sent",
    ..NONE
};

pub(crate) const PULL: StatusWords = StatusWords {
    started: "Downloading",
    finished: "Downloaded ",
    existed: "Skipped    ",
    adopted: "Restored   ",
    duplicate: "",
    shows_manifests: true,
    counts_files: true,
    partial: "kept",
    ..NONE
};

pub(crate) const BACKUP: StatusWords = StatusWords {
    started: "Pulling  ",
    finished: "Pulled   ",
    existed: "Exists   ",
    adopted: "Pulled   ",
    duplicate: "Skipped  ",
    ..NONE
};

pub(crate) const RESTORE: StatusWords = StatusWords {
    started: "Pushing  ",
    finished: "Pushed   ",
    existed: "Exists   ",
    adopted: "Pushed   ",
    duplicate: "Skipped  ",
    partial: "sent",
    ..NONE
};

pub(crate) const CHECK: StatusWords = StatusWords { started: "Checking", finished: "Checked ", ..NONE };

/// The warning when the referrers of an index are not copied.
pub(crate) const REFERRERS_LEFT: &str = "referrers of the source index are not copied because selecting a subset of \
                                         platforms produces a new index digest";

/// Returns the name of a node in a status line: its title, else its media type.
pub(crate) fn name_of(node: &Descriptor) -> String {
    // Text of a registry must not control the terminal.
    terminal_text::without_controls(node.title().unwrap_or(node.media_type.as_str()))
}
