//! The repositories of a proxy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oras_remote::{Client, RegistriesConf};
use oras_serve::{DigestsInUse, Stores, Warnings};
use oras_spec::{Descriptor, MediaType};
use oras_store::{DeleteTarget, Error, ErrorKind, ReadStore, Result, Store};
use parking_lot::Mutex;

use super::blob_download::Downloads;
use super::proxied_repository::ProxiedRepository;
use super::upstream::Upstream;
use super::{LOG_TARGET, ProxyOptions};

/// The maximum number of retries of a request to an upstream. The limit is low, because the client of the proxy waits
/// during the retries and can retry the request itself.
const MAX_RETRIES: u32 = 2;

/// The repositories of the upstreams. Content is cached in `local` when a client reads it. Clients cannot write.
pub(in crate::serve) struct Proxy {
    upstreams: Vec<Arc<Upstream>>,
    local: Arc<dyn Stores>,
    downloads: Arc<Downloads>,
}

impl Proxy {
    /// Creates the proxy, without connecting to the upstreams.
    pub(in crate::serve) fn new(local: Arc<dyn Stores>, options: ProxyOptions) -> Result<Self> {
        let ProxyOptions { upstreams: hosts, mut client } = options;
        // No mirrors: one of them may be this server, which would then send requests to itself.
        client.registries = Arc::new(RegistriesConf::default());
        client.retry.retries = client.retry.retries.min(MAX_RETRIES);
        // The client does not wait for an upstream that is down, because cached content can be served at once.
        client.retry.outage = Duration::ZERO;
        // The proxy serves manifests of every type.
        client.manifest_types.push(MediaType::new("*/*"));
        let client = Client::new(client)?;
        let several = hosts.len() > 1;
        let upstreams: Vec<_> = hosts
            .into_iter()
            .map(|host| Ok(Arc::new(Upstream::new(host, several, client.clone())?)))
            .collect::<Result<_>>()?;
        let prefixes: BTreeSet<_> = upstreams.iter().map(|upstream| &upstream.prefix).collect();
        if upstreams.is_empty() || prefixes.len() < upstreams.len() {
            let message = "a proxy needs at least one upstream, without duplicates";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self { upstreams, local, downloads: Arc::default() })
    }

    /// Returns the repository with the local name `name`.
    fn find(&self, name: &str, is_for_blobs: bool, warnings: &Warnings) -> Result<Option<ProxiedRepository>> {
        let mut found =
            self.upstreams.iter().filter_map(|upstream| Some((upstream, upstream.upstream_name(name)?)));
        let Some((upstream, upstream_name)) = found.next() else { return Ok(None) };
        Ok(Some(ProxiedRepository {
            name: name.to_owned(),
            remote: upstream.repository(upstream_name)?,
            upstream: Arc::clone(upstream),
            local: Arc::clone(&self.local),
            downloads: Arc::clone(&self.downloads),
            is_for_blobs,
            warnings: warnings.clone(),
            untyped_manifests: Mutex::default(),
        }))
    }

    /// Returns the hosts of the upstreams as a text.
    fn names(&self) -> String {
        let names: Vec<_> = self.upstreams.iter().map(|upstream| upstream.host.as_str()).collect();
        names.join(", ")
    }
}

#[async_trait]
impl Stores for Proxy {
    async fn repository(&self, name: &str, warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.find(name, false, warnings)?.map(|proxied| Arc::new(proxied) as _))
    }

    async fn blob_repository(&self, name: &str, warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.find(name, true, warnings)?.map(|proxied| Arc::new(proxied) as _))
    }

    fn resolves_manifests_only(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn local_name(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        let found = self.upstreams.iter().find(|upstream| upstream.host.eq_ignore_ascii_case(namespace));
        let local = found.map(|upstream| upstream.local_name(name)).ok_or_else(|| {
            let message = format!("this server is a proxy of {}, and of no other registry", self.names());
            Error::new(ErrorKind::NotFound, message)
        });
        local.map(Some)
    }

    /// Deletes the blob from the cache.
    async fn discard_damaged(&self, name: &str, blob: &Descriptor) -> bool {
        let discarded = async {
            match self.local.writable(name, false).await? {
                Some(store) => store.delete(DeleteTarget::Content(blob)).await.map(|()| true),
                None => Ok(false),
            }
        };
        discarded.await.unwrap_or_else(|error| {
            // Otherwise another request has already deleted the blob.
            if error.kind() != ErrorKind::NotFound {
                let error = error.chain();
                tracing::error!(target: LOG_TARGET, repository = name, %error, "a damaged blob can't be deleted");
            }
            false
        })
    }

    async fn writable(&self, _name: &str, _create: bool) -> Result<Option<Arc<dyn Store>>> {
        let names = self.names();
        let message = format!("this server is a proxy of {names}: push and delete there, not here");
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    async fn maintain(&self, in_use: &DigestsInUse) {
        self.local.maintain(in_use).await;
    }

    /// Checks only the cache, because the proxy serves cached content even when the upstreams are unavailable.
    async fn check_readiness(&self, _writes: bool) -> Result<()> {
        // A proxy writes to its cache, even though clients can't push.
        self.local.check_readiness(true).await
    }

    /// Lists the repositories in the cache. Upstreams may have any number of repositories, and many do not list them.
    async fn repositories(&self) -> Result<Vec<String>> {
        let mut names = self.local.repositories().await?;
        names.retain(|name| self.upstreams.iter().any(|upstream| upstream.upstream_name(name).is_some()));
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_memory::Memory;
    use oras_remote::ClientOptions;
    use oras_serve::PerRepository;

    fn proxy(upstreams: &[&str]) -> Result<Proxy> {
        let local = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
        let upstreams = upstreams.iter().map(|&host| host.to_owned()).collect();
        Proxy::new(Arc::new(local), ProxyOptions { upstreams, client: ClientOptions::default() })
    }

    #[test]
    fn single_upstream_keeps_names_and_several_add_prefixes() {
        let one = proxy(&["ghcr.io"]).unwrap();
        assert_eq!(one.local_name("GHCR.io", "a/b").unwrap().as_deref(), Some("a/b"));
        assert!(one.find("a/b", false, &Warnings::default()).unwrap().is_some());
        assert_eq!(one.local_name("quay.io", "a/b").unwrap_err().kind(), ErrorKind::NotFound);

        let both = proxy(&["docker.io", "localhost:5000"]).unwrap();
        assert_eq!(both.local_name("localhost:5000", "a").unwrap().as_deref(), Some("localhost_5000/a"));
        for (name, known) in [
            ("docker.io/a/b", true),
            ("localhost_5000/a", true),
            ("docker.io", false),
            ("docker.iox/a", false),
        ] {
            assert_eq!(both.find(name, true, &Warnings::default()).unwrap().is_some(), known, "{name}");
        }
    }

    #[test]
    fn rejects_invalid_and_duplicate_upstreams() {
        for bad in
            [&[][..], &["a/b"], &["https://a"], &["a:1", "A:1"], &["a_1", "a:1"], &["[::1]:1", "b"], &["a b"]]
        {
            assert_eq!(proxy(bad).err().map(|error| error.kind()), Some(ErrorKind::InvalidInput), "{bad:?}");
        }
        assert!(proxy(&["[::1]:1"]).is_ok());
    }

    #[tokio::test]
    async fn rejects_writes() {
        let refused = proxy(&["a.io"]).unwrap().writable("x", true).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains("proxy of a.io: push"), "{refused}");
    }
}
