//! The bounds that keep a template from exhausting stack or memory.

/// The longest string that a function may make.
pub(crate) const MAX_STRING: usize = 64 << 20;

/// The longest list that a function may make.
pub(crate) const MAX_LIST: usize = 1_000_000;

/// How much all function results of one rendering may add up to.
pub(crate) const MAX_TOTAL: usize = 1 << 30;

/// How deep lists and maps may be nested for printing, encoding, comparing and copying.
pub(crate) const MAX_NESTING: usize = 400;

/// How deep control structures and parentheses may be nested in the text of a template.
pub(crate) const MAX_PARSE_DEPTH: usize = 150;

/// How deep templates, control structures and parentheses may be nested in one another when executing.
pub(crate) const MAX_EXEC_DEPTH: usize = 400;

pub(crate) fn too_long() -> String {
    format!("the result is longer than {MAX_STRING} bytes")
}

pub(crate) fn too_many() -> String {
    format!("the result has more than {MAX_LIST} elements")
}

pub(crate) fn too_deep() -> String {
    format!("the value is nested more than {MAX_NESTING} deep")
}
