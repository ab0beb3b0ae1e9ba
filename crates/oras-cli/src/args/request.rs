//! Parses the command line into a request. The errors have the words of the Go tool.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use super::command_line::CommandLine;
use super::flags::DEPRECATED;
use crate::failure::Failure;
use crate::hints;

/// The largest edit distance (Levenshtein) of a suggestion, as in cobra.
const MAX_DISTANCE: usize = 2;

/// The request of a command line.
#[derive(Debug)]
pub(crate) enum Request {
    /// Run the command of these matches.
    Run(ArgMatches),
    /// Show the help of the command with this path. The short form has only the common flags.
    Help { path: Vec<String>, is_short: bool },
}

/// Reads a command line, which does not include the name of the program. Passes warnings about deprecated flags to
/// `warn`.
pub(crate) fn read(mut root: Command, words: &[String], warn: impl Fn(&str)) -> Result<Request, Failure> {
    let line = CommandLine::read(&root, words).map_err(|word| unknown_command(&root, &[], &word))?;
    // A group without a command shows its help, as in the Go tool. clap would report an error instead.
    let is_group = at(&root, &line.path).has_subcommands();
    let deprecated: Vec<_> = if is_group { Vec::new() } else { deprecated(&line) };
    // The values before the first syntax mistake are checked first, so that the error is about the leftmost mistake.
    let matches = if is_group { None } else { Some(matches(&mut root, &line)?) };
    let command = at(&root, &line.path);
    if let Some(mistake) = line.mistake {
        let unknown = mistake.strip_prefix("unknown flag: --");
        let hint = unknown.and_then(|name| hints::for_flag(command, name));
        return Err(Failure::new(mistake).hint(hint));
    }
    // pflag warns while it parses, so the warnings appear even if only help is shown.
    deprecated.iter().for_each(|text| warn(text));
    let Some(matches) = matches.filter(|_| !line.help) else {
        return match line.words.split_first() {
            Some((word, _)) if is_group && !line.help && word != "help" => {
                Err(unknown_command(&root, &line.path, word))
            }
            // `oras blob help fetch`
            Some((_, topic)) if is_group && !line.help => topic_help(&root, line.path.iter().chain(topic)),
            _ => Ok(Request::Help { path: line.path, is_short: line.is_short_help }),
        };
    };
    match line.path.first().map(String::as_str) {
        Some("help") => topic_help(&root, line.words.iter()),
        _ => Ok(Request::Run(matches)),
    }
}

/// Converts an argument to text. Fails if it is not UTF-8, because requests and manifests must be UTF-8. (The Go tool
/// accepts any bytes.)
pub(crate) fn text(word: std::ffi::OsString) -> Result<String, Failure> {
    word.into_string().map_err(|word| Failure::new(format!("{word:?} is not UTF-8")))
}

/// Returns the command with this path.
pub(crate) fn at<'a>(root: &'a Command, path: &[String]) -> &'a Command {
    path.iter().fold(root, |command, name| command.find_subcommand(name).unwrap_or(command))
}

/// Parses the flags with clap. The syntax is correct already, so an error is about a value.
fn matches(root: &mut Command, line: &CommandLine) -> Result<ArgMatches, Failure> {
    // The Go tool names a flag by its letter and its name, so clap's message is replaced.
    root.try_get_matches_from_mut(line.for_clap()).map_err(|error| {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
            // Other errors have no value to quote. The prefix is removed, because `Failure` adds its own.
            return Failure::new(error.to_string().trim_start_matches("error: ").trim_end());
        }
        // `--debug[=<BOOL>]`, `--concurrency <N>`
        let argument = context(ContextKind::InvalidArg);
        let name = argument.trim_start_matches('-').split(['[', ' ', '=']).next().unwrap_or_default();
        let flag = at(root, &line.path).get_arguments().find(|flag| flag.get_long() == Some(name));
        let shown = match flag.and_then(clap::Arg::get_short) {
            Some(short) => format!("-{short}, --{name}"),
            None => format!("--{name}"),
        };
        let value = context(ContextKind::InvalidValue);
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Failure::new(format!("invalid argument {value:?} for \"{shown}\" flag: {cause}"))
            .hint(hints::for_value(flag, &value, &cause))
    })
}

/// Returns a warning for each use of a deprecated flag.
fn deprecated(line: &CommandLine) -> Vec<String> {
    let given = line.flags.iter().filter(|(name, _)| name == DEPRECATED);
    given
        .map(|(name, _)| {
            format!("Flag --{name} has been deprecated, and will be removed in a future release.")
        })
        .collect()
}

/// Returns the request for the complete help of the command that `words` name.
fn topic_help<'a>(root: &Command, words: impl Iterator<Item = &'a String>) -> Result<Request, Failure> {
    help_topic(root, words).map(|path| Request::Help { path, is_short: false })
}

/// Returns the path of the command for `oras help`. Ignores words after a command, as the Go tool does.
fn help_topic<'a>(root: &Command, words: impl Iterator<Item = &'a String>) -> Result<Vec<String>, Failure> {
    let (mut command, mut path) = (root, Vec::new());
    for word in words {
        if !command.has_subcommands() {
            break;
        }
        command = match command.find_subcommand(word) {
            Some(child) => child,
            None => return Err(unknown_command(root, &path, word)),
        };
        path.push(command.get_name().to_owned());
    }
    Ok(path)
}

/// Returns the failure for an unknown command of the group with this path, with suggestions.
fn unknown_command(root: &Command, path: &[String], word: &str) -> Failure {
    let suggestions = suggestions(at(root, path), word);
    let hint = hints::for_command(root, path, word, !suggestions.is_empty());
    let group = [&["oras".to_owned()], path].concat().join(" ");
    let message =
        format!("unknown command {word:?} for {group:?}{suggestions}\nRun '{group} --help' for usage.");
    Failure::new(message).hint(hint)
}

/// Returns the suggestions for an unknown command: the commands with similar names, by the rules of cobra.
fn suggestions(group: &Command, word: &str) -> String {
    let word = word.to_lowercase();
    // Every name starts with the empty word, so an empty word has no suggestions.
    let is_similar = |name: &&str| {
        !word.is_empty() && (name.starts_with(&word) || strsim::levenshtein(name, &word) <= MAX_DISTANCE)
    };
    let shown = group.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name);
    let lines: String = shown.filter(is_similar).map(|name| format!("\t{name}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n\nDid you mean this?\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_similar_commands() {
        let suggested = |word: &str| suggestions(&crate::cmd::root(), word);
        assert_eq!(suggested("plul"), "\n\nDid you mean this?\n\tpull\n");
        assert_eq!(suggested("RE"), "\n\nDid you mean this?\n\tresolve\n\tcp\n\trestore\n\trepo\n");
        assert_eq!(suggested("") + &suggested("nothing"), "");
    }
}
