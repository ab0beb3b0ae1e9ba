//! Requests for a repository of another registry, which the query `ns` names (distribution-spec, main, "Registry
//! Proxying").

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{Request, StatusCode, Uri};

use crate::error::Refusal;
use crate::query::Query;
use crate::route::{self, Route};
use crate::stores::Stores;

/// Turns such a request into one for the repository as it is called here, and tells the namespace, before anything else
/// looks at it: who may do what is decided by that name. A namespace that is not known is refused.
pub(crate) fn apply(
    stores: &dyn Stores,
    mut request: Request<Body>,
) -> Result<(Request<Body>, Option<String>), Refusal> {
    let Some(asked) = asked(request.uri()) else { return Ok((request, None)) };
    let name = stores
        .scoped(&asked.namespace, &asked.name)
        .map_err(|error| Refusal::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", error.to_string()))?;
    let Some(name) = name else { return Ok((request, None)) };
    *request.uri_mut() = asked.at(&name, request.uri()).ok_or_else(Refusal::name_invalid)?;
    Ok((request, Some(asked.namespace)))
}

/// A repository of a registry, and what is asked of it.
struct Asked {
    namespace: String,
    name: String,
    /// What follows the name in the path.
    rest: String,
}

/// What a request with a namespace asks for, if it is about a repository.
fn asked(uri: &Uri) -> Option<Asked> {
    uri.query()?;
    let namespace = Query::of(uri).ok()?.get("ns")?.to_owned();
    let path = route::decoded(uri);
    let name = Route::parse(&path)?.name();
    let rest = path.strip_prefix("/v2/")?.strip_prefix(name)?.to_owned();
    (!name.is_empty()).then(|| Asked { namespace, name: name.to_owned(), rest })
}

impl Asked {
    /// The same request about the repository `name`.
    fn at(&self, name: &str, uri: &Uri) -> Option<Uri> {
        let query = uri.query().unwrap_or_default();
        let mut parts = uri.clone().into_parts();
        let path = format!("/v2/{name}{}?{query}", self.rest);
        parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
        Uri::from_parts(parts).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_replaced_and_nothing_else() {
        let moved = |text: &str| {
            let uri: Uri = text.parse().unwrap();
            let asked = asked(&uri)?;
            Some(asked.at(&format!("{}/{}", asked.namespace, asked.name), &uri)?.to_string())
        };
        for (from, to) in [
            ("/v2/a/b/manifests/v1?ns=r.io", "/v2/r.io/a/b/manifests/v1?ns=r.io"),
            ("/v2/a/blobs/sha256%3Aab?x=1&ns=r.io", "/v2/r.io/a/blobs/sha256:ab?x=1&ns=r.io"),
            ("http://h/v2/a/tags/list?ns=r.io&n=1", "http://h/v2/r.io/a/tags/list?ns=r.io&n=1"),
            ("/v2/a/blobs/uploads/?ns=r.io", "/v2/r.io/a/blobs/uploads/?ns=r.io"),
        ] {
            assert_eq!(moved(from).as_deref(), Some(to), "{from}");
        }
        for same in
            ["/v2/a/tags/list", "/v2/a/tags/list?ns=", "/v2/?ns=r.io", "/v2/_catalog?ns=r.io", "/x?ns=y"]
        {
            assert_eq!(moved(same), None, "{same}");
        }
        assert_eq!(moved("/v2/a/manifests/%20?ns=r.io"), None, "what no path can have");
    }
}
