//! A registry as a whole.

use futures::stream::{self, BoxStream, StreamExt};
use oras_spec::api_bodies::CatalogPage;
use oras_store::Result;
use reqwest::Method;

use crate::auth::scope::Scopes;
use crate::client::Client;
use crate::http::endpoint::Endpoint;
use crate::http::paging::List;
use crate::http::request::Request;

/// A registry: its availability and its list of repositories. A [`Repository`](crate::Repository) has the content.
///
/// ```no_run
/// use oras_remote::store::futures::TryStreamExt;
/// use oras_remote::{Client, ClientOptions, Registry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_remote::store::Result<()> {
/// let registry = Registry::new(&Client::new(ClientOptions::default())?, "localhost:5000")?;
/// registry.ping().await?;
/// let mut repositories = registry.repositories(None);
/// while let Some(name) = repositories.try_next().await? {
///     println!("{name}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    endpoint: Endpoint,
}

impl Registry {
    /// Creates a handle of the registry at `host`, which may have a port. Doesn't connect.
    ///
    /// # Errors
    /// `InvalidInput` if `host` is not a valid host; `Denied` with [`RegistryBlocked`](crate::RegistryBlocked).
    pub fn new(client: &Client, host: &str) -> Result<Self> {
        oras_spec::reference::check_registry(host)?;
        Ok(Self { client: client.clone(), endpoint: client.endpoint(host, host)? })
    }

    /// Checks that the server is a registry and accepts the credentials (distribution-spec, "Determining Support").
    ///
    /// # Errors
    /// `Unauthorized` if credentials are missing or wrong; an error with a [`ResponseError`](crate::ResponseError)
    /// for any other status than 200; `Network`.
    pub async fn ping(&self) -> Result<()> {
        let request = Request::new(Method::GET, self.endpoint.url("/v2/")?, Scopes::default());
        self.client.send(&self.endpoint, &request).await?.expect(&[200])?;
        Ok(())
    }

    /// Lists the names of the repositories after `last`, in the registry's order. The stream ends after the first
    /// error.
    ///
    /// The catalog is an extension. Many registries restrict it or do not support it.
    pub fn repositories(&self, last: Option<&str>) -> BoxStream<'static, Result<String>> {
        let (client, endpoint) = (self.client.clone(), self.endpoint.clone());
        match endpoint.url("/v2/_catalog") {
            // The catalog needs a special scope, `registry:catalog:*` (distribution's token specification).
            Ok(url) => List { client, endpoint, scopes: Scopes::catalog(), url }
                .after(last)
                .items(|page: CatalogPage| page.repositories),
            // The signature has no `Result`, so the first item of the stream is the error.
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}
