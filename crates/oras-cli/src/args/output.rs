//! Flags that select what a command prints.

use super::flags::{self, exclusive, no_tty, one_of, switch, text};
use crate::failure::Failure;

flags::flags! {
    /// The format of the result.
    struct FormatArgs {
        format: Option<String> = text("FORMAT", "Print the result in this format"),
        template: Option<String> = text("TEMPLATE", "Template of the format go-template"),
        jq: Option<String> =
            text("EXPRESSION", "Print the JSON through this expression of jq"),
    }
}

flags::flags! {
    /// How a transfer shows its progress.
    struct ProgressArgs {
        no_tty: bool = no_tty(),
        progress: Option<String> = one_of(
            text("KIND", "Show progress as bars, plain lines, json lines on standard error, or none"),
            "progress",
            &["bars", "plain", "json", "none"],
        ),
        // The commands declare these flags, so the group only reads them.
        verbose: Option<bool>,
        quiet: bool,
        debug: bool,
    }
}

flags::flags! {
    /// Whether the descriptor is printed, and how JSON is printed.
    struct DescriptorArgs {
        descriptor: Option<bool> = switch("Print the descriptor"),
        pretty: Option<bool> = switch("Indent the JSON"),
    }
}

impl DescriptorArgs {
    /// Returns true if the command prints the descriptor.
    pub(crate) fn is_wanted(&self) -> bool {
        self.descriptor == Some(true)
    }

    /// Returns true if JSON is indented.
    pub(crate) fn is_pretty(&self) -> bool {
        self.pretty == Some(true)
    }

    /// Fails if one of these flags was given together with `--format`.
    pub(crate) fn exclude_format(&self, args: &FormatArgs) -> Result<(), Failure> {
        // `--pretty` and `--descriptor` may be used together, so each one is checked against `--format` alone.
        exclusive!("", args.format, self.pretty)?;
        exclusive!("", args.format, self.descriptor)
    }
}
