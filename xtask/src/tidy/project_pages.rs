//! Checks manifests, lints, change log and architecture page, and that no file contains a path of one machine.

use std::path::PathBuf;

use super::Violation;
use xtask::env;
use xtask::files::read_text;
use xtask::process::{Result, capture, command};
use xtask::workspace::Workspace;

/// Directories that exist only on one developer's machine. Each is written in two parts, because this check
/// also reads this file.
const MACHINE_DIRS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = manifests(workspace);
    found.extend(lints(workspace)?);
    found.extend(changelog());
    found.extend(architecture(workspace));
    for file in files_under_version_control()? {
        // Skips a file that is not text, and a deleted file whose deletion is not committed yet.
        if let Ok(text) = std::fs::read_to_string(&file) {
            found.extend(machine_paths(&text).into_iter().map(|line| {
                Violation::new(&file, line, "a path of one machine: write it relative, or make it an option")
            }));
        }
    }
    Ok(found)
}

fn manifests(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in workspace.packages.iter().filter(|package| package.published) {
        for (field, value) in [("description", &package.description), ("license", &package.license)] {
            if value.as_ref().is_none_or(|value| value.trim().is_empty()) {
                found.push(Violation::new(
                    &package.manifest(),
                    1,
                    format!("published without {field}: add it to [package]"),
                ));
            }
        }
    }
    found
}

/// Checks that every crate inherits the workspace's lints, and that these include `missing_docs`.
///
/// `cargo xtask test` runs clippy with `-D warnings`, so it fails if a public item has no docs.
fn lints(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    let root = env::root().join("Cargo.toml");
    if !warns_of_missing_docs(&read_text(&root)?) {
        found.push(Violation::new(&root, 1, "add `missing_docs = \"warn\"` to [workspace.lints.rust]"));
    }
    for package in &workspace.packages {
        if !inherits_lints(&read_text(&package.manifest())?) {
            let what = "the workspace's lints don't apply: add `[lints]` with `workspace = true`";
            found.push(Violation::new(&package.manifest(), 1, what));
        }
    }
    Ok(found)
}

fn warns_of_missing_docs(manifest: &str) -> bool {
    let levels = ["missing_docs = \"warn\"", "missing_docs = \"deny\""];
    section(manifest, "[workspace.lints.rust]").any(|line| levels.contains(&line))
}

fn inherits_lints(manifest: &str) -> bool {
    section(manifest, "[lints]").any(|line| line == "workspace = true")
}

/// Returns the lines of a section of a manifest.
pub(super) fn section<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = manifest.lines().map(str::trim).skip_while(move |line| *line != header).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

fn changelog() -> Option<Violation> {
    let file = env::root().join("CHANGELOG.md");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let present = text.lines().any(|line| line.starts_with("## [Unreleased]"));
    (!present)
        .then(|| Violation::new(&file, 1, "no `## [Unreleased]` section: add one, changes are noted there"))
}

fn architecture(workspace: &Workspace) -> Vec<Violation> {
    let file = env::root().join("ARCHITECTURE.md");
    let text = read_text(&file).unwrap_or_default();
    let unnamed = workspace.packages.iter().filter(|package| !names(&text, &package.name));
    unnamed
        .map(|package| {
            Violation::new(&file, 1, format!("{} is not on the page: say what it owns", package.name))
        })
        .collect()
}

/// Returns true if a page contains the name of a crate as a whole word. The word `oras-spec` does not name
/// `oras`.
pub(super) fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|word| word == name)
}

/// Returns the tracked files, and the untracked files that Git does not ignore.
fn files_under_version_control() -> Result<Vec<PathBuf>> {
    if !env::root().join(".git").exists() {
        println!("note: not a git work tree, so no file was searched for machine paths");
        return Ok(Vec::new());
    }
    let list =
        capture(&mut command("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    Ok(list.split('\0').filter(|name| !name.is_empty()).map(|name| env::root().join(name)).collect())
}

/// Returns the numbers of the lines that contain an absolute path of one machine. A match inside a longer
/// path or a URL does not count.
fn machine_paths(text: &str) -> Vec<usize> {
    let part_of_longer =
        |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "-_./~}".contains(c));
    let holds_one = |line: &str| {
        MACHINE_DIRS.iter().any(|dir| line.match_indices(dir).any(|(at, _)| !part_of_longer(&line[..at])))
    };
    text.lines().enumerate().filter(|(_, line)| holds_one(line)).map(|(index, _)| index + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_crates_without_missing_docs_lint() {
        assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
        assert!(!inherits_lints("[lints]\n\n[dependencies.a]\nworkspace = true\n"));
        assert!(warns_of_missing_docs(
            "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"\n"
        ));
        assert!(!warns_of_missing_docs("[workspace.lints.rust]\nmissing_docs = \"allow\"\n"));
    }

    #[test]
    fn finds_machine_paths_only() {
        let dir = MACHINE_DIRS[0];
        let text = format!("ok\nsee {dir}x\n\"{dir}\"\nhttps://host{dir}x\n.github/workflows/\n$HOME{dir}\n");
        assert_eq!(machine_paths(&text), [2, 3]);
    }

    #[test]
    fn matches_whole_crate_names() {
        assert!(names("| `oras-spec` | types |", "oras-spec"));
        assert!(!names("| `oras-spec` | types |", "oras"));
        assert!(names("the library (oras).", "oras"));
    }
}
