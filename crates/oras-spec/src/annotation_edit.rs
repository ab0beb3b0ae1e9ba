//! Edits the annotations in the JSON text of a manifest and leaves every other byte unchanged.
//!
//! Use it for a manifest of another tool, whose unknown fields and white space must survive the edit.
//!
//! ```
//! use oras_spec::annotation_edit::{EditError, annotate};
//!
//! # fn main() -> Result<(), EditError> {
//! let set = [("stage".to_owned(), "production".to_owned())];
//! let edited = annotate(br#"{"x":1, "annotations":{"old":"1"}}"#, &set, &["old".to_owned()])?;
//! let edited: serde_json::Value = serde_json::from_slice(&edited).unwrap();
//! assert_eq!(edited, serde_json::json!({"x": 1, "annotations": {"stage": "production"}}));
//! # Ok(()) }
//! ```

use std::ops::Range;

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::json;

/// An error of [`annotate`]. It says whether the document or the edit is at fault.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The document is not a JSON object, or it has duplicate keys.
    #[error("malformed manifest")]
    Json(#[from] serde_json::Error),
    /// The field `annotations` is not an object.
    #[error("annotations is not an object")]
    NotObject,
    /// The annotation to remove does not exist.
    #[error("there is no annotation {0:?}")]
    Missing(String),
}

/// Sets and removes annotations of the JSON object `document`, and returns the edited text.
///
/// All other bytes stay the same: order, unknown fields, white space and escapes. A changed annotation stays in its
/// position, and a new one is added at the end with the white space of its neighbours. If no annotation remains, the
/// field `annotations` is removed, too.
///
/// # Errors
/// [`EditError::Json`] or [`EditError::NotObject`] if the document or its annotations are not JSON objects without
/// duplicate keys. [`EditError::Missing`] if a key in `remove` does not exist.
pub fn annotate(document: &[u8], set: &[(String, String)], remove: &[String]) -> Result<Vec<u8>, EditError> {
    // Some parsers use the first of two duplicate keys and some the last, so an edit of one would have no defined
    // effect.
    json::check_strict(document)?;
    let text = std::str::from_utf8(document).map_err(|_| EditError::NotObject)?;
    let outer = Object::scan(text).ok_or(EditError::NotObject)?;
    // The annotations object is edited as a separate text, which then replaces the old value.
    let place = outer.position("annotations");
    let value = place.map(|place| &text[outer.members[place].value.clone()]);
    let white_space = outer.white_space().deeper();
    let mut annotations = match value {
        // The Go tool writes `null` for a map without entries.
        None | Some("null") => "{}".to_owned(),
        Some(value) => value.to_owned(),
    };
    // Keys are removed first, so a key that is both removed and set exists at the end.
    for key in remove {
        // Every edit moves the offsets, so the text is scanned again.
        let object = Object::scan(&annotations).ok_or(EditError::NotObject)?;
        let place = object.position(key).ok_or_else(|| EditError::Missing(key.clone()))?;
        annotations = object.without(place);
    }
    for (key, value) in set {
        let object = Object::scan(&annotations).ok_or(EditError::NotObject)?;
        let written = object.position(key).map(|place| &annotations[object.members[place].value.clone()]);
        // Values are compared after unescaping, so that an equal value keeps the escapes it has.
        if written.and_then(|written| serde_json::from_str(written).ok()).as_ref() != Some(value) {
            annotations = object.with(key, &quoted(value), &white_space);
        }
    }
    let empty = Object::scan(&annotations).is_none_or(|object| object.members.is_empty());
    Ok(match place {
        None if empty => text.to_owned(),
        // An empty `annotations` field stays unchanged if no key is removed.
        Some(_) if empty && remove.is_empty() => text.to_owned(),
        Some(place) if empty => outer.without(place),
        _ => outer.with("annotations", &annotations, &outer.white_space()),
    }
    .into_bytes())
}

fn quoted(text: &str) -> String {
    // A new text gets the escapes that the Go tool writes.
    String::from_utf8_lossy(&json::to_vec(text)).into_owned()
}

/// The text of an object and the positions of its members.
struct Object<'t> {
    text: &'t str,
    members: Vec<Member>,
}

