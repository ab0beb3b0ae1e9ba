//! Declares flags: constructors of single flags, and the macro `flags!`, which generates a struct with their typed
//! values.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::parser::MatchesError;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::values::{go_bool, go_int};
use crate::failure::Failure;

/// The prefix of the flags of `serve` for its connections to the registries of `--proxy`.
pub(crate) const UPSTREAM: &str = "proxy-";

/// The hidden flag that prints a deprecation warning.
pub(crate) const DEPRECATED: &str = "verbose";

/// Creates a command that uses a registry or a layout, with examples in its help.
pub(crate) fn command(name: &'static str, about: &'static str, examples: &'static str) -> Command {
    let debug = switch("Log requests and responses to standard error").short('d');
    command_without_debug(name, about, examples).arg(named("", "debug", debug))
}

/// Creates a command that does not log requests, with examples in its help.
pub(crate) fn command_without_debug(
    name: &'static str,
    about: &'static str,
    examples: &'static str,
) -> Command {
    let quiet = switch("Print only results, warnings and errors").short('q');
    // In pflag the last of several equal flags wins. Without this setting clap would reject the repetition.
    let command = Command::new(name).about(about).after_help(examples).args_override_self(true);
    command.arg(named("", "quiet", quiet))
}

/// Creates a group of commands.
pub(crate) fn group(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about)
}

