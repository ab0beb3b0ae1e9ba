//! The candidates at the cursor: commands, flags, their values, files, registries, repositories and tags.
//!
//! A shell runs `oras __complete <words> <word at the cursor>`. The output follows cobra's protocol, so that scripts
//! installed by the Go tool work too: a line for each candidate, with its description after a tab, then `:` and a
//! directive.

use clap::{Arg, ArgAction, Command};

use super::references;
use crate::args::{self, command_line::CommandLine};
use crate::cmd;
use crate::failure::Failure;
use crate::print;

/// The directive to add no space after the candidate.
// The directives are bits of cobra's protocol, so that several can be combined.
pub(super) const NO_SPACE: u32 = 2;
/// The directive not to complete file names if there are no candidates.
pub(super) const NO_FILES: u32 = 4;
/// The directive to complete names of directories.
pub(super) const DIRECTORIES: u32 = 16;

/// Values of flags that also accept others: the beginning of the command's path, the flag, the values.
const VALUES: [(&str, &str, &[&str]); 4] = [
    ("discover", "format", &["tree", "json", "go-template=", "table"]),
    ("discover", "output", &["tree", "json", "table"]),
    ("", "format", &["text", "json", "go-template="]),
    ("", "platform", &["linux/amd64", "linux/arm64", "linux/arm/v7", "darwin/arm64", "windows/amd64"]),
];

/// The candidates at the cursor, each with its description, and the directive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) candidates: Vec<(String, String)>,
    pub(super) directive: u32,
}

impl Answer {
    pub(super) fn files() -> Self {
        Self::default()
    }

    pub(super) fn only(candidates: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { candidates: candidates.into_iter().collect(), directive: NO_FILES }
    }

    /// Makes candidates without descriptions.
    pub(super) fn names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::only(names.into_iter().map(|name| (name.into(), String::new())))
    }

    /// Keeps the candidates that begin with `current`.
    pub(super) fn starting_with(mut self, current: &str) -> Self {
        self.candidates.retain(|(text, _)| text.starts_with(current));
        // A value or a tag follows these characters, so the shell must not add a space.
        let is_incomplete = |(text, _): &(String, String)| text.ends_with(['=', '/', ':']);
        if !self.candidates.is_empty() && self.candidates.iter().all(is_incomplete) {
            self.directive |= NO_SPACE;
        }
        self
    }
}

/// Returns true if `word` is the command that shells run.
pub(crate) fn is_completion(word: &str) -> bool {
    matches!(word, "__complete" | "__completeNoDesc")
}

/// Prints the candidates for a shell that ran `command`. The last of `words` is the word at the cursor.
pub(crate) fn print_candidates(command: &str, words: &[String]) -> Result<(), Failure> {
    let (current, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let answer = candidates(before, current);
    let mut lines = String::new();
    for (text, description) in &answer.candidates {
        lines.push_str(text);
        if command == "__complete" && !description.is_empty() {
            lines.push('\t');
            lines.push_str(description);
        }
        lines.push('\n');
    }
    print::line(format!("{lines}:{}", answer.directive))
}

/// Returns the candidates at the cursor after the words `before`.
fn candidates(before: &[String], current: &str) -> Answer {
    let root = cmd::root();
    let Ok(line) = CommandLine::read(&root, before) else { return Answer::only([]) };
    let command = args::at(&root, &line.path);
    let path = line.path.join(" ");
    if let Some(flag) = &line.incomplete {
        return value(command, &path, flag).starting_with(current);
    }
    // After a mistake it is unknown whether the next word is a flag, a value or an argument.
    if line.mistake.is_some() {
        return Answer::only([]);
    }
    let ended = before.iter().any(|word| word == "--");
    if !ended && current.starts_with('-') {
        return match current.strip_prefix("--").and_then(|text| text.split_once('=')) {
            Some((flag, value_start)) => {
                let mut answer = value(command, &path, flag).starting_with(value_start);
                answer.candidates.iter_mut().for_each(|(text, _)| *text = format!("--{flag}={text}"));
                answer
            }
            None => flags(command, &line).starting_with(current),
        };
    }
    if path == "help" {
        let topic = args::at(&root, &line.words);
        return commands(topic).starting_with(current);
    }
    if command.has_subcommands() {
        commands(command).starting_with(current)
    } else {
        word(command, &line, current)
    }
}

/// Returns the commands of a group.
fn commands(group: &Command) -> Answer {
    let shown = group.get_subcommands().filter(|command| !command.is_hide_set());
    Answer::only(shown.map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        (command.get_name().to_owned(), about)
    }))
}

