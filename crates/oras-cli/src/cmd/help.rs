//! `oras help`.

use clap::Command;

use crate::args::{self, flags};

/// Creates the command. The parser of the command line turns it into a request for a help page, so it never runs.
pub(crate) fn command() -> Command {
    args::command_without_debug(
        "help",
        "Show the help of a command",
        "Examples:\n  oras help push\n  oras help manifest fetch",
    )
    .arg(flags::positional("[command]", "Command"))
}
