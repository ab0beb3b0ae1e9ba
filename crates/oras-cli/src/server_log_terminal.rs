//! The log of a server for people: one short line for each event, which fits the terminal.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use oras::server::ACCESS_TARGET;
use tracing::Level;
use unicode_width::UnicodeWidthStr;

use crate::server_log::{LoggedEvent, add_field};
use crate::{columns, humanize, terminal_text};

/// The target of the event that summarizes the start. On a terminal, the command prints the summary as lines instead.
pub(crate) const START_TARGET: &str = "oras_serve::start";
/// The message of the server when it starts, which the summary repeats.
const LISTENING: &str = "listening";

/// A longer part of a path is cut: digests have 71 characters, and ids of uploads 32.
const LONG_PART: usize = 31;
/// The length of a cut part: that of a digest with twelve digits.
const CUT_PART: usize = 19;
/// The least width of a path, also on a narrow terminal.
const MIN_PATH: usize = 20;

/// Formats an event for a terminal with this number of columns. Returns `None` for an event that people see otherwise.
pub(crate) fn terminal_line(event: &LoggedEvent, time: Timestamp, columns: Option<usize>) -> Option<String> {
    if event.target == START_TARGET || event.get("message") == Some(LISTENING) {
        return None;
    }
    let time = time.strftime("%H:%M:%SZ");
    if event.target == ACCESS_TARGET {
        let begin = format!("{time} {}", request(event));
        let path = short_path(event.get("path").unwrap_or_default());
        let room = columns.map(|columns| columns.saturating_sub(begin.width() + 1).max(MIN_PATH));
        let path = room.map_or_else(|| path.clone(), |room| columns::middle_clipped(&path, room));
        return Some(format!("{begin} {path}"));
    }
    let level = match event.level {
        Level::ERROR => "error: ",
        Level::WARN => "warning: ",
        _ => "",
    };
    let mut line = format!("{time} {level}{}", event.get("message").unwrap_or_default());
    for (name, value) in event.fields.iter().filter(|(name, _)| *name != "message") {
        add_field(&mut line, name, value);
    }
    Some(line)
}

/// Returns what is known of a request except its path: method, status, size, duration, and the user or the address.
fn request(event: &LoggedEvent) -> String {
    let number = |name: &str| event.get(name).and_then(|value| value.parse::<u64>().ok());
    let size = number("bytes").map_or_else(|| "-".to_owned(), humanize::binary);
    let duration = number("duration_us").map(Duration::from_micros).map(humanize::duration);
    let remote = event.get("remote").unwrap_or_default();
    // The port of a client helps only in comparison with other logs.
    let address = remote.parse::<SocketAddr>().map_or_else(|_| remote.to_owned(), |of| of.ip().to_string());
    let client = event.get("user").map_or(address, terminal_text::name);
    let left = if event.get("client_left").is_some() { " (client left)" } else { "" };
    let [method, status] = ["method", "status"].map(|name| event.get(name).unwrap_or_default());
    format!("{method:<6} {status} {size:>10} {:>6} {client}{left}", duration.unwrap_or_default())
}

/// Shortens the digests and the ids of uploads in a path.
fn short_path(path: &str) -> String {
    let short = |part: &str| match part.chars().count() > LONG_PART {
        true => part.chars().take(CUT_PART).chain(['…']).collect(),
        false => part.to_owned(),
    };
    path.split('/').map(short).collect::<Vec<String>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(
        target: &'static str,
        level: Level,
        fields: &[(&'static str, &str)],
        columns: usize,
    ) -> Option<String> {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let event = LoggedEvent { target, level, fields };
        terminal_line(&event, "2026-11-28T20:15:03.9Z".parse().unwrap(), Some(columns))
    }

    #[test]
    fn requests_fit_the_terminal() {
        let digest = oras::spec::Digest::sha256(b"").to_string();
        let path = format!("/v2/team/app/blobs/{digest}");
        let mut fields = vec![
            ("remote", "[::1]:41234"),
            ("method", "GET"),
            ("path", path.as_str()),
            ("status", "200"),
            ("bytes", "1536"),
            ("duration_us", "12600"),
        ];
        let shown = |fields: &[_], columns| line(ACCESS_TARGET, Level::INFO, fields, columns).unwrap();
        let whole = "20:15:03Z GET    200    1.5 KiB   13ms ::1 /v2/team/app/blobs/sha256:e3b0c44298fc…";
        assert_eq!(shown(&fields, 120), whole);
        assert_eq!(
            shown(&fields, 70),
            "20:15:03Z GET    200    1.5 KiB   13ms ::1 /v2/team/app/…e3b0c44298fc…"
        );
        fields.extend([("user", "ann\u{1b}"), ("client_left", "true")]);
        fields.retain(|(name, _)| *name != "bytes");
        assert_eq!(
            shown(&fields, 60),
            "20:15:03Z GET    200          -   13ms ann\u{fffd} (client left) /v2/team/a…c44298fc…"
        );
    }

    #[test]
    fn other_events_show_their_fields() {
        let fields = [("message", "too many connections"), ("client", "1.2.3.4"), ("limit", "10")];
        assert_eq!(
            line("oras_serve", Level::WARN, &fields, 80).unwrap(),
            "20:15:03Z warning: too many connections client=1.2.3.4 limit=10"
        );
        let fields = [("message", "stopped"), ("address", "127.0.0.1:5000")];
        assert_eq!(
            line("oras_serve", Level::INFO, &fields, 80).unwrap(),
            "20:15:03Z stopped address=127.0.0.1:5000"
        );
        assert_eq!(line("oras_serve", Level::INFO, &[("message", LISTENING)], 80), None);
    }
}
