//! The ways to compile a package: with the default features, with none, with each alone, with all, with old Rust.

use xtask::process::{Result, capture, command, line_of};

use super::packages::{Features, Sources, Unpacked};
use crate::test_counts::Tally;

/// Compiles each package in each way. Counts every failure, and fails at the end.
pub(super) fn each(
    packages: &[&Unpacked<'_>],
    tally: &mut Tally,
    compile: impl Fn(&Unpacked<'_>, &Features) -> Result,
) -> Result {
    let mut failed = Vec::new();
    for unpacked in packages {
        for arguments in feature_arguments(&unpacked.package.features) {
            let name = format!("{} {}", unpacked.package.name, arguments.join(" "));
            println!("{}", name.trim_end());
            match compile(unpacked, &arguments) {
                Ok(()) => tally.passed += 1,
                Err(error) => {
                    println!("FAILED: {error}");
                    tally.failed += 1;
                    failed.push(name);
                }
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("does not compile: {}", failed.join("; ")).into()) }
}

/// Returns the sets of features to compile with, as arguments of cargo.
fn feature_arguments(features: &[String]) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut all = vec![Vec::new()];
    if !features.is_empty() {
        all.push(words(&["--no-default-features"]));
        all.extend(features.iter().map(|name| words(&["--no-default-features", "--features", name])));
        all.push(words(&["--all-features"]));
    }
    all
}

/// Compiles each package with the Rust version that it declares, if rustup has that toolchain.
pub(super) fn oldest_rust(packages: &[&Unpacked<'_>], sources: &Sources<'_>, tally: &mut Tally) -> Result {
    let toolchains = capture(&mut command("rustup", &["toolchain", "list"])).unwrap_or_default();
    for unpacked in packages {
        let package = unpacked.package;
        let Some(version) = &package.rust_version else {
            return Err(format!("{} declares no rust-version", package.name).into());
        };
        let Some(toolchain) = toolchain_of(&toolchains, version) else {
            println!("SKIPPED: {} was not compiled with Rust {version}: no toolchain", package.name);
            println!("         install it with `rustup toolchain install {version}`");
            tally.skipped += 1;
            continue;
        };
        let check = command("rustup", &["run", toolchain, "cargo", "check", "--quiet", "--all-features"]);
        println!("{}: {}", package.name, line_of(&check));
        sources.compile_with(check, "oldest-rust", unpacked, &[])?;
        tally.passed += 1;
    }
    Ok(())
}

/// Returns the name of the installed toolchain with this version.
fn toolchain_of<'a>(toolchains: &'a str, version: &str) -> Option<&'a str> {
    let names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
    let is_version = |name: &&str| {
        name.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    };
    names.into_iter().find(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiles_with_each_feature_alone() {
        assert_eq!(feature_arguments(&[]), [Vec::<String>::new()]);
        let all: Vec<_> =
            feature_arguments(&["a".into(), "b".into()]).iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            all,
            [
                "",
                "--no-default-features",
                "--no-default-features --features a",
                "--no-default-features --features b",
                "--all-features"
            ]
        );
    }

    #[test]
    fn finds_toolchain_by_version() {
        let list =
            "stable-x86_64-unknown-linux-gnu (default)\n1.9.0-x86_64\n1.90.0-x86_64-unknown-linux-gnu\n";
        assert_eq!(toolchain_of(list, "1.90"), Some("1.90.0-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain_of("1.95.0-x86_64\n", "1.90"), None);
    }
}
