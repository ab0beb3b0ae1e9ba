//! The tree of `discover`.

use std::fmt::Write;

use oras::Referrer;

use crate::terminal_text;

/// A node of the drawing.
struct Node {
    label: String,
    children: Vec<Node>,
}

/// The style of the drawing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeStyle {
    /// Whether the output is a terminal, whose control characters are escaped.
    pub(crate) is_terminal: bool,
    /// Whether the drawing has colours.
    pub(crate) has_colours: bool,
}

impl TreeStyle {
    fn apply(self, code: &str, text: &str) -> String {
        let text = self.plain(text);
        if self.has_colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text }
    }

    fn plain(self, text: &str) -> String {
        if self.is_terminal { terminal_text::escaped(text).into_owned() } else { text.to_owned() }
    }
}

/// Draws the referrers of `root`, grouped by artifact type, with annotations sorted by key.
pub(crate) fn draw(path: &str, root: &Referrer, annotations: bool, style: TreeStyle) -> String {
    // ANSI colours: 32 is green for digests, 93 bright yellow for types, 90 grey for annotations.
    let label = style.apply("32", &format!("{path}@{}", root.descriptor.digest));
    let mut text = label + "\n";
    lines(&group(&root.referrers, annotations, style), "", &mut text);
    text
}

fn group(referrers: &[Referrer], annotations: bool, style: TreeStyle) -> Vec<Node> {
    let mut groups: Vec<Node> = Vec::new();
    for referrer in referrers {
        let artifact_type = referrer.descriptor.artifact_type.as_ref().map_or("", |text| text.as_str());
        let artifact_type = if artifact_type.is_empty() { "<unknown>" } else { artifact_type };
        let label = style.apply("93", &terminal_text::without_controls(artifact_type));
        let mut children = Vec::new();
        if annotations && !referrer.descriptor.annotations.is_empty() {
            let lines = referrer.descriptor.annotations.iter().map(|(key, value)| Node {
                label: style.plain(&format!("{}: {}", scalar(key), scalar(value))),
                children: Vec::new(),
            });
            children.push(Node { label: style.apply("90", "[annotations]"), children: lines.collect() });
        }
        children.extend(group(&referrer.referrers, annotations, style));
        let node = Node { label: style.apply("32", &referrer.descriptor.digest.to_string()), children };
        match groups.iter_mut().find(|group| group.label == label) {
            Some(group) => group.children.push(node),
            None => groups.push(Node { label, children: vec![node] }),
        }
    }
    groups
}

fn lines(nodes: &[Node], indent: &str, text: &mut String) {
    for (place, node) in nodes.iter().enumerate() {
        let last = place + 1 == nodes.len();
        let (branch, below) = if last { ("└── ", "    ") } else { ("├── ", "│   ") };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{indent}{branch}{}", node.label);
        lines(&node.children, &format!("{indent}{below}"), text);
    }
}

/// Formats a YAML scalar in one line: plain where that is unambiguous, else quoted.
fn scalar(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
        let mut quoted = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                '\r' => quoted.push_str("\\r"),
                c if c.is_control() => {
                    let _ = write!(quoted, "\\x{:02X}", u32::from(c));
                }
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        return quoted;
    }
    // Without quotes YAML would read the text as a value of another type.
    if is_other_type(text) {
        return format!("{:?}", text.to_owned());
    }
    let special = text.is_empty()
        || text.trim() != text
        || text.starts_with([
            '!', '&', '*', '?', '|', '>', '%', '@', '`', '"', '\'', '#', ',', '[', ']', '{', '}',
        ])
        || text.starts_with("- ")
        || text == "-"
        || text.contains(": ")
        || text.ends_with(':')
        || text.contains(" #");
    match (special, text.is_empty()) {
        (_, true) => "\"\"".to_owned(),
        (true, _) => format!("'{}'", text.replace('\'', "''")),
        (false, _) => text.to_owned(),
    }
}

/// Returns true if YAML would read the text as a number, a date, a Boolean or null.
fn is_other_type(text: &str) -> bool {
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null" | "~" | ".nan" | ".inf"
    );
    let digits = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let number = digits && text.replace('_', "").parse::<f64>().is_ok();
    let prefixed = text.starts_with("0x") || text.starts_with("0o") || text.starts_with("0b");
    let bytes = text.as_bytes();
    let date = bytes.len() >= 10
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[5..7].iter().chain(&bytes[8..10]).all(u8::is_ascii_digit)
        && (bytes.len() == 10 || matches!(bytes[10], b'T' | b't' | b' '));
    word || number || prefixed || date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_yaml_scalars() {
        for (text, expected) in [
            ("v", "v"),
            ("a: b", "'a: b'"),
            ("", "\"\""),
            ("1.5", "\"1.5\""),
            ("true", "\"true\""),
            ("2026-11-24T02:02:46Z", "\"2026-11-24T02:02:46Z\""),
            ("a\nb\u{1b}[31m", "\"a\\nb\\x1B[31m\""),
            ("it's", "it's"),
            ("- x", "'- x'"),
        ] {
            assert_eq!(scalar(text), expected, "{text:?}");
        }
    }
}
