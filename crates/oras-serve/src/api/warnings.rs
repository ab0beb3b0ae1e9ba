//! Warnings that a response carries (distribution-spec, "Warnings").

use std::sync::Arc;

use http::header::WARNING;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;

/// The maximum length of a text. All warnings of a response together may have 4,096 bytes.
const MAX_TEXT: usize = 1000;
/// The maximum number of warnings of one response.
const MAX_WARNINGS: usize = 4;

/// The warnings of one request, which its response contains. A store adds what the client should know, such as that its
/// content comes from a cache. Clones share the list. Warnings that are added after the response has begun are not
/// sent.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds a warning. Each text is sent once, and no more than four texts.
    pub fn add(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.0.lock();
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Adds the warnings to the headers of a response.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap) {
        for text in self.0.lock().iter() {
            // The specification requires the code 299 and the agent `-`.
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{}\"", quotable(text))) {
                headers.append(WARNING, value);
            }
        }
    }
}

/// Replaces characters that can't stand between quotes, and cuts a long text.
fn quotable(text: &str) -> String {
    let shown = text.chars().map(|c| match c {
        '"' | '\\' => '\'',
        c if c.is_ascii() && !c.is_control() => c,
        _ => '?',
    });
    shown.take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_each_warning_once_and_at_most_four() {
        let warnings = Warnings::default();
        for text in ["a", "b", "a", "c", "d", "e"] {
            warnings.clone().add(text);
        }
        assert_eq!(*warnings.0.lock(), ["a", "b", "c", "d"]);
        let mut headers = HeaderMap::new();
        warnings.write_to(&mut headers);
        assert_eq!(headers.get_all(WARNING).iter().count(), 4);
    }

    #[test]
    fn text_can_not_end_the_header() {
        assert_eq!(quotable("a \"b\\\"\r\nX: y\u{e9}"), "a 'b''??X: y?");
        assert_eq!(quotable(&"x".repeat(5000)).len(), MAX_TEXT);
    }
}
