//! What may stand at the cursor: commands, flags, their values, files, registries, repositories and tags.
//!
//! Shells ask `oras __complete <words> <word at the cursor>`, in the protocol of the Go tool, so that a script which that
//! one installed works too: a line for each candidate, with what it means after a tab, then `:` and how to go on.

mod references;

use clap::{Arg, ArgAction, Command};

use crate::args::{self, line::Line};
use crate::cmd;
use crate::error::Failure;
use crate::output::Printer;

/// No space after the candidate: it goes on.
const NO_SPACE: u32 = 2;
/// No names of files where there is no candidate.
const NO_FILES: u32 = 4;
/// Names of directories.
const DIRECTORIES: u32 = 16;

/// Values of flags that have a fixed set of them, by the beginning of the command's path.
const VALUES: [(&str, &str, &[&str]); 6] = [
    ("discover", "format", &["tree", "json", "go-template=", "table"]),
    ("discover", "output", &["tree", "json", "table"]),
    ("", "format", &["text", "json", "go-template="]),
    ("", "image-spec", &["v1.1", "v1.0"]),
    ("", "distribution-spec", &["v1.1-referrers-tag", "v1.1-referrers-api"]),
    ("", "platform", &["linux/amd64", "linux/arm64", "linux/arm/v7", "darwin/arm64", "windows/amd64"]),
];

/// What may stand at the cursor, and how to go on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    candidates: Vec<(String, String)>,
    directive: u32,
}

impl Answer {
    fn files() -> Self {
        Self::default()
    }

    fn only(candidates: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { candidates: candidates.into_iter().collect(), directive: NO_FILES }
    }

    /// Those that begin with `current`.
    fn beginning(mut self, current: &str) -> Self {
        self.candidates.retain(|(text, _)| text.starts_with(current));
        let goes_on = |(text, _): &(String, String)| text.ends_with(['=', '/', ':']);
        if !self.candidates.is_empty() && self.candidates.iter().all(goes_on) {
            self.directive |= NO_SPACE;
        }
        self
    }
}

/// Whether `word` is how shells ask.
pub(crate) fn asks(word: &str) -> bool {
    matches!(word, "__complete" | "__completeNoDesc")
}

/// Answers a shell that asked with `ask`; the last of `words` is what stands at the cursor.
pub(crate) fn answer(ask: &str, words: &[String], printer: &Printer) -> Result<(), Failure> {
    let (current, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let answer = candidates(before, current);
    let mut lines = String::new();
    for (text, meaning) in &answer.candidates {
        lines.push_str(text);
        if ask == "__complete" && !meaning.is_empty() {
            lines.push('\t');
            lines.push_str(meaning);
        }
        lines.push('\n');
    }
    printer.line(format!("{lines}:{}", answer.directive))
}

fn candidates(before: &[String], current: &str) -> Answer {
    let root = cmd::root();
    let Ok(line) = Line::read(&root, before) else { return Answer::only([]) };
    let command = args::at(&root, &line.path);
    let path = line.path.join(" ");
    if let Some(flag) = &line.waiting {
        return value(command, &path, flag).beginning(current);
    }
    if line.mistake.is_some() {
        return Answer::only([]);
    }
    let ended = before.iter().any(|word| word == "--");
    if !ended && current.starts_with('-') {
        return match current.strip_prefix("--").and_then(|text| text.split_once('=')) {
            Some((flag, value_begun)) => {
                let mut answer = value(command, &path, flag).beginning(value_begun);
                answer.candidates.iter_mut().for_each(|(text, _)| *text = format!("--{flag}={text}"));
                answer
            }
            None => flags(command, &line).beginning(current),
        };
    }
    if path == "help" {
        let topic = args::at(&root, &line.words);
        return commands(topic).beginning(current);
    }
    if command.has_subcommands() {
        commands(command).beginning(current)
    } else {
        word(command, &line, current)
    }
}

fn commands(group: &Command) -> Answer {
    let shown = group.get_subcommands().filter(|command| !command.is_hide_set());
    Answer::only(shown.map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        (command.get_name().to_owned(), about)
    }))
}

/// Flags that may still be given.
fn flags(command: &Command, line: &Line) -> Answer {
    let given = |flag: &Arg| line.flags.iter().any(|(name, _)| Some(name.as_str()) == flag.get_long());
    let again = |flag: &Arg| matches!(flag.get_action(), ArgAction::Append);
    let open = command.get_arguments().filter(|flag| !flag.is_hide_set() && (again(flag) || !given(flag)));
    let help = ("--help".to_owned(), "Print help".to_owned());
    Answer::only(
        open.filter_map(|flag| {
            let meaning = flag.get_help().map(ToString::to_string).unwrap_or_default();
            Some((format!("--{}", flag.get_long()?), meaning))
        })
        .chain([help]),
    )
}

