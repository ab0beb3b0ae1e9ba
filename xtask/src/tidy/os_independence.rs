//! The crates of types, contract and copy engine need no operating system, so that they build for WebAssembly.
//!
//! A build for `wasm32-unknown-unknown` would need a standard library that not every machine has. This check needs
//! none: it looks at the crates that are linked on that target, and at the calls of the standard library.

use super::Violation;
use super::file_sizes::without_tests;
use super::layers::crate_names;
use xtask::files::{files_below, read_text};
use xtask::process::{Result, capture, cargo};
use xtask::workspace::{Package, Workspace};

/// The crates that need no operating system.
const CRATES: &[&str] = &["oras-spec", "oras-store", "oras-copy"];
/// The target without an operating system.
const TARGET: &str = "wasm32-unknown-unknown";
/// Crates that do not compile for the target, or that wrap files, sockets, processes, threads or a source of entropy.
const NEEDS_OS: &[&str] = &[
    "aws-lc-sys",
    "cap-std",
    "cc",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "memmap2",
    "mio",
    "nix",
    "rayon",
    "reqwest",
    "ring",
    "rustix",
    "rustls",
    "signal-hook",
    "socket2",
    "tempfile",
    "tokio",
    "walkdir",
    "windows-sys",
];
/// Paths of the standard library that compile for the target and then panic or always fail.
const CALLS: &[&str] = &[
    "std::fs",
    "std::process",
    "std::thread",
    "std::net::Tcp",
    "std::net::Udp",
    "std::net::ToSocketAddrs",
    "Instant::now",
    "SystemTime::now",
];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for package in workspace.packages.iter().filter(|package| CRATES.contains(&package.name.as_str())) {
        let tree =
            ["tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}", "--all-features"];
        let linked = capture(cargo(&tree).args(["--target", TARGET, "-p", &package.name]))?;
        found.extend(linked_violations(package, &crate_names(&linked)));
        for file in files_below(&package.dir.join("src"))? {
            let lines = calls(&read_text(&file)?);
            found.extend(lines.into_iter().map(|(line, call)| {
                Violation::new(
                    &file,
                    line,
                    format!("`{call}` needs an operating system: move it to another crate"),
                )
            }));
        }
    }
    Ok(found)
}

fn linked_violations(package: &Package, linked: &[String]) -> Vec<Violation> {
    let is_linked = |name: &&&str| linked.iter().any(|linked| linked == **name);
    let violation = |name: &&str| {
        let what = format!(
            "{} needs no operating system, so it must not link {name}: see `cargo tree --target {TARGET} -i {name} -p {}`",
            package.name, package.name
        );
        Violation::new(&package.manifest(), 1, what)
    };
    NEEDS_OS.iter().filter(is_linked).map(violation).collect()
}

/// Returns the calls of a file outside of comments and tests, with their line numbers.
fn calls(text: &str) -> Vec<(usize, &'static str)> {
    let code = without_tests(text).into_iter().enumerate();
    let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter_map(|(index, line)| Some((index + 1, *CALLS.iter().find(|call| line.contains(**call))?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_crates_that_need_an_operating_system() {
        let package = Package { name: "oras-spec".into(), ..Package::default() };
        let found = linked_violations(&package, &["serde".into(), "libc".into(), "libcore".into()]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("must not link libc:"), "{}", found[0]);
    }

    #[test]
    fn finds_calls_outside_of_comments_and_tests() {
        let text = "// std::fs\nuse std::fs::File;\nlet now = Instant::now();\nuse std::net::IpAddr;\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(calls(text), [(2, "std::fs"), (3, "Instant::now")]);
    }
}
