//! `oras version`.

use clap::{ArgMatches, Command};
use oras::spec::Platform;

use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command("version", "Print the version", "Examples:\n  oras version\n  oras version --format json")
        .args(flags::format_too())
        .arg(flags::positional("", ""))
}

/// What it reports.
#[derive(Debug, serde::Serialize)]
struct Version {
    version: &'static str,
    os: &'static str,
    architecture: &'static str,
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
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        architecture: Platform::host_architecture(),
    };
    match Format::read(matches, format::TEXT, *printer)? {
        Format::Text => printer.line(format!(
            "Version:    {}\nOS/Arch:    {}/{}",
            version.version, version.os, version.architecture
        )),
        format => printer.report(&format, &version),
    }
}
