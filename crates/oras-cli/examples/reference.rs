//! Makes the reference pages from the command line itself: `reference markdown DIR` writes a page for each command,
//! `reference man DIR` a man page. `cargo xtask gen` runs this.
#![expect(clippy::print_stderr, reason = "the example prints its errors")]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["markdown", directory] => markdown(Path::new(directory)),
        ["man", directory] => man(Path::new(directory)),
        _ => Err(io::Error::other("usage: reference markdown|man DIR")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reference: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A page for each command, and one that lists them.
fn markdown(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut list =
        String::from("# The command line\n\nMade by `cargo xtask gen` from the program itself.\n\n");
    for (path, mut command) in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let file = format!("{}.md", path.replace(' ', "-"));
        let _ = writeln!(list, "- [`{path}`]({file}): {about}");
        let help = command.render_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        write(&directory.join(file), &format!("# {path}\n\n```text\n{}\n```\n", help.join("\n").trim_end()))?;
    }
    write(&directory.join("README.md"), &list)
}

/// A man page for each command: `oras-blob-fetch.1`.
fn man(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (path, command) in commands() {
        let name = path.replace(' ', "-");
        let mut page = Vec::new();
        clap_mangen::Man::new(command.name(name.clone())).title(name.clone()).render(&mut page)?;
        write(&directory.join(format!("{name}.1")), &String::from_utf8_lossy(&page))?;
    }
    Ok(())
}

/// Every command, by the words that call it.
fn commands() -> Vec<(String, Command)> {
    let mut root = oras_cli::command().term_width(100);
    root.build();
    let (mut found, mut next) = (Vec::new(), vec![("oras".to_owned(), root)]);
    while let Some((path, command)) = next.pop() {
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            next.push((format!("{path} {}", child.get_name()), child.clone().term_width(100)));
        }
        found.push((path, command));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::File::create(path)?.write_all(text.as_bytes())
}
