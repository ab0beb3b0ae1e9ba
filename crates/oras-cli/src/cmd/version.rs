//! `oras version`.

use clap::{ArgMatches, Command};
use oras::spec::Platform;

use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::output::Printer;

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command("version", "Print the version", "Examples:\n  oras version").arg(flags::positional("", ""))
}

/// Runs it.
pub(crate) fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    if !words.is_empty() {
        printer.error(&format!(
            "warning: `oras version` requires no argument, {:?} will be ignored",
            words.join(",")
        ));
    }
    printer.line(format!(
        "Version:    {}\nOS/Arch:    {}/{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        Platform::host_architecture()
    ))
}
