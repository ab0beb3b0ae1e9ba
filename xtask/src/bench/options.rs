//! The options of the bench.

use std::path::PathBuf;

use super::cases::CASES;
use crate::process::Result;

pub(super) const HELP: &str = "\
usage: cargo xtask bench [--only CASE]... [--runs N] [--size MIB] [--json FILE] [--ours FILE]

  --only CASE  only cases whose name begins with CASE; may be repeated
  --runs N     counted runs of each tool (default 5)
  --size MIB   size of the big file (default 1024)
  --json FILE  write every sample
  --ours FILE  measure this program as ours, not a fresh release build";

/// What to measure.
#[derive(Debug)]
pub(super) struct Options {
    only: Vec<String>,
    pub(super) runs: usize,
    pub(super) size_mib: u64,
    pub(super) json: Option<PathBuf>,
    pub(super) ours: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; `None` when help is wanted.
    pub(super) fn parse(args: &[String]) -> Result<Option<Self>> {
        let mut options = Self { only: Vec::new(), runs: 5, size_mib: 1024, json: None, ours: None };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            if matches!(name.as_str(), "--help" | "-h") {
                return Ok(None);
            }
            let value = args.next().ok_or(format!("{name} needs a value\n\n{HELP}"))?;
            options.set(name, value)?;
        }
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, value: &str) -> Result {
        let number = || match value.parse() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(format!("{name} needs a number above 0, not {value}")),
        };
        match name {
            "--only" if CASES.iter().any(|case| case.name.starts_with(value)) => self.only.push(value.into()),
            "--only" => {
                let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
                return Err(format!("no case {value}; there are: {}", names.join(", ")).into());
            }
            "--runs" => self.runs = usize::try_from(number()?)?,
            "--size" => self.size_mib = number()?,
            "--json" => self.json = Some(value.into()),
            "--ours" => self.ours = Some(value.into()),
            _ => return Err(format!("unknown option {name}\n\n{HELP}").into()),
        }
        Ok(())
    }

    /// Whether a case is to be run.
    pub(super) fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|prefix| case.starts_with(prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_the_command_line() {
        let options = parse("--only cp --runs 7 --size 64 --json out.json").unwrap().unwrap();
        assert_eq!((options.runs, options.size_mib, options.json), (7, 64, Some("out.json".into())));
        assert!(parse("--help").unwrap().is_none());
        let options = parse("--only cp").unwrap().unwrap();
        assert!(options.wants("cp-layout") && !options.wants("version"));
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(parse("--only nothing").unwrap_err().to_string().contains("there are: "));
        assert!(parse("--runs 0").unwrap_err().to_string().contains("above 0"));
        assert!(parse("--runs").unwrap_err().to_string().starts_with("--runs needs a value"));
        assert!(parse("--fast 1").unwrap_err().to_string().starts_with("unknown option --fast"));
    }
}
