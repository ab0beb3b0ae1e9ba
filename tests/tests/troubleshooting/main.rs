//! Runs the commands of `docs/troubleshooting.md`: each fails for a real reason, and its error
//! ends with a hint or has the advice of the Go tool.
//!
//! A case is in the file of its theme. `cargo test --test troubleshooting [-- part of a title]` runs the cases;
//! `-- --write` also writes the page, which otherwise must be up to date.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "the harness prints its results")]

mod command_line;
mod connections;
mod content;
mod credentials;
mod error_case;
mod files;
mod layouts;
mod page;
mod references;
mod registry_answers;
mod scene;
mod tls_servers;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use oras_testkit::peers;

use crate::error_case::Case;
use crate::page::Shown;

/// The number of cases that run at the same time. A run mostly waits.
const WORKERS: usize = 4;

fn cases() -> Vec<Case> {
    let themes = [
        connections::cases(),
        registry_answers::cases(),
        credentials::cases(),
        references::cases(),
        layouts::cases(),
        files::cases(),
        content::cases(),
        command_line::cases(),
    ];
    themes.into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cases = cases();
    if arguments.iter().any(|word| word == "--list") {
        for case in &cases {
            println!("{}: test", case.title);
        }
        return ExitCode::SUCCESS;
    }
    let write = arguments.iter().any(|word| word == "--write");
    let filters: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted =
        |case: &&Case| filters.is_empty() || filters.iter().any(|part| case.title.contains(part.as_str()));
    let wanted: Vec<&Case> = cases.iter().filter(is_wanted).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = wanted.get(number) else { return };
                    let result = case.run();
                    println!("test {} ... {}", case.title, if result.is_ok() { "ok" } else { "FAILED" });
                    results.lock().unwrap().push((number, *case, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(number, ..)| *number);
    let (mut failed, mut shown) = (0, Vec::new());
    for (_, case, result) in results {
        match result {
            Ok(error) => {
                if error.is_none() {
                    peers::skipped("what the case needs", case.title);
                }
                shown.push(Shown { case, error });
            }
            Err(why) => {
                failed += 1;
                println!("FAILED  {}: {why}", case.title);
            }
        }
    }
    if filters.is_empty()
        && failed == 0
        && let Err(why) = page::check(&shown, write)
    {
        failed += 1;
        println!("FAILED  docs/troubleshooting.md: {why}");
    }
    let passed = wanted.len() - failed.min(wanted.len());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
