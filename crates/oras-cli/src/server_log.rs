//! The log of a server on standard error: a line for each event, in logfmt (`name=value`) for programs, and shorter for
//! people on a terminal.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;

use jiff::Timestamp;
use oras::fs::WARNINGS;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use crate::log;
use crate::server_log_terminal::terminal_line;

/// The prefix of the tracing targets of the server's events, for example of its requests.
const TARGET: &str = "oras_serve";

/// Starts to log the events of the server.
pub(crate) fn show() {
    // In `tracing` a less severe level is greater, so this drops debug and trace events.
    let is_shown: fn(&Metadata<'_>) -> bool = |metadata| {
        let is_ours = metadata.target().starts_with(TARGET) || metadata.target() == WARNINGS;
        is_ours && *metadata.level() <= Level::INFO
    };
    let format: fn(&Event<'_>) -> Option<String> = match is_terminal() {
        true => |event| {
            // The width is read for each line, because people resize the window.
            let columns = console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns));
            terminal_line(&LoggedEvent::of(event), Timestamp::now(), columns)
        },
        false => |event| Some(logfmt_line(&LoggedEvent::of(event), Timestamp::now())),
    };
    log::print_events(is_shown, format);
}

/// Returns true if people rather than programs read the log.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// An event with its fields as text, in the order of the event.
pub(crate) struct LoggedEvent {
    pub(crate) target: &'static str,
    pub(crate) level: Level,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl LoggedEvent {
    fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut logged = Self { target: metadata.target(), level: *metadata.level(), fields: Vec::new() };
        event.record(&mut logged);
        logged
    }

    /// Returns the value of a field. `tracing` stores the text of an event in a field called `message`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for LoggedEvent {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.push((field.name(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }
}

fn logfmt_line(event: &LoggedEvent, time: Timestamp) -> String {
    let mut line = format!("time={time} level={}", event.level.as_str().to_ascii_lowercase());
    for (name, value) in &event.fields {
        add_field(&mut line, if *name == "message" { "msg" } else { name }, value);
    }
    line
}

/// Adds a field in logfmt. A space separates fields, so a value with special characters is quoted and escaped.
pub(crate) fn add_field(line: &mut String, name: &str, value: &str) {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '=' && c != '\\';
    // Writing to a `String` cannot fail.
    let _ = if !value.is_empty() && value.chars().all(plain) {
        write!(line, " {name}={value}")
    } else {
        write!(line, " {name}={value:?}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_values_that_could_add_a_field_or_line() {
        let fields =
            [("path", "/v2/a%20b/tags"), ("message", "it is \"so\""), ("error", "a\nb=c"), ("none", "")];
        let fields = fields.map(|(name, value)| (name, value.to_owned())).to_vec();
        let event = LoggedEvent { target: TARGET, level: Level::INFO, fields };
        let line = logfmt_line(&event, Timestamp::UNIX_EPOCH);
        assert_eq!(
            line,
            r#"time=1970-01-01T00:00:00Z level=info path=/v2/a%20b/tags msg="it is \"so\"" error="a\nb=c" none="""#
        );
    }
}
