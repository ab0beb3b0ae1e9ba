//! What a verb tells while it runs.

use std::path::Path;
use std::sync::Arc;

use oras_copy::{Event, Observer};
use oras_spec::{Descriptor, Digest};

/// A step of a verb.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// A file or directory with this title is about to be read.
    Preparing(&'a str),
    /// Bytes of a large file or directory have just passed, which is sent while its digest is found out.
    Sending {
        /// The file or directory.
        title: &'a str,
        /// How many bytes it has; 0 when nobody knows yet.
        size: u64,
        /// How many of them have just passed.
        bytes: u64,
    },
    /// The artifact has no files.
    EmptyArtifact,
    /// A node moves.
    Node(Event<'a>),
    /// A node without a file name is not pulled.
    Skipped(&'a Descriptor),
    /// A file was written from content that came under another name.
    Restored(&'a Descriptor),
    /// This index has referrers that are not copied: what is copied is another index, of some of its platforms.
    ReferrersLeft(&'a Descriptor),
    /// Everything is stored; tags beyond the first follow.
    Stored(&'a Descriptor),
    /// A manifest is about to get more tags.
    Tagging(&'a Descriptor),
    /// A tag was written.
    Tagged(&'a str),
    /// A backup skips this tag, which the registry lists but which is outside the grammar of tags.
    InvalidTag(&'a str),
    /// A dry run of a restore found that the target has this tag, for something else.
    TagMoves {
        /// The tag.
        tag: &'a str,
        /// What it names now.
        from: &'a Digest,
    },
    /// These tags are backed up or restored.
    TagsFound(&'a [String]),
    /// An artifact is backed up or restored, tag included; without a dry run, everything below it is there.
    ArtifactDone {
        /// The tag.
        tag: &'a str,
        /// How many referrers came along.
        referrers: usize,
    },
    /// An archive is about to get its name.
    Exporting(&'a Path),
    /// An archive of that many bytes has its name.
    Exported(&'a Path, u64),
    /// A manifest that an index is made of is about to be read, by that tag or digest.
    Fetching(&'a str),
    /// The manifest was read.
    Fetched(&'a str, &'a Descriptor),
    /// The manifest was added to an index.
    Added(&'a str, &'a Descriptor),
    /// What the index lists was added to another.
    Merged(&'a str, &'a Descriptor),
    /// The digest was removed from an index.
    Removed(&'a Digest),
}

/// Takes the steps of a verb; called often, and from several threads.
pub trait Listener: Send + Sync {
    /// Takes one step.
    fn step(&self, step: Step<'_>);
}

/// A listener that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Listener for Quiet {
    fn step(&self, _: Step<'_>) {}
}

/// Passes the events of a copy on as steps.
pub(crate) struct Nodes(pub(crate) Arc<dyn Listener>);

impl Observer for Nodes {
    fn event(&self, event: Event<'_>) {
        self.0.step(Step::Node(event));
    }
}
