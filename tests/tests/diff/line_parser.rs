//! Splits the lines of a scene into words and substitutes names.

use std::collections::BTreeMap;

/// Splits a line into words as a shell does, but without expansions. Quotes group characters, and a backslash
/// outside of single quotes escapes the next character.
pub(crate) fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut inside, mut quote) = (Vec::new(), String::new(), false, None);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                inside = true;
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                word.extend(characters.next());
                inside = true;
            }
            (None, ' ') => {
                if inside {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
            }
            (_, c) => {
                word.push(c);
                inside = true;
            }
        }
    }
    if inside {
        words.push(word);
    }
    words
}

/// Replaces each `{NAME}` with its value. Other braces stay.
pub(crate) fn fill(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut filled = text.to_owned();
    for (name, value) in names {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

/// Replaces the escapes `\n`, `\t`, `\0`, `\\` and `\xHH` as in a Rust string.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let Some((&escaped, after)) = rest.split_first() else { break };
        rest = after;
        match escaped {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'0' => bytes.push(0),
            b'x' if rest.len() >= 2 => {
                let digits = String::from_utf8_lossy(&rest[..2]).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                rest = &rest[2..];
            }
            other => bytes.push(other),
        }
    }
    bytes
}
