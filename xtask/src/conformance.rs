//! `cargo xtask conformance`: runs the conformance program of the distribution-spec against `oras serve`, for every kind
//! of store and both versions of the specification, with all APIs and kinds of data enabled.
//!
//! It succeeds only if no test failed or was skipped.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::demo::Registry;
use xtask::files::ScratchDir;
use xtask::peers;
use xtask::process::{Result, cargo, command, run as run_command};
use xtask::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask conformance [--results DIR]

  --results DIR   leave the reports (HTML, JUnit, YAML) and the server's log of every run below DIR";

/// The released version of the specification, and its main branch.
const VERSIONS: [&str; 2] = ["1.1", "dev"];

/// Tests that some versions of the program skip by default.
const SWITCHED_ON: [&str; 5] = [
    "OCI_API_BLOBS_DIGEST_HEADER",
    "OCI_API_BLOBS_UPLOAD_CANCEL",
    "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
    "OCI_DATA_SPARSE",
];

/// The storage of a server.
#[derive(Clone, Copy)]
enum Store {
    Memory,
    Layout,
}

impl Store {
    const ALL: [Self; 2] = [Self::Memory, Self::Layout];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Layout => "layout",
        }
    }

    /// Returns the arguments that start `oras` as a server with this storage.
    fn words(self, root: &Path) -> Vec<String> {
        let place = match self {
            Self::Memory => "--memory".into(),
            Self::Layout => root.to_string_lossy().into_owned(),
        };
        vec!["serve".into(), "--sparse".into(), place]
    }
}

/// Runs all combinations and prints a table. Fails unless every test passed.
pub(crate) fn run(args: &[String]) -> Result {
    let kept = match args {
        [] => None,
        [option, dir] if option == "--results" => Some(std::path::absolute(dir)?),
        [option] if option == "--help" || option == "-h" => {
            println!("{HELP}");
            return Ok(());
        }
        _ => return Err(format!("unknown options\n\n{HELP}").into()),
    };
    let program = peers::find("conformance").ok_or("needs the conformance program: run cargo xtask peers")?;
    let oras = oras()?;
    let scratch = ScratchDir::new(&std::env::temp_dir(), "oras-conformance")?;
    let results = kept.unwrap_or_else(|| scratch.path().join("results"));
    let mut rows = Vec::new();
    for store in Store::ALL {
        for version in VERSIONS {
            let name = format!("{}-{version}", store.name());
            let root = scratch.path().join(&name);
            let reports = results.join(&name);
            std::fs::create_dir_all(&reports)?;
            let log = File::create(reports.join("server.log"))?;
            let registry = Registry::start(&oras, &store.words(&root), log.into())?;
            let report = conform(&program, version, registry.address(), &reports)?;
            let summary = Summary::read(&report).ok_or(format!("{name}: no summary in\n{report}"))?;
            for line in unpassed(&report) {
                println!("{name}: {line}");
            }
            rows.push((name, summary));
        }
    }
    println!("{:<12} {:>7} {:>7} {:>7} {:>7}", "", "passed", "failed", "skipped", "total");
    for (name, Summary { passed, failed, skipped, total }) in &rows {
        println!("{name:<12} {passed:>7} {failed:>7} {skipped:>7} {total:>7}");
    }
    match rows.iter().filter(|(_, summary)| !summary.is_perfect()).count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} runs are not perfect", rows.len()).into()),
    }
}

fn oras() -> Result<PathBuf> {
    run_command(&mut cargo(&["build", "--quiet", "--workspace", "--bins"]))?;
    Ok(Workspace::load()?.target_dir.join("debug/oras"))
}

/// Runs the program and returns its output. The exit status is redundant with the summary.
fn conform(program: &Path, version: &str, address: &str, results: &Path) -> Result<String> {
    let mut command = command(program, &[]);
    command
        .env("OCI_REGISTRY", address)
        .env("OCI_TLS", "disabled")
        .env("OCI_VERSION", version)
        .env("OCI_RESULTS_DIR", results)
        .envs(SWITCHED_ON.map(|name| (name, "true")));
    let output = command.output().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the lines of tests that did not pass, with their reasons.
fn unpassed(report: &str) -> Vec<&str> {
    let tests = report.split("\nConfiguration:").next().unwrap_or_default();
    let unpassed = |line: &&str| !line.trim_end().ends_with(": Pass") && line.starts_with(' ');
    tests.lines().filter(unpassed).collect()
}

/// The test counts that the program reports.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
    total: usize,
}

impl Summary {
    /// Parses the counts after `OCI Conformance Result:`. Disabled tests count as skipped, aborted ones as failed.
    fn read(report: &str) -> Option<Self> {
        let (_, counts) = report.split_once("OCI Conformance Result:")?;
        let count = |name: &str| -> Option<usize> {
            let line = counts.lines().find(|line| line.trim_start().starts_with(name))?;
            line.rsplit_once(':')?.1.trim().parse().ok()
        };
        Some(Self {
            passed: count("Pass.")?,
            failed: count("FAIL.")? + count("Error.")?,
            skipped: count("Skip.")? + count("Disabled.")?,
            total: count("Total.")?,
        })
    }

    fn is_perfect(&self) -> bool {
        self.total > 0 && self.passed == self.total && self.failed == 0 && self.skipped == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Test results
OCI Conformance Test: Pass
  OCI Conformance Test/ping: Pass
  OCI Conformance Test/range 500-0: Skip
   - range request unsupported

Configuration:
  registry: localhost

OCI Conformance Result: Pass
  Disabled......................:          0
  Skip..........................:          1
  Pass..........................:         40
  FAIL..........................:          0
  Error.........................:          1
  Total.........................:         42

API conformance:
  Tag listing...................:       Pass
";

    #[test]
    fn skipped_test_is_reported() {
        let summary = Summary::read(REPORT).unwrap();
        assert_eq!(summary, Summary { passed: 40, failed: 1, skipped: 1, total: 42 });
        assert!(!summary.is_perfect());
        assert!(Summary { passed: 42, failed: 0, skipped: 0, total: 42 }.is_perfect());
        assert!(!Summary { passed: 0, failed: 0, skipped: 0, total: 0 }.is_perfect());
        assert_eq!(Summary::read("panic"), None);
    }

    #[test]
    fn failed_tests_are_listed() {
        let lines = unpassed(REPORT);
        assert_eq!(lines, ["  OCI Conformance Test/range 500-0: Skip", "   - range request unsupported"]);
    }
}
