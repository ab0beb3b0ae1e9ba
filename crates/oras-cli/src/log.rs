//! Log entries on standard error in the format of the Go tool: time, level, message, named data, two empty lines.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use oras::fs::WARNINGS;
use oras::remote::TRACE_TARGET;
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::print;

/// Logs a warning.
pub(crate) fn warning(text: &str, data: &[(&str, &str)]) {
    print::error(&entry(Timestamp::now(), "WARNING", text, data));
}

/// Logs a warning, unless the same text was logged before.
pub(crate) fn notice(text: &str) {
    static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // Several threads may report the same problem. The first one to lock the set logs it.
    if LOGGED.lock().insert(text.to_owned()) {
        warning(text, &[]);
    }
}

/// Logs a warning of a registry, unless it was logged before: both sides of a copy may use one registry.
pub(crate) fn registry_warning(registry: &str, text: &str) {
    static LOGGED: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());
    let key = (registry.to_owned(), text.to_owned());
    if LOGGED.lock().insert(key) {
        warning(text, &[("registry", registry)]);
    }
}

/// Starts to print the warnings of file stores and, with `--debug`, requests to registries and their responses.
pub(crate) fn start(debug: bool) {
    let is_warning: fn(&Metadata<'_>) -> bool = |metadata| metadata.target() == WARNINGS;
    let is_shown = if debug {
        |metadata: &Metadata<'_>| [WARNINGS, TRACE_TARGET].contains(&metadata.target())
    } else {
        is_warning
    };
    print_events(is_shown, |event| {
        let mut message = Message(String::new());
        event.record(&mut message);
        if event.metadata().target() == WARNINGS {
            return Some(format!("Warning: {}", message.0));
        }
        let level = if *event.metadata().level() == Level::ERROR { "ERROR" } else { "DEBUG" };
        Some(entry(Timestamp::now(), level, &message.0, &[]))
    });
}

/// Starts to print the events that `is_shown` selects, formatted by `format`, which may skip an event.
pub(crate) fn print_events(is_shown: fn(&Metadata<'_>) -> bool, format: fn(&Event<'_>) -> Option<String>) {
    let subscriber = tracing_subscriber::registry().with(EventPrinter { is_shown, format });
    // Only the first subscriber of a process is accepted. A second call keeps it, so the error is ignored.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// Prints the events of a process.
struct EventPrinter {
    is_shown: fn(&Metadata<'_>) -> bool,
    format: fn(&Event<'_>) -> Option<String>,
}

impl<S: Subscriber> Layer<S> for EventPrinter {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        (self.is_shown)(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(line) = (self.format)(event) {
            print::error(&line);
        }
    }
}

/// Formats an entry. Printing adds the last line break.
fn entry(time: Timestamp, level: &str, text: &str, data: &[(&str, &str)]) -> String {
    let mut entry = format!("[{time}][{level}]: {text}\n");
    if !data.is_empty() {
        entry.push_str("[Data]:\n");
    }
    for (name, value) in data {
        // Writing to a `String` cannot fail.
        let _ = writeln!(entry, "  {name}={value}");
    }
    entry.push('\n');
    entry
}

/// The message of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_entries_like_the_go_tool() {
        let time: Timestamp = "2024-12-01T23:30:01.00000005Z".parse().unwrap();
        assert_eq!(entry(time, "DEBUG", "a\nb", &[]), "[2024-12-01T23:30:01.00000005Z][DEBUG]: a\nb\n\n");
        assert_eq!(
            entry(time, "WARNING", "w", &[("registry", "localhost:5000")]),
            "[2024-12-01T23:30:01.00000005Z][WARNING]: w\n[Data]:\n  registry=localhost:5000\n\n"
        );
    }
}
