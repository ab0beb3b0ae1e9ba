//! The display of progress: bars, lines or JSON.

mod bars;
mod json;
mod listener;
mod plain;
mod rows;
mod status_lines;
pub(crate) mod tag_lines;
mod transfer_state;
pub(crate) mod words;

pub(crate) use self::listener::{Progress, take_kept};
pub(crate) use self::status_lines::StatusLines;
