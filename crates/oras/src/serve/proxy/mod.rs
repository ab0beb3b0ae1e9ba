//! A registry in front of others: what is pulled through it is kept in its store (distribution-spec, main, "Registry
//! Proxying").

mod download;
mod repository;
mod upstream;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oras_remote::{Client, ClientOptions, RegistriesConf};
use oras_serve::{Needed, Stores};
use oras_spec::Descriptor;
use oras_store::{Error, Kind, ReadStore, Result, Store};

use download::Downloads;
use repository::Proxied;
use upstream::Upstream;

/// The target of the events that tell of upstreams: that of the server, as they are in its log.
const LOG_TARGET: &str = "oras_serve::proxy";

/// How often a request to an upstream is sent again: a client waits for it, and asks again itself.
const RETRIES: u32 = 2;

/// The registries that a server is a proxy of.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// Their names as clients write them, `ghcr.io` or `localhost:5000`. The repositories of a single one have the same
    /// names here; those of several have [the name of their registry](ProxyOptions::prefix) before theirs.
    pub upstreams: Vec<String>,
    /// How they are reached. Rules for reading registries elsewhere are left out: they may lead back here.
    pub client: ClientOptions,
}

impl ProxyOptions {
    /// What the names of a registry's repositories begin with here where there are several registries: its own name in
    /// lower case, with `_` in place of the colon before a port, as no repository's name has a colon.
    pub fn prefix(upstream: &str) -> String {
        upstream.to_ascii_lowercase().replace(':', "_")
    }
}

/// The repositories of upstreams, kept in `local` as they are read. Nothing can be written.
pub(super) struct Proxy {
    upstreams: Vec<Arc<Upstream>>,
    local: Arc<dyn Stores>,
    downloads: Arc<Downloads>,
}

impl Proxy {
    /// Connects to nobody.
    pub(super) fn new(local: Arc<dyn Stores>, options: ProxyOptions) -> Result<Self> {
        let ProxyOptions { upstreams: hosts, mut client } = options;
        client.registries = Arc::new(RegistriesConf::default());
        client.retry.retries = client.retry.retries.min(RETRIES);
        // What is cached is served at once when the upstream is down.
        client.retry.outage = Duration::ZERO;
        // What an upstream has is passed on, whatever its type is.
        client.manifest_types.push("*/*".into());
        let client = Client::new(client)?;
        let several = hosts.len() > 1;
        let upstreams: Vec<_> = hosts
            .into_iter()
            .map(|host| Ok(Arc::new(Upstream::new(host, several, client.clone())?)))
            .collect::<Result<_>>()?;
        let prefixes: BTreeSet<_> = upstreams.iter().map(|upstream| upstream.prefix()).collect();
        if upstreams.is_empty() || prefixes.len() < upstreams.len() {
            let message = "the registries to be a proxy of must be some, and each another one";
            return Err(Error::new(Kind::InvalidInput, message));
        }
        Ok(Self { upstreams, local, downloads: Arc::default() })
    }

    /// The repository of an upstream that is called `name` here.
    fn find(&self, name: &str, blobs: bool) -> Result<Option<Proxied>> {
        let mut found = self.upstreams.iter().filter_map(|upstream| Some((upstream, upstream.there(name)?)));
        let Some((upstream, there)) = found.next() else { return Ok(None) };
        let (local, downloads) = (Arc::clone(&self.local), Arc::clone(&self.downloads));
        Proxied::new(name, (upstream, there), local, downloads).map(|proxied| Some(proxied.for_blobs(blobs)))
    }

    /// The upstreams, in a text.
    fn names(&self) -> String {
        let names: Vec<_> = self.upstreams.iter().map(|upstream| upstream.host()).collect();
        names.join(", ")
    }
}

