//! Checks on which crates each crate depends, and which dependencies it must not link.

use std::collections::BTreeSet;

use super::Violation;
use xtask::process::{Result, capture, cargo};
use xtask::workspace::{Package, Workspace};

const SPEC_AND_STORE: &[&str] = &["oras-spec", "oras-store"];
const SPEC_STORE_AND_FS: &[&str] = &["oras-spec", "oras-store", "oras-fs"];

/// The workspace crates that each crate may depend on. Dev-dependencies are not restricted.
const ALLOWED: &[(&str, &[&str])] = &[
    ("oras-spec", &[]),
    ("oras-store", &["oras-spec"]),
    ("oras-fs", SPEC_AND_STORE),
    ("oras-store-suite", SPEC_AND_STORE),
    ("oras-testkit", &["oras-spec", "oras-store-suite", "oras-fs"]),
    // Stores do not depend on each other; the engine and the server depend on no store.
    ("oras-memory", SPEC_AND_STORE),
    ("oras-files", SPEC_STORE_AND_FS),
    ("oras-layout", SPEC_STORE_AND_FS),
    ("oras-bucket", &["oras-spec", "oras-store", "oras-tls"]),
    ("oras-remote", &["oras-spec", "oras-store", "oras-fs", "oras-tls"]),
    ("oras-copy", SPEC_AND_STORE),
    ("oras-serve", &["oras-spec", "oras-store", "oras-fs", "oras-tls"]),
    // Shared by the client and the server.
    ("oras-tls", &[]),
    (
        "oras-sdk",
        &[
            "oras-spec",
            "oras-store",
            "oras-fs",
            "oras-memory",
            "oras-files",
            "oras-layout",
            "oras-bucket",
            "oras-remote",
            "oras-copy",
            "oras-serve",
        ],
    ),
    // Independent of ORAS, usable by other programs.
    ("go-text-template", &[]),
    ("oras-cli", &["oras-sdk", "go-text-template"]),
    ("xtask", &[]),
    ("oras-bench", &["xtask"]),
    ("oras-examples", &["oras-sdk", "oras-store-suite"]),
];

/// The crate of the tests that cross all layers.
const UNLAYERED: &str = "oras-tests";
/// The crates that only dev-dependencies may name.
const FOR_TESTS: &[&str] = &["oras-testkit", "oras-store-suite"];

const NETWORK_AND_CLI: &[&str] = &["reqwest", "rustls", "hyper", "clap"];

/// Crates, and the dependencies that a program with only these crates must not link.
const ABSENT: &[(&[&str], &[&str])] = &[
    (
        &["oras-spec", "go-text-template"],
        &["tokio", "reqwest", "rustls", "hyper", "tempfile", "rustix", "clap"],
    ),
    (&["oras-store"], NETWORK_AND_CLI),
    // A store that is not on a file system needs neither.
    (&["oras-store"], &["tempfile", "rustix", "tokio", "reqwest", "rustls", "hyper", "clap"]),
    // A crate outside this workspace that tests its own store links neither registries nor fault servers.
    (&["oras-store-suite"], &["tempfile", "rustix", "reqwest", "rustls", "hyper", "clap"]),
    (&["oras-layout", "oras-copy"], NETWORK_AND_CLI),
    (&["oras-memory", "oras-files"], NETWORK_AND_CLI),
    (&["oras-bucket"], &["clap", "axum", "ring"]),
    // Only programs that use buckets link the clients of object stores.
    (&["oras-layout", "oras-remote", "oras-copy", "oras-serve"], &["object_store"]),
    (&["oras-remote"], &["clap", "axum"]),
    (&["oras-tls"], &["reqwest", "hyper", "clap"]),
    (&["oras-serve"], &["reqwest", "clap", "axum"]),
    (&["oras-sdk"], &["clap", "indicatif"]),
    (&["oras-cli"], &["axum"]),
];

/// The most crates that a program with this crate alone links, itself and macros included.
///
/// A program that only works on layouts stays small. A client of registries links no more than `oci-client` 0.18 does,
/// see `docs/crates.md`.
const MAX_LINKED: &[(&str, usize)] = &[("oras-layout", 50), ("oras-remote", 139)];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = too_many(workspace)?;
    for package in workspace.packages.iter().filter(|package| package.name != UNLAYERED) {
        found.extend(layering(package, workspace));
    }
    for (crates, absent) in ABSENT {
        let linked = linked_crates(crates)?;
        let manifest =
            workspace.packages.iter().find(|package| package.name == crates[0]).map(Package::manifest);
        for name in absent.iter().filter(|name| linked.iter().any(|linked| linked == *name)) {
            let what = format!(
                "{} must not link {name}: find the way in with `cargo tree -e normal -i {name} -p {}`",
                crates.join(" + "),
                crates.join(" -p ")
            );
            found.push(Violation::new(&manifest.clone().unwrap_or_default(), 1, what));
        }
    }
    Ok(found)
}

