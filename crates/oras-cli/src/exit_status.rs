//! The exit status. Most commands exit with 0 or 1. A command whose result is a status, as that of `diff`, sets it here.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::env;
use crate::failure::Failure;

/// The status of a failed `diff`, `layout check` or `layout repair`. Status 1 is a result of these commands: the artifacts
/// differ, or the layout is damaged.
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

/// Returns the status of a command that failed: 1, 130 after Ctrl-C, or the status of `ORAS_EXIT_CODES`. A failed
/// command for which 1 is a result never returns 1.
pub(crate) fn of_failure(failure: &Failure) -> u8 {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    match failure.exit_code(env::exit_codes()) {
        1 if has_result_1(words) => TROUBLE,
        status => status,
    }
}

/// Returns true if the command line names a command for which the status 1 is a result. The line may be malformed, so it is
/// not parsed.
fn has_result_1(words: impl Iterator<Item = String>) -> bool {
    let mut names = words.filter(|word| !word.starts_with('-'));
    match names.next().as_deref() {
        Some("diff") => true,
        Some("layout") => names.next().is_some_and(|name| name == "check" || name == "repair"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_commands_with_the_result_1() {
        let has_result = |line: &str| has_result_1(line.split(' ').map(str::to_owned));
        assert!(has_result("diff a b") && has_result("--debug diff a") && has_result("diff --nope"));
        assert!(has_result("layout check x") && has_result("layout --debug repair"));
        assert!(!has_result("cp diff a") && !has_result("--debug") && !has_result("help diff"));
        assert!(!has_result("layout") && !has_result("layout gc check"));
    }
}
