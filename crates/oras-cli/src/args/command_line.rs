//! Splits a command line by the rules of the Go tool, on which scripts depend: cobra's search for the command, pflag's
//! syntax of flags, and the report of the leftmost mistake.
//!
//! clap holds the commands and flags as data, and this file only looks them up. The result is an unambiguous line for
//! clap: `--name=value` for every flag, then `--`, then the arguments.

use clap::{Arg, Command};

use super::values::go_bool;

/// A command line, split into commands, flags and arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// The names of the commands below `oras`.
    pub(crate) path: Vec<String>,
    /// The flags up to the first mistake, with their values.
    pub(crate) flags: Vec<(String, String)>,
    /// The arguments that are not flags.
    pub(crate) words: Vec<String>,
    /// Whether the line requests help. Help has priority over everything else in the line.
    pub(crate) help: bool,
    /// Whether help was requested by `-h`, which shows only the common flags.
    pub(crate) is_short_help: bool,
    /// The first syntax error in the flags.
    pub(crate) mistake: Option<String>,
    /// The last flag, if its value is missing.
    pub(crate) incomplete: Option<String>,
}

impl CommandLine {
    /// Splits `words`, which do not include the name of the program. The error is the name of an unknown command.
    pub(crate) fn read(root: &Command, words: &[String]) -> Result<Self, String> {
        let (mut command, mut path, mut rest) = (root, Vec::new(), words.to_vec());
        while command.has_subcommands() {
            let Some(place) = first_word(&rest) else { break };
            let Some(child) = command.find_subcommand(&rest[place]) else { break };
            path.push(child.get_name().to_owned());
            command = child;
            // cobra accepts flags before the name of a command, so only the name is removed and the flags stay.
            rest.remove(place);
        }
        // Only the root reports an unknown command here. For a group, `request` creates the error, which names the
        // group.
        if path.is_empty()
            && let Some(place) = first_word(&rest)
        {
            return Err(rest[place].clone());
        }
        let mut line = Self { path, ..Self::default() };
        // A mistake is stored and not returned, because the values of the flags before it are checked first.
        line.mistake = line.read_flags(command, rest).err();
        Ok(line)
    }

    /// Returns the line in the form for clap.
    pub(crate) fn for_clap(&self) -> impl Iterator<Item = String> {
        let flags = self.flags.iter().map(|(name, value)| format!("--{name}={value}"));
        // After `--` clap reads every word as an argument, even if it begins with `-`.
        let words = if self.words.is_empty() { None } else { Some("--".to_owned()) };
        std::iter::once("oras".to_owned())
            .chain(self.path.iter().cloned())
            .chain(flags)
            .chain(words)
            .chain(self.words.iter().cloned())
    }

    /// Reads the flags and arguments of `command`.
    fn read_flags(&mut self, command: &Command, words: Vec<String>) -> Result<(), String> {
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            // Everything after `--` is an argument, even if it looks like a flag.
            if word == "--" {
                self.words.extend(words);
                return Ok(());
            } else if let Some(long) = word.strip_prefix("--") {
                self.read_long(command, long, &mut words)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.read_short(command, &word[1..], &mut words)?;
            } else {
                self.words.push(word);
            }
        }
        Ok(())
    }

    /// Reads `--name`, `--name=value` or `--name value`.
    fn read_long(
        &mut self,
        command: &Command,
        text: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        // pflag rejects `---name` and `--=value` before it searches for the flag.
        if text.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: --{text}"));
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let flag = command.get_arguments().find(|flag| flag.get_long() == Some(name));
        // `--help` is not declared as a flag of a command, because every command accepts it.
        let is_help = name == "help";
        if flag.is_none() && !is_help {
            return Err(format!("unknown flag: --{name}"));
        }
        let value = match value {
            Some(value) => value,
            None if flag.is_none_or(is_switch) => "true".to_owned(),
            None => words.next().ok_or_else(|| {
                self.incomplete = Some(name.to_owned());
                format!("flag needs an argument: --{name}")
            })?,
        };
        self.set(name, value, is_help)
    }

    /// Reads `-k`, `-kT`, `-k=false`, `-o value` or `-ovalue`.
    fn read_short(
        &mut self,
        command: &Command,
        cluster: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let mut rest = cluster;
        while let Some(&byte) = rest.as_bytes().first() {
            // The Go tool reads bytes, so its error shows each byte of another character as a character.
            let letter = char::from(byte);
            let flag = command.get_arguments().find(|flag| flag.get_short() == Some(letter));
            let is_help = letter == 'h';
            let name = match flag.and_then(Arg::get_long) {
                Some(name) => name,
                None if is_help => "help",
                None => return Err(format!("unknown shorthand flag: {letter:?} in -{rest}")),
            };
            let after = &rest[1..];
            // pflag reads `-k=` as the two switches `k` and `=`, so an equals sign needs a value after it.
            let value = if after.len() > 1 && after.starts_with('=') {
                rest = "";
                after[1..].to_owned()
            } else if flag.is_none_or(is_switch) {
                rest = after;
                "true".to_owned()
            } else if after.is_empty() {
                let value = words.next().ok_or_else(|| {
                    self.incomplete = Some(name.to_owned());
                    format!("flag needs an argument: {letter:?} in -{rest}")
                })?;
                rest = "";
                value
            } else {
                rest = "";
                after.to_owned()
            };
            self.is_short_help |= is_help;
            self.set(name, value, is_help)?;
        }
        Ok(())
    }

    /// Records the value of a flag, or whether help is requested.
    fn set(&mut self, name: &str, value: String, is_help: bool) -> Result<(), String> {
        if !is_help {
            self.flags.push((name.to_owned(), value));
            return Ok(());
        }
        self.help = go_bool(&value)
            .map_err(|cause| format!("invalid argument {value:?} for \"-h, --help\" flag: {cause}"))?;
        Ok(())
    }
}

