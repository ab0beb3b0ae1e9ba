//! Which endpoint a path names. Repository names contain slashes, so the end of the path decides.

use axum::http::Uri;
use oras_spec::Digest;
use oras_spec::reference::{check_repository, check_tag};
use percent_encoding::percent_decode_str;

/// An endpoint of the distribution-spec.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Root,
    Catalog,
    Blob { name: &'a str, digest: &'a str },
    Uploads { name: &'a str },
    Upload { name: &'a str, session: &'a str },
    Manifest { name: &'a str, reference: &'a str },
    Tags { name: &'a str },
    Referrers { name: &'a str, digest: &'a str },
}

/// Longer names are refused: with the host they would not fit in the 255 characters that clients take
/// (distribution-spec, "Pulling manifests").
pub(crate) const MAX_NAME: usize = 255;

impl<'a> Route<'a> {
    /// The endpoint, if the path is one and the repository's name is well-formed.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?;
        if rest.is_empty() || rest == "/" {
            return Some(Self::Root);
        }
        let rest = rest.strip_prefix('/')?;
        if rest == "_catalog" {
            return Some(Self::Catalog);
        }
        let route = if let Some(name) = rest.strip_suffix("/tags/list") {
            Self::Tags { name }
        } else if let Some(name) =
            rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads"))
        {
            Self::Uploads { name }
        } else {
            let (front, last) = rest.rsplit_once('/')?;
            if let Some(name) = front.strip_suffix("/blobs/uploads") {
                Self::Upload { name, session: last }
            } else if let Some(name) = front.strip_suffix("/blobs") {
                Self::Blob { name, digest: last }
            } else if let Some(name) = front.strip_suffix("/manifests") {
                Self::Manifest { name, reference: last }
            } else {
                Self::Referrers { name: front.strip_suffix("/referrers")?, digest: last }
            }
        };
        check_repository(route.name()).ok().filter(|name| name.len() <= MAX_NAME).map(|_| route)
    }

    /// The repository; empty where there is none.
    pub(crate) fn name(&self) -> &'a str {
        match self {
            Self::Root | Self::Catalog => "",
            Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Manifest { name, .. }
            | Self::Tags { name }
            | Self::Referrers { name, .. } => name,
        }
    }
}

/// The path that is asked for, decoded once.
pub(crate) fn decoded(uri: &Uri) -> String {
    percent_decode_str(uri.path()).decode_utf8_lossy().into_owned()
}

/// Returns true for every path below the base of the API, whether or not it is an endpoint.
pub(crate) fn is_api(uri: &Uri) -> bool {
    let path = decoded(uri);
    path.strip_prefix("/v2").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A tag or a digest that is well-formed.
pub(crate) fn is_reference(text: &str) -> bool {
    text.parse::<Digest>().is_ok() || check_tag(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_endpoints() {
        assert_eq!(Route::parse("/v2/"), Some(Route::Root));
        assert_eq!(Route::parse("/v2/a/b/tags/list"), Some(Route::Tags { name: "a/b" }));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/"), Some(Route::Uploads { name: "a" }));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/7"), Some(Route::Upload { name: "a", session: "7" }));
        assert_eq!(Route::parse("/v2/blobs/blobs/x:y"), Some(Route::Blob { name: "blobs", digest: "x:y" }));
        assert_eq!(Route::parse("/v2/a/manifests/v1"), Some(Route::Manifest { name: "a", reference: "v1" }));
        for path in
            ["/", "/v1/", "/v2/../a/tags/list", "/v2/A/tags/list", "/v2/a/b", "/v2//manifests/x", "/v2x"]
        {
            assert_eq!(Route::parse(path), None, "{path}");
        }
        assert!(is_reference("v1") && !is_reference("../x"));
    }
}
