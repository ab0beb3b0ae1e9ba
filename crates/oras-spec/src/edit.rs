//! Annotations edited in the text of a manifest: every other byte stays as it was found.

use std::ops::Range;

use crate::json;

/// Why annotations can't be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Not an object of JSON, or one with duplicate keys.
    #[error("malformed manifest")]
    Json(#[from] serde_json::Error),
    /// `annotations` is something else than an object.
    #[error("annotations is not an object")]
    NotObject,
    /// The annotation that is to be removed is not there.
    #[error("there is no annotation {0:?}")]
    Missing(String),
}

/// The JSON object `document` with the annotations of `set` and without those named by `remove`, byte for byte the
/// same elsewhere: order, unknown fields, white space and escapes are kept.
///
/// A value is replaced in its place; a new annotation comes last, laid out like its neighbours. Without any left, the
/// field `annotations` goes too.
///
/// # Errors
/// Input that is not an object of JSON without duplicate keys, and a key in `remove` that is not there.
pub fn annotate(document: &[u8], set: &[(String, String)], remove: &[String]) -> Result<Vec<u8>, EditError> {
    json::check_strict(document)?;
    let text = std::str::from_utf8(document).map_err(|_| EditError::NotObject)?;
    let outer = Object::scan(text).ok_or(EditError::NotObject)?;
    let place = outer.members.iter().position(|member| member.key == "annotations");
    let value = place.map(|place| &text[outer.members[place].value.clone()]);
    let layout = outer.layout(text).deeper();
    let mut annotations = match value {
        None | Some("null") => "{}".to_owned(),
        Some(value) => value.to_owned(),
    };
    for key in remove {
        let object = Object::scan(&annotations).ok_or(EditError::NotObject)?;
        let member = object.members.iter().position(|member| member.key == *key);
        annotations = object.without(&annotations, member.ok_or_else(|| EditError::Missing(key.clone()))?);
    }
    for (key, value) in set {
        let object = Object::scan(&annotations).ok_or(EditError::NotObject)?;
        let member = object.members.iter().find(|member| member.key == *key);
        let written = member.map(|member| serde_json::from_str::<String>(&annotations[member.value.clone()]));
        // The same text may be escaped otherwise.
        if !written.is_some_and(|written| written.is_ok_and(|written| written == *value)) {
            annotations = object.with(&annotations, key, &quoted(value), &layout);
        }
    }
    let empty = Object::scan(&annotations).is_none_or(|object| object.members.is_empty());
    Ok(match place {
        None if empty => text.to_owned(),
        // What was empty before stays if nobody touched it.
        Some(_) if empty && remove.is_empty() => text.to_owned(),
        Some(place) if empty => outer.without(text, place),
        _ => outer.with(text, "annotations", &annotations, &outer.layout(text)),
    }
    .into_bytes())
}

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&json::to_vec(text)).into_owned()
}

/// Where the members of an object are in its text.
struct Object {
    members: Vec<Member>,
}

struct Member {
    key: String,
    /// Where the key begins.
    start: usize,
    key_end: usize,
    value: Range<usize>,
}

/// The white space between members, after colons, and before the closing brace.
struct Layout {
    gap: String,
    colon: String,
    end: String,
    indent: String,
}

impl Layout {
    /// The layout of an object one level down.
    fn deeper(&self) -> Self {
        let (gap, indent) = (format!("{}{}", self.gap, self.indent), self.indent.clone());
        Self { gap, colon: self.colon.clone(), end: self.gap.clone(), indent }
    }
}

impl Object {
    /// Scans `text`, which must be valid JSON; `None` when it is no object.
    fn scan(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut at = skip_space(bytes, 0);
        if bytes.get(at) != Some(&b'{') {
            return None;
        }
        let mut members = Vec::new();
        loop {
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

    /// How the first member is laid out.
    fn layout(&self, text: &str) -> Layout {
        let open = text.find('{').unwrap_or(0) + 1;
        let (Some(first), Some(last)) = (self.members.first(), self.members.last()) else {
            return Layout {
                gap: String::new(),
                colon: ":".to_owned(),
                end: String::new(),
                indent: String::new(),
            };
        };
        let gap = &text[open..first.start];
        let close = skip_space(text.as_bytes(), last.value.end);
        let end = &text[last.value.end..close];
        // One level of indentation: what the members have more than the brace that closes them.
        let indent = if gap.contains('\n') { gap.strip_prefix(end).unwrap_or("") } else { "" };
        Layout {
            gap: gap.to_owned(),
            colon: text[first.key_end..first.value.start].to_owned(),
            end: end.to_owned(),
            indent: indent.to_owned(),
        }
    }

    /// The object with `key` set to the JSON `value`; `layout` is for an object without members.
    fn with(&self, text: &str, key: &str, value: &str, layout: &Layout) -> String {
        if let Some(member) = self.members.iter().find(|member| member.key == key) {
            return format!("{}{value}{}", &text[..member.value.start], &text[member.value.end..]);
        }
        let key = quoted(key);
        match self.members.last() {
            None => {
                let Layout { gap, colon, end, .. } = layout;
                format!("{{{gap}{key}{colon}{value}{end}}}")
            }
            Some(last) => {
                let Layout { gap, colon, .. } = self.layout(text);
                let (before, after) = text.split_at(last.value.end);
                format!("{before},{gap}{key}{colon}{value}{after}")
            }
        }
    }

    /// The object without the member at `place`, and without the comma that it needed.
    fn without(&self, text: &str, place: usize) -> String {
        let member = &self.members[place];
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

/// The end of the value that begins at `at`.
fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                if depth == 0 {
                    return at + 1;
                }
            }
            b'{' | b'[' => depth += 1,
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
    fn compact_documents() {
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
    fn indented_documents_stay_indented() {
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
    fn what_cannot_be_edited() {
        let error = |text: &str, remove: &[String]| annotate(text.as_bytes(), &[], remove).unwrap_err();
        assert!(matches!(error("{", &[]), EditError::Json(_)));
        assert!(matches!(error(r#"{"a":1,"a":1}"#, &[]), EditError::Json(_)));
        assert!(matches!(error("[]", &[]), EditError::NotObject));
        assert!(matches!(error(r#"{"annotations":[]}"#, &["k".to_owned()]), EditError::NotObject));
        assert!(matches!(error("{}", &["k".to_owned()]), EditError::Missing(_)));
    }
}
