//! Reads the options of the benchmark and of the load test.

use xtask::process::Result;

/// An option of a chore and its value. Flags have no value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The option, such as `--runs`.
    pub(crate) name: &'a str,
    /// The argument after the option, or the empty string after a flag.
    pub(crate) value: &'a str,
}

impl Given<'_> {
    /// Reads the value as a number above 0.
    pub(crate) fn number(self) -> Result<u64> {
        match self.value.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{} needs a number above 0, not {}", self.name, self.value).into()),
        }
    }
}

/// Passes each option in `args` to `set`; `flags` have no value. Returns false if help is requested.
pub(crate) fn read_options(
    args: &[String],
    flags: &[&str],
    help: &str,
    mut set: impl FnMut(Given<'_>) -> Result,
) -> Result<bool> {
    let mut args = args.iter();
    while let Some(name) = args.next() {
        if matches!(name.as_str(), "--help" | "-h") {
            return Ok(false);
        }
        let value = if flags.contains(&name.as_str()) {
            ""
        } else {
            args.next().ok_or(format!("{name} needs a value\n\n{help}"))?
        };
        set(Given { name, value })?;
    }
    Ok(true)
}
