//! The result of a copy.

use oras_spec::Descriptor;
use oras_store::Pushed;

/// What a copy did, node by node.
#[derive(Clone, Debug, Default)]
pub struct CopyReport {
    /// The visited nodes in the order of completion: children before their parents. Nodes below a manifest
    /// that the target already had are missing, because the copy did not visit them.
    pub nodes: Vec<CopiedNode>,
    /// The children that the selection left out, once for each manifest that lists them.
    pub left_out: Vec<Descriptor>,
}

/// A node that a copy visited.
#[derive(Clone, Debug)]
pub struct CopiedNode {
    /// The node.
    pub descriptor: Descriptor,
    /// Whether the bytes were copied, were adopted, or already existed.
    pub outcome: Pushed,
    /// The selected children, if the manifest was opened.
    pub children: Vec<Descriptor>,
}