/// Returns true if a flag needs no value.
pub(crate) fn is_switch(flag: &Arg) -> bool {
    flag.get_num_args().is_some_and(|count| count.min_values() == 0)
}

/// Returns the position of the first word that may name a command. Like cobra, it assumes that a flag without `=` takes
/// the next word as its value.
fn first_word(words: &[String]) -> Option<usize> {
    let mut place = 0;
    while let Some(word) = words.get(place) {
        if word == "--" {
            return None;
        }
        // A longer cluster such as `-kT` is not assumed to take a value, as in cobra.
        let alone =
            !word.contains('=') && (word.starts_with("--") || (word.starts_with('-') && word.len() == 2));
        if alone {
            place += 1;
        } else if !word.is_empty() && !word.starts_with('-') {
            return Some(place);
        }
        place += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<CommandLine, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        CommandLine::read(&crate::command(), &words)
    }

    fn flags(words: &[&str]) -> String {
        let line = read(words).unwrap();
        line.flags.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>()
            + &line.words.join(" ")
    }

    #[test]
    fn reads_flags_anywhere_and_in_any_form() {
        assert_eq!(
            flags(&["pull", "a", "-kT", "-o", "d", "b"]),
            "keep-old-files=true allow-path-traversal=true output=d a b"
        );
        assert_eq!(
            flags(&["pull", "-od", "-k=false", "--output=", "--", "-x"]),
            "output=d keep-old-files=false output= -x"
        );
        assert_eq!(flags(&["pull", "--output", "-k", "-"]), "output=-k -");
        assert_eq!(flags(&["pull", "-kod=e"]), "keep-old-files=true output=d=e ");
    }

    #[test]
    fn reports_the_first_mistake() {
        let mistake = |words: &[&str]| read(words).unwrap().mistake.unwrap();
        assert_eq!(mistake(&["pull", "--nope", "-z"]), "unknown flag: --nope");
        assert_eq!(mistake(&["pull", "-kz"]), "unknown shorthand flag: 'z' in -z");
        assert_eq!(mistake(&["pull", "-ko"]), "flag needs an argument: 'o' in -o");
        assert_eq!(mistake(&["pull", "-k="]), "unknown shorthand flag: '=' in -=");
        assert_eq!(mistake(&["pull", "--=x"]), "bad flag syntax: --=x");
        assert_eq!(mistake(&["pull", "-é"]), "unknown shorthand flag: 'Ã' in -é");
    }

    #[test]
    fn finds_commands_after_flags_like_cobra() {
        assert_eq!(read(&["--debug=true", "pull", "a"]).unwrap().path, ["pull"]);
        assert!(read(&["--debug", "pull"]).unwrap().path.is_empty());
        assert_eq!(read(&["-d", "pull", "push"]).unwrap().path, ["push"]);
        assert_eq!(read(&["blob", "get", "x"]).unwrap().path, ["blob", "fetch"]);
        assert_eq!(read(&["nope"]).unwrap_err(), "nope");
    }
}
