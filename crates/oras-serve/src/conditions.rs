//! Conditional requests (RFC 9110, section 13): the ETag of content is its digest.

use std::hash::{BuildHasher, RandomState};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, header};
use oras_spec::Digest;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::Refusal;
use crate::respond::{Answer, empty};

/// The ETag of content.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// What must hold for a request to be answered.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    matches: Option<String>,
    none_matches: Option<String>,
    range: Option<String>,
}

impl Conditions {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let all = |name: HeaderName| {
            let lines: Vec<_> =
                headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        Self {
            matches: all(header::IF_MATCH),
            none_matches: all(header::IF_NONE_MATCH),
            range: all(header::IF_RANGE),
        }
    }

    /// Whether a write depends on what is there.
    pub(crate) fn is_any(&self) -> bool {
        self.matches.is_some() || self.none_matches.is_some()
    }

    /// Whether a client that reads `digest` must be sent it: the answer, if it has it already.
    ///
    /// # Errors
    /// 412 when it wants something else.
    pub(crate) fn unchanged(&self, digest: &Digest) -> Result<Option<Response<Body>>, Refusal> {
        if self.matches.as_deref().is_some_and(|list| !lists(list, Some(digest), false)) {
            return Err(failed(Some(digest)));
        }
        let has = self.none_matches.as_deref().is_some_and(|list| lists(list, Some(digest), true));
        has.then(|| not_modified(digest)).transpose()
    }

    /// Refuses a write where `current`, which is there now, is not what the client believes to be there.
    pub(crate) fn check(&self, current: Option<&Digest>) -> Result<(), Refusal> {
        let matches = self.matches.as_deref().is_none_or(|list| lists(list, current, false));
        let differs = self.none_matches.as_deref().is_none_or(|list| !lists(list, current, true));
        if matches && differs { Ok(()) } else { Err(failed(current)) }
    }

    /// Whether a range of `digest` is asked for, and not one of something else (RFC 9110, section 13.1.5): only a strong
    /// ETag counts, no date does.
    pub(crate) fn takes_range_of(&self, digest: &Digest) -> bool {
        self.range.as_deref().is_none_or(|text| text.trim() == etag(digest))
    }
}

/// Whether a list of ETags has that of `current`, or is `*` and there is something. A weak one counts where that is told.
fn lists(list: &str, current: Option<&Digest>, weak: bool) -> bool {
    let Some(digest) = current else { return false };
    let (tag, strip) = (etag(digest), |text: &'_ str| text.trim().to_owned());
    list.split(',').map(strip).any(|text| {
        let strong = text.strip_prefix("W/").filter(|_| weak).unwrap_or(&text);
        text == "*" || strong == tag
    })
}

fn not_modified(digest: &Digest) -> Answer {
    let headers = [("etag", etag(digest)), ("docker-content-digest", digest.to_string())];
    empty(StatusCode::NOT_MODIFIED, &headers)
}

fn failed(current: Option<&Digest>) -> Refusal {
    let message = match current {
        Some(digest) => format!("the condition of the request does not hold: {digest} is there"),
        None => "the condition of the request does not hold: nothing is there".to_owned(),
    };
    let refusal = Refusal::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", message);
    match current {
        Some(digest) => refusal.with("etag", etag(digest)),
        None => refusal,
    }
}

/// Locks that are shared by references; two that share one only wait for each other.
const LOCKS: usize = 64;

/// Keeps others from changing what a conditional write has looked at, until it is done. Writes without a condition, which are
/// the most, don't wait for each other.
pub(crate) struct Writes {
    locks: Vec<RwLock<()>>,
    hash: RandomState,
}

/// Held while a reference is written.
pub(crate) enum Writing<'a> {
    Shared(#[expect(dead_code, reason = "held, not used")] RwLockReadGuard<'a, ()>),
    Alone(#[expect(dead_code, reason = "held, not used")] RwLockWriteGuard<'a, ()>),
}

impl Writes {
    pub(crate) fn new() -> Self {
        Self { locks: (0..LOCKS).map(|_| RwLock::default()).collect(), hash: RandomState::new() }
    }

    /// Waits until the reference may be written: alone, if that has a condition.
    pub(crate) async fn begin(&self, name: &str, reference: &str, conditions: &Conditions) -> Writing<'_> {
        let hash = usize::try_from(self.hash.hash_one((name, reference)) % LOCKS as u64).unwrap_or_default();
        match conditions.is_any() {
            true => Writing::Alone(self.locks[hash].write().await),
            false => Writing::Shared(self.locks[hash].read().await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(lines: &[(&'static str, &str)]) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Conditions::of(&headers)
    }

    #[test]
    fn conditions_of_reads() {
        let digest = Digest::sha256(b"a");
        let (tag, other) = (etag(&digest), etag(&Digest::sha256(b"b")));
        let weak = format!("W/{tag}");
        let status = |lines: &[(&'static str, &str)]| match of(lines).unchanged(&digest) {
            Ok(None) => 200,
            Ok(Some(response)) => response.status().as_u16(),
            Err(refusal) => refusal.response().status().as_u16(),
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
    fn conditions_of_writes() {
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
