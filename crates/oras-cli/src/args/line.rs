//! A command line read by the rules of the Go tool, which scripts depend on: how it finds the command (cobra), how it reads
//! flags (pflag), and which of several mistakes it tells of: the first from the left.
//!
//! clap holds the commands and flags as data; here they are only looked up. What comes out is a line that clap
//! reads in one way: `--name=value` for every flag, then `--`, then the arguments.

use clap::{Arg, Command};

use super::flags;

/// A command line, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// The names of the commands below `oras`.
    pub(crate) path: Vec<String>,
    /// The flags up to the first mistake, with their values.
    pub(crate) flags: Vec<(String, String)>,
    /// The arguments that are not flags.
    pub(crate) words: Vec<String>,
    /// Whether help is asked for; any other use of the line is then beside the point.
    pub(crate) help: bool,
    /// The first mistake in the form of the flags.
    pub(crate) mistake: Option<String>,
    /// The flag at the end that lacks its value.
    pub(crate) waiting: Option<String>,
}

impl Line {
    /// Reads `words`, the program's name left out. The error is a command that does not exist.
    pub(crate) fn read(root: &Command, words: &[String]) -> Result<Self, String> {
        let (mut command, mut path, mut rest) = (root, Vec::new(), words.to_vec());
        while command.has_subcommands() {
            let Some(place) = first_word(&rest) else { break };
            let Some(child) = command.find_subcommand(&rest[place]) else { break };
            path.push(child.get_name().to_owned());
            command = child;
            rest.remove(place);
        }
        if path.is_empty()
            && let Some(place) = first_word(&rest)
        {
            return Err(rest[place].clone());
        }
        let mut line = Self { path, ..Self::default() };
        line.mistake = line.read_flags(command, rest).err();
        Ok(line)
    }

    /// The line as clap reads it.
    pub(crate) fn for_clap(&self) -> impl Iterator<Item = String> {
        let flags = self.flags.iter().map(|(name, value)| format!("--{name}={value}"));
        let words = if self.words.is_empty() { None } else { Some("--".to_owned()) };
        std::iter::once("oras".to_owned())
            .chain(self.path.iter().cloned())
            .chain(flags)
            .chain(words)
            .chain(self.words.iter().cloned())
    }

    fn read_flags(&mut self, command: &Command, words: Vec<String>) -> Result<(), String> {
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
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

    /// `--name`, `--name=value`, `--name value`.
    fn read_long(
        &mut self,
        command: &Command,
        text: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        if text.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: --{text}"));
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let flag = command.get_arguments().find(|flag| flag.get_long() == Some(name));
        let is_help = name == "help";
        if flag.is_none() && !is_help {
            return Err(format!("unknown flag: --{name}"));
        }
        let value = match value {
            Some(value) => value,
            None if flag.is_none_or(is_switch) => "true".to_owned(),
            None => words.next().ok_or_else(|| {
                self.waiting = Some(name.to_owned());
                format!("flag needs an argument: --{name}")
            })?,
        };
        self.set(name, value, is_help)
    }

    /// `-k`, `-kT`, `-k=false`, `-o value`, `-ovalue`.
    fn read_short(
        &mut self,
        command: &Command,
        cluster: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let mut rest = cluster;
        while let Some(&byte) = rest.as_bytes().first() {
            // The Go tool reads bytes: what is no letter of a flag is told as one.
            let letter = char::from(byte);
            let flag = command.get_arguments().find(|flag| flag.get_short() == Some(letter));
            let is_help = letter == 'h';
            let name = match flag.and_then(Arg::get_long) {
                Some(name) => name,
                None if is_help => "help",
                None => return Err(format!("unknown shorthand flag: {letter:?} in -{rest}")),
            };
            let after = &rest[1..];
            let value = if after.len() > 1 && after.starts_with('=') {
                rest = "";
                after[1..].to_owned()
            } else if flag.is_none_or(is_switch) {
                rest = after;
                "true".to_owned()
            } else if after.is_empty() {
                let value = words.next().ok_or_else(|| {
                    self.waiting = Some(name.to_owned());
                    format!("flag needs an argument: {letter:?} in -{rest}")
                })?;
                rest = "";
                value
            } else {
                rest = "";
                after.to_owned()
            };
            self.set(name, value, is_help)?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: String, is_help: bool) -> Result<(), String> {
        if !is_help {
            self.flags.push((name.to_owned(), value));
            return Ok(());
        }
        self.help = flags::go_bool(&value)
            .map_err(|cause| format!("invalid argument {value:?} for \"-h, --help\" flag: {cause}"))?;
        Ok(())
    }
}

/// Whether a flag needs no value.
pub(crate) fn is_switch(flag: &Arg) -> bool {
    flag.get_num_args().is_some_and(|count| count.min_values() == 0)
}

/// Where the first word stands that may name a command. Groups have no flags of their own: what looks like one is taken for
/// one with a value, unless it has its value with it.
fn first_word(words: &[String]) -> Option<usize> {
    let mut place = 0;
    while let Some(word) = words.get(place) {
        if word == "--" {
            return None;
        }
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

    fn read(words: &[&str]) -> Result<Line, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Line::read(&crate::command(), &words)
    }

    fn flags(words: &[&str]) -> String {
        let line = read(words).unwrap();
        line.flags.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>()
            + &line.words.join(" ")
    }

    #[test]
    fn flags_stand_anywhere_and_in_any_form() {
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
    fn the_first_mistake_is_told() {
        let mistake = |words: &[&str]| read(words).unwrap().mistake.unwrap();
        assert_eq!(mistake(&["pull", "--nope", "-z"]), "unknown flag: --nope");
        assert_eq!(mistake(&["pull", "-kz"]), "unknown shorthand flag: 'z' in -z");
        assert_eq!(mistake(&["pull", "-ko"]), "flag needs an argument: 'o' in -o");
        assert_eq!(mistake(&["pull", "-k="]), "unknown shorthand flag: '=' in -=");
        assert_eq!(mistake(&["pull", "--=x"]), "bad flag syntax: --=x");
        assert_eq!(mistake(&["pull", "-é"]), "unknown shorthand flag: 'Ã' in -é");
    }

    #[test]
    fn commands_are_found_behind_flags_as_cobra_finds_them() {
        assert_eq!(read(&["--debug=true", "pull", "a"]).unwrap().path, ["pull"]);
        assert!(read(&["--debug", "pull"]).unwrap().path.is_empty());
        assert_eq!(read(&["-d", "pull", "push"]).unwrap().path, ["push"]);
        assert_eq!(read(&["blob", "get", "x"]).unwrap().path, ["blob", "fetch"]);
        assert_eq!(read(&["nope"]).unwrap_err(), "nope");
    }
}
