//! The exit status. Most commands exit with 0 or 1. A command whose result is a status, as that of `diff`, sets it here.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::env;
use crate::failure::Failure;

/// The status of a failed `diff`. Status 1 means there that the artifacts differ.
const TROUBLE: u8 = 2;

/// The status of a command that succeeded. It is global like the exit status of the process, which has only one command.
static RESULT: AtomicU8 = AtomicU8::new(0);

/// Sets the status of a command that has reported its result and that does not fail.
pub(crate) fn set(status: u8) {
    // No other data depends on the value, so relaxed ordering is sufficient.
    RESULT.store(status, Ordering::Relaxed);
}

/// Returns the status of a command that succeeded.
pub(crate) fn of_success() -> u8 {
    RESULT.load(Ordering::Relaxed)
}

/// Returns the status of a command that failed: 1, 130 after Ctrl-C, or the status of `ORAS_EXIT_CODES`. A failed `diff` never returns 1.
pub(crate) fn of_failure(failure: &Failure) -> u8 {
    let is_diff = is_diff(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
    match failure.exit_code(env::exit_codes()) {
        1 if is_diff => TROUBLE,
        status => status,
    }
}

/// Returns true if the command line names `diff`. It may be malformed, so it is not parsed.
fn is_diff(mut words: impl Iterator<Item = String>) -> bool {
    words.find(|word| !word.starts_with('-')).is_some_and(|word| word == "diff")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_diff() {
        let is_diff = |line: &str| is_diff(line.split(' ').map(str::to_owned));
        assert!(is_diff("diff a b") && is_diff("--debug diff a") && is_diff("diff --nope"));
        assert!(!is_diff("cp diff a") && !is_diff("--debug") && !is_diff("help diff"));
    }
}