/// Defines a struct with a typed field for each flag: the field `keep_old_files` holds the value of `--keep-old-files`.
/// A misspelt name does not compile, and the compiler warns of a flag that no code reads.
///
/// - `#[flatten] group: Group,` includes all flags of another such struct; `#[flatten("from-")]` puts a prefix before
///   their names.
/// - `field: Type = flag,` declares a flag. A field whose name begins with `_` is accepted and not read.
/// - `field: Type,` reads a flag that only some of the commands with this group declare.
macro_rules! flags {
    (
        $(#[$meta:meta])*
        struct $name:ident {
            $(#[$how:ident $(($prefix:literal))?] $group:ident: $group_type:ty,)*
            $($field:ident: $type:ty $(= $flag:expr)?,)*
        }
    ) => {
        $(#[$meta])*
        pub(crate) struct $name {
            $(pub(crate) $group: $group_type,)*
            $(pub(crate) $field: $type,)*
        }

        impl $name {
            /// Declares the flags, with `prefix` before their names.
            pub(crate) fn flags(prefix: &str) -> Vec<clap::Arg> {
                let mut flags = Vec::new();
                $(flags.extend($crate::args::flags::$how(
                    <$group_type>::flags(&format!(concat!("{}", $($prefix)?), prefix)),
                ));)*
                $($(flags.extend([$crate::args::flags::named(prefix, stringify!($field), $flag)]);)?)*
                flags
            }

            /// Reads the values of the flags.
            pub(crate) fn read(matches: &clap::ArgMatches, prefix: &str) -> Self {
                Self {
                    $($group: <$group_type>::read(matches, &format!(concat!("{}", $($prefix)?), prefix)),)*
                    $($field: $crate::args::flags::value(matches, prefix, stringify!($field)),)*
                }
            }
        }
    };
}
pub(crate) use flags;

/// Includes the flags of a group unchanged.
pub(crate) fn flatten(flags: Vec<Arg>) -> Vec<Arg> {
    flags
}

/// Includes the flags of a connection.
pub(crate) fn registry(flags: Vec<Arg>) -> Vec<Arg> {
    // Standard input holds one secret: only a command with a single registry reads one from there.
    let is_for_one =
        |name: &str| !name.ends_with("-stdin") || ["password-stdin", "identity-token-stdin"].contains(&name);
    flags.into_iter().filter(|flag| is_for_one(flag.get_id().as_str())).collect()
}

/// Returns the name of the flag that the field `field` holds.
fn flag_name(prefix: &str, field: &str) -> String {
    format!("{prefix}{}", field.trim_start_matches('_').replace('_', "-"))
}

/// Gives a flag the name of its field. A flag with a prefix has no one-letter form.
pub(crate) fn named(prefix: &str, field: &str, flag: Arg) -> Arg {
    let name = flag_name(prefix, field);
    // The prefix exists because a command has the flag twice, and a letter can name only one of them.
    let flag = if prefix.is_empty() { flag } else { flag.short(None::<char>) };
    // Only the list of arguments takes several values at once. It has no name on the command line.
    let is_positional = flag.get_num_args().is_some_and(|count| count.max_values() > 1);
    if is_positional { flag.id(name) } else { flag.id(name.clone()).long(name) }
}

/// Reads the value of the flag that the field `field` holds.
pub(crate) fn value<T: FlagValue>(matches: &ArgMatches, prefix: &str, field: &str) -> T {
    T::read(matches, &flag_name(prefix, field)).unwrap_or_else(|error| {
        // Only some commands declare such a flag. A flag that is declared with another type is a bug, which every test
        // of the command detects here.
        debug_assert!(matches!(error, MatchesError::UnknownArgument { .. }), "--{prefix}{field}: {error}");
        T::default()
    })
}

/// A type for fields of `flags!`. The default value means that the flag was not given.
pub(crate) trait FlagValue: Default {
    /// Reads the flag called `name`.
    fn read(matches: &ArgMatches, name: &str) -> Result<Self, MatchesError>;

    /// Returns true if the flag was given, even as an empty text or as `--name=false`.
    fn is_given(&self) -> bool;
}

impl FlagValue for bool {
    fn read(matches: &ArgMatches, name: &str) -> Result<Self, MatchesError> {
        Ok(matches.try_get_one::<Self>(name)?.copied().unwrap_or_default())
    }

    fn is_given(&self) -> bool {
        *self
    }
}

impl<T: Clone + Send + Sync + 'static> FlagValue for Option<T> {
    fn read(matches: &ArgMatches, name: &str) -> Result<Self, MatchesError> {
        Ok(matches.try_get_one::<T>(name)?.cloned())
    }

    fn is_given(&self) -> bool {
        self.is_some()
    }
}

impl<T: Clone + Send + Sync + 'static> FlagValue for Vec<T> {
    fn read(matches: &ArgMatches, name: &str) -> Result<Self, MatchesError> {
        Ok(matches.try_get_many::<T>(name)?.into_iter().flatten().cloned().collect())
    }

    fn is_given(&self) -> bool {
        !self.is_empty()
    }
}

/// `--name`, `--name=true`, `--name=false`.
pub(crate) fn switch(help: &'static str) -> Arg {
    Arg::new("")
        .num_args(0..=1)
        // pflag never takes the next word as the value of a switch: `--debug false` is a switch and an argument.
        .require_equals(true)
        .default_missing_value("true")
        .hide_possible_values(true)
        .value_name("BOOL")
        .hide_default_value(true)
        .value_parser(go_bool)
        .help(help)
}

/// `--name value`.
pub(crate) fn text(value: &'static str, help: &'static str) -> Arg {
    // pflag takes the next word as the value, even if it begins with `-`.
    Arg::new("").value_name(value).num_args(1).allow_hyphen_values(true).help(help)
}

/// `--name value`, any number of times.
pub(crate) fn list(value: &'static str, help: &'static str) -> Arg {
    text(value, help).action(ArgAction::Append)
}

/// `--name number`.
pub(crate) fn number(help: &'static str) -> Arg {
    text("N", help).value_parser(go_int)
}

/// The arguments that are not flags.
pub(crate) fn positional(value: &'static str, help: &'static str) -> Arg {
    Arg::new("").value_name(value).num_args(0..).help(help)
}

/// A flag whose values are the words in `allowed`; `what` names it in the error.
pub(crate) fn one_of(flag: Arg, what: &'static str, allowed: &'static [&'static str]) -> Arg {
    // The help text names the values already.
    flag.value_parser(OneOf { what, allowed }).hide_possible_values(true)
}

/// Parses one of a few words. Completion offers them.
#[derive(Clone)]
struct OneOf {
    what: &'static str,
    allowed: &'static [&'static str],
}

impl TypedValueParser for OneOf {
    type Value = String;

    fn parse_ref(&self, command: &Command, flag: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        let Self { what, allowed } = self.clone();
        let parser = move |value: &str| match allowed.contains(&value) {
            true => Ok(value.to_owned()),
            false => Err(format!("unknown {what}: {value}\nAvailable options: {}", allowed.join(", "))),
        };
        parser.parse_ref(command, flag, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.allowed.iter().map(PossibleValue::new)))
    }
}