/// Values of a flag.
fn value(command: &Command, path: &str, name: &str) -> Answer {
    let base = name.trim_start_matches("from-").trim_start_matches("to-");
    let fixed = VALUES.iter().find(|(command, flag, _)| path.starts_with(command) && *flag == base);
    if let Some((_, _, values)) = fixed {
        return Answer::only(values.iter().map(|value| ((*value).to_owned(), String::new())));
    }
    let flag = command.get_arguments().find(|flag| flag.get_long() == Some(name));
    let kind = flag.and_then(Arg::get_value_names).and_then(|names| names.first()).map(ToString::to_string);
    match kind.unwrap_or_default() {
        kind if kind.contains("DIR") => Answer { directive: DIRECTORIES, ..Answer::default() },
        kind if kind.contains("PATH") || kind.contains("FILE") => Answer::files(),
        kind if kind == "BOOL" => {
            Answer::only(["true", "false"].map(|word| (word.to_owned(), String::new())))
        }
        _ => Answer::only([]),
    }
}

/// What a command takes at the place of the cursor, by the words of its usage.
fn word(command: &Command, line: &Line, current: &str) -> Answer {
    let names = command.get_positionals().next().and_then(|words| words.get_value_names());
    let usage = names.and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let forms: Vec<_> = usage.split(' ').filter(|form| form.starts_with(['<', '[', '{'])).collect();
    let place = line.words.len();
    let form =
        forms.get(place).or_else(|| forms.last().filter(|_| may_repeat(line))).copied().unwrap_or_default();
    match form {
        form if form.contains("file") || form.contains("path") => Answer::files(),
        form if form.contains("new_tag") || form.is_empty() => Answer::only([]),
        "<registry>" if line.path.first().is_some_and(|name| name == "login" || name == "logout") => {
            references::registries(line, current)
        }
        form => references::complete(line, form, current),
    }
}

/// Whether the last word of the usage may come again.
fn may_repeat(line: &Line) -> bool {
    let first = line.path.first().map(String::as_str);
    matches!(first, Some("push" | "attach" | "tag")) || line.path.join(" ") == "manifest index create"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: &[&str]) -> (Vec<String>, u32) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let (current, before) = words.split_last().unwrap();
        let answer = candidates(before, current);
        (answer.candidates.into_iter().map(|(text, _)| text).collect(), answer.directive)
    }

    #[test]
    fn commands_and_flags() {
        assert_eq!(ask(&["pu"]), (vec!["pull".to_owned(), "push".to_owned()], NO_FILES));
        assert_eq!(ask(&["repo", "t"]).0, ["tags"]);
        assert_eq!(ask(&["help", "repo", "t"]).0, ["tags"]);
        assert_eq!(ask(&["pull", "--keep"]).0, ["--keep-old-files"]);
        assert_eq!(ask(&["pull", "-k", "--keep"]).0, [""; 0]);
        assert_eq!(
            ask(&["push", "--annotation", "a=b", "--annotation"]).0,
            ["--annotation", "--annotation-file"]
        );
        assert_eq!(ask(&["pull", "--verb"]).0, [""; 0]);
        assert_eq!(ask(&["nope", "x", ""]).0, [""; 0]);
    }

    #[test]
    fn values() {
        assert_eq!(ask(&["pull", "--format", "j"]).0, ["json"]);
        assert_eq!(ask(&["discover", "--format=t"]).0, ["--format=tree", "--format=table"]);
        assert_eq!(ask(&["pull", "--format", "g"]), (vec!["go-template=".to_owned()], NO_FILES | NO_SPACE));
        assert_eq!(ask(&["cp", "--from-distribution-spec", "v1.1-referrers-a"]).0, ["v1.1-referrers-api"]);
        assert_eq!(ask(&["pull", "--output", ""]), (Vec::new(), DIRECTORIES));
        assert_eq!(ask(&["push", "--config", "x"]), (Vec::new(), 0));
        assert_eq!(ask(&["push", "--artifact-type", "x"]), (Vec::new(), NO_FILES));
        assert_eq!(ask(&["push", "--concurrency=", ""]).1 & NO_FILES, NO_FILES);
    }

    #[test]
    fn files() {
        assert_eq!(ask(&["push", "localhost:5000/a:v1", "h"]), (Vec::new(), 0));
        assert_eq!(ask(&["push", "localhost:5000/a:v1", "a", "b", "h"]), (Vec::new(), 0));
        assert_eq!(ask(&["tag", "localhost:5000/a:v1", "h"]), (Vec::new(), NO_FILES));
        assert_eq!(ask(&["pull", "localhost:5000/a:v1", "h"]), (Vec::new(), NO_FILES));
    }
}
