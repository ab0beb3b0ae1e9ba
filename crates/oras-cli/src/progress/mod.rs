//! The display of progress: bars, lines or JSON.

mod bars;
mod json;
mod listener;
mod plain;
mod status_lines;
pub(crate) mod tag_lines;
pub(crate) mod words;

pub(crate) use self::listener::{ProgressStyle, is_watched, listener};
pub(crate) use self::plain::PlainProgress;