/// Returns the flags that can still be added to the line.
fn flags(command: &Command, line: &CommandLine) -> Answer {
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

/// Returns the values of a flag.
fn value(command: &Command, path: &str, name: &str) -> Answer {
    // `cp` has the flag for each side, with the same values.
    let base = name.trim_start_matches("from-").trim_start_matches("to-");
    let fixed = VALUES.iter().find(|(command, flag, _)| path.starts_with(command) && *flag == base);
    if let Some((_, _, values)) = fixed {
        return Answer::names(values.iter().copied());
    }
    let flag = command.get_arguments().find(|flag| flag.get_long() == Some(name));
    let possible = flag.map(Arg::get_possible_values).unwrap_or_default();
    if !possible.is_empty() {
        return Answer::names(possible.iter().map(|value| value.get_name().to_owned()));
    }
    let kind = flag.and_then(Arg::get_value_names).and_then(|names| names.first()).map(ToString::to_string);
    match kind.unwrap_or_default() {
        kind if kind.contains("DIR") => Answer { directive: DIRECTORIES, ..Answer::default() },
        kind if kind.contains("PATH") || kind.contains("FILE") => Answer::files(),
        kind if kind == "BOOL" => Answer::names(["true", "false"]),
        _ => Answer::only([]),
    }
}

/// Returns the candidates for the argument at the cursor, by the words of the usage.
fn word(command: &Command, line: &CommandLine, current: &str) -> Answer {
    let names = command.get_positionals().next().and_then(|words| words.get_value_names());
    let usage = names.and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let forms: Vec<_> = usage.split(' ').filter(|form| form.starts_with(['<', '[', '{'])).collect();
    let place = line.words.len();
    // The usage already describes the kind of each argument, so completion needs no second list.
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

/// Returns true if the last argument of the usage may be repeated.
fn may_repeat(line: &CommandLine) -> bool {
    let first = line.path.first().map(String::as_str);
    matches!(first, Some("push" | "attach" | "tag")) || line.path.join(" ") == "manifest index create"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(words: &[&str]) -> (Vec<String>, u32) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let (current, before) = words.split_last().unwrap();
        let answer = candidates(before, current);
        (answer.candidates.into_iter().map(|(text, _)| text).collect(), answer.directive)
    }

    #[test]
    fn completes_commands_and_flags() {
        assert_eq!(complete(&["pu"]), (vec!["pull".to_owned(), "push".to_owned()], NO_FILES));
        assert_eq!(complete(&["repo", "t"]).0, ["tags"]);
        assert_eq!(complete(&["help", "repo", "t"]).0, ["tags"]);
        assert_eq!(complete(&["pull", "--keep"]).0, ["--keep-old-files"]);
        assert_eq!(complete(&["pull", "-k", "--keep"]).0, [""; 0]);
        assert_eq!(
            complete(&["push", "--annotation", "a=b", "--annotation"]).0,
            ["--annotation", "--annotation-file"]
        );
        assert_eq!(complete(&["pull", "--verb"]).0, [""; 0]);
        assert_eq!(complete(&["nope", "x", ""]).0, [""; 0]);
    }

    #[test]
    fn completes_values_of_flags() {
        assert_eq!(complete(&["pull", "--format", "j"]).0, ["json"]);
        assert_eq!(complete(&["discover", "--format=t"]).0, ["--format=tree", "--format=table"]);
        assert_eq!(
            complete(&["pull", "--format", "g"]),
            (vec!["go-template=".to_owned()], NO_FILES | NO_SPACE)
        );
        assert_eq!(
            complete(&["cp", "--from-distribution-spec", "v1.1-referrers-a"]).0,
            ["v1.1-referrers-api"]
        );
        assert_eq!(complete(&["push", "--compression", ""]).0, ["gzip", "zstd", "none"]);
        assert_eq!(complete(&["push", "--progress", "p"]).0, ["plain"]);
        assert_eq!(complete(&["pull", "--output", ""]), (Vec::new(), DIRECTORIES));
        assert_eq!(complete(&["push", "--config", "x"]), (Vec::new(), 0));
        assert_eq!(complete(&["push", "--artifact-type", "x"]), (Vec::new(), NO_FILES));
        assert_eq!(complete(&["push", "--concurrency=", ""]).1 & NO_FILES, NO_FILES);
    }

    #[test]
    fn completes_files_only_where_the_command_takes_them() {
        assert_eq!(complete(&["push", "localhost:5000/a:v1", "h"]), (Vec::new(), 0));
        assert_eq!(complete(&["push", "localhost:5000/a:v1", "a", "b", "h"]), (Vec::new(), 0));
        assert_eq!(complete(&["tag", "localhost:5000/a:v1", "h"]), (Vec::new(), NO_FILES));
        assert_eq!(complete(&["pull", "localhost:5000/a:v1", "h"]), (Vec::new(), NO_FILES));
    }
}
