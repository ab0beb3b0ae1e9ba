//! Checks the headers of an answer that describe content.

use oras_spec::Digest;
use oras_store::{ErrorKind, Result};
use reqwest::header::WWW_AUTHENTICATE;

use crate::http::response::Response;

/// Returns true if the answer to a `HEAD` does not show whether the content exists: the registry or a gateway rejects
/// the method, or answers with a web page. Then the client needs a `GET`.
pub(crate) fn is_inconclusive_head(response: &Response) -> bool {
    match response.status.as_u16() {
        400 | 403 | 405 | 406 | 501 => true,
        // A registry that requires credentials sends a challenge. A gateway that rejects `HEAD` sends none.
        401 => response.header(WWW_AUTHENTICATE.as_str()).is_none(),
        200 | 404 => is_web_page(response),
        _ => false,
    }
}

pub(crate) fn is_web_page(response: &Response) -> bool {
    response.content_type().is_some_and(|media_type| media_type.eq_ignore_ascii_case("text/html"))
}

/// Returns the digest that the registry states, or `None` if the header is missing or malformed.
pub(crate) fn digest_header(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.trim().parse().ok()
}

/// Fails if the registry states another digest than `expected`, of the same algorithm.
pub(crate) fn check_digest(response: &Response, expected: &Digest) -> Result<()> {
    match digest_header(response) {
        // Digests of two algorithms can't be compared, so only the bytes can prove a mismatch.
        Some(told) if told != *expected && told.algorithm_name() == expected.algorithm_name() => {
            let why = format!(
                "invalid response; digest mismatch in Docker-Content-Digest: received \"{told}\" when expecting \"{expected}\""
            );
            Err(response.bad(ErrorKind::DigestMismatch, &why))
        }
        _ => Ok(()),
    }
}
