//! The differential tests: every case runs the Go `oras` and ours in equal sandboxes against equal registries, and
//! compares what users and scripts can see: exit status, standard output and error, files, the registry's state and,
//! where order matters, the requests.
//!
//! The cases are in the scenes `tests/diff/*.scene`; `tests/diff/README.md` describes their format.
//! `tests/diff/differences.txt` lists the intended differences and their reasons. `cargo xtask diff [part of
//! a name]` runs the tests; `--write` also writes the pages that are generated from the cases.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "the harness prints its results")]

mod comparison;
mod differences;
mod directory_snapshot;
mod generated_pages;
mod generated_scenes;
mod http;
mod line_parser;
mod normalization;
mod registry_state;
mod sandbox;
mod scene_file;
mod scene_runner;
mod tool_sandbox;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use oras_testkit::peers;

use crate::comparison::Verdict;
use crate::differences::Differences;
use crate::scene_file::Scene;

/// The number of scenes that run at the same time. A run mostly waits for processes.
const WORKERS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test -- --list` and similar commands expect the output of libtest. This harness reports itself
    // as one test.
    if arguments.iter().any(|word| word == "--list") {
        println!("differential: test");
        return ExitCode::SUCCESS;
    }
    let write = arguments.iter().any(|word| word == "--write");
    let verbose = arguments.iter().any(|word| word == "--verbose");
    let filters: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let Some(go) = peers::find_or_skip(peers::ORAS, "differential") else {
        println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        return ExitCode::SUCCESS;
    };
    let differences = Differences::load();
    let scenes: Vec<Scene> = Scene::load_all();
    let wanted: Vec<&Scene> = scenes
        .iter()
        .filter(|scene| filters.is_empty() || filters.iter().any(|part| scene.name.contains(part.as_str())))
        .collect();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(scene) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = scene_runner::scene(scene, &go, &differences);
                    verdicts.lock().unwrap().extend(found);
                }
            });
        }
    });
    let mut verdicts: Vec<Verdict> = verdicts.into_inner().unwrap();
    verdicts.sort_by(|a, b| (&a.scene, a.number).cmp(&(&b.scene, b.number)));
    report(&verdicts, &differences, verbose);
    let mut failed = verdicts.iter().filter(|verdict| !verdict.problems.is_empty()).count();
    if filters.is_empty() {
        failed += generated_pages::check(&scenes, &verdicts, &differences, write);
    }
    let passed = verdicts.len() - failed.min(verdicts.len());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(verdicts: &[Verdict], differences: &Differences, verbose: bool) {
    for verdict in verdicts {
        if verdict.problems.is_empty() {
            if verbose {
                println!("ok      {}-{}: {}", verdict.scene, verdict.number, verdict.line);
            }
            continue;
        }
        println!("FAILED  {}-{}: {}", verdict.scene, verdict.number, verdict.line);
        for problem in &verdict.problems {
            println!("{}", problem.trim_end());
        }
    }
    let differing = verdicts.iter().filter(|verdict| verdict.difference.is_some()).count();
    println!(
        "{} cases; {differing} of them differ as meant, by {} accepted differences",
        verdicts.len(),
        differences.used_by(verdicts)
    );
}
