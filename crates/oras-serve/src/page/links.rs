//! Paths of pages and links to them. The page of a reference has the path `/-/` and the reference.

use oras_spec::Digest;
use oras_spec::reference::{check_repository, check_tag};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::request_context::RequestContext;
use crate::api::route::{MAX_NAME, is_reference};

/// What the path of a page shows. Names of repositories and endpoints never begin with `-` or `_`, so the paths of
/// pages can't collide with them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PagePath<'a> {
    /// `/`
    Repositories,
    /// `/-/team/app`
    Repository { name: &'a str },
    /// `/-/team/app:v1` or `/-/team/app@sha256:…`
    Manifest { name: &'a str, reference: &'a str },
    /// `/-/_/page.css`
    Asset(&'a str),
}

impl<'a> PagePath<'a> {
    /// Parses a decoded path.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        if path == "/" {
            return Some(Self::Repositories);
        }
        let rest = path.strip_prefix("/-/")?;
        if let Some(name) = rest.strip_prefix("_/") {
            return Some(Self::Asset(name));
        }
        // A name contains neither `@` nor `:`, so the first of them begins the reference.
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

/// The characters to encode: all except those that occur in names, tags and digests.
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

/// Encodes a value of a query.
pub(super) fn encoded_value(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Makes the links of the pages. They begin with the base path of the registry.
#[derive(Clone, Copy)]
pub(super) struct Links<'a> {
    base: &'a str,
}

impl<'a> Links<'a> {
    pub(super) fn of(context: &'a RequestContext) -> Self {
        Self { base: &context.registry.options.base_path }
    }

    /// Returns the link to the list of repositories.
    pub(super) fn home(self) -> &'a str {
        // Without a slash at the end: axum's `nest` does not match the prefix with one.
        if self.base.is_empty() { "/" } else { self.base }
    }

    /// Returns the link to a built-in file.
    pub(super) fn to_asset(self, name: &str) -> String {
        format!("{}/-/_/{name}", self.base)
    }

    /// Returns the links of a repository.
    pub(super) fn repository(self, name: &'a str) -> RepositoryLinks<'a> {
        RepositoryLinks { links: self, name }
    }
}

/// Makes the links of one repository.
#[derive(Clone, Copy)]
pub(super) struct RepositoryLinks<'a> {
    pub(super) links: Links<'a>,
    pub(super) name: &'a str,
}

impl RepositoryLinks<'_> {
    /// Returns the link to the page of the repository.
    pub(super) fn to_page(self) -> String {
        self.to("/-/", self.name)
    }

    /// Returns the link to the page of a tag, or `None` for a malformed tag, as a layout may contain.
    pub(super) fn to_tag(self, tag: &str) -> Option<String> {
        check_tag(tag).is_ok().then(|| self.to("/-/", &format!("{}:{tag}", self.name)))
    }

    /// Returns the link to the page of a manifest, or `None` for a digest of an unsupported algorithm.
    pub(super) fn to_manifest(self, digest: &Digest) -> Option<String> {
        digest.algorithm().map(|_| self.to("/-/", &format!("{}@{digest}", self.name)))
    }

    /// Returns the link to the bytes of a blob or a manifest.
    pub(super) fn to_content(self, kind: &str, digest: &Digest) -> Option<String> {
        digest.algorithm().map(|_| self.to("/v2/", &format!("{}/{kind}/{digest}", self.name)))
    }

    fn to(self, root: &str, rest: &str) -> String {
        format!("{}{root}{}", self.links.base, encoded(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_paths_of_pages() {
        let digest = Digest::sha256(b"").to_string();
        let by_digest = format!("/-/a/b@{digest}");
        assert_eq!(PagePath::parse("/"), Some(PagePath::Repositories));
        assert_eq!(PagePath::parse("/-/a/b"), Some(PagePath::Repository { name: "a/b" }));
        assert_eq!(PagePath::parse("/-/a/b:v1"), Some(PagePath::Manifest { name: "a/b", reference: "v1" }));
        assert_eq!(PagePath::parse(&by_digest), Some(PagePath::Manifest { name: "a/b", reference: &digest }));
        assert_eq!(PagePath::parse("/-/_/x.css"), Some(PagePath::Asset("x.css")));
        let long = format!("/-/{}", "a".repeat(MAX_NAME + 1));
        for path in [
            "", "/-", "/-/", "//", "/x", "/-/../a", "/-/A", "/-/a/", "/-/a:", "/-/a@", "/-/a@b/c",
            "/-/a:v/1", &long,
        ] {
            assert_eq!(PagePath::parse(path), None, "{path}");
        }
    }

    #[test]
    fn links_are_paths_of_pages_below_the_base_path() {
        let digest = Digest::sha256(b"");
        for base in ["", "/registry"] {
            let links = Links { base };
            let [ab, a] = ["a/b", "a"].map(|name| links.repository(name));
            assert_eq!(ab.to_page(), format!("{base}/-/a/b"));
            assert_eq!(a.to_tag("v1.0_x-y").unwrap(), format!("{base}/-/a:v1.0_x-y"));
            assert_eq!(a.to_manifest(&digest).unwrap(), format!("{base}/-/a@{digest}"));
            assert_eq!(a.to_content("blobs", &digest).unwrap(), format!("{base}/v2/a/blobs/{digest}"));
            assert_eq!(a.to_tag("\"><script>"), None);
            assert_eq!(links.repository("\"><b>?#%").to_page(), format!("{base}/-/%22%3E%3Cb%3E%3F%23%25"));
        }
        assert_eq!([Links { base: "" }.home(), Links { base: "/registry" }.home()], ["/", "/registry"]);
    }
}
