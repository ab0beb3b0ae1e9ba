//! The command line as data: every command and flag, and what a misuse says.

pub(crate) mod flags;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::Failure;
use crate::output::Printer;

/// A command, with examples in its help.
pub(crate) fn command(name: &'static str, about: &'static str, examples: &'static str) -> Command {
    Command::new(name).about(about).after_help(examples).args_override_self(true)
}

/// A group of commands.
pub(crate) fn group(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).subcommand_required(true).arg_required_else_help(true)
}

/// What clap refuses, in the words of the Go tool; help and bare groups are not failures.
pub(crate) fn misuse(error: clap::Error, printer: &Printer) -> Result<(), Failure> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    // `--flag <value>` or `-f, --flag <value>`: the name alone.
    let flag = argument.split(' ').find(|part| part.starts_with("--")).unwrap_or(&argument);
    let flag = flag.split(['=', '[']).next().unwrap_or(flag).to_owned();
    Err(match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion => {
            return printer.bytes(error.render().to_string().as_bytes());
        }
        ErrorKind::UnknownArgument => Failure::new(match argument.strip_prefix('-') {
            Some(short) if !short.starts_with('-') => {
                format!("unknown shorthand flag: '{}' in -{short}", short.chars().next().unwrap_or(' '))
            }
            _ => format!("unknown flag: {flag}"),
        }),
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            Failure::new(format!("flag needs an argument: {flag}"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = context(ContextKind::InvalidValue);
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            Failure::new(format!("invalid argument {value:?} for \"{flag}\" flag: {cause}"))
        }
        ErrorKind::NoEquals => Failure::new(format!("flag needs an argument: {flag}")),
        ErrorKind::InvalidSubcommand => unknown_command(&error, &context(ContextKind::InvalidSubcommand)),
        _ => Failure::new(error.to_string().trim_start_matches("error: ").trim_end().to_owned()),
    })
}

fn unknown_command(error: &clap::Error, word: &str) -> Failure {
    let mut message = format!("unknown command {word:?} for \"oras\"");
    let mut suggestions = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(words)) => words.clone(),
        Some(ContextValue::String(word)) => vec![word.clone()],
        _ => Vec::new(),
    };
    suggestions.sort();
    if !suggestions.is_empty() {
        message.push_str("\n\nDid you mean this?");
        for suggestion in suggestions {
            message.push_str("\n\t");
            message.push_str(&suggestion);
        }
        message.push('\n');
    }
    message.push_str("\nRun 'oras --help' for usage.");
    Failure::new(message)
}
