//! Measures `oras`: `cargo xtask bench` compares it with other tools, `cargo xtask clients` compares the library with
//! another one, and `cargo xtask load` puts its server under load.
//!
//! Run both by hand, on a quiet machine. `cargo xtask test` includes only the short form of the load test.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who started it")]

mod clients;
mod command_line;
mod compare;
mod load;
mod random;

use std::process::ExitCode;

use xtask::process::Result;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {}: {error}", args.first().map_or("", String::as_str));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result {
    let (verb, rest) = args.split_first().ok_or("usage: cargo xtask bench|clients|load [options]")?;
    match verb.as_str() {
        "bench" => compare::run(rest),
        compare::MEASURE_VERB => compare::measure_child(rest),
        "clients" => clients::run(rest),
        "load" => load::run(rest),
        _ => Err(format!("unknown verb {verb}").into()),
    }
}
