//! The log of a server on standard error: one line for each event, in logfmt (`name=value`).

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use oras::fs::WARNINGS;
use tracing::Level;
use tracing::field::{Field, Visit};

use crate::log;

/// The prefix of the tracing targets of the server's events, for example of its requests.
const TARGET: &str = "oras_serve";

/// Starts to log the events of the server.
pub(crate) fn show() {
    log::print_events(
        // In `tracing` a less severe level is greater, so this drops debug and trace events.
        |metadata| {
            let is_ours = metadata.target().starts_with(TARGET) || metadata.target() == WARNINGS;
            is_ours && *metadata.level() <= Level::INFO
        },
        |event| {
            let level = event.metadata().level().as_str().to_ascii_lowercase();
            let mut line = LogfmtLine(format!("time={} level={level}", Timestamp::now()));
            event.record(&mut line);
            line.0
        },
    );
}

/// A line of logfmt.
struct LogfmtLine(String);

impl LogfmtLine {
    fn add(&mut self, name: &str, value: &str) {
        // `tracing` stores the text of an event in a field called `message`.
        let name = if name == "message" { "msg" } else { name };
        // A space separates fields in logfmt, so a value with special characters is quoted and escaped.
        let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '=' && c != '\\';
        // Writing to a `String` cannot fail.
        let _ = if !value.is_empty() && value.chars().all(plain) {
            write!(self.0, " {name}={value}")
        } else {
            write!(self.0, " {name}={value:?}")
        };
    }
}

impl Visit for LogfmtLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_values_that_could_add_a_field_or_line() {
        let mut line = LogfmtLine(String::new());
        line.add("path", "/v2/a%20b/tags");
        line.add("message", "it is \"so\"");
        line.add("error", "a\nb=c");
        line.add("none", "");
        assert_eq!(line.0, r#" path=/v2/a%20b/tags msg="it is \"so\"" error="a\nb=c" none="""#);
    }
}
