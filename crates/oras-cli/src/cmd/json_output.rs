//! Prints a descriptor or a document, indented with `--pretty`.

use oras::spec::{Descriptor, json};

use crate::failure::Failure;
use crate::print;

/// Prints a descriptor, for `--descriptor`.
pub(super) fn print_descriptor(node: &Descriptor, is_pretty: bool) -> Result<(), Failure> {
    if is_pretty { print::json(node) } else { print::text(&json::to_vec(node)) }
}

/// Prints JSON unchanged or indented.
pub(super) fn print_json(bytes: &[u8], is_pretty: bool) -> Result<(), Failure> {
    if !is_pretty {
        return print::text(bytes);
    }
    let mut pretty =
        json::indent(bytes).map_err(|error| Failure::new(format!("failed to prettify: {error}")))?;
    pretty.push(b'\n');
    print::text(&pretty)
}
