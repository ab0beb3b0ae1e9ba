//! The endpoint of the distribution-spec that a path names.

use oras_spec::Digest;
use oras_spec::reference::{check_repository, check_tag};

/// An endpoint of the distribution-spec.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Root,
    Catalog,
    Repository { name: String, resource: Resource },
}

/// A resource of one repository. Digests, ids and references are unchecked text from the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Blob { digest: String },
    Uploads,
    Upload { id: String },
    Manifest { reference: String },
    Tags,
    Referrers { digest: String },
}

/// The longest name of a repository. With the host, longer names exceed the 255 characters that clients accept
/// (distribution-spec, "Pulling manifests").
pub(crate) const MAX_NAME: usize = 255;

impl Route {
    /// Parses a decoded path. Returns `None` if it is not an endpoint or the name of the repository is malformed.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?;
        if rest.is_empty() || rest == "/" {
            return Some(Self::Root);
        }
        let rest = rest.strip_prefix('/')?;
        if rest == "_catalog" {
            return Some(Self::Catalog);
        }
        let (name, resource) = split(rest)?;
        Self::repository(name.to_owned(), resource)
    }

    /// Returns the route of a resource, or `None` if the name of the repository is malformed.
    pub(crate) fn repository(name: String, resource: Resource) -> Option<Self> {
        let is_name = check_repository(&name).is_ok() && name.len() <= MAX_NAME;
        is_name.then_some(Self::Repository { name, resource })
    }
}

/// Splits a path below `/v2/` into the name of a repository and a resource. Names contain slashes, so the end of the
/// path determines the resource.
fn split(path: &str) -> Option<(&str, Resource)> {
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Some((name, Resource::Tags));
    }
    if let Some(name) = path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads")) {
        return Some((name, Resource::Uploads));
    }
    let (front, last) = path.rsplit_once('/')?;
    let last = last.to_owned();
    if let Some(name) = front.strip_suffix("/blobs/uploads") {
        Some((name, Resource::Upload { id: last }))
    } else if let Some(name) = front.strip_suffix("/blobs") {
        Some((name, Resource::Blob { digest: last }))
    } else if let Some(name) = front.strip_suffix("/manifests") {
        Some((name, Resource::Manifest { reference: last }))
    } else {
        Some((front.strip_suffix("/referrers")?, Resource::Referrers { digest: last }))
    }
}

/// Returns true if `text` is a well-formed tag or digest.
pub(crate) fn is_reference(text: &str) -> bool {
    text.parse::<Digest>().is_ok() || check_tag(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, resource: Resource) -> Option<Route> {
        Some(Route::Repository { name: name.to_owned(), resource })
    }

    #[test]
    fn parses_endpoints_and_rejects_other_paths() {
        assert_eq!(Route::parse("/v2/"), Some(Route::Root));
        assert_eq!(Route::parse("/v2/a/b/tags/list"), of("a/b", Resource::Tags));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/"), of("a", Resource::Uploads));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/7"), of("a", Resource::Upload { id: "7".into() }));
        assert_eq!(Route::parse("/v2/blobs/blobs/x:y"), of("blobs", Resource::Blob { digest: "x:y".into() }));
        assert_eq!(
            Route::parse("/v2/a/manifests/v1"),
            of("a", Resource::Manifest { reference: "v1".into() })
        );
        for path in
            ["/", "/v1/", "/v2/../a/tags/list", "/v2/A/tags/list", "/v2/a/b", "/v2//manifests/x", "/v2x"]
        {
            assert_eq!(Route::parse(path), None, "{path}");
        }
        assert!(is_reference("v1") && !is_reference("../x"));
    }
}
