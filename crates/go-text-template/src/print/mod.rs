//! Values as text, in the forms of Go's `fmt` and `strconv`.

pub(crate) mod float;
pub(crate) mod printer;
pub(crate) mod printf;
pub(crate) mod verbs;
