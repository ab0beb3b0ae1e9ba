//! `cargo xtask test` and `cargo xtask ci`: everything that a change must pass.
//!
//! A test that lacks a tool appends a line `skipped: needs X (test name)` to the file named by the
//! environment variable `ORAS_SKIPPED_LOG`; here these are counted as skipped, not as passed. The last line
//! printed is `N passed, N failed, N skipped`.

use xtask::files::{ScratchDir, read_text};
use xtask::peers;
use xtask::process::{Result, cargo, run as run_command, stream};
use xtask::workspace::Workspace;

use crate::steps::Steps;
use crate::test_counts::{SkipLog, Tally};
use crate::{api, conformance, deny, generated_pages, tidy};

/// The environment variable with the path of the log of skipped tests.
const SKIPPED_LOG: &str = "ORAS_SKIPPED_LOG";
/// The size limit of the release binary.
const BINARY_LIMIT_MIB: u64 = 24;

/// Runs all checks and all tests.
pub(crate) fn run() -> Result {
    let mut steps = Steps::default();
    run_checks(&mut steps);
    steps.close()
}

/// Runs all checks and all tests, then builds the release binary and checks its size.
pub(crate) fn run_ci() -> Result {
    let mut steps = Steps::default();
    run_checks(&mut steps);
    steps.step("release binary", |_| release_binary());
    steps.close()
}

fn run_checks(steps: &mut Steps) {
    steps.step("peers", |_| peers::run());
    steps.step("format", |_| run_command(&mut cargo(&["fmt", "--all", "--check"])));
    steps.step("clippy", |_| clippy());
    steps.step("templates without sprig", |_| check_without_sprig());
    steps.step("tidy", |_| tidy::run());
    steps.step("docs", |_| docs());
    steps.step("public API", api::check_counted);
    steps.step("deny", deny_counted);
    steps.step("build the command line", |_| {
        run_command(&mut cargo(&["build", "--locked", "-p", "oras-cli"]))
    });
    steps.step("generated pages", |_| generated_pages::check());
    steps.step("tests", tests);
    steps.step("conformance", conformance_counted);
    steps.step("storm", |_| crate::measure("load", &["--quick".to_owned()]));
}

/// Runs the conformance program. A missing program counts as a skipped test.
fn conformance_counted(tally: &mut Tally) -> Result {
    if peers::find("conformance").is_none() {
        println!("skipped: needs conformance");
        tally.skipped += 1;
        return Ok(());
    }
    conformance::run(&[])
}

fn clippy() -> Result {
    run_command(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

/// Checks that `go-text-template` compiles without its functions of sprig, which the command line always uses.
fn check_without_sprig() -> Result {
    let clippy = ["clippy", "-p", "go-text-template", "--no-default-features", "--locked"];
    run_command(cargo(&clippy).args(["--", "-D", "warnings"]))
}

fn docs() -> Result {
    run_command(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny_counted(tally: &mut Tally) -> Result {
    if let Some(line) = deny::check()? {
        println!("{line}");
        tally.skipped += 1;
    }
    Ok(())
}

fn tests(tally: &mut Tally) -> Result {
    let scratch = ScratchDir::new(&std::env::temp_dir(), "oras-xtask-test")?;
    let log = scratch.path().join("skipped.log");
    xtask::files::write(&log, "")?;
    let mut counted = Tally::default();
    let outcome = stream(
        cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]).env(SKIPPED_LOG, &log),
        |line| {
            println!("{line}");
            counted.add_line(line);
        },
    );
    let skips = SkipLog::parse(&read_text(&log)?);
    print!("{skips}");
    counted.add_skips(&skips);
    tally.passed += counted.passed;
    tally.failed += counted.failed;
    tally.skipped += counted.skipped;
    outcome
}

fn release_binary() -> Result {
    run_command(&mut cargo(&["build", "--locked", "--release", "-p", "oras-cli"]))?;
    let binary = Workspace::load()?.target_dir.join("release/oras");
    let size = std::fs::metadata(&binary)?.len();
    println!("{} bytes in the release binary, {BINARY_LIMIT_MIB} MiB allowed", size);
    if size < BINARY_LIMIT_MIB << 20 {
        Ok(())
    } else {
        Err(format!("the release binary is {size} bytes: see what grew with cargo bloat").into())
    }
}
