//! `docs/crates.md`: what each crate is for, how many crates it links, and the CPU time of its first build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::files::{ScratchDir, read_text, write as write_file};
use xtask::process::{Result, capture, cargo, command};
use xtask::workspace::Workspace;

/// The page.
const PAGE: &str = "docs/crates.md";
/// The target whose dependencies are counted, so that the numbers are equal on each machine.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A client of registries to compare with, and its version.
const OTHER: (&str, &str) = ("oci-client", "0.18");

/// What to do about the CPU times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Keep those of the page. They are facts of the machine that measured them.
    Keep,
    /// Build each crate into an empty directory. This takes minutes and needs a machine without other work.
    Measure,
}

/// A line of the table.
struct Row {
    name: String,
    purpose: String,
    crates: usize,
    cpu: Option<String>,
}

/// Writes the page.
pub(super) fn write(times: Times) -> Result {
    let page = xtask::env::root().join(PAGE);
    let earlier = earlier_times(&read_text(&page).unwrap_or_default());
    let scratch = ScratchDir::new(&std::env::temp_dir(), "oras-xtask-crates")?;
    let workspace = Workspace::load()?;
    let mut rows = Vec::new();
    for package in workspace.in_publish_order()? {
        let dependency = format!("{} = {{ path = \"{}\" }}", package.name, package.dir.display());
        let program = Program::new(scratch.path(), &package.name, &dependency)?;
        let purpose = package.description.clone().unwrap_or_default();
        rows.push(program.row(purpose, times, &earlier)?);
    }
    let (name, version) = OTHER;
    let program = Program::new(scratch.path(), name, &format!("{name} = \"{version}\""))?;
    let purpose = format!("for comparison: another client of registries, version {version}");
    rows.push(program.row(purpose, times, &earlier)?);
    write_file(&page, text(&rows))?;
    println!("wrote {PAGE}");
    Ok(())
}

/// An empty program with one dependency, as a user of that crate has it: default features, default profile.
struct Program {
    name: String,
    dir: PathBuf,
}

impl Program {
    /// Makes the program below `scratch`, with the versions of the workspace.
    fn new(scratch: &Path, name: &str, dependency: &str) -> Result<Self> {
        let dir = scratch.join(name);
        let head = "[package]\nname = \"program\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n";
        write_file(&dir.join("Cargo.toml"), format!("{head}{dependency}\n"))?;
        write_file(&dir.join("src/lib.rs"), "")?;
        write_file(&dir.join("Cargo.lock"), read_text(&xtask::env::root().join("Cargo.lock"))?)?;
        Ok(Self { name: name.to_owned(), dir })
    }

    fn row(&self, purpose: String, times: Times, earlier: &BTreeMap<String, String>) -> Result<Row> {
        let crates = self.linked()?.len();
        let cpu = match times {
            Times::Keep => earlier.get(&self.name).cloned(),
            Times::Measure => Some(self.build_time()?),
        };
        Ok(Row { name: self.name.clone(), purpose, crates, cpu })
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo(args);
        command.current_dir(&self.dir);
        command
    }

    /// Returns name and version of all crates that the dependency links or runs as macros, itself included.
    fn linked(&self) -> Result<BTreeSet<String>> {
        let tree = ["tree", "-e", "normal", "--prefix", "none", "--format", "{p}", "--target", TARGET, "-p"];
        Ok(crates_of(&capture(self.cargo(&tree).arg(&self.name))?))
    }

    /// Builds the program into an empty directory, and returns the CPU seconds.
    fn build_time(&self) -> Result<String> {
        // Everything is downloaded before, so that only the compilation is measured.
        capture(&mut self.cargo(&["fetch", "--quiet"]))?;
        let mut build = self.cargo(&["build", "--quiet", "--target-dir"]);
        build.arg(self.dir.join("target"));
        // `time` of bash counts all descendants, and prints only numbers in this format.
        let mut timed = command("bash", &["-c", r#"TIMEFORMAT="%U %S"; time "$@" 2>/dev/null"#, "bash"]);
        timed.arg(build.get_program()).args(build.get_args()).current_dir(&self.dir);
        for (name, value) in build.get_envs() {
            match value {
                Some(value) => timed.env(name, value),
                None => timed.env_remove(name),
            };
        }
        let output = timed.output()?;
        if !output.status.success() {
            return Err(format!("cannot build {}: run `cargo build -p {0}`", self.name).into());
        }
        std::fs::remove_dir_all(self.dir.join("target"))?;
        let seconds = cpu_seconds(&String::from_utf8_lossy(&output.stderr))
            .ok_or_else(|| format!("bash printed no times for {}", self.name))?;
        println!("{}: {seconds:.0} CPU seconds", self.name);
        Ok(format!("{seconds:.0}"))
    }
}

fn crates_of(tree: &str) -> BTreeSet<String> {
    let name_and_version = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(name_and_version).filter(|name| !name.is_empty()).collect()
}

/// Parses `user system`, the last line that bash prints.
fn cpu_seconds(stderr: &str) -> Option<f64> {
    let (user, system) = stderr.lines().last()?.trim().split_once(' ')?;
    Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
}

/// Returns the CPU times of the page, by crate.
fn earlier_times(page: &str) -> BTreeMap<String, String> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .filter_map(|cells| Some((cells.get(1)?.trim_matches('`').to_owned(), cells.get(4)?.clone())))
        .filter(|(_, time)| !time.is_empty() && time != NOT_MEASURED)
        .collect()
}

const NOT_MEASURED: &str = "?";

fn text(rows: &[Row]) -> String {
    let mut text = "<!-- Written by `cargo xtask release --table`. -->\n# Crates\n\n\
        What each crate is for, and what it costs. `crates` is the number of crates in a build with the default features \
        on Linux: those that are linked and those that run as macros, the crate itself included. `CPU seconds` is the time of the \
        first debug build of a program with this dependency alone, on one machine; compare the lines with each other. \
        `cargo xtask release --table --time` measures it again.\n\n\
        | crate | for | crates | CPU seconds |\n|---|---|--:|--:|\n"
        .to_owned();
    for Row { name, purpose, crates, cpu } in rows {
        let cpu = cpu.as_deref().unwrap_or(NOT_MEASURED);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{name}` | {purpose} | {crates} | {cpu} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_crate_once() {
        let tree = "oras-spec v0.1.0 (/x)\nserde v1.0.1\nserde v1.0.1 (*)\nsyn v2.0.0 (proc-macro)\n\n";
        assert_eq!(crates_of(tree).len(), 3);
    }

    #[test]
    fn keeps_times_of_the_page() {
        let row = |name: &str, cpu: Option<&str>| Row {
            name: name.into(),
            purpose: "p".into(),
            crates: 3,
            cpu: cpu.map(str::to_owned),
        };
        let page = text(&[row("oras-spec", Some("41")), row("oras-store", None)]);
        let times = earlier_times(&page);
        assert_eq!(times.get("oras-spec").map(String::as_str), Some("41"));
        assert_eq!(times.len(), 1);
    }

    #[test]
    fn parses_times_of_bash() {
        assert_eq!(cpu_seconds("warning\n12.250 3.750\n"), Some(16.0));
        assert_eq!(cpu_seconds("bash: cargo: not found"), None);
    }
}
