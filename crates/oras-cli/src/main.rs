//! The `oras` command: arguments in, one library call, a report out.

mod args;
mod cmd;
mod env;
mod error;
mod output;
mod progress;
mod status;
mod target;
mod tree;

use std::process::ExitCode;

use crate::error::Failure;
use crate::output::Printer;

fn main() -> ExitCode {
    let printer = Printer::new();
    match run(&printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.error(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(printer: &Printer) -> Result<(), Failure> {
    let matches = match args::root().try_get_matches() {
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
