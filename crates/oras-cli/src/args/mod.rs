//! The command line as data: every command and flag, what it asks for, and what a misuse says.

pub(crate) mod flags;
#[cfg(test)]
mod fuzz;
pub(crate) mod help;
pub(crate) mod line;
pub(crate) mod network;
mod suggest;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use self::line::Line;
use crate::error::Failure;

/// A command, with examples in its help.
pub(crate) fn command(name: &'static str, about: &'static str, examples: &'static str) -> Command {
    Command::new(name).about(about).after_help(examples).args_override_self(true)
}

/// A group of commands.
pub(crate) fn group(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about)
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    /// To run the command of these matches.
    Run(ArgMatches),
    /// To show the help of the command with this path.
    Help(Vec<String>),
}

/// Reads a command line, the program's name left out; `warn` gets what is said of deprecated flags.
pub(crate) fn read(mut root: Command, words: &[String], warn: impl Fn(&str)) -> Result<Request, Failure> {
    let line = Line::read(&root, words).map_err(|word| Failure::new(unknown_command(&root, &word)))?;
    let is_group = at(&root, &line.path).has_subcommands();
    let deprecated: Vec<_> = if is_group { Vec::new() } else { deprecated(&line) };
    let matches = if is_group { None } else { Some(matches(&mut root, &line)?) };
    if let Some(mistake) = line.mistake {
        return Err(Failure::new(mistake));
    }
    let command = at(&root, &line.path);
    deprecated.iter().for_each(|text| warn(text));
    let Some(matches) = matches.filter(|_| !line.help) else {
        return match line.words.split_first() {
            Some((word, _)) if is_group && !line.help && word != "help" => {
                Err(Failure::new(unknown_subcommand(&line.path, command, word)))
            }
            // `oras blob help fetch`
            Some((_, topic)) if is_group && !line.help => {
                help_topic(&root, line.path.iter().chain(topic)).map(Request::Help)
            }
            _ => Ok(Request::Help(line.path)),
        };
    };
    match line.path.first().map(String::as_str) {
        Some("help") => help_topic(&root, line.words.iter()).map(Request::Help),
        _ => Ok(Request::Run(matches)),
    }
}

/// An argument as text: the Go tool takes any bytes, but nothing that it names could be sent or written with them.
pub(crate) fn text(word: std::ffi::OsString) -> Result<String, Failure> {
    word.into_string().map_err(|word| Failure::new(format!("{word:?} is not UTF-8")))
}

/// The command with this path.
pub(crate) fn at<'a>(root: &'a Command, path: &[String]) -> &'a Command {
    path.iter().fold(root, |command, name| command.find_subcommand(name).unwrap_or(command))
}

/// Lets clap read the flags: what it refuses is a value.
fn matches(root: &mut Command, line: &Line) -> Result<ArgMatches, Failure> {
    root.try_get_matches_from_mut(line.for_clap()).map_err(|error| {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
            return Failure::new(error.to_string().trim_start_matches("error: ").trim_end());
        }
        // `--debug[=<BOOL>]`, `--concurrency <N>`
        let argument = context(ContextKind::InvalidArg);
        let name = argument.trim_start_matches('-').split(['[', ' ', '=']).next().unwrap_or_default();
        let flag = at(root, &line.path).get_arguments().find(|flag| flag.get_long() == Some(name));
        let flag = match flag.and_then(clap::Arg::get_short) {
            Some(short) => format!("-{short}, --{name}"),
            None => format!("--{name}"),
        };
        let value = context(ContextKind::InvalidValue);
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Failure::new(format!("invalid argument {value:?} for \"{flag}\" flag: {cause}"))
    })
}

/// What is said of each deprecated flag, each time it is given.
fn deprecated(line: &Line) -> Vec<String> {
    let given = line.flags.iter().filter(|(name, _)| name == flags::DEPRECATED);
    given
        .map(|(name, _)| {
            format!("Flag --{name} has been deprecated, and will be removed in a future release.")
        })
        .collect()
}

/// The path of the command that `oras help` is asked about; what follows a command is ignored, as in the Go tool.
fn help_topic<'a>(root: &Command, words: impl Iterator<Item = &'a String>) -> Result<Vec<String>, Failure> {
    let (mut command, mut path) = (root, Vec::new());
    for word in words {
        if !command.has_subcommands() {
            break;
        }
        command = match command.find_subcommand(word) {
            Some(child) => child,
            None if path.is_empty() => return Err(Failure::new(unknown_command(root, word))),
            None => return Err(Failure::new(unknown_subcommand(&path, command, word))),
        };
        path.push(command.get_name().to_owned());
    }
    Ok(path)
}

/// The texts for a command that does not exist, with those that are alike.
fn unknown_command(root: &Command, word: &str) -> String {
    format!("unknown command {word:?} for \"oras\"{}\nRun 'oras --help' for usage.", alike(root, word))
}

fn unknown_subcommand(path: &[String], group: &Command, word: &str) -> String {
    let path = [&["oras".to_owned()], path].concat().join(" ");
    format!("unknown command {word:?} for {path:?}{}\nRun '{path} --help' for usage.", alike(group, word))
}

fn alike(group: &Command, word: &str) -> String {
    let alike = suggest::alike(group, word);
    if alike.is_empty() {
        return String::new();
    }
    let alike: String = alike.iter().map(|name| format!("\t{name}\n")).collect();
    format!("\n\nDid you mean this?\n{alike}")
}
