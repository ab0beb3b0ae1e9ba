//! `cargo xtask gen` and `cargo xtask diff`: write the pages that are generated from the program and from tests.

use std::collections::BTreeMap;
use std::path::Path;

use xtask::files::ScratchDir;
use xtask::process::{Result, cargo, run as run_command};

/// The directory of the command reference.
const PAGES: &str = "docs/cli";
/// The example that generates the reference.
const EXAMPLE: [&str; 8] = ["run", "--locked", "--quiet", "-p", "oras-cli", "--example", "reference", "--"];

/// Writes all generated pages. With `--check`, only checks that the pages of the commands are up to date and
/// that man pages can be generated.
pub(crate) fn run(options: &[String]) -> Result {
    match options.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--check"] => check(),
        [] => {
            write_pages()?;
            diff(&["--write".to_owned()])?;
            write_terminals()?;
            write_security()?;
            write_troubleshooting()
        }
        _ => Err("options: --check".into()),
    }
}

/// Runs the differential tests whose scene names contain one of `words`. `--write` writes their pages.
pub(crate) fn diff(words: &[String]) -> Result {
    build_tools()?;
    let mut command = cargo(&["test", "--locked", "--workspace", "--test", "diff", "--"]);
    run_command(command.args(words))
}

/// Updates the terminal snapshots of `insta`.
fn write_terminals() -> Result {
    let mut command = cargo(&["test", "--locked", "--workspace", "--test", "it", "terminal::"]);
    run_command(command.env("INSTA_UPDATE", "always"))
}

/// Updates the security page.
fn write_security() -> Result {
    run_command(&mut cargo(&["test", "--locked", "--workspace", "--test", "security", "--", "--write"]))
}

/// Updates the page of errors and hints.
fn write_troubleshooting() -> Result {
    let words = ["test", "--locked", "--workspace", "--test", "troubleshooting", "--", "--write"];
    run_command(&mut cargo(&words))
}

/// Builds the programs that the tests run.
fn build_tools() -> Result {
    run_command(&mut cargo(&["build", "--locked", "--workspace", "--bins", "--examples"]))
}

fn write_pages() -> Result {
    let pages = xtask::env::root().join(PAGES);
    if pages.exists() {
        std::fs::remove_dir_all(&pages)?;
    }
    make("markdown", &pages)?;
    make("man", &xtask::env::root().join("target/man"))?;
    println!("wrote {PAGES} and target/man");
    Ok(())
}

/// Checks that the command reference is up to date.
pub(crate) fn check() -> Result {
    let scratch = ScratchDir::new(&std::env::temp_dir(), "oras-xtask-gen")?;
    let (markdown, man) = (scratch.path().join("markdown"), scratch.path().join("man"));
    make("markdown", &markdown)?;
    make("man", &man)?;
    let (wanted, there) = (texts(&markdown)?, texts(&xtask::env::root().join(PAGES))?);
    let names = wanted.keys().chain(there.keys());
    let mut wrong: Vec<_> = names.filter(|name| wanted.get(*name) != there.get(*name)).collect();
    wrong.sort();
    wrong.dedup();
    if wrong.is_empty() {
        println!("{} pages, {} man pages", wanted.len(), texts(&man)?.len());
        return Ok(());
    }
    let names: Vec<_> = wrong.into_iter().map(String::as_str).collect();
    Err(format!("{PAGES} is not what the program says: run `cargo xtask gen` ({})", names.join(", ")).into())
}

fn make(kind: &str, directory: &Path) -> Result {
    run_command(cargo(&EXAMPLE).arg(kind).arg(directory))
}

/// Returns the files of a directory by name, or nothing if it does not exist.
fn texts(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    if !directory.exists() {
        return Ok(texts);
    }
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let text = xtask::files::read_text(&entry.path())?;
        texts.insert(entry.file_name().to_string_lossy().into_owned(), text);
    }
    Ok(texts)
}
