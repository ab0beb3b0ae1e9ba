//! Requests for a repository of another registry, which the query `ns` names (distribution-spec, main, "Registry
//! Proxying").

use http::{StatusCode, Uri};

use super::endpoint::Endpoint;
use super::error::ApiError;
use super::query::Query;
use super::route::Route;
use crate::stores::Stores;

/// The endpoint with the local name of the repository, and the namespace of the request.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) endpoint: Endpoint,
    /// `None` if the request has no namespace, or `stores` ignores namespaces.
    pub(super) namespace: Option<String>,
}

/// Replaces the name of the repository by its name at this server. It runs before authorization, because access rules
/// contain local names.
///
/// # Errors
/// `NAME_UNKNOWN` for a namespace that `stores` does not know.
pub(super) fn resolve(stores: &dyn Stores, endpoint: Endpoint, uri: &Uri) -> Result<Resolved, ApiError> {
    let Endpoint::Registry(Route::Repository { name, resource }) = endpoint else {
        return Ok(Resolved { endpoint, namespace: None });
    };
    // containerd adds `ns` to every request to a mirror.
    let namespace = Query::of(uri).get("ns").map(ToOwned::to_owned);
    let local = match &namespace {
        Some(namespace) => stores.local_name(namespace, &name),
        None => Ok(None),
    };
    let local =
        local.map_err(|error| ApiError::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", error.to_string()))?;
    // The response names the namespace only if the server has applied it.
    let namespace = namespace.filter(|_| local.is_some());
    let name = local.unwrap_or(name);
    // With the prefix of an upstream, the name may exceed the limit for names.
    let endpoint = Route::repository(name, resource)
        .map_or_else(|| Endpoint::Other(uri.path().to_owned()), Endpoint::Registry);
    Ok(Resolved { endpoint, namespace })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use async_trait::async_trait;
    use oras_store::{ReadStore, Result, Store};

    use crate::api::warnings::Warnings;

    /// Prefixes names with their namespace.
    struct Prefixing;

    #[async_trait]
    impl Stores for Prefixing {
        async fn repository(&self, _: &str, _: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
            Ok(None)
        }

        async fn writable(&self, _: &str, _: bool) -> Result<Option<Arc<dyn Store>>> {
            Ok(None)
        }

        async fn repositories(&self) -> Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn local_name(&self, namespace: &str, name: &str) -> Result<Option<String>> {
            Ok(Some(format!("{namespace}/{name}")))
        }
    }

    #[test]
    fn replaces_the_name_and_nothing_else() {
        let resolved = |text: &str| {
            let uri: Uri = text.parse().unwrap();
            resolve(&Prefixing, Endpoint::parse(uri.path()), &uri).unwrap()
        };
        for (from, to) in [
            ("/v2/a/b/manifests/v1?ns=r.io", "/v2/r.io/a/b/manifests/v1"),
            ("/v2/a/blobs/sha256%3Aab?x=1&ns=r.io", "/v2/r.io/a/blobs/sha256:ab"),
            ("http://h/v2/a/tags/list?ns=r.io&n=1", "/v2/r.io/a/tags/list"),
            ("/v2/a/blobs/uploads/?ns=r.io", "/v2/r.io/a/blobs/uploads/"),
        ] {
            let resolved = resolved(from);
            assert_eq!(resolved.endpoint, Endpoint::parse(to), "{from}");
            assert_eq!(resolved.namespace.as_deref(), Some("r.io"), "{from}");
        }
        for same in
            ["/v2/a/tags/list", "/v2/a/tags/list?ns=", "/v2/?ns=r.io", "/v2/_catalog?ns=r.io", "/x?ns=y"]
        {
            let resolved = resolved(same);
            let uri: Uri = same.parse().unwrap();
            assert_eq!(resolved.endpoint, Endpoint::parse(uri.path()), "{same}");
            assert_eq!(resolved.namespace, None, "{same}");
        }
    }
}
