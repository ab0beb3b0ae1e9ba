//! The pages around the code are complete: manifests, change log, architecture page; no machine's paths anywhere.

use std::path::PathBuf;

use super::Violation;
use xtask::env;
use xtask::files::read_text;
use xtask::process::{Result, capture, command};
use xtask::workspace::Workspace;

/// Directories of the machine that someone happened to work on. Written in two halves: this file is checked too.
const MACHINE_DIRS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = manifests(workspace);
    found.extend(changelog());
    found.extend(architecture(workspace));
    for file in files_under_version_control()? {
        // Not text, or removed but not yet committed: nothing to read.
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

/// Whether a page names a crate, as a whole word: `oras` is not named by `oras-spec`.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|word| word == name)
}

/// What is or would be committed.
fn files_under_version_control() -> Result<Vec<PathBuf>> {
    if !env::root().join(".git").exists() {
        println!("note: not a git work tree, so no file was searched for machine paths");
        return Ok(Vec::new());
    }
    let list =
        capture(&mut command("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    Ok(list.split('\0').filter(|name| !name.is_empty()).map(|name| env::root().join(name)).collect())
}

/// Numbers of the lines that hold an absolute path of some machine. In a longer path or an address it is none.
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
    fn finds_machine_paths_only() {
        let dir = MACHINE_DIRS[0];
        let text = format!("ok\nsee {dir}x\n\"{dir}\"\nhttps://host{dir}x\n.github/workflows/\n$HOME{dir}\n");
        assert_eq!(machine_paths(&text), [2, 3]);
    }

    #[test]
    fn a_crate_is_named_by_its_whole_name() {
        assert!(names("| `oras-spec` | types |", "oras-spec"));
        assert!(!names("| `oras-spec` | types |", "oras"));
        assert!(names("the library (oras).", "oras"));
    }
}
