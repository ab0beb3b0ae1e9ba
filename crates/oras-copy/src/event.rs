//! The events that a copy reports while it runs.

use oras_spec::Descriptor;
use oras_store::Pushed;

/// An event of a copy. Programs show them as lines or progress bars; see [`Observer`] for an example.
///
/// The order for one node is `Opening`, `Opened` (only manifests that are read), `Started`, any number of `Progress`,
/// `Finished`. Events of different nodes interleave.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A manifest is about to be read for its children.
    Opening(&'a Descriptor),
    /// The manifest was read.
    Opened {
        /// The manifest.
        node: &'a Descriptor,
        /// The children that are copied. Their number and sizes are the total of a progress bar; a child may occur in
        /// several manifests, and is then transferred once.
        children: &'a [Descriptor],
        /// The children that the selection leaves out.
        left_out: &'a [Descriptor],
    },
    /// An existing root is about to be tagged. A root with this event has no other events.
    Naming(&'a Descriptor),
    /// The transfer of a node begins: the target does not have it.
    Started(&'a Descriptor),
    /// More bytes of a node were transferred; the number counts from the previous event. Reported on the thread of the
    /// transfer.
    Progress(&'a Descriptor, u64),
    /// The target already has this number of bytes of a node: the start of a resumed transfer, or a whole file that
    /// exists. They are not transferred.
    Present(&'a Descriptor, u64),
    /// The target has a node.
    Finished {
        /// The node.
        node: &'a Descriptor,
        /// Whether it was copied, adopted, or existed. A node that existed has no `Started` event.
        outcome: Pushed,
        /// Its children in the copied graph, if it was opened.
        children: &'a [Descriptor],
    },
    /// The bytes of a finished node occur in the graph under another media type as well. Reported once for each media
    /// type, before the parent is finished. Nothing is transferred for it.
    Twin {
        /// The node with the other media type.
        node: &'a Descriptor,
        /// The outcome of the finished node; `Existed` if nodes are copied one at a time.
        outcome: Pushed,
    },
}

/// Receives the events of a copy. It is called often and must not block. It cannot influence the copy.
///
/// A closure is an observer. A type implements the trait to keep state, such as the total of a progress bar:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use oras_copy::{Event, Observer};
///
/// #[derive(Default)]
/// struct Bar {
///     total: AtomicU64,
///     done: AtomicU64,
/// }
///
/// impl Observer for Bar {
///     fn event(&self, event: Event<'_>) {
///         match event {
///             Event::Opened { children, .. } => {
///                 let size = children.iter().map(|child| child.size).sum();
///                 self.total.fetch_add(size, Ordering::Relaxed);
///             }
///             Event::Progress(_, bytes) => {
///                 self.done.fetch_add(bytes, Ordering::Relaxed);
///             }
///             _ => {}
///         }
///     }
/// }
/// let bar: std::sync::Arc<dyn Observer> = std::sync::Arc::new(Bar::default());
/// # let _ = bar;
/// ```
pub trait Observer: Send + Sync {
    /// Receives one event.
    fn event(&self, event: Event<'_>);
}

/// An observer that ignores everything. It is the default of [`CopyOptions`](crate::CopyOptions), and the way to turn
/// an observer off:
///
/// ```
/// use std::sync::Arc;
///
/// use oras_copy::{CopyOptions, Event, Observer, Silent};
///
/// let verbose = false;
/// let print = |event: Event<'_>| println!("{event:?}");
/// let observer: Arc<dyn Observer> = if verbose { Arc::new(print) } else { Arc::new(Silent) };
/// let options = CopyOptions::default().observer(observer);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}

impl<F: Fn(Event<'_>) + Send + Sync> Observer for F {
    fn event(&self, event: Event<'_>) {
        self(event);
    }
}
