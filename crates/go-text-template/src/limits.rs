//! Limits that keep a template from exhausting the stack or the memory.

/// The maximum length in bytes of a string that a function returns.
pub(crate) const MAX_STRING: usize = 64 << 20;

/// The maximum number of elements in a list that a function returns.
pub(crate) const MAX_LIST: usize = 1_000_000;

/// The maximum size in bytes of all function results of one rendering together.
// The limits above apply to one result. A loop can produce many results, so their sum is limited, too.
pub(crate) const MAX_TOTAL: usize = 1 << 30;

/// The maximum depth of nested lists and maps for printing, encoding, comparing and copying, which are recursive.
// Without the limit, a value that contains itself would overflow the stack.
const MAX_NESTING: usize = 400;

/// The maximum depth of nested control structures, and of nested parentheses, in the text of a template.
pub(crate) const MAX_PARSE_DEPTH: usize = 150;

/// The maximum depth of nested templates, control structures and parentheses during execution.
pub(crate) const MAX_EXEC_DEPTH: usize = 400;

pub(crate) fn too_long() -> String {
    format!("the result is longer than {MAX_STRING} bytes")
}

pub(crate) fn too_many() -> String {
    format!("the result has more than {MAX_LIST} elements")
}

/// Fails if a value is at a depth of more than [`MAX_NESTING`].
pub(crate) fn check_nesting(depth: usize) -> Result<(), String> {
    let too_deep = || format!("the value is nested more than {MAX_NESTING} deep");
    if depth > MAX_NESTING { Err(too_deep()) } else { Ok(()) }
}
