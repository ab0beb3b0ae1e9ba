//! Opens the repositories and starts the server.

use std::sync::Arc;

use oras_serve::Server;
use oras_store::{Error, ErrorKind, Result};

use super::open_stores::open_stores;
use super::options::ServeOptions;
use super::proxy::Proxy;

/// Opens the repositories and listens. Clients can connect after this call; [`Server::run`] handles their requests.
///
/// A missing directory is created, unless the server is read-only or the path ends with `.tar`. The layouts are
/// complete OCI layouts at any time. Other programs may read them at the same time. They may also write them if they
/// use the locks of layouts.
///
/// # Errors
/// `NotFound` and the errors of opening a layout or an archive. `InvalidInput` for a malformed name of the repository,
/// and for upstreams that can't be proxied or whose content can't be cached. `Network` if the server can't listen on
/// the address.
pub async fn serve(mut options: ServeOptions) -> Result<Server> {
    if let Some(collection) = &options.garbage_collection {
        options.server.maintenance = collection.interval;
    }
    let proxy = options.proxy.take();
    if proxy.is_some() && options.server.read_only {
        let message =
            "a proxy cannot be read-only, because it writes to its cache; clients can never push to a proxy";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let mut stores = open_stores(&mut options, proxy.is_some()).await?;
    if let Some(proxy) = proxy {
        // Raises the server's limit so that it can serve every manifest that the proxy can fetch.
        options.server.max_manifest_size =
            options.server.max_manifest_size.max(proxy.client.max_manifest_size);
        stores = Arc::new(Proxy::new(stores, proxy)?);
    }
    let bound = Server::bind(options.address.as_str(), options.server, stores).await;
    bound.map_err(|error| {
        // A wrong option is a mistake of the caller. All other errors are those of the address.
        if error.get_ref().is_some_and(|error| error.is::<oras_serve::Misconfigured>()) {
            return Error::new(ErrorKind::InvalidInput, error.to_string());
        }
        Error::new(ErrorKind::Network, format!("failed to serve on {:?}", options.address)).with_source(error)
    })
}
