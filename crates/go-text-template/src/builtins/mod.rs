//! The functions that are built into `text/template`.

pub(crate) mod compare;
pub(crate) mod escape;
pub(crate) mod index;
pub(crate) mod logic;
pub(crate) mod print;
