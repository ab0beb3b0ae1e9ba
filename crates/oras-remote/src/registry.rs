//! A registry as a whole.

use futures::stream::{self, BoxStream, StreamExt};
use oras_spec::api_bodies::CatalogPage;
use oras_store::Result;
use reqwest::Method;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::paging::List;
use crate::request::Request;
use crate::scope::Scopes;

/// A registry: what it has beyond a single repository.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    endpoint: Endpoint,
}

impl Registry {
    /// The registry at `host`, which may have a port. Connects to nobody.
    ///
    /// # Errors
    /// `InvalidInput` when `host` is not a host; `Denied` with [`RegistryBlocked`](crate::RegistryBlocked).
    pub fn new(client: &Client, host: &str) -> Result<Self> {
        oras_spec::reference::check_registry(host)?;
        Ok(Self { client: client.clone(), endpoint: client.endpoint(host, host)? })
    }

    /// Whether it is a registry and takes the credentials (distribution-spec, "Determining Support").
    ///
    /// # Errors
    /// `Unauthorized` for credentials that are missing or wrong; an error with a
    /// [`ResponseError`](crate::ResponseError) for any other answer than success; `Network`.
    pub async fn ping(&self) -> Result<()> {
        let request = Request::new(Method::GET, self.endpoint.url("/v2/")?, Scopes::default());
        self.client.send(&self.endpoint, &request).await?.expect(&[200])?;
        Ok(())
    }

    /// The names of its repositories after `last`, or all, in the registry's order; the first error ends them.
    ///
    /// The catalog is an extension that many registries do not have, or keep to themselves.
    pub fn repositories(&self, last: Option<&str>) -> BoxStream<'static, Result<String>> {
        let (client, endpoint) = (self.client.clone(), self.endpoint.clone());
        match endpoint.url("/v2/_catalog") {
            Ok(url) => List { client, endpoint, scopes: Scopes::catalog(), url }
                .after(last)
                .items(|page: CatalogPage| page.repositories),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}