/// A member of an object, as byte offsets.
struct Member {
    key: String,
    /// The start of the key.
    start: usize,
    key_end: usize,
    value: Range<usize>,
}

/// The white space of an object: before members, around colons, before the closing brace, and of one level of
/// indentation.
#[derive(Default)]
struct WhiteSpace {
    gap: String,
    colon: String,
    end: String,
    indent: String,
}

impl WhiteSpace {
    /// Returns the white space of an object one level deeper.
    fn deeper(&self) -> Self {
        let (gap, indent) = (format!("{}{}", self.gap, self.indent), self.indent.clone());
        Self { gap, colon: self.colon.clone(), end: self.gap.clone(), indent }
    }
}

impl<'t> Object<'t> {
    /// Scans `text`, which must be valid JSON. Returns `None` if it is not an object.
    fn scan(text: &'t str) -> Option<Self> {
        let mut at = skip_space(text, 0);
        if !text[at..].starts_with('{') {
            return None;
        }
        let mut members = Vec::new();
        at = skip_space(text, at + 1);
        while !text[at..].starts_with('}') {
            let start = at;
            let (key, key_end) = read_value(text, start)?;
            let colon = skip_space(text, key_end);
            let from = skip_space(text, colon + 1);
            let (IgnoredAny, to) = read_value(text, from)?;
            members.push(Member { key, start, key_end, value: from..to });
            at = skip_space(text, to);
            if text[at..].starts_with(',') {
                at = skip_space(text, at + 1);
            }
        }
        Some(Self { text, members })
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.members.iter().position(|member| member.key == key)
    }

    /// Returns the white space around the first member.
    fn white_space(&self) -> WhiteSpace {
        let open = self.text.find('{').unwrap_or(0) + 1;
        let (Some(first), Some(last)) = (self.members.first(), self.members.last()) else {
            return WhiteSpace { colon: ":".to_owned(), ..WhiteSpace::default() };
        };
        let gap = &self.text[open..first.start];
        let end = &self.text[last.value.end..skip_space(self.text, last.value.end)];
        // Members are indented by one level more than the closing brace.
        let indent = if gap.contains('\n') { gap.strip_prefix(end).unwrap_or("") } else { "" };
        WhiteSpace {
            gap: gap.to_owned(),
            colon: self.text[first.key_end..first.value.start].to_owned(),
            end: end.to_owned(),
            indent: indent.to_owned(),
        }
    }

    /// Returns the object with `key` set to the JSON `value`. `white_space` formats the first member of an empty
    /// object.
    fn with(&self, key: &str, value: &str, white_space: &WhiteSpace) -> String {
        if let Some(place) = self.position(key) {
            let Range { start, end } = self.members[place].value;
            return format!("{}{value}{}", &self.text[..start], &self.text[end..]);
        }
        let key = quoted(key);
        match self.members.last() {
            None => {
                let WhiteSpace { gap, colon, end, .. } = white_space;
                format!("{{{gap}{key}{colon}{value}{end}}}")
            }
            Some(last) => {
                let WhiteSpace { gap, colon, .. } = self.white_space();
                // The white space before the closing brace stays after the new member.
                let (before, after) = self.text.split_at(last.value.end);
                format!("{before},{gap}{key}{colon}{value}{after}")
            }
        }
    }

    /// Returns the object without the member at `place` and its comma.
    fn without(&self, place: usize) -> String {
        let (text, member) = (self.text, &self.members[place]);
        // The comma before the member is removed, or the comma after it if it is the first one.
        let (from, to) = match (place.checked_sub(1), self.members.get(place + 1)) {
            (Some(before), _) => (self.members[before].value.end, member.value.end),
            (None, Some(after)) => (member.start, after.start),
            (None, None) => (text.find('{').unwrap_or(0) + 1, text.rfind('}').unwrap_or(text.len())),
        };
        format!("{}{}", &text[..from], &text[to..])
    }
}

fn skip_space(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_ascii_start().len()
}

