//! Warnings of registries, each passed to the user once (distribution-spec, "Warnings").

use reqwest::header::HeaderMap;

use crate::client::Client;

/// The length in bytes of the longest warning that is passed to the user (distribution-spec, "Warnings").
const MAX_WARNING: usize = 4096;

impl Client {
    /// Passes the new warnings of an answer to the user (distribution-spec, "Warnings": `299 - "text"`).
    pub(crate) fn warn(&self, registry: &str, headers: &HeaderMap) {
        for value in headers.get_all("warning").iter().filter_map(|value| value.to_str().ok()) {
            if let Some(text) = warning(value) {
                self.warn_once(registry, &text);
            }
        }
    }

    /// Passes a warning to the user, unless the same registry sent it before.
    pub(crate) fn warn_once(&self, registry: &str, text: &str) {
        let Some(handler) = &self.options().warnings else { return };
        if self.insert_warning(registry, text) {
            handler(registry, text);
        }
    }
}

/// Returns the text of a warning `299 - "text"`.
fn warning(value: &str) -> Option<String> {
    let quoted = value.strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            // A server must not be able to send commands to the user's terminal.
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    (!text.is_empty() && text.len() <= MAX_WARNING).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::client_options::ClientOptions;

    #[test]
    fn hands_on_each_warning_once() {
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        let handler = Arc::new(move |_: &str, text: &str| {
            assert_eq!(text, "old");
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let client =
            Client::new(ClientOptions { warnings: Some(handler), ..ClientOptions::default() }).unwrap();
        let mut headers = HeaderMap::new();
        for value in
            ["299 - \"old\"", "199 - \"other\"", "299 - \"old\"", "299 x", "299 - \"\"", "299 - \"a\"b\""]
        {
            headers.append("warning", value.parse().unwrap());
        }
        client.warn("a", &headers);
        client.warn("a", &headers);
        client.warn("b", &headers);
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
}
