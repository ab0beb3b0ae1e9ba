//! The `oras` command: arguments in, one library call, a report out.
//!
//! A library only so that the reference pages can be made from [`command`] and the parsers can be fuzzed: programs
//! use the crate `oras`.
//!
//! ```
//! let matches = oras_cli::command().try_get_matches_from(["oras", "resolve", "localhost:5000/hello:v1"]);
//! assert_eq!(matches.unwrap().subcommand_name(), Some("resolve"));
//! ```

mod args;
mod artifacts;
mod cmd;
mod env;
mod error;
mod events;
mod format;
mod human;
mod jq;
mod log;
mod natural;
mod output;
mod periodic;
mod progress;
mod selection;
mod status;
mod table;
mod target;
mod tree;

use std::process::ExitCode;

use crate::error::Failure;
use crate::output::Printer;

/// The whole command line: every command, flag and example.
pub fn command() -> clap::Command {
    cmd::root()
}

/// Runs the command that the arguments of this process name: 0 when it succeeds, 1 when it fails.
pub fn main() -> ExitCode {
    let printer = Printer::new();
    match run(&printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.error(&failure.to_string());
            if env::exit_codes() { ExitCode::from(failure.exit_code()) } else { ExitCode::FAILURE }
        }
    }
}

fn run(printer: &Printer) -> Result<(), Failure> {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return args::misuse(error, printer),
    };
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    if name == "version" {
        return cmd::version::run(matches, printer);
    }
    // One thread drives the network; files are read, hashed and written on blocking threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("failed to start: {error}")))?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = cmd::run(name, matches, printer) => result,
            _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupt signal received")),
        }
    });
    // A blocking read of standard input must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}
