//! Go's strings: bytes that are usually UTF-8, their characters and their quoted form.

pub(crate) mod buffer;
pub(crate) mod quote;
pub(crate) mod text;
pub(crate) mod unicode;