/// Finds crates that link more others than they may.
fn too_many(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for (name, most) in MAX_LINKED {
        let Some(package) = workspace.packages.iter().find(|package| package.name == *name) else { continue };
        let tree = ["tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}", "-p", name];
        // The same target on each machine, so that the number is the same.
        let lines = capture(cargo(&tree).args(["--target", "x86_64-unknown-linux-gnu"]))?;
        let linked = count_crates(&lines);
        if linked > *most {
            let what = format!("links {linked} crates, {most} allowed: see `cargo tree -e normal -p {name}`");
            found.push(Violation::new(&package.manifest(), 1, what));
        }
    }
    Ok(found)
}

/// Returns the number of crates in the output of `cargo tree`. Two versions of a crate are two crates.
fn count_crates(tree: &str) -> usize {
    let name_and_version = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let crates: BTreeSet<_> = tree.lines().map(name_and_version).filter(|name| !name.is_empty()).collect();
    crates.len()
}

fn layering(package: &Package, workspace: &Workspace) -> Vec<Violation> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
        let what = format!("{} has no layer: give it one in xtask/src/tidy/layers.rs", package.name);
        return vec![Violation::new(&package.manifest(), 1, what)];
    };
    let ours = |name: &String| workspace.packages.iter().any(|package| package.name == *name);
    let dependencies = package.dependencies.iter().filter(|name| ours(name));
    let forbidden = dependencies.filter(|name| !allowed.contains(&name.as_str()));
    let violation = |name: &String| {
        let what = if FOR_TESTS.contains(&name.as_str()) {
            format!("{name} is for tests: move it to [dev-dependencies]")
        } else {
            format!("{} may not know {name}: see the layers in ARCHITECTURE.md", package.name)
        };
        Violation::new(&package.manifest(), line_of_dependency(package, name), what)
    };
    forbidden.map(violation).collect()
}

fn line_of_dependency(package: &Package, name: &str) -> usize {
    let manifest = std::fs::read_to_string(package.manifest()).unwrap_or_default();
    let names_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(names_it).map_or(1, |index| index + 1)
}

/// Names of all crates that a program linking `crates` links.
fn linked_crates(crates: &[&str]) -> Result<Vec<String>> {
    let mut command = cargo(&["tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}"]);
    for name in crates {
        command.args(["-p", name]);
    }
    Ok(crate_names(&capture(&mut command)?))
}

pub(super) fn crate_names(tree: &str) -> Vec<String> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(dependent: &str, dependency: &str) -> Workspace {
        let package = |name: &str, dependencies: serde_json::Value| {
            serde_json::json!({"name": name, "manifest_path": format!("/none/{name}/Cargo.toml"),
                "publish": null, "dependencies": dependencies})
        };
        let dependencies =
            serde_json::json!([{"name": dependency, "kind": null}, {"name": "serde", "kind": null}]);
        let packages = [package(dependent, dependencies), package(dependency, serde_json::json!([]))];
        Workspace::parse(&serde_json::json!({"target_directory": "/none", "packages": packages})).unwrap()
    }

    fn broken(dependent: &str, dependency: &str) -> Option<String> {
        let workspace = workspace(dependent, dependency);
        layering(&workspace.packages[0], &workspace).pop().map(|violation| violation.what)
    }

    #[test]
    fn rejects_dependency_against_layers() {
        assert_eq!(broken("oras-layout", "oras-store"), None);
        assert_eq!(broken("oras-sdk", "oras-serve"), None);
        assert!(
            broken("oras-layout", "oras-remote").unwrap().starts_with("oras-layout may not know oras-remote")
        );
        assert!(broken("oras-spec", "oras-store").is_some());
        assert!(broken("oras-serve", "oras-sdk").is_some());
        assert!(broken("oras-cli", "oras-serve").is_some());
        assert!(broken("oras-cli", "oras-remote").is_some());
        for name in FOR_TESTS {
            assert!(broken("oras-memory", name).unwrap().contains("[dev-dependencies]"), "{name}");
        }
        assert_eq!(broken("oras-testkit", "oras-store-suite"), None);
        assert!(broken("oras-new", "oras-spec").unwrap().contains("has no layer"));
    }

    #[test]
    fn counts_versions_of_a_crate() {
        assert_eq!(count_crates("a v1.0.0 (/x)\nsyn v2.0.0\nsyn v3.0.0\n\nsyn v3.0.0 (*)\n"), 3);
    }

    #[test]
    fn reads_crate_names_of_cargo_tree() {
        assert_eq!(
            crate_names("oras-spec v0.1.0 (/x)\nserde v1.0.1\n\nserde v1.0.1 (*)\n"),
            ["oras-spec", "serde", "serde"]
        );
    }
}
