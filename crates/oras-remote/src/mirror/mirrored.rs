//! A repository that is read through its mirrors, or from another location, by the rules of `registries.conf`.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest, MediaType, Reference};
use oras_store::{ByteStream, Error, ErrorKind, Origin, ReadStore, Result, Source, Verifier};

use crate::client::Client;
use crate::client_options::ClientOptions;
use crate::config::registries_conf::{RegistriesConf, RuleMatch};
use crate::mirror::mirror_stream::MirrorStream;
use crate::repository::repository::Repository;

/// Size up to which a blob from a mirror is verified as a whole, so that a wrong one can be read from the next
/// source.
const MAX_VERIFIED_WHOLE: u64 = 1 << 20;
/// The most retries of a request to a mirror. The number is small, because another source follows.
const MAX_RETRIES: u32 = 1;
/// Timeout of connecting to a mirror.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A repository that is read through mirrors. Content and tags come from the first mirror that has them, then from
/// the repository itself; lists of tags and referrers come from the repository alone.
///
/// Content is verified by its digest, wherever it comes from. A mirror on another host receives none of the
/// credentials and headers for the repository, only [`ClientOptions::mirror_credentials`] for its own name. The first
/// failure of a mirror is reported as a warning. After any failure other than missing content, a mirror is not used
/// again.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use oras_remote::store::ReadStore;
/// use oras_remote::{Client, ClientOptions, Mirrored, RegistriesConf, Repository};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_remote::store::Result<()> {
/// let options = ClientOptions::default().registries(RegistriesConf::system()?);
/// let repository = Repository::open(&Client::new(options)?, "docker.io/library/alpine")?;
/// // The repository itself, if no rule names it.
/// let reader: Arc<dyn ReadStore> = Mirrored::reader(&repository)?;
/// println!("{}", reader.resolve("3").await?.digest);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Mirrored {
    /// The repository itself, at its location.
    pub(crate) home: Repository,
    pub(crate) mirrors: Arc<[Mirror]>,
}

/// One mirror, and whether it failed.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) repository: Repository,
    digests: bool,
    tags: bool,
    has_warned: AtomicBool,
    pub(crate) failed: AtomicBool,
}

impl Mirrored {
    /// Returns the reader for `repository` by the rules of its client; `None` if they change nothing.
    ///
    /// # Errors
    /// `InvalidInput` if a rule leads to an invalid repository name.
    pub fn new(repository: &Repository) -> Result<Option<Self>> {
        let options = repository.client().options();
        let Some(found) = options.registries.find(repository.name()) else { return Ok(None) };
        let resolver = MirrorResolver { repository, found: &found };
        let mut mirrors = Vec::new();
        for mirror in &found.rule.mirrors {
            mirrors.push(Mirror {
                repository: resolver.at(&mirror.location, mirror.insecure, true)?,
                digests: mirror.digests,
                tags: mirror.tags,
                has_warned: AtomicBool::new(false),
                failed: AtomicBool::new(false),
            });
        }
        let location = &found.rule.location;
        let home = match location.is_empty() || location == found.prefix {
            true => repository.clone(),
            false => resolver.at(location, found.rule.insecure, false)?,
        };
        if mirrors.is_empty() && home.name() == repository.name() {
            return Ok(None);
        }
        Ok(Some(Self { home, mirrors: mirrors.into() }))
    }

    /// Returns the store to read `repository` from, which is the repository itself if the rules change nothing.
    ///
    /// # Errors
    /// Those of [`Mirrored::new`].
    pub fn reader(repository: &Repository) -> Result<Arc<dyn ReadStore>> {
        Ok(match Self::new(repository)? {
            Some(mirrored) => Arc::new(mirrored),
            None => Arc::new(repository.clone()),
        })
    }

    /// Returns the descriptor of a blob like [`Repository::resolve_blob`].
    ///
    /// # Errors
    /// Those of the repository itself.
    pub async fn resolve_blob(&self, digest: &Digest) -> Result<Descriptor> {
        self.first(true, |repository| Box::pin(repository.resolve_blob(digest))).await
    }

    /// Returns the first successful answer of the mirrors, otherwise the answer or error of the repository itself.
    async fn first<'a, T, F>(&'a self, by_digest: bool, read: F) -> Result<T>
    where
        F: Fn(&'a Repository) -> BoxFuture<'a, Result<T>>,
    {
        for mirror in self.usable(by_digest) {
            match read(&mirror.repository).await {
                Ok(answer) => return Ok(answer),
                Err(error) => mirror.report_failure(&self.home, &error),
            }
        }
        read(&self.home).await
    }

    /// Returns the digest of `reference`, or else its tag. A full reference names this repository, so a mirror would
    /// reject it.
    fn target(&self, reference: &str) -> Result<String> {
        Ok(self.home.reference_to(reference)?.target().unwrap_or_default())
    }

    fn usable(&self, by_digest: bool) -> impl Iterator<Item = &Mirror> {
        self.mirrors.iter().filter(move |mirror| mirror.is_usable(by_digest))
    }

    /// Reads and verifies the whole content from a mirror that has it.
    async fn read_verified(&self, descriptor: &Descriptor) -> Option<Bytes> {
        for mirror in self.usable(true) {
            match read_whole(&mirror.repository, descriptor).await {
                Ok(bytes) => return Some(bytes),
                Err(error) => mirror.report_failure(&self.home, &error),
            }
        }
        None
    }
}