/// `-v`, which the Go tool deprecates.
pub(crate) fn verbose() -> Arg {
    switch("Show status of unnamed content").short('v').hide(true)
}

/// `--no-tty`.
pub(crate) fn no_tty() -> Arg {
    switch("Print plain lines even on a terminal")
}

/// `--distribution-spec`.
pub(crate) fn distribution_spec() -> Arg {
    one_of(
        text(
            "VERSION",
            "How referrers are kept: v1.1-referrers-tag or v1.1-referrers-api [default: what the registry has]",
        ),
        "distribution specification flag",
        &["v1.1-referrers-tag", "v1.1-referrers-api"],
    )
}

/// `--dry-run` of the commands for which the Go tool does not have this flag.
pub(crate) fn dry_run() -> Arg {
    switch("Only show what would be done")
}

/// `--require-referrer`.
pub(crate) fn require_referrer() -> Arg {
    list("TYPE", "Fail, before a tag is written, if no referrer of this artifact type exists")
}

/// `--platform`.
pub(crate) fn platform() -> Arg {
    text("OS[/ARCH[/VARIANT]][:OS_VERSION]", "Take the image for this platform")
}

/// `--concurrency`.
pub(crate) fn concurrency() -> Arg {
    number("Transfers at the same time")
}

/// Fails if more than one of these fields holds a flag that was given: `exclusive!("", args.format, args.pretty)`.
macro_rules! exclusive {
    ($prefix:expr, $($($part:ident).+),+) => {
        $crate::args::flags::exclusive_flags(
            $prefix,
            &[$((stringify!($($part).+), $crate::args::flags::FlagValue::is_given(&$($part).+))),+],
        )
    };
}
pub(crate) use exclusive;

/// Fails if more than one flag of `fields`, each a path such as `args.pretty`, was given.
pub(crate) fn exclusive_flags(prefix: &str, fields: &[(&str, bool)]) -> Result<(), Failure> {
    let given = fields.iter().filter(|(_, is_given)| *is_given);
    let field = |path: &str| path.rsplit('.').next().unwrap_or_default().trim().to_owned();
    let names: Vec<_> = given.map(|(path, _)| format!("--{}", flag_name(prefix, &field(path)))).collect();
    // The message lists all given flags, so that the user can correct the line in one step.
    if names.len() < 2 {
        return Ok(());
    }
    Err(Failure::new(format!("{} cannot be used at the same time", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    flags! {
        /// A group with a flag of each kind.
        struct SampleArgs {
            keep_old_files: Option<bool> = switch("").short('k'),
            max_size: Option<i64> = number(""),
            header: Vec<String> = list("TEXT", ""),
            undeclared: bool,
        }
    }

    flags! {
        /// A command that has the group twice.
        struct CommandArgs {
            #[flatten] one: SampleArgs,
            #[flatten("to-")] other: SampleArgs,
            words: Vec<String> = positional("<file>", ""),
        }
    }

    #[test]
    fn reads_each_flag_into_its_field() {
        let line = "x -k --to-keep-old-files=false --max-size 0x10 --to-header a --to-header b file";
        let matches = Command::new("x").args(CommandArgs::flags("")).get_matches_from(line.split(' '));
        let args = CommandArgs::read(&matches, "");
        assert_eq!((args.one.keep_old_files, args.other.keep_old_files), (Some(true), Some(false)));
        assert_eq!((args.one.max_size, args.other.max_size), (Some(16), None));
        assert_eq!((args.one.header.len(), args.other.header), (0, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!((args.words, args.one.undeclared), (vec!["file".to_owned()], false));
    }

    #[test]
    fn rejects_exclusive_flags_by_name() {
        let matches = Command::new("x").args(CommandArgs::flags("")).get_matches_from([
            "x",
            "--to-max-size=1",
            "--to-keep-old-files=false",
        ]);
        let args = CommandArgs::read(&matches, "");
        assert!(exclusive!("", args.one.max_size, args.one.keep_old_files).is_ok());
        let failure = exclusive!("to-", args.other.max_size, args.other.keep_old_files).unwrap_err();
        assert_eq!(failure.message, "--to-max-size, --to-keep-old-files cannot be used at the same time");
    }
}
