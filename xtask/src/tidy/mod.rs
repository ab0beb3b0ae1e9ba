//! `cargo xtask tidy`: checks the house rules that the compiler and clippy cannot check.
//!
//! It prints one line for each broken rule: `file:line: what is wrong, and what to do`.

mod file_sizes;
mod import_circles;
mod layers;
mod orphan_files;
mod os_independence;
mod packages;
mod phrases;
mod project_pages;
mod rust_source;

use std::path::{Path, PathBuf};

use xtask::process::Result;
use xtask::workspace::Workspace;

/// A broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Relative to the top of the work tree.
    file: PathBuf,
    line: usize,
    what: String,
}

impl Violation {
    fn new(file: &Path, line: usize, what: impl Into<String>) -> Self {
        let top = xtask::env::root();
        Self { file: file.strip_prefix(&top).unwrap_or(file).to_path_buf(), line, what: what.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// Checks all rules. Fails with the number of broken rules.
pub(crate) fn run() -> Result {
    let workspace = Workspace::load()?;
    let mut found = layers::check(&workspace)?;
    found.extend(orphan_files::check(&workspace)?);
    found.extend(os_independence::check(&workspace)?);
    found.extend(packages::check(&workspace)?);
    found.extend(import_circles::check(&workspace)?);
    found.extend(phrases::check(&workspace)?);
    found.extend(project_pages::check(&workspace)?);
    let (sources, large) = file_sizes::check(&workspace)?;
    found.extend(sources);
    for note in large {
        println!("note: {note}");
    }
    found.sort();
    for violation in &found {
        println!("{violation}");
    }
    match found.len() {
        0 => Ok(()),
        1 => Err("1 house rule is broken".into()),
        n => Err(format!("{n} house rules are broken").into()),
    }
}
