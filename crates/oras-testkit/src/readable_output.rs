//! Checks that the output of a program is readable for its users.

/// Texts that only a programmer understands: the debug form of Rust values, and the numbers of system errors.
const UNREADABLE: [&str; 7] =
    ["(os error ", "Os { code", "Error {", "RequestError", "StatusCode(", "Some(", "Err("];

/// Returns a text in `output` that a user must never see.
pub fn unreadable(output: &str) -> Option<&'static str> {
    UNREADABLE.into_iter().find(|text| output.contains(text))
}

/// Panics if the output of a program has a text that a user must never see.
pub fn check_readable(output: &str) {
    if let Some(text) = unreadable(output) {
        panic!("{text:?} is in the output for users:\n{output}");
    }
}
