//! Conditional requests (RFC 9110, section 13): the ETag of content is its digest.

use http::{HeaderMap, HeaderName, StatusCode, header};
use oras_spec::Digest;

use super::error::ApiError;
use crate::http_message::{Response, empty};

/// Returns the ETag of content.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// The preconditions of a request.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_range: Option<String>,
}

impl Conditions {
    /// Reads the headers of a request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let all = |name: HeaderName| {
            let lines: Vec<_> =
                headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            // Several lines of a list header are one list (RFC 9110, section 5.3).
            (!lines.is_empty()).then(|| lines.join(","))
        };
        Self {
            if_match: all(header::IF_MATCH),
            if_none_match: all(header::IF_NONE_MATCH),
            if_range: all(header::IF_RANGE),
        }
    }

    /// Returns true if a write depends on the current content.
    pub(crate) fn is_any(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// Returns the response 304 if the client already has the content with this digest.
    ///
    /// # Errors
    /// 412 if `If-Match` does not list it.
    pub(crate) fn not_modified(&self, digest: &Digest) -> Result<Option<Response>, ApiError> {
        // `If-Match` comes first (RFC 9110, section 13.2.2).
        if self.if_match.as_deref().is_some_and(|list| !lists(list, Some(digest), false)) {
            return Err(failed(Some(digest)));
        }
        let has = self.if_none_match.as_deref().is_some_and(|list| lists(list, Some(digest), true));
        Ok(has.then(|| not_modified_response(digest)))
    }

    /// Fails with 412 if `current`, the digest that the reference names now, does not meet the conditions of a write.
    pub(crate) fn check(&self, current: Option<&Digest>) -> Result<(), ApiError> {
        let matches = self.if_match.as_deref().is_none_or(|list| lists(list, current, false));
        let differs = self.if_none_match.as_deref().is_none_or(|list| !lists(list, current, true));
        if matches && differs { Ok(()) } else { Err(failed(current)) }
    }

    /// Returns true unless `If-Range` names other content than `digest` (RFC 9110, section 13.1.5). Only a strong ETag
    /// matches; dates never do.
    pub(crate) fn takes_range_of(&self, digest: &Digest) -> bool {
        self.if_range.as_deref().is_none_or(|text| text.trim() == etag(digest))
    }
}

/// Returns true if a list of ETags contains the ETag of `current`, or is `*` and content exists. With `weak`, weak
/// ETags match as well.
fn lists(list: &str, current: Option<&Digest>, weak: bool) -> bool {
    let Some(digest) = current else { return false };
    // `If-None-Match` compares weakly and `If-Match` strongly (RFC 9110, sections 13.1.1 and 13.1.2).
    let (tag, strip) = (etag(digest), |text: &'_ str| text.trim().to_owned());
    list.split(',').map(strip).any(|text| {
        let strong = text.strip_prefix("W/").filter(|_| weak).unwrap_or(&text);
        text == "*" || strong == tag
    })
}

fn not_modified_response(digest: &Digest) -> Response {
    let headers = [("etag", etag(digest)), ("docker-content-digest", digest.to_string())];
    empty(StatusCode::NOT_MODIFIED, &headers)
}

fn failed(current: Option<&Digest>) -> ApiError {
    let message = match current {
        Some(digest) => format!("the condition of the request does not hold: {digest} is there"),
        None => "the condition of the request does not hold: nothing is there".to_owned(),
    };
    let error = ApiError::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", message);
    match current {
        Some(digest) => error.with_header("etag", etag(digest)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(lines: &[(&'static str, &str)]) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Conditions::of(&headers)
    }

    #[test]
    fn reads_answer_304_and_412() {
        let digest = Digest::sha256(b"a");
        let (tag, other) = (etag(&digest), etag(&Digest::sha256(b"b")));
        let weak = format!("W/{tag}");
        let status = |lines: &[(&'static str, &str)]| match of(lines).not_modified(&digest) {
            Ok(None) => 200,
            Ok(Some(response)) => response.status().as_u16(),
            Err(error) => error.into_response().status().as_u16(),
        };
        for (name, value, expected) in [
            ("if-none-match", tag.as_str(), 304),
            ("if-none-match", &weak, 304),
            ("if-none-match", "*", 304),
            ("if-none-match", &format!("{other} , {tag}"), 304),
            ("if-none-match", &other, 200),
            ("if-none-match", &digest.to_string(), 200),
            ("if-match", &tag, 200),
            ("if-match", "*", 200),
            ("if-match", &weak, 412),
            ("if-match", &other, 412),
        ] {
            assert_eq!(status(&[(name, value)]), expected, "{name} {value}");
        }
        assert_eq!(status(&[("if-none-match", &other), ("if-none-match", &tag)]), 304);
        assert_eq!(status(&[("if-match", &other), ("if-none-match", &tag)]), 412);
        assert!(of(&[]).takes_range_of(&digest) && of(&[("if-range", &tag)]).takes_range_of(&digest));
        for bad in [&weak, &other, "Sun, 29 Nov 2026 00:00:00 GMT"] {
            assert!(!of(&[("if-range", bad)]).takes_range_of(&digest), "{bad}");
        }
    }

    #[test]
    fn writes_need_their_conditions() {
        let digest = Digest::sha256(b"a");
        let (tag, other) = (etag(&digest), etag(&Digest::sha256(b"b")));
        for (name, value, there, absent) in [
            ("if-match", tag.as_str(), true, false),
            ("if-match", &other, false, false),
            ("if-match", "*", true, false),
            ("if-none-match", "*", false, true),
            ("if-none-match", &tag, false, true),
            ("if-none-match", &other, true, true),
        ] {
            let conditions = of(&[(name, value)]);
            assert!(conditions.is_any());
            assert_eq!(conditions.check(Some(&digest)).is_ok(), there, "{name} {value}");
            assert_eq!(conditions.check(None).is_ok(), absent, "{name} {value}");
        }
        assert!(!of(&[]).is_any() && of(&[]).check(None).is_ok());
    }
}
