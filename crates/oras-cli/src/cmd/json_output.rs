//! Printing a descriptor or a document as `--pretty` asks for.

use oras::spec::{Descriptor, json};

use crate::failure::Failure;
use crate::printer::Printer;

/// Prints the descriptor that `--descriptor` asks for.
pub(super) fn print_descriptor(printer: &Printer, node: &Descriptor, is_pretty: bool) -> Result<(), Failure> {
    if is_pretty { printer.json(node) } else { printer.text(&json::to_vec(node)) }
}

/// Prints JSON as it is, or indented.
pub(super) fn print_json(printer: &Printer, bytes: &[u8], is_pretty: bool) -> Result<(), Failure> {
    if !is_pretty {
        return printer.text(bytes);
    }
    let mut pretty =
        json::indent(bytes).map_err(|error| Failure::new(format!("failed to prettify: {error}")))?;
    pretty.push(b'\n');
    printer.text(&pretty)
}
