//! Warnings that come with an answer (distribution-spec, "Warnings").

use std::cell::RefCell;

use axum::http::HeaderValue;
use axum::http::header::WARNING;
use axum::response::Response;

/// The longest text; all warnings of an answer together may have 4,096 bytes.
const MAX_TEXT: usize = 1000;
/// The most warnings of one answer.
const MAX_WARNINGS: usize = 4;

tokio::task_local! {
    /// What the answer to the request of this task will carry.
    static WARNINGS: RefCell<Vec<String>>;
}

/// Sends `text` along with the answer to the request that is worked on, once however often it is told.
///
/// For stores, which are asked on the task of the request: on any other nothing happens.
pub fn warn(text: impl Into<String>) {
    let text = text.into();
    // Fails where there is no request.
    let _ = WARNINGS.try_with(|warnings| {
        let mut warnings = warnings.borrow_mut();
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
            warnings.push(text);
        }
    });
}

/// The answer to a request, with the warnings that it gives rise to.
pub(crate) async fn collect(answered: impl Future<Output = Response>) -> Response {
    let answer = async {
        let response = answered.await;
        (response, WARNINGS.with(RefCell::take))
    };
    let (mut response, warnings) = WARNINGS.scope(RefCell::default(), answer).await;
    for text in warnings {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{}\"", quotable(&text))) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

/// The text as it may be between quotes, cut if it is long.
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

    #[tokio::test]
    async fn each_is_told_once_and_nowhere_else() {
        warn("to nobody");
        let told = async {
            for text in ["a", "b", "a", "c", "d", "e"] {
                warn(text);
            }
            WARNINGS.with(RefCell::take)
        };
        assert_eq!(WARNINGS.scope(RefCell::default(), told).await, ["a", "b", "c", "d"]);
    }

    #[test]
    fn no_text_ends_the_header() {
        assert_eq!(quotable("a \"b\\\"\r\nX: y\u{e9}"), "a 'b''??X: y?");
        assert_eq!(quotable(&"x".repeat(5000)).len(), MAX_TEXT);
    }
}
