//! Compares the API with that of the last tag, by `cargo semver-checks`.

use xtask::process::{Result, capture, cargo, command, run as run_command};

use super::packages::Unpacked;
use crate::test_counts::Tally;

/// Fails if a package breaks its users without a new major version.
pub(super) fn check(packages: &[&Unpacked<'_>], tally: &mut Tally) -> Result {
    let tags = capture(&mut command("git", &["tag", "--list", "v*", "--sort=-version:refname"]))?;
    let Some(tag) = tags.lines().next() else {
        println!("SKIPPED: there is no tag v* yet, so there is no earlier API to compare with");
        tally.skipped += 1;
        return Ok(());
    };
    if xtask::env::find_program("cargo-semver-checks").is_none() {
        println!("SKIPPED: the API was not compared with that of {tag}: no cargo-semver-checks");
        println!("         install it with `cargo install cargo-semver-checks`");
        tally.skipped += 1;
        return Ok(());
    }
    let mut command = cargo(&["semver-checks", "--baseline-rev", tag]);
    for unpacked in packages.iter().filter(|unpacked| unpacked.package.library.is_some()) {
        command.args(["-p", &unpacked.package.name]);
    }
    run_command(&mut command)?;
    tally.passed += 1;
    Ok(())
}
