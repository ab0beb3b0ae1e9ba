//! The steps that a verb reports while it runs.

use std::path::Path;
use std::sync::Arc;

use oras_copy::{Event, Observer};
use oras_spec::{Descriptor, Digest};

/// A step of a verb. Programs show them as lines or progress bars; see [`Listener`] for an example.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The files and directories that are about to be read and sent.
    Files {
        /// The number of files and directories.
        count: usize,
        /// The sum of their sizes in bytes; `None` if there is a directory, whose packed size is not known yet.
        bytes: Option<u64>,
    },
    /// The file or directory with this title is about to be read.
    Preparing(&'a str),
    /// Bytes of a large file or directory were sent. Its digest is unknown until the end, because it is hashed while it
    /// is sent.
    Sending {
        /// The title of the file or directory.
        title: &'a str,
        /// The size in bytes; 0 if it is unknown.
        size: u64,
        /// The number of bytes since the previous step.
        bytes: u64,
    },
    /// An earlier run sent this number of bytes of a large file, and the upload resumes after them.
    Sent {
        /// The title of the file.
        title: &'a str,
        /// The size in bytes.
        size: u64,
        /// The number of bytes that the target has.
        bytes: u64,
    },
    /// The artifact has no files.
    EmptyArtifact,
    /// The copy engine reports an event of a node.
    Node(Event<'a>),
    /// A node without a title is not pulled.
    Skipped(&'a Descriptor),
    /// A file was written from content that was transferred under another title.
    Restored(&'a Descriptor),
    /// The referrers of this index are not copied, because the copy has only some of its platforms and another digest.
    ReferrersLeft(&'a Descriptor),
    /// The artifact is stored. The tags after the first follow.
    Stored(&'a Descriptor),
    /// The manifest is about to get further tags.
    Tagging(&'a Descriptor),
    /// The tag was written.
    Tagged(&'a str),
    /// A backup skips this tag. The registry lists it, but it is outside the grammar of tags.
    InvalidTag(&'a str),
    /// A dry run of a restore found that the tag names another manifest at the target.
    TagMoves {
        /// The tag.
        tag: &'a str,
        /// The manifest that the tag names now.
        from: &'a Digest,
    },
    /// These tags are about to be backed up or restored.
    TagsFound(&'a [String]),
    /// An artifact and its tag are backed up or restored. In a dry run, nothing was written.
    ArtifactDone {
        /// The tag.
        tag: &'a str,
        /// The number of its referrers.
        referrers: usize,
    },
    /// The archive at this path is about to be published.
    Exporting(&'a Path),
    /// The archive at this path was published. The number is its size in bytes.
    Exported(&'a Path, u64),
    /// A manifest for an index is about to be read, by this tag or digest.
    Fetching(&'a str),
    /// The manifest for an index was read.
    Fetched(&'a str, &'a Descriptor),
    /// The manifest was added to the index.
    Added(&'a str, &'a Descriptor),
    /// The entries of this index were added to the index.
    Merged(&'a str, &'a Descriptor),
    /// The entry with this digest was removed from the index.
    Removed(&'a Digest),
}

/// Receives the steps of a verb. It is called often and from several threads, and must not block.
///
/// A closure is a listener:
///
/// ```
/// use oras::{Artifact, Event, Memory, MirrorOptions, Step, mirror};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let (from, to) = (Memory::new(), Memory::new());
/// Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&from, Some("v1")).await?;
/// let print = |step: Step<'_>| {
///     if let Step::Node(Event::Finished { node, outcome, .. }) = step {
///         println!("{outcome:?} {} ({} bytes)", node.digest, node.size);
///     }
/// };
/// mirror(from, to, MirrorOptions::default(), print).await?;
/// # Ok(()) }
/// ```
pub trait Listener: Send + Sync {
    /// Receives one step.
    fn step(&self, step: Step<'_>);
}

/// A listener that ignores everything. Pass it to a verb whose steps the program does not show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl<F: Fn(Step<'_>) + Send + Sync> Listener for F {
    fn step(&self, step: Step<'_>) {
        self(step);
    }
}

impl<T: Listener + ?Sized> Listener for Arc<T> {
    fn step(&self, step: Step<'_>) {
        (**self).step(step);
    }
}

impl Listener for Quiet {
    fn step(&self, _: Step<'_>) {}
}

/// An observer that forwards the events of a copy as [`Step::Node`].
pub(crate) struct CopyObserver(pub(crate) Arc<dyn Listener>);

impl Observer for CopyObserver {
    fn event(&self, event: Event<'_>) {
        self.0.step(Step::Node(event));
    }
}
