//! Pagination of lists: the number of entries of a page, and the link to the next page.

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use super::error::{Answer, ApiError};
use super::query::Query;
use crate::http_message::{json, set_header};

/// The maximum number of entries of one page. A `Link` header contains the URL of the next page.
pub(super) const MAX_ENTRIES: usize = 1000;

/// The characters to encode in a query: all except the unreserved ones (RFC 3986, section 2.3), `:` and `/`.
const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

/// Returns the number of entries that the query requests.
pub(super) fn entry_count(query: &Query) -> Result<usize, ApiError> {
    let count = match query.get("n") {
        // Digits only: a number that is too large means the maximum.
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().unwrap_or(MAX_ENTRIES),
        Some(_) => {
            // The specification has no code for this: the reference implementation, distribution, uses this one.
            let code = "PAGINATION_NUMBER_INVALID";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, code, "n is not a number"));
        }
        None => MAX_ENTRIES,
    };
    Ok(count.min(MAX_ENTRIES))
}

/// Encodes a value of a query.
pub(super) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, QUERY)
}

/// Returns the response with the requested page of all `names`, which must be sorted. `path` is the path of the list, and
/// `body` makes the body from the names of the page.
pub(super) fn page_of(
    mut names: Vec<String>,
    query: &Query,
    path: &str,
    body: impl FnOnce(Vec<String>) -> Vec<u8>,
) -> Answer {
    let count = entry_count(query)?;
    if let Some(last) = query.get("last") {
        names.retain(|name| name.as_str() > last);
    }
    let has_more = names.len() > count;
    names.truncate(count);
    let last = names.last().filter(|_| has_more);
    let next = last.map(|last| format!("<{path}?n={count}&last={}>; rel=\"next\"", encoded(last)));
    let mut response = json(body(names));
    if let Some(next) = next {
        set_header(&mut response, "link", &next);
    }
    Ok(response)
}
