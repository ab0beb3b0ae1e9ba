//! `oras version`.

use clap::{ArgMatches, Command};
use oras::spec::Platform;

use crate::args::{self, FormatArgs, flags};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

flags::flags! {
    /// The arguments of `oras version`.
    struct VersionArgs {
        #[flatten] format: FormatArgs,
        words: Vec<String> = flags::positional("", ""),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command_without_debug(
        "version",
        "Print the version",
        "Examples:\n  oras version\n  oras version --format json",
    )
    .args(VersionArgs::flags(""))
}

/// The report.
#[derive(Debug, serde::Serialize)]
struct Version {
    version: &'static str,
    os: &'static str,
    architecture: &'static str,
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = VersionArgs::read(matches, "");
    if !args.words.is_empty() {
        print::error(&format!(
            "warning: `oras version` requires no argument, {:?} will be ignored",
            args.words.join(",")
        ));
    }
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        architecture: Platform::host_architecture(),
    };
    match Format::read(&args.format, format::TEXT).await? {
        Format::Text => print::line(format!(
            "Version:    {}\nOS/Arch:    {}/{}",
            version.version, version.os, version.architecture
        )),
        format => format.report(&version).await,
    }
}
