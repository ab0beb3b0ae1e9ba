//! `oras help`.

use clap::Command;

use crate::args;
use crate::args::flags;

/// The command; what it shows is found while the arguments are read.
pub(crate) fn command() -> Command {
    args::command(
        "help",
        "Show the help of a command",
        "Examples:\n  oras help push\n  oras help manifest fetch",
    )
    .arg(flags::positional("[command]", "Command"))
}
