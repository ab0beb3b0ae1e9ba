//! What a copy tells while it runs.

use oras_spec::Descriptor;
use oras_store::Pushed;

/// A step of a copy. For one node the order is `Opening`, `Opened` (manifests that had to be read), `Started`,
/// any number of `Progress`, `Finished`; events of different nodes mix.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A manifest is about to be read for its children.
    Opening(&'a Descriptor),
    /// The manifest was read.
    Opened(&'a Descriptor),
    /// A root that the target has is about to get its name; told in place of all others.
    Naming(&'a Descriptor),
    /// The bytes of a node are about to move: it is not at the target.
    Started(&'a Descriptor),
    /// That many more bytes of a node have passed. Told on the thread on which they pass.
    Progress(&'a Descriptor, u64),
    /// A node is at the target.
    Finished {
        /// The node.
        node: &'a Descriptor,
        /// How it came there. A node that existed was not started.
        outcome: Pushed,
        /// Its children that were copied, when it was opened.
        children: &'a [Descriptor],
    },
    /// The bytes of a finished node are at the target under another media type, too: reported once for each type,
    /// before the node that has it as a child is finished. Nothing moves for it.
    Twin {
        /// The node with the other media type.
        node: &'a Descriptor,
        /// How the bytes came to the target, whichever of the types was first; `Existed` if nodes are copied one at a
        /// time.
        outcome: Pushed,
    },
}

/// Takes the events of a copy; called often, so it must be quick, and never steers.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

/// An observer that ignores everything.
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
