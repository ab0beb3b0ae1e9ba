//! The options of a copy.

use crate::Concurrency;
use std::fmt;
use std::sync::Arc;

use oras_spec::Descriptor;
use oras_store::MAX_MANIFEST_SIZE;

use crate::event::{Observer, Silent};
use crate::selection::{Selection, all_children};

/// The options of [`copy_graph`](crate::copy_graph). The default copies all children, without a tag or an observer.
///
/// ```
/// use std::sync::Arc;
///
/// use oras_copy::{CopyOptions, Event, TagPolicy, without_subject};
///
/// let options = CopyOptions::default()
///     .tag(TagPolicy::AtEnd("v1".into()))
///     .selection(without_subject)
///     .concurrency(4)
///     .observer(Arc::new(|event: Event<'_>| {
///         if let Event::Finished { node, outcome, .. } = event {
///             println!("{outcome:?} {}", node.digest);
///         }
///     }));
/// # let _ = options;
/// ```
#[non_exhaustive]
pub struct CopyOptions {
    /// The tag of the first root.
    pub tag: TagPolicy,
    /// The children that are copied.
    pub selection: Box<dyn Selection>,
    /// The maximum number of nodes that are transferred at a time. By default 32 requests and small blobs,
    /// and 5 large blobs.
    pub concurrency: Concurrency,
    /// The size in bytes of the largest manifest that is read.
    pub max_manifest_size: u64,
    /// Also visits the children of manifests that the target has. This repairs a target with an incomplete graph.
    pub force: bool,
    /// Nodes that the target has, with all their descendants. The engine makes no request for them and reports no
    /// events.
    pub present: Vec<Descriptor>,
    /// Receives the events.
    pub observer: Arc<dyn Observer>,
}

impl CopyOptions {
    oras_store::setters! {
        tag: TagPolicy;
        selection: impl Selection + 'static => Box::new(selection);
        concurrency: impl Into<Concurrency> => concurrency.into();
        max_manifest_size: u64;
        force: bool;
        present: Vec<Descriptor>;
        observer: Arc<dyn Observer>;
    }
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            tag: TagPolicy::None,
            selection: Box::new(all_children),
            concurrency: Concurrency::default(),
            max_manifest_size: MAX_MANIFEST_SIZE,
            force: false,
            present: Vec::new(),
            observer: Arc::new(Silent),
        }
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions")
            .field("tag", &self.tag)
            .field("concurrency", &self.concurrency)
            .field("max_manifest_size", &self.max_manifest_size)
            .field("force", &self.force)
            .finish_non_exhaustive()
    }
}

/// When a copy writes the tag of its first root. Every policy writes the tag after all descendants of the root are
/// stored. It is a field of [`CopyOptions`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TagPolicy {
    /// Writes no tag.
    #[default]
    None,
    /// Writes the tag in the request that pushes the root, which saves one request at a registry. If the target
    /// has it, writes the tag unless the tag already names it. A copy of several roots writes the tag at the end.
    WithRoot(String),
    /// Like [`TagPolicy::WithRoot`], but writes the tag of an existing root without reading the tag first: the caller
    /// knows that it names something else.
    OverwriteWithRoot(String),
    /// Writes the tag in a separate request, after all roots are stored.
    AtEnd(String),
}

impl TagPolicy {
    /// Returns [`TagPolicy::WithRoot`] for a tag, and [`TagPolicy::None`] without one.
    pub fn with_root(tag: Option<&str>) -> Self {
        tag.map_or(Self::None, |tag| Self::WithRoot(tag.to_owned()))
    }

    /// Returns the tag, if any.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::WithRoot(tag) | Self::OverwriteWithRoot(tag) | Self::AtEnd(tag) => Some(tag),
        }
    }
}
