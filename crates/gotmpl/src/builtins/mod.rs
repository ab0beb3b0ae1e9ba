//! The functions that `text/template` itself has.

pub(crate) mod compare;
pub(crate) mod escape;
pub(crate) mod index;
pub(crate) mod logic;
pub(crate) mod print;
