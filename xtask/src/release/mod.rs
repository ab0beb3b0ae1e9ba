//! `cargo xtask release`: checks that the crates can be published, and writes the page about their weight.
//!
//! `--dry-run` does what crates.io and docs.rs would do with a release, without uploading anything. It compiles
//! everything several times, which takes minutes, so `cargo xtask test` does not include it.

mod crate_table;
mod packages;
mod semver;
mod variants;

use xtask::files::ScratchDir;
use xtask::process::{Result, cargo, run as run_command};
use xtask::workspace::{Package, Workspace};

use crate::steps::Steps;
use packages::Unpacked;

const OPTIONS: &str = "options: --dry-run [package…] | --table [--time]";

pub(crate) fn run(options: &[String]) -> Result {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    match &options[..] {
        ["--dry-run", names @ ..] => dry_run(names),
        ["--table"] => crate_table::write(crate_table::Times::Keep),
        ["--table", "--time"] => crate_table::write(crate_table::Times::Measure),
        _ => Err(OPTIONS.into()),
    }
}

/// Packages everything, then checks the packages with these names, or all.
fn dry_run(names: &[&str]) -> Result {
    let workspace = Workspace::load()?;
    let order = workspace.in_publish_order()?;
    if let Some(unknown) = names.iter().find(|name| order.iter().all(|package| package.name != **name)) {
        return Err(format!("no package {unknown}").into());
    }
    let chosen = |package: &&&Package| names.is_empty() || names.contains(&package.name.as_str());
    // In the temporary directory, because cargo would take a package below the work tree for a member of the workspace.
    let scratch = ScratchDir::new(&std::env::temp_dir(), "oras-xtask-release")?;
    let target = workspace.target_dir.join("release-dry-run");
    let mut steps = Steps::default();

    let mut unpacked = Vec::new();
    steps.step("package", |tally| {
        unpacked = packages::package(&order, &target, scratch.path())?;
        tally.passed += unpacked.len();
        Ok(())
    });
    if unpacked.len() < order.len() {
        return steps.close();
    }
    let sources = packages::Sources::new(&unpacked, &target);
    let chosen: Vec<&Unpacked<'_>> = unpacked.iter().filter(|package| chosen(&&package.package)).collect();
    steps.step("each package alone, with each feature", |tally| {
        variants::each(&chosen, tally, |package, features| sources.compile(package, features))
    });
    steps.step("oldest Rust version", |tally| variants::oldest_rust(&chosen, &sources, tally));
    steps.step("documentation as on docs.rs", |tally| {
        docs(&chosen, &workspace)?;
        tally.passed += chosen.len();
        Ok(())
    });
    steps.step("API since the last tag", |tally| semver::check(&chosen, tally));
    steps.close()
}

/// Builds the documentation with `--cfg docsrs`, which marks items with their features.
fn docs(packages: &[&Unpacked<'_>], workspace: &Workspace) -> Result {
    let mut command = cargo(&["doc", "--locked", "--no-deps", "--all-features", "--lib"]);
    for unpacked in packages {
        command.args(["-p", &unpacked.package.name]);
    }
    // docs.rs uses a nightly toolchain. This rustdoc has `doc_cfg` on the stable one, too.
    command.env("RUSTDOC", crate::api::unstable_rustdoc(&workspace.target_dir)?);
    run_command(command.env("RUSTDOCFLAGS", "--cfg docsrs -D warnings"))
}
