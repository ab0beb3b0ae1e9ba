//! The result of a copy.

use oras_spec::Descriptor;
use oras_store::Pushed;

/// What a copy did, node by node. [`copy_graph`](crate::copy_graph) returns it.
///
/// ```
/// use oras_copy::{CopiedNode, CopyReport};
/// use oras_store::Pushed;
///
/// /// Returns the number of bytes that a copy transferred.
/// fn transferred(report: &CopyReport) -> u64 {
///     let is_new = |node: &&CopiedNode| node.outcome == Pushed::Copied;
///     report.nodes.iter().filter(is_new).map(|node| node.descriptor.size).sum()
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CopyReport {
    /// The visited nodes in the order of completion: children before their parents. Nodes below a manifest
    /// that the target already had are missing, because the copy did not visit them.
    pub nodes: Vec<CopiedNode>,
    /// The children that the selection left out, once for each manifest that lists them.
    pub left_out: Vec<Descriptor>,
}

/// A node that a copy visited. A [`CopyReport`] lists them.
#[derive(Clone, Debug)]
pub struct CopiedNode {
    /// The node.
    pub descriptor: Descriptor,
    /// Whether the bytes were copied, were adopted, or already existed.
    pub outcome: Pushed,
    /// The selected children, if the manifest was opened.
    pub children: Vec<Descriptor>,
}
