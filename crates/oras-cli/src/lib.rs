//! The `oras` command: parses arguments, calls the library, and prints a report.
//!
//! This is a library only to generate the reference pages from [`command`] and to fuzz the parsers. Programs use the
//! crate `oras`.
//!
//! ```
//! let matches = oras_cli::command().try_get_matches_from(["oras", "resolve", "localhost:5000/hello:v1"]);
//! assert_eq!(matches.unwrap().subcommand_name(), Some("resolve"));
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod args;
mod artifact_location;
mod bucket_location;
mod cache;
mod cmd;
mod columns;
mod complete;
mod credentials;
mod env;
mod exit_status;
mod expression;
mod failure;
mod format;
mod hints;
mod humanize;
mod live_rows;
mod log;
mod open_files;
mod print;
mod progress;
mod prompt;
mod referrer_table;
mod referrer_tree;
mod registry_access;
mod server_log;
mod server_log_terminal;
mod server_summary;
mod terminal_text;

use std::process::ExitCode;

use crate::args::Request;
use crate::failure::Failure;

/// Returns the root command with every command, flag and example, as the reference pages show it.
pub fn command() -> clap::Command {
    args::help::complete_pages(cmd::root())
}

/// Runs the command that the process arguments name. Returns 0 if it succeeds, 130 after Ctrl-C, and 1 if it fails, or
/// the status of `ORAS_EXIT_CODES`. `diff` returns 1 if the artifacts differ and 2 if it fails, `doctor` 1 if a check
/// failed.
pub fn main() -> ExitCode {
    forbid_core_files();
    // The child prints only results and errors, so this check comes before all warnings.
    if std::env::args_os().nth(1).is_some_and(|word| word == expression::CHILD) {
        return expression::run_child();
    }
    let result = run();
    if print::is_stdout_closed() {
        return end_by_broken_pipe();
    }
    match result {
        Ok(()) => ExitCode::from(exit_status::of_success()),
        Err(failure) => {
            print::error(&failure.to_string());
            ExitCode::from(exit_status::of_failure(&failure))
        }
    }
}

/// Ends the process without a message, as SIGPIPE does: `oras repo tags … | head -1` does not fail.
///
/// The Rust runtime ignores the signal, because a closed socket must not end the process. This function restores the
/// default action and raises it.
fn end_by_broken_pipe() -> ExitCode {
    #[cfg(unix)]
    drop(signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE));
    // The status that shells report for the signal, in case it is blocked.
    ExitCode::from(141)
}

/// Disables core files, which would contain the secrets of this process. If that fails, the system's setting remains.
fn forbid_core_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    }
}

fn run() -> Result<(), Failure> {
    let words = std::env::args_os().skip(1).map(args::text).collect::<Result<Vec<_>, _>>()?;
    // The line at the cursor is incomplete, so a completion request is answered before the line is checked.
    if let Some((command, words)) = words.split_first().filter(|(word, _)| complete::is_completion(word)) {
        return complete::print_candidates(command, words);
    }
    // The Go tool has no such flag, but most other programs do.
    let words = match words.split_first() {
        Some((word, rest)) if word == "--version" || word == "-V" => [&["version".to_owned()], rest].concat(),
        _ => words,
    };
    let matches = match args::read(cmd::root(), &words, print::error)? {
        Request::Run(matches) => matches,
        Request::Help { path, is_short } => {
            return print::bytes(args::help::page(command(), &path, is_short).as_bytes());
        }
    };
    run_async(&matches)
}

/// The limit of blocking threads. Transfers block while they wait for each other, so too few threads would deadlock.
const THREADS: usize = 512;
/// The limit of blocking threads of a server. They never wait for a slow client, and each thread costs memory.
const SERVER_THREADS: usize = 64;

fn run_async(matches: &clap::ArgMatches) -> Result<(), Failure> {
    let is_server = matches.subcommand_name() == Some("serve");
    open_files::check_limit()?;
    // One thread drives the network; files are read, hashed and written on blocking threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(if is_server { SERVER_THREADS } else { THREADS })
        .build()
        .map_err(|error| Failure::new(format!("failed to start: {error}")))?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = cmd::run(matches) => result,
            // On Ctrl-C the future of the command is dropped, which cancels its requests. A server handles the signal
            // itself and finishes its open requests.
            _ = tokio::signal::ctrl_c(), if !is_server => Err(Failure::interrupted(progress::take_kept())),
        }
    });
    // A blocking read of standard input must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}