/// Reads the JSON value that starts at `at`. Returns it and its end.
fn read_value<T: DeserializeOwned>(text: &str, at: usize) -> Option<(T, usize)> {
    let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter();
    let value = values.next()?.ok()?;
    Some((value, at + values.byte_offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, set: &[(&str, &str)], remove: &[&str]) -> String {
        let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let remove: Vec<_> = remove.iter().map(|key| (*key).to_owned()).collect();
        let edited = annotate(text.as_bytes(), &set, &remove).unwrap();
        json::check_strict(&edited).unwrap();
        String::from_utf8(edited).unwrap()
    }

    #[test]
    fn edits_compact_documents() {
        let bare = r#"{"schemaVersion":2,"x":{"annotations":{"a":"}"}},"layers":[1.50]}"#;
        assert_eq!(
            edit(bare, &[("k", "<v>"), ("l", "\"")], &[]),
            r#"{"schemaVersion":2,"x":{"annotations":{"a":"}"}},"layers":[1.50],"annotations":{"k":"\u003cv\u003e","l":"\""}}"#
        );
        let some = r#"{"annotations":{"b":"<\"\\","a":"1"},"y":[]}"#;
        assert_eq!(edit(some, &[("a", "2")], &[]), r#"{"annotations":{"b":"<\"\\","a":"2"},"y":[]}"#);
        assert_eq!(edit(some, &[("c", "3")], &["b"]), r#"{"annotations":{"a":"1","c":"3"},"y":[]}"#);
        assert_eq!(edit(some, &[], &["a"]), r#"{"annotations":{"b":"<\"\\"},"y":[]}"#);
        assert_eq!(edit(some, &[], &["a", "b"]), r#"{"y":[]}"#);
        assert_eq!(edit(some, &[("a", "1"), ("b", "<\"\\")], &[]), some);
        assert_eq!(edit(some, &[("z", "1")], &["a", "b"]), r#"{"annotations":{"z":"1"},"y":[]}"#);
        for nothing in [r#"{"annotations":null}"#, r#"{"annotations":{}}"#] {
            assert_eq!(edit(nothing, &[], &[]), nothing);
            assert_eq!(edit(nothing, &[("k", "v")], &[]), r#"{"annotations":{"k":"v"}}"#);
        }
        assert_eq!(edit(r#"{"x":1,"annotations":{"a":"1"}}"#, &[], &["a"]), r#"{"x":1}"#);
        assert_eq!(edit(r#"{"annotations":{"a":"1"}}"#, &[], &["a"]), "{}");
    }

    #[test]
    fn keeps_indentation() {
        let bare = "{\n  \"schemaVersion\": 2,\n  \"layers\": []\n}\n";
        let one =
            "{\n  \"schemaVersion\": 2,\n  \"layers\": [],\n  \"annotations\": {\n    \"k\": \"v\"\n  }\n}\n";
        assert_eq!(edit(bare, &[("k", "v")], &[]), one);
        let two = one.replace("\"v\"\n", "\"v\",\n    \"é\": \"2\"\n");
        assert_eq!(edit(one, &[("é", "2")], &[]), two);
        assert_eq!(edit(&two, &[], &["é"]), one);
        assert_eq!(edit(&two, &[], &["k", "é"]), bare);
        let tabs = "{\n\t\"a\": 1\n}";
        assert_eq!(
            edit(tabs, &[("k", "v")], &[]),
            "{\n\t\"a\": 1,\n\t\"annotations\": {\n\t\t\"k\": \"v\"\n\t}\n}"
        );
        let spaced = r#"{ "a" : 1 , "b" : true }"#;
        assert_eq!(
            edit(spaced, &[("k", "v")], &[]),
            r#"{ "a" : 1 , "b" : true, "annotations" : { "k" : "v" } }"#
        );
    }

    #[test]
    fn rejects_documents_without_editable_annotations() {
        let error = |text: &str, remove: &[String]| annotate(text.as_bytes(), &[], remove).unwrap_err();
        assert!(matches!(error("{", &[]), EditError::Json(_)));
        assert!(matches!(error(r#"{"a":1,"a":1}"#, &[]), EditError::Json(_)));
        assert!(matches!(error("[]", &[]), EditError::NotObject));
        assert!(matches!(error(r#"{"annotations":[]}"#, &["k".to_owned()]), EditError::NotObject));
        assert!(matches!(error("{}", &["k".to_owned()]), EditError::Missing(_)));
    }
}