impl Mirror {
    pub(crate) fn is_usable(&self, by_digest: bool) -> bool {
        (if by_digest { self.digests } else { self.tags }) && !self.failed.load(Ordering::Relaxed)
    }

    /// Reports the first failure of this mirror. Stops using the mirror, unless it only lacks this content.
    pub(crate) fn report_failure(&self, home: &Repository, error: &Error) {
        if error.kind() != ErrorKind::NotFound {
            self.failed.store(true, Ordering::Relaxed);
        }
        let name = self.repository.name();
        tracing::debug!(mirror = name, error = %error.chain(), "a mirror failed");
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let text = format!("the mirror {name} failed and the next source is read: {}", error.chain());
            home.client().warn_once(home.endpoint().server(), &text);
        }
    }
}

/// Reads and verifies whole content.
async fn read_whole(repository: &Repository, descriptor: &Descriptor) -> Result<Bytes> {
    let mut verifier = Verifier::new(descriptor)?;
    let mut stream = repository.fetch(descriptor, 0..descriptor.size).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.try_next().await? {
        verifier.update(&chunk)?;
        bytes.extend_from_slice(&chunk);
    }
    verifier.finish()?;
    Ok(bytes.into())
}

/// Resolves the location of a rule for `repository`.
struct MirrorResolver<'a> {
    repository: &'a Repository,
    found: &'a RuleMatch<'a>,
}

impl MirrorResolver<'_> {
    /// Returns the repository at `location` that corresponds to `repository`.
    fn at(&self, location: &str, insecure: bool, is_mirror: bool) -> Result<Repository> {
        let name = self.found.at(location);
        let reference: Reference = name.parse().map_err(|error| {
            let file = self.found.rule.file.display();
            let from = self.repository.name();
            Error::new(ErrorKind::InvalidInput, format!("{file}: {from} would be read at {name:?}: {error}"))
        })?;
        let client = self.repository.client();
        let mut options = client.options().clone();
        if is_mirror {
            options.retry.retries = options.retry.retries.min(MAX_RETRIES);
            // There is another source, so the client does not wait for a mirror to restart.
            options.retry.outage = Duration::ZERO;
            options.connect_timeout = options.connect_timeout.min(CONNECT_TIMEOUT);
        }
        // On the same host the credentials stay valid. The rules are dropped, so that a mirror has no mirrors.
        let options = match reference.registry == self.repository.endpoint().server() {
            true => ClientOptions { registries: Arc::default(), ..options },
            false => without_secrets(options),
        };
        Repository::ignoring_registry_rules(&Client::new(options)?, &reference, insecure)
    }
}

/// Returns the options without those that are only for the original registry.
fn without_secrets(options: ClientOptions) -> ClientOptions {
    ClientOptions {
        plain_http: None,
        insecure: false,
        client_certificate: None,
        headers: Vec::new(),
        allowed_hosts: Vec::new(),
        credentials: Arc::clone(&options.mirror_credentials),
        registries: Arc::new(RegistriesConf::default()),
        ..options
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for Mirrored {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let target = self.target(reference)?;
        // A digest contains a colon; a tag can't.
        self.first(target.contains(':'), |repository| Source::resolve(repository, &target)).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        let target = self.target(reference)?;
        self.first(target.contains(':'), |repository| repository.resolve_with_bytes(&target)).await
    }

    /// Manifests and small blobs of mirrors are verified here, so that wrong ones are read from the next source. A
    /// larger blob whose transfer ends early continues at the next source.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let is_whole = range == (0..descriptor.size);
        if is_whole && (descriptor.media_type.is_manifest() || descriptor.size <= MAX_VERIFIED_WHOLE) {
            return match self.read_verified(descriptor).await {
                Some(bytes) => Ok(stream::iter([Ok(bytes)]).boxed()),
                None => self.home.fetch(descriptor, range).await,
            };
        }
        let mut stream = MirrorStream {
            source: self.clone(),
            descriptor: descriptor.clone(),
            left: range,
            body: stream::empty().boxed(),
            from: None,
            verifier: None,
        };
        stream.open().await?;
        Ok(futures::stream::try_unfold(stream, |mut stream| async move {
            Ok(stream.next().await?.map(|chunk| (chunk, stream)))
        })
        .boxed())
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        self.home.origin(descriptor)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ReadStore for Mirrored {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        self.home.predecessors(node, artifact_type).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        self.home.tags_after(last)
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        self.home.tagged_nodes()
    }
}
