//! Tests the built `oras` with every attack of the threat list, and with honest uses that look similar. The
//! Go `oras` runs the same cases, and the page shows its results, too.
//!
//! A case is a function in the file of its theme. `cargo test --test security [-- part of a name]` runs the
//! cases; `-- --go` also prints the cases that the Go tool fails, and `-- --write` also writes
//! `docs/security.md` from the cases and `tests/security/advisories.txt`.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "the harness prints its results")]

mod archive_entries;
mod archive_fixture;
mod archive_links;
mod archive_names;
mod case_sandbox;
mod concurrent_processes;
mod connections;
mod content_verification;
mod crash_safety;
mod credential_helpers;
mod credential_scope;
mod descriptors;
mod digests;
mod file_modes;
mod file_names;
mod fixtures;
mod foreign_layers;
mod json_documents;
mod layouts;
mod mirrors;
mod pagination;
mod proxies;
mod redirects;
mod referrers;
mod registry_fixture;
mod secrets;
mod security_case;
mod security_page;
mod serve_access;
mod serve_content;
mod serve_floods;
mod serve_paths;
mod serve_sandbox;
mod strict_options;
mod terminal;
mod token_expiry;
mod token_realms;
mod upload_locations;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use oras_testkit::peers;

use crate::security_case::{Case, Outcome, Verdict};

/// The number of cases that run at the same time. A run mostly waits.
const WORKERS: usize = 3;

fn cases() -> Vec<Case> {
    let themes = [
        archive_names::cases(),
        connections::cases(),
        content_verification::cases(),
        crash_safety::cases(),
        descriptors::cases(),
        digests::cases(),
        archive_entries::cases(),
        foreign_layers::cases(),
        credential_helpers::cases(),
        json_documents::cases(),
        layouts::cases(),
        archive_links::cases(),
        upload_locations::cases(),
        mirrors::cases(),
        file_modes::cases(),
        file_names::cases(),
        credential_scope::cases(),
        pagination::cases(),
        strict_options::cases(),
        proxies::cases(),
        token_realms::cases(),
        redirects::cases(),
        referrers::cases(),
        secrets::cases(),
        serve_access::cases(),
        serve_content::cases(),
        serve_floods::cases(),
        serve_paths::cases(),
        concurrent_processes::cases(),
        terminal::cases(),
        token_expiry::cases(),
    ];
    themes.into_iter().flatten().collect()
}

/// Returns the names of the cases that extract archives or write titles. They must also hold on systems
/// without `openat2`.
fn extraction_cases() -> HashSet<&'static str> {
    let themes =
        [archive_names::cases(), archive_entries::cases(), archive_links::cases(), file_names::cases()];
    themes.into_iter().flatten().map(|case| case.name).collect()
}

/// Creates a program that runs our tool without `openat2`, like kernels before 5.6. Returns `None` if the
/// system does not permit tracing.
fn without_openat2(directory: &tempfile::TempDir) -> Option<PathBuf> {
    let test = "extraction_without_openat2";
    let strace = peers::system_or_skip("strace", test)?;
    let traced = Command::new(&strace).args(["-o", "/dev/null", "true"]).output();
    if !traced.is_ok_and(|traced| traced.status.success()) {
        peers::skipped("permission to trace", test);
        return None;
    }
    let program = directory.path().join("oras");
    let script = format!(
        "#!/bin/sh\nexec {} -f -qq --seccomp-bpf -o /dev/null -e trace=openat2 -e inject=openat2:error=ENOSYS {} \"$@\"\n",
        strace.display(),
        peers::built("oras").display()
    );
    // Another process writes the file. The system cannot run a file that is open for writing, and a fork of
    // this process could hold it open.
    let made = Command::new("sh")
        .args(["-c", "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", &script])
        .arg(&program)
        .status();
    assert!(made.unwrap().success());
    Some(program)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cases = cases();
    if arguments.iter().any(|word| word == "--list") {
        for case in &cases {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    let shows_go = arguments.iter().any(|word| word == "--go");
    let write = arguments.iter().any(|word| word == "--write");
    let filters: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted =
        |case: &&Case| filters.is_empty() || filters.iter().any(|part| case.name.contains(part.as_str()));
    let wanted: Vec<&Case> = cases.iter().filter(is_wanted).collect();
    let go = peers::find(peers::ORAS);
    let scratch = tempfile::tempdir().unwrap();
    let (extraction, walker) = (extraction_cases(), without_openat2(&scratch));
    let (next, verdicts) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let again = walker.as_deref().filter(|_| extraction.contains(case.name));
                    let verdict = case.judge(go.as_deref(), again);
                    let word = if verdict.ours.is_bad() { "FAILED" } else { "ok" };
                    println!("test {} ... {word}", case.name);
                    verdicts.lock().unwrap().push(verdict);
                }
            });
        }
    });
    let mut verdicts: Vec<Verdict<'_>> = verdicts.into_inner().unwrap();
    verdicts.sort_by_key(|verdict| (verdict.case.point, verdict.case.honest, verdict.case.name));
    let mut failed = 0;
    for verdict in &verdicts {
        if let Outcome::Broken(why) = &verdict.ours {
            failed += 1;
            println!("FAILED  {}: {why}", verdict.case.name);
        }
        if let (true, Outcome::Broken(why)) = (shows_go, &verdict.theirs) {
            println!("Go      {}: {why}", verdict.case.name);
        }
    }
    if filters.is_empty() && failed == 0 {
        if go.is_none() {
            peers::skipped(peers::ORAS.0, "security_page");
        } else if !write && verdicts.iter().any(|verdict| matches!(verdict.ours, Outcome::Skipped)) {
            peers::skipped("what the skipped cases need", "security_page");
        } else if let Err(why) = security_page::check(&verdicts, write) {
            failed += 1;
            println!("FAILED  docs/security.md: {why}");
        }
    }
    let passed = verdicts.len() - failed.min(verdicts.len());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
