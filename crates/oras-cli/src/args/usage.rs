//! The usage of a command in its errors, and checks of the arguments that are not flags.

use crate::failure::Failure;

/// The usage of a command, which errors quote.
pub(crate) struct Usage {
    /// The command, such as `oras push`.
    pub(crate) path: &'static str,
    /// The flags and arguments.
    pub(crate) tail: &'static str,
}

impl Usage {
    /// Returns the usage in one line.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.path, self.tail)
    }

    /// Fails unless there are `count` arguments. If `exactly` is false, more arguments are allowed.
    pub(crate) fn check(
        &self,
        words: &[String],
        count: usize,
        exactly: bool,
        what: &str,
    ) -> Result<(), Failure> {
        if words.len() == count || (!exactly && words.len() > count) {
            return Ok(());
        }
        let number = format!(
            "{} {count} argument{}",
            if exactly { "exactly" } else { "at least" },
            if count == 1 { "" } else { "s" }
        );
        Err(Failure::new(format!("\"{}\" requires {number} but got {}", self.path, words.len()))
            .usage(self.line())
            .advise(format!(
                "Please specify {number} as {what}. Run \"{} -h\" for more options and examples",
                self.path
            )))
    }
}

/// Splits `name:v1,v2` into the reference and the tags beyond the first.
pub(crate) fn split_tags(raw: &str) -> (&str, Vec<String>) {
    let mut pieces = raw.split(',');
    let first = pieces.next().unwrap_or_default();
    (first, pieces.map(ToOwned::to_owned).collect())
}

/// Fails if a tag beyond the first is invalid.
pub(crate) fn check_tags(tags: &[String]) -> Result<(), Failure> {
    for tag in tags {
        if tag.is_empty() {
            return Err(Failure::new("empty extra tag"));
        }
        oras::spec::reference::check_tag(tag)
            .map_err(|error| Failure::new(format!("invalid extra tag: {error}")))?;
    }
    Ok(())
}
