//! Reading a repository where `registries.conf` says: through its mirrors, and from another place than its name tells.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest, MediaType, Reference};
use oras_store::{
    ByteStream, Error, Kind, Origin, Predecessors, ReadStore, Result, Source, TagList, Verifier,
};

use crate::client::Client;
use crate::options::ClientOptions;
use crate::registries_conf::{Found, RegistriesConf};
use crate::repository::Repository;

/// Blobs up to this size are taken from a mirror whole: what turns out to be wrong is then read from the next source.
const WHOLE: u64 = 1 << 20;
/// How often a request to a mirror is sent again: there is somebody else to ask.
const RETRIES: u32 = 1;
/// How long a connection to a mirror may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A repository as it is read: content and names from the first of its mirrors that has them, then from the repository
/// itself; its tags and referrers from the repository alone.
///
/// Content is what its digest says, wherever it comes from. A mirror is a registry of its own: on another host than the
/// repository it gets nothing that the options have for the repository, but
/// [`ClientOptions::mirror_credentials`] for its own name. One that fails is told of once and not asked again.
#[derive(Clone, Debug)]
pub struct Mirrored {
    /// Where the repository is read itself.
    home: Repository,
    mirrors: Arc<[Mirror]>,
}

#[derive(Debug)]
struct Mirror {
    repository: Repository,
    digests: bool,
    tags: bool,
    told: AtomicBool,
    failed: AtomicBool,
}

impl Mirrored {
    /// How `repository` is read by the rules of its client; `None` when they change nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a rule that leads to no repository.
    pub fn new(repository: &Repository) -> Result<Option<Self>> {
        let options = repository.client().options();
        let Some(found) = options.registries.find(repository.name()) else { return Ok(None) };
        let place = Place { repository, found: &found };
        let mut mirrors = Vec::new();
        for mirror in &found.rule.mirrors {
            mirrors.push(Mirror {
                repository: place.at(&mirror.location, mirror.insecure, true)?,
                digests: mirror.digests,
                tags: mirror.tags,
                told: AtomicBool::new(false),
                failed: AtomicBool::new(false),
            });
        }
        let location = &found.rule.location;
        let home = match location.is_empty() || location == found.prefix {
            true => repository.clone(),
            false => place.at(location, found.rule.insecure, false)?,
        };
        if mirrors.is_empty() && home.name() == repository.name() {
            return Ok(None);
        }
        Ok(Some(Self { home, mirrors: mirrors.into() }))
    }

    /// What `repository` is read by: it alone where the rules of its client change nothing.
    ///
    /// # Errors
    /// Those of [`Mirrored::new`].
    pub fn reader(repository: &Repository) -> Result<Arc<dyn ReadStore>> {
        Ok(match Self::new(repository)? {
            Some(mirrored) => Arc::new(mirrored),
            None => Arc::new(repository.clone()),
        })
    }

    /// The descriptor of a blob, as [`Repository::resolve_blob`] gives it.
    ///
    /// # Errors
    /// Those of the repository itself.
    pub async fn resolve_blob(&self, digest: &Digest) -> Result<Descriptor> {
        self.first(true, |repository| Box::pin(repository.resolve_blob(digest))).await
    }

    /// What the first source answers that does not fail; the error is that of the repository itself.
    async fn first<'a, T, F>(&'a self, by_digest: bool, read: F) -> Result<T>
    where
        F: Fn(&'a Repository) -> BoxFuture<'a, Result<T>>,
    {
        for mirror in self.usable(by_digest) {
            match read(&mirror.repository).await {
                Ok(answer) => return Ok(answer),
                Err(error) => mirror.give_up(&self.home, &error),
            }
        }
        read(&self.home).await
    }

    fn usable(&self, by_digest: bool) -> impl Iterator<Item = &Mirror> {
        self.mirrors.iter().filter(move |mirror| mirror.is_usable(by_digest))
    }

    /// The content in one piece, checked, from a mirror that has it.
    async fn whole(&self, descriptor: &Descriptor) -> Option<Bytes> {
        for mirror in self.usable(true) {
            match read_whole(&mirror.repository, descriptor).await {
                Ok(bytes) => return Some(bytes),
                Err(error) => mirror.give_up(&self.home, &error),
            }
        }
        None
    }
}

impl Mirror {
    fn is_usable(&self, by_digest: bool) -> bool {
        (if by_digest { self.digests } else { self.tags }) && !self.failed.load(Ordering::Relaxed)
    }

    /// Tells once that the next source is asked. What a mirror does not have says nothing of what else it has.
    fn give_up(&self, home: &Repository, error: &Error) {
        if error.kind() != Kind::NotFound {
            self.failed.store(true, Ordering::Relaxed);
        }
        let name = self.repository.name();
        tracing::debug!(mirror = name, error = %error.chain(), "a mirror failed");
        if !self.told.swap(true, Ordering::Relaxed) {
            let text = format!("the mirror {name} failed and the next source is read: {}", error.chain());
            home.client().tell(home.endpoint().server(), &text);
        }
    }
}

