//! Addresses of pages: a page of a reference is `/-/` and the reference.

use oras_spec::Digest;
use oras_spec::reference::{check_repository, check_tag};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::route::{MAX_NAME, is_reference};

/// What a path shows. `-` and `_` are no part of a repository's name, and none of the endpoints begins so.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// `/`
    Repositories,
    /// `/-/team/app`
    Repository { name: &'a str },
    /// `/-/team/app:v1` or `/-/team/app@sha256:…`
    Manifest { name: &'a str, reference: &'a str },
    /// `/-/_/page.css`
    Asset(&'a str),
}

impl<'a> Place<'a> {
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        if path == "/" {
            return Some(Self::Repositories);
        }
        let rest = path.strip_prefix("/-/")?;
        if let Some(name) = rest.strip_prefix("_/") {
            return Some(Self::Asset(name));
        }
        let (name, reference) = match rest.split_once(['@', ':']) {
            Some((name, reference)) => (name, Some(reference)),
            None => (rest, None),
        };
        check_repository(name).ok().filter(|name| name.len() <= MAX_NAME)?;
        match reference {
            None => Some(Self::Repository { name }),
            Some(reference) => is_reference(reference).then_some(Self::Manifest { name, reference }),
        }
    }
}

/// All but what is in names, tags and digests.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'+');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A value in a query.
pub(super) fn encoded_value(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The address of a repository's page.
pub(super) fn of_repository(name: &str) -> String {
    format!("/-/{}", encoded(name))
}

/// The address of a tag's page; `None` for a tag that a layout has and no client could ask for.
pub(super) fn of_tag(name: &str, tag: &str) -> Option<String> {
    check_tag(tag).is_ok().then(|| format!("/-/{}", encoded(&format!("{name}:{tag}"))))
}

/// The address of a manifest's page; `None` for a digest that nothing can be checked with.
pub(super) fn of_digest(name: &str, digest: &Digest) -> Option<String> {
    digest.algorithm().map(|_| format!("/-/{}", encoded(&format!("{name}@{digest}"))))
}

/// Where the bytes of a blob, or of a manifest, are.
pub(super) fn of_content(name: &str, kind: &str, digest: &Digest) -> Option<String> {
    digest.algorithm().map(|_| encoded(&format!("/v2/{name}/{kind}/{digest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_places() {
        let digest = Digest::sha256(b"").to_string();
        let by_digest = format!("/-/a/b@{digest}");
        assert_eq!(Place::parse("/"), Some(Place::Repositories));
        assert_eq!(Place::parse("/-/a/b"), Some(Place::Repository { name: "a/b" }));
        assert_eq!(Place::parse("/-/a/b:v1"), Some(Place::Manifest { name: "a/b", reference: "v1" }));
        assert_eq!(Place::parse(&by_digest), Some(Place::Manifest { name: "a/b", reference: &digest }));
        assert_eq!(Place::parse("/-/_/x.css"), Some(Place::Asset("x.css")));
        let long = format!("/-/{}", "a".repeat(MAX_NAME + 1));
        for path in [
            "", "/-", "/-/", "//", "/x", "/-/../a", "/-/A", "/-/a/", "/-/a:", "/-/a@", "/-/a@b/c",
            "/-/a:v/1", &long,
        ] {
            assert_eq!(Place::parse(path), None, "{path}");
        }
    }

    #[test]
    fn addresses_lead_back() {
        let digest = Digest::sha256(b"");
        assert_eq!(of_repository("a/b"), "/-/a/b");
        assert_eq!(of_tag("a", "v1.0_x-y").unwrap(), "/-/a:v1.0_x-y");
        assert_eq!(of_digest("a", &digest).unwrap(), format!("/-/a@{digest}"));
        assert_eq!(of_tag("a", "\"><script>"), None);
        assert_eq!(of_repository("\"><b>?#%"), "/-/%22%3E%3Cb%3E%3F%23%25");
    }
}
