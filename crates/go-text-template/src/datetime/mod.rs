//! Times, zones and durations, written and read as Go's `time` package does.

pub(crate) mod calendar;
#[cfg(feature = "sprig")]
pub(crate) mod duration;
pub(crate) mod format;
pub(crate) mod layout;
#[cfg(feature = "sprig")]
pub(crate) mod parse;
pub(crate) mod time;
pub(crate) mod zone;