/// Whole content that was checked.
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

/// The repository that a rule is for.
struct Place<'a> {
    repository: &'a Repository,
    found: &'a Found<'a>,
}

impl Place<'_> {
    /// The repository that corresponds to it at `location`.
    fn at(&self, location: &str, insecure: bool, is_mirror: bool) -> Result<Repository> {
        let name = self.found.at(location);
        let reference: Reference = name.parse().map_err(|error| {
            let file = self.found.rule.file.display();
            let from = self.repository.name();
            Error::new(Kind::InvalidInput, format!("{file}: {from} would be read at {name:?}: {error}"))
        })?;
        let client = self.repository.client();
        let mut options = client.options().clone();
        if is_mirror {
            options.retry.retries = options.retry.retries.min(RETRIES);
            // There is another source: none waits for a mirror to restart.
            options.retry.outage = Duration::ZERO;
            options.connect_timeout = options.connect_timeout.min(CONNECT_TIMEOUT);
        }
        let options = match reference.registry == self.repository.endpoint().server() {
            true => ClientOptions { registries: Arc::default(), ..options },
            false => without_secrets(options),
        };
        Repository::unruled(&Client::new(options)?, &reference, insecure)
    }
}

/// What is left of the options of a registry for another one.
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
impl Source for Mirrored {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.first(reference.contains(':'), |repository| repository.resolve(reference)).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        self.first(reference.contains(':'), |repository| repository.resolve_with_bytes(reference)).await
    }

    /// Manifests and small blobs of mirrors are checked here, so that wrong ones are read elsewhere; of bigger ones a
    /// transfer that ends early goes on at the next source.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let is_whole = range == (0..descriptor.size);
        if is_whole && (descriptor.media_type.is_manifest() || descriptor.size <= WHOLE) {
            return match self.whole(descriptor).await {
                Some(bytes) => Ok(stream::iter([Ok(bytes)]).boxed()),
                None => self.home.fetch(descriptor, range).await,
            };
        }
        let mut relay = Relay {
            source: self.clone(),
            descriptor: descriptor.clone(),
            left: range,
            body: stream::empty().boxed(),
            from: None,
            verifier: None,
        };
        relay.open().await?;
        Ok(stream::try_unfold(relay, |mut relay| async move {
            Ok(relay.next().await?.map(|chunk| (chunk, relay)))
        })
        .boxed())
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        self.home.origin(descriptor)
    }
}

/// A big blob on its way: from a mirror, and from the next source where that breaks.
struct Relay {
    source: Mirrored,
    descriptor: Descriptor,
    left: Range<u64>,
    body: ByteStream,
    /// The mirror it comes from, by its place; `None` for the repository itself.
    from: Option<usize>,
    /// Checks what one mirror sends from beginning to end, to be able to say which sent something else.
    verifier: Option<Verifier>,
}

impl Relay {
    /// Asks the sources in turn for what is left.
    async fn open(&mut self) -> Result<()> {
        self.verifier = None;
        for (place, mirror) in self.source.mirrors.iter().enumerate() {
            if !mirror.is_usable(true) {
                continue;
            }
            match mirror.repository.fetch(&self.descriptor, self.left.clone()).await {
                Ok(body) => {
                    (self.body, self.from) = (body, Some(place));
                    let is_whole = self.left == (0..self.descriptor.size);
                    self.verifier = is_whole.then(|| Verifier::new(&self.descriptor)).transpose()?;
                    return Ok(());
                }
                Err(error) => mirror.give_up(&self.source.home, &error),
            }
        }
        self.from = None;
        self.body = self.source.home.fetch(&self.descriptor, self.left.clone()).await?;
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let item = self.body.next().await;
            let source = self.source.clone();
            let Some(mirror) = self.from.and_then(|place| source.mirrors.get(place)) else {
                return item.transpose();
            };
            let error = match item {
                Some(Ok(chunk)) => {
                    self.left.start += chunk.len() as u64;
                    self.check(&chunk).map_err(|error| {
                        let (name, digest) = (mirror.repository.name(), &self.descriptor.digest);
                        error.context(format!("the mirror {name} sent something else than {digest}"))
                    })?;
                    return Ok(Some(chunk));
                }
                None if self.left.is_empty() => return Ok(None),
                None => Error::new(Kind::SizeMismatch, "unexpected EOF"),
                Some(Err(error)) => error,
            };
            mirror.give_up(&source.home, &error);
            mirror.failed.store(true, Ordering::Relaxed);
            self.open().await?;
        }
    }

    fn check(&mut self, chunk: &[u8]) -> Result<()> {
        let Some(verifier) = &mut self.verifier else { return Ok(()) };
        verifier.update(chunk)?;
        if self.left.is_empty() { self.verifier.take().map_or(Ok(()), Verifier::finish) } else { Ok(()) }
    }
}

#[async_trait]
impl Predecessors for Mirrored {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        self.home.predecessors(node, artifact_type).await
    }
}

impl TagList for Mirrored {
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        self.home.tags(last)
    }
}
