//! The chores of the project, one verb each: `cargo xtask <verb>`.
//!
//! This program has all commands that contributors and build machines run besides plain cargo. Each verb is
//! one file or directory, reads its options, prints its steps to stdout, and fails with a message that
//! explains what to do. It runs only on Unix, because the chores start real registries and check file modes.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who started it")]

mod api;
mod api_docs;
mod conformance;
mod demo;
mod deny;
mod generated_pages;
mod release;
mod steps;
mod test;
mod test_counts;
mod tidy;

use std::process::ExitCode;

use xtask::{peers, process};

const HELP: &str = "\
usage: cargo xtask <verb> [options]

  demo        push, attach, discover, copy and pull back real files, offline at the end  [--keep]
  test        everything a change must pass; ends with `N passed, N failed, N skipped`
  ci          test, then the release binary and its size
  tidy        the house rules: layers, import circles, sizes, docs, phrases, forgotten files
  gen         write the generated pages: commands, man pages, parity, differences, security, troubleshooting  [--check]
  api         write the public items of each library crate to docs/api, and check their docs  [--check]
  diff        the differential tests against the Go tool  [part of a scene's name] [--write]
  conformance the conformance program of the distribution-spec against our server  [--results DIR]
  peers       install the registries and tools the tests compare with
  deny        licences, bans and sources of the dependencies, without network
  advisories  known vulnerabilities in the dependencies, needs the network
  release     what crates.io and docs.rs would do with a release  --dry-run [package…] | --table [--time]
  bench       time, CPU and memory side by side with other tools  [--help]
  clients     the library beside oci-client  [--help]
  load        many clients of our server, and how fast it is beside distribution  [--help]
  help        this text";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let verb = args.next().unwrap_or_else(|| "help".into());
    let rest: Vec<String> = args.collect();
    match dispatch(&verb, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<steps::AlreadyTold>() {
                eprintln!("cargo xtask {verb}: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(verb: &str, rest: &[String]) -> process::Result {
    let without_options = |chore: fn() -> process::Result| match rest.first() {
        Some(option) => Err(format!("unknown option {option}; see cargo xtask help").into()),
        None => chore(),
    };
    match verb {
        "demo" => demo::run(rest),
        "test" => without_options(test::run),
        "ci" => without_options(test::run_ci),
        "tidy" => without_options(tidy::run),
        "gen" => generated_pages::run(rest),
        "api" => api::run(rest),
        "diff" => generated_pages::diff(rest),
        "conformance" => conformance::run(rest),
        "peers" => without_options(peers::run),
        "deny" => without_options(deny::run),
        "advisories" => without_options(deny::run_advisories),
        "release" => release::run(rest),
        "bench" | "clients" | "load" => measure(verb, rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(format!("no such verb\n\n{HELP}").into()),
    }
}

/// Builds `oras-bench` if it is out of date, then runs one of its verbs.
fn measure(verb: &str, options: &[String]) -> process::Result {
    process::run(
        process::cargo(&["run", "--quiet", "--locked", "-p", "oras-bench", "--", verb]).args(options),
    )
}
