//! Edits the annotations in the JSON text of a manifest and leaves every other byte unchanged.

use std::ops::Range;

use crate::json;

/// An error while editing annotations.
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
    let place = outer.members.iter().position(|member| member.key == "annotations");
    let value = place.map(|place| &text[outer.members[place].value.clone()]);
    let white_space = outer.white_space(text).deeper();
    let mut annotations = match value {
        // The Go tool writes `null` for a map without entries.
        None | Some("null") => "{}".to_owned(),
        Some(value) => value.to_owned(),
    };
    // Keys are removed first, so a key that is both removed and set exists at the end.
    for key in remove {
        // Every edit moves the offsets, so the text is scanned again.
        let object = Object::scan(&annotations).ok_or(EditError::NotObject)?;
        let member = object.members.iter().position(|member| member.key == *key);
        annotations = object.without(&annotations, member.ok_or_else(|| EditError::Missing(key.clone()))?);
    }
    for (key, value) in set {
        let object = Object::scan(&annotations).ok_or(EditError::NotObject)?;
        let member = object.members.iter().find(|member| member.key == *key);
        let written = member.map(|member| serde_json::from_str::<String>(&annotations[member.value.clone()]));
        // Values are compared after unescaping, so that an equal value keeps the escapes it has.
        if !written.is_some_and(|written| written.is_ok_and(|written| written == *value)) {
            annotations = object.with(&annotations, key, &quoted(value), &white_space);
        }
    }
    let empty = Object::scan(&annotations).is_none_or(|object| object.members.is_empty());
    Ok(match place {
        None if empty => text.to_owned(),
        // An empty `annotations` field stays unchanged if no key is removed.
        Some(_) if empty && remove.is_empty() => text.to_owned(),
        Some(place) if empty => outer.without(text, place),
        _ => outer.with(text, "annotations", &annotations, &outer.white_space(text)),
    }
    .into_bytes())
}

fn quoted(text: &str) -> String {
    // A new text gets the escapes that the Go tool writes.
    String::from_utf8_lossy(&json::to_vec(text)).into_owned()
}

/// The positions of the members of an object in its text.
struct Object {
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

impl Object {
    /// Scans `text`, which must be valid JSON. Returns `None` if it is not an object.
    fn scan(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut at = skip_space(bytes, 0);
        if bytes.get(at) != Some(&b'{') {
            return None;
        }
        let mut members = Vec::new();
        loop {
            // `at` is the opening brace or the comma before the next member.
            at = skip_space(bytes, at + 1);
            if bytes.get(at)? == &b'}' {
                return Some(Self { members });
            }
            let (start, key_end) = (at, skip_value(bytes, at));
            let colon = skip_space(bytes, key_end);
            let from = skip_space(bytes, colon + 1);
            let to = skip_value(bytes, from);
            let key = serde_json::from_str(&text[start..key_end]).ok()?;
            members.push(Member { key, start, key_end, value: from..to });
            at = skip_space(bytes, to);
            if bytes.get(at)? == &b'}' {
                return Some(Self { members });
            }
        }
    }

    /// Returns the white space around the first member.
    fn white_space(&self, text: &str) -> WhiteSpace {
        let open = text.find('{').unwrap_or(0) + 1;
        let (Some(first), Some(last)) = (self.members.first(), self.members.last()) else {
            return WhiteSpace {
                gap: String::new(),
                colon: ":".to_owned(),
                end: String::new(),
                indent: String::new(),
            };
        };
        let gap = &text[open..first.start];
        let close = skip_space(text.as_bytes(), last.value.end);
        let end = &text[last.value.end..close];
        // Members are indented by one level more than the closing brace.
        let indent = if gap.contains('\n') { gap.strip_prefix(end).unwrap_or("") } else { "" };
        WhiteSpace {
            gap: gap.to_owned(),
            colon: text[first.key_end..first.value.start].to_owned(),
            end: end.to_owned(),
            indent: indent.to_owned(),
        }
    }

    /// Returns the object with `key` set to the JSON `value`. `white_space` formats the first member of an empty
    /// object.
    fn with(&self, text: &str, key: &str, value: &str, white_space: &WhiteSpace) -> String {
        if let Some(member) = self.members.iter().find(|member| member.key == key) {
            return format!("{}{value}{}", &text[..member.value.start], &text[member.value.end..]);
        }
        let key = quoted(key);
        match self.members.last() {
            None => {
                let WhiteSpace { gap, colon, end, .. } = white_space;
                format!("{{{gap}{key}{colon}{value}{end}}}")
            }
            Some(last) => {
                let WhiteSpace { gap, colon, .. } = self.white_space(text);
                // The white space before the closing brace stays after the new member.
                let (before, after) = text.split_at(last.value.end);
                format!("{before},{gap}{key}{colon}{value}{after}")
            }
        }
    }

    /// Returns the object without the member at `place` and its comma.
    fn without(&self, text: &str, place: usize) -> String {
        let member = &self.members[place];
        // The comma before the member is removed, or the comma after it if it is the first one.
        let (from, to) = match (place.checked_sub(1), self.members.get(place + 1)) {
            (Some(before), _) => (self.members[before].value.end, member.value.end),
            (None, Some(after)) => (member.start, after.start),
            (None, None) => (text.find('{').unwrap_or(0) + 1, text.rfind('}').unwrap_or(text.len())),
        };
        format!("{}{}", &text[..from], &text[to..])
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Returns the end of the value that starts at `at`.
fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    // The text is known to be valid, so brackets need no check of their kind.
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    // An escaped quote does not end the string.
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                if depth == 0 {
                    return at + 1;
                }
            }
            b'{' | b'[' => depth += 1,
            // This bracket closes the container of the value, so it is not a part of the value.
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
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
