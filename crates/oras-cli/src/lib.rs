//! The `oras` command: arguments in, one library call, a report out.
//!
//! A library only so that the reference pages can be made from [`command`] and the parsers can be fuzzed: programs
//! use the crate `oras`.
//!
//! ```
//! let matches = oras_cli::command().try_get_matches_from(["oras", "resolve", "localhost:5000/hello:v1"]);
//! assert_eq!(matches.unwrap().subcommand_name(), Some("resolve"));
//! ```

mod access_log;
mod args;
mod artifacts;
mod cache;
mod cmd;
mod complete;
mod env;
mod error;
mod evaluate;
mod events;
mod format;
mod human;
mod jq;
mod log;
mod natural;
mod output;
mod periodic;
mod progress;
mod remote;
mod selection;
mod status;
mod table;
mod target;
mod tree;
mod visible;

use std::process::ExitCode;

use crate::args::Request;
use crate::error::Failure;
use crate::output::Printer;

/// The whole command line: every command, flag and example, as the reference pages show it.
pub fn command() -> clap::Command {
    args::help::dress(cmd::root())
}

/// Runs the command that the arguments of this process name: 0 when it succeeds, 1 when it fails.
pub fn main() -> ExitCode {
    forbid_core_files();
    if std::env::args_os().nth(1).is_some_and(|word| word == evaluate::CHILD) {
        return evaluate::run_child();
    }
    let printer = Printer::new();
    let result = run(&printer);
    for text in oras::store::fsio::take_notices() {
        printer.error(&format!("Warning: {text}"));
    }
    if printer.is_stdout_closed() {
        return end_by_broken_pipe();
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.error(&failure.to_string());
            if env::exit_codes() { ExitCode::from(failure.exit_code()) } else { ExitCode::FAILURE }
        }
    }
}

/// Ends the process silently as SIGPIPE ends one: `oras repo tags … | head -1` is no failure of the command.
///
/// The runtime of Rust ignores the signal, which is right for sockets, so it is raised here with its default action.
fn end_by_broken_pipe() -> ExitCode {
    #[cfg(unix)]
    drop(signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE));
    // What shells report for that signal, should it have been blocked.
    ExitCode::from(141)
}

/// A core file would have the secrets of this process in it. What can't be forbidden is as the system has it.
fn forbid_core_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    }
}

fn run(printer: &Printer) -> Result<(), Failure> {
    let words = std::env::args_os().skip(1).map(args::text).collect::<Result<Vec<_>, _>>()?;
    if let Some((ask, words)) = words.split_first().filter(|(word, _)| complete::asks(word)) {
        return complete::answer(ask, words, printer);
    }
    // The Go tool has no such flag: other programs are asked for their version like this.
    let words = match words.split_first() {
        Some((word, rest)) if word == "--version" || word == "-V" => [&["version".to_owned()], rest].concat(),
        _ => words,
    };
    let matches = match args::read(cmd::root(), &words, |text| printer.error(text))? {
        Request::Run(matches) => matches,
        Request::Help(path) => return printer.bytes(args::help::page(command(), &path).as_bytes()),
    };
    match matches.subcommand() {
        None => Ok(()),
        Some(("version", matches)) => cmd::version::run(matches, printer),
        Some(("completion", matches)) => match matches.subcommand() {
            Some((shell, matches)) => cmd::completion::run(shell, matches, printer),
            None => Ok(()),
        },
        Some((name, matches)) => run_async(name, matches, printer),
    }
}

/// Threads that may block at the same time: those of transfers wait for each other, so that there must be enough.
const THREADS: usize = 512;
/// Those of a server never wait for a client for long, and each costs memory.
const SERVER_THREADS: usize = 64;

fn run_async(name: &str, matches: &clap::ArgMatches, printer: &Printer) -> Result<(), Failure> {
    // One thread drives the network; files are read, hashed and written on blocking threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(if name == "serve" { SERVER_THREADS } else { THREADS })
        .build()
        .map_err(|error| Failure::new(format!("failed to start: {error}")))?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = cmd::run(name, matches, printer) => result,
            () = interrupted(name) => Err(Failure::new("interrupt signal received")),
        }
    });
    // A blocking read of standard input must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// Ready when the command is to end at once; a server ends by itself when its uploads are finished.
async fn interrupted(name: &str) {
    if name == "serve" {
        std::future::pending::<()>().await;
    }
    drop(tokio::signal::ctrl_c().await);
}
