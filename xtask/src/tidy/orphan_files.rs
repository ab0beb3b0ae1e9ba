//! Checks that a target of the package compiles each of its Rust files.
//!
//! A test file that no `mod` declares never runs, and its tests would count as passed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Violation;
use xtask::files::files_below;
use xtask::process::Result;
use xtask::workspace::{Package, Workspace};

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for package in &workspace.packages {
        found.extend(forgotten(package)?);
    }
    Ok(found)
}

fn forgotten(package: &Package) -> Result<Vec<Violation>> {
    let reached = reachable(&package.roots);
    let mut found = Vec::new();
    for dir in ["src", "tests", "examples", "benches"] {
        for file in files_below(&package.dir.join(dir))? {
            if file.extension().is_some_and(|extension| extension == "rs") && !reached.contains(&file) {
                found.push(Violation::new(
                    &file,
                    1,
                    "no target compiles this file: declare it with `mod`, or remove it",
                ));
            }
        }
    }
    Ok(found)
}

/// Returns the existing files that `mod` declarations reach from the first file of each target.
fn reachable(roots: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut reached: BTreeSet<PathBuf> = roots.iter().cloned().collect();
    let mut pending: Vec<PathBuf> = roots.to_vec();
    while let Some(file) = pending.pop() {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let owns_dir = roots.contains(&file) || file.ends_with("mod.rs");
        for module in declared(&text) {
            let children = module.candidates(&file, owns_dir).into_iter().filter(|child| child.is_file());
            pending.extend(children.filter(|child| reached.insert(child.clone())));
        }
    }
    reached
}

/// A `mod name;` declaration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declared {
    /// The module's name.
    pub(super) name: String,
    /// The file that a `#[path]` attribute names.
    path: Option<String>,
    /// Whether `#[cfg(test)]` stands before the declaration.
    pub(super) is_test: bool,
}

impl Declared {
    /// Returns the paths at which the compiler looks for the module's file.
    pub(super) fn candidates(&self, file: &Path, owns_dir: bool) -> Vec<PathBuf> {
        if let Some(path) = &self.path {
            return vec![file.with_file_name(path)];
        }
        let dir = if owns_dir { file.with_file_name("") } else { file.with_extension("") };
        vec![dir.join(format!("{}.rs", self.name)), dir.join(&self.name).join("mod.rs")]
    }
}

/// Returns the modules that a file declares and whose code is in other files.
pub(super) fn declared(text: &str) -> Vec<Declared> {
    let (mut path, mut is_test) = (None, false);
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[path = \"") {
            path = attribute.strip_suffix("\"]").map(str::to_owned);
        } else if line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test") {
            is_test = true;
        } else if let Some(name) = module_name(line) {
            found.push(Declared { name: name.to_owned(), path: path.take(), is_test });
            is_test = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            (path, is_test) = (None, false);
        }
    }
    found
}

fn module_name(line: &str) -> Option<&str> {
    let item = match line.strip_prefix("pub") {
        Some(rest) => {
            rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest)
        }
        None => line,
    };
    let name = item.trim_start().strip_prefix("mod ")?.split_once(';')?.0.trim();
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::files::{ScratchDir, write};

    #[test]
    fn finds_declarations() {
        let text = "mod a;\npub mod b;\npub(crate) mod c; // note\n// mod d;\nmod e {\n}\n#[path = \"x/f.rs\"]\nmod f;\nlet mod_g;\n";
        let names: Vec<_> = declared(text).into_iter().map(|module| (module.name, module.path)).collect();
        let plain = |name: &str| (name.to_owned(), None);
        assert_eq!(names, [plain("a"), plain("b"), plain("c"), ("f".into(), Some("x/f.rs".into()))]);
    }

    #[test]
    fn finds_undeclared_file() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-modules").unwrap();
        let top = scratch.path();
        for (file, text) in [
            ("src/lib.rs", "mod a;"),
            ("src/a.rs", "mod b;"),
            ("src/a/b.rs", ""),
            ("tests/it/main.rs", "mod push;"),
            ("tests/it/push.rs", ""),
            ("tests/it/pull.rs", ""),
        ] {
            write(&top.join(file), text).unwrap();
        }
        let package = Package {
            dir: top.into(),
            roots: vec![top.join("src/lib.rs"), top.join("tests/it/main.rs")],
            ..Package::default()
        };
        let found: Vec<_> =
            forgotten(&package).unwrap().into_iter().map(|violation| violation.file).collect();
        assert_eq!(found, [top.join("tests/it/pull.rs")]);
    }
}