#[async_trait]
impl Stores for Proxy {
    async fn repository(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.find(name, false)?.map(|proxied| Arc::new(proxied) as _))
    }

    async fn blobs(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.find(name, true)?.map(|proxied| Arc::new(proxied) as _))
    }

    fn resolves_manifests_only(&self) -> bool {
        true
    }

    fn scoped(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        let found = self.upstreams.iter().find(|upstream| upstream.host().eq_ignore_ascii_case(namespace));
        match found {
            Some(upstream) => Ok(Some(upstream.here(name))),
            None => {
                let message = format!("this server is a proxy of {}, and of no other registry", self.names());
                Err(Error::new(Kind::NotFound, message))
            }
        }
    }

    /// Deletes it from the cache.
    async fn discard_damaged(&self, name: &str, blob: &Descriptor) -> bool {
        let discarded = async {
            match self.local.writable(name, false).await? {
                Some(store) => store.delete(blob).await.map(|()| true),
                None => Ok(false),
            }
        };
        match discarded.await {
            Ok(discarded) => discarded,
            Err(error) if error.kind() == Kind::NotFound => false,
            Err(error) => {
                let error = error.chain();
                tracing::error!(target: LOG_TARGET, repository = name, %error, "a damaged blob can't be deleted");
                false
            }
        }
    }

    async fn writable(&self, _name: &str, _create: bool) -> Result<Option<Arc<dyn Store>>> {
        let names = self.names();
        let message = format!("this server is a proxy of {names}: push and delete there, not here");
        Err(Error::new(Kind::Unsupported, message))
    }

    async fn maintain(&self, needed: &Needed) {
        self.local.maintain(needed).await;
    }

    /// What is here is served while upstreams are away: it is ready then, too.
    async fn check(&self, _writes: bool) -> Result<()> {
        self.local.check(true).await
    }

    /// Those of which something is here: an upstream may have any number, and tell nobody.
    async fn repositories(&self) -> Result<Vec<String>> {
        let mut names = self.local.repositories().await?;
        names.retain(|name| self.upstreams.iter().any(|upstream| upstream.there(name).is_some()));
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_memory::Memory;
    use oras_serve::PerRepository;

    fn proxy(upstreams: &[&str]) -> Result<Proxy> {
        let local = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
        let upstreams = upstreams.iter().map(|&host| host.to_owned()).collect();
        Proxy::new(Arc::new(local), ProxyOptions { upstreams, client: ClientOptions::default() })
    }

    #[test]
    fn one_has_its_own_names_and_several_have_prefixes() {
        let one = proxy(&["ghcr.io"]).unwrap();
        assert_eq!(one.scoped("GHCR.io", "a/b").unwrap().as_deref(), Some("a/b"));
        assert!(one.find("a/b", false).unwrap().is_some());
        assert_eq!(one.scoped("quay.io", "a/b").unwrap_err().kind(), Kind::NotFound);

        let both = proxy(&["docker.io", "localhost:5000"]).unwrap();
        assert_eq!(both.scoped("localhost:5000", "a").unwrap().as_deref(), Some("localhost_5000/a"));
        for (name, known) in [
            ("docker.io/a/b", true),
            ("localhost_5000/a", true),
            ("docker.io", false),
            ("docker.iox/a", false),
        ] {
            assert_eq!(both.find(name, true).unwrap().is_some(), known, "{name}");
        }
    }

    #[test]
    fn what_is_no_choice_of_registries_is_refused() {
        for bad in
            [&[][..], &["a/b"], &["https://a"], &["a:1", "A:1"], &["a_1", "a:1"], &["[::1]:1", "b"], &["a b"]]
        {
            assert_eq!(proxy(bad).err().map(|error| error.kind()), Some(Kind::InvalidInput), "{bad:?}");
        }
        assert!(proxy(&["[::1]:1"]).is_ok());
    }

    #[tokio::test]
    async fn nothing_is_written() {
        let refused = proxy(&["a.io"]).unwrap().writable("x", true).await.err().unwrap();
        assert_eq!(refused.kind(), Kind::Unsupported);
        assert!(refused.to_string().contains("proxy of a.io: push"), "{refused}");
    }
}
