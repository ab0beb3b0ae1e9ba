//! A store in one file of the embedded database redb.
//!
//! Each method is one transaction, so content and tags are atomic and durable. Content is held in memory while it is
//! written or read, and the calls block the thread: fine for small artifacts, and short enough for an example.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use oras::spec::{Algorithm, Descriptor, Digest, Manifest, MediaType};
use oras::store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, Ingest, IngestName, IngestOptions, IngestTarget,
    PushMode, Pushed, ReadStore, Result, Source, Store, Target, Written,
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// The bytes of each digest.
const CONTENT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("content");
/// The descriptor of each manifest, by its digest, as JSON.
const MANIFESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("manifests");
/// The descriptor that each tag names, as JSON.
const TAGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tags");
/// The descriptor of each referrer as JSON, by subject and the referrer's own digest.
const REFERRERS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("referrers");

/// A store in a database file. Clones share the database.
#[derive(Clone)]
pub(crate) struct RedbStore {
    database: Arc<Database>,
}

impl RedbStore {
    /// Opens or creates the database at `path`.
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self> {
        let database = Database::create(path).map_err(failed)?;
        let write = database.begin_write().map_err(failed)?;
        // A table must exist before it is read.
        write.open_table(CONTENT).map_err(failed)?;
        write.open_table(MANIFESTS).map_err(failed)?;
        write.open_table(TAGS).map_err(failed)?;
        write.open_table(REFERRERS).map_err(failed)?;
        write.commit().map_err(failed)?;
        Ok(Self { database: Arc::new(database) })
    }

    /// Returns the value of `key` in a table.
    fn get(&self, table: TableDefinition<'_, &str, &[u8]>, key: &str) -> Result<Option<Bytes>> {
        let read = self.database.begin_read().map_err(failed)?;
        let found = read.open_table(table).map_err(failed)?.get(key).map_err(failed)?;
        Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
    }

    fn content(&self, digest: &Digest) -> Result<Bytes> {
        self.get(CONTENT, &digest.to_string())?.ok_or_else(|| Error::not_found(digest))
    }

    /// Stores verified bytes, and a tag of theirs.
    fn put(&self, descriptor: &Descriptor, bytes: Option<&[u8]>, tag: Option<&str>) -> Result<()> {
        let digest = descriptor.digest.to_string();
        let write = self.database.begin_write().map_err(failed)?;
        if let Some(bytes) = bytes {
            write.open_table(CONTENT).map_err(failed)?.insert(&*digest, bytes).map_err(failed)?;
            if descriptor.media_type.is_manifest() {
                let manifest = Manifest::parse(&descriptor.media_type, Bytes::copy_from_slice(bytes))?;
                let mut manifests = write.open_table(MANIFESTS).map_err(failed)?;
                manifests.insert(&*digest, &*json(&descriptor.plain())).map_err(failed)?;
                if let Some(subject) = manifest.subject() {
                    let referrer = json(&manifest.referrer_descriptor(descriptor));
                    let mut referrers = write.open_table(REFERRERS).map_err(failed)?;
                    let key = (&*subject.digest.to_string(), &*digest);
                    referrers.insert(key, &*referrer).map_err(failed)?;
                }
            }
        }
        if let Some(tag) = tag {
            write.open_table(TAGS).map_err(failed)?.insert(tag, &*json(descriptor)).map_err(failed)?;
        }
        write.commit().map_err(failed)
    }
}

#[async_trait]
impl Source for RedbStore {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        if let Some(descriptor) = self.get(TAGS, reference)? {
            return parse(&descriptor);
        }
        let digest: Digest = reference.parse().map_err(|_| Error::not_found(reference))?;
        match self.get(MANIFESTS, reference)? {
            Some(descriptor) => parse(&descriptor),
            // The media type of a blob depends on the manifest that lists it.
            None => {
                let size = self.content(&digest)?.len() as u64;
                Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
            }
        }
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let bytes = self.content(&descriptor.digest)?;
        Ok(stream_of(&bytes, range))
    }
}

#[async_trait]
impl Target for RedbStore {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.get(CONTENT, &descriptor.digest.to_string())?.is_some())
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        let tag = match mode {
            PushMode::Tagged(tag) | PushMode::AddTag(tag) => Some(tag),
            PushMode::Untagged | PushMode::Deferred => None,
        };
        if self.exists(content.descriptor()).await? {
            self.put(content.descriptor(), None, tag)?;
            return Ok(Pushed::Existed);
        }
        // `bytes` verifies size and digest.
        let bytes = content.bytes(u64::MAX).await?;
        self.put(content.descriptor(), Some(&bytes), tag)?;
        Ok(Pushed::Copied)
    }
}

#[async_trait]
impl ReadStore for RedbStore {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let read = self.database.begin_read().map_err(failed)?;
        let referrers = read.open_table(REFERRERS).map_err(failed)?;
        let subject = node.digest.to_string();
        let mut found = Vec::new();
        for entry in referrers.range((&*subject, "")..).map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            if key.value().0 != subject {
                break;
            }
            found.push(parse(value.value())?);
        }
        found.retain(|referrer: &Descriptor| {
            artifact_type.is_none() || referrer.artifact_type.as_ref() == artifact_type
        });
        Ok(found)
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let tags = || {
            let read = self.database.begin_read().map_err(failed)?;
            let tags = read.open_table(TAGS).map_err(failed)?;
            let names =
                tags.iter().map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.0.value().to_owned()));
            names.collect::<Result<Vec<String>>>()
        };
        match tags() {
            Ok(tags) => {
                let after_last = move |tag: &String| last.is_none_or(|last| tag.as_str() > last);
                stream::iter(tags.into_iter().filter(after_last).map(Ok)).boxed()
            }
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        let write = self.database.begin_write().map_err(failed)?;
        match target {
            DeleteTarget::Tag(tag) if tag.parse::<Digest>().is_ok() => {
                return Err(Error::new(ErrorKind::InvalidInput, format!("{tag} is a digest, not a tag")));
            }
            DeleteTarget::Tag(tag) => {
                let mut tags = write.open_table(TAGS).map_err(failed)?;
                tags.remove(tag).map_err(failed)?.ok_or_else(|| Error::not_found(tag))?;
            }
            DeleteTarget::Content(descriptor) => {
                let digest = descriptor.digest.to_string();
                let mut content = write.open_table(CONTENT).map_err(failed)?;
                content.remove(&*digest).map_err(failed)?.ok_or_else(|| Error::not_found(&digest))?;
                write.open_table(MANIFESTS).map_err(failed)?.remove(&*digest).map_err(failed)?;
                // No tag and no list of referrers may name deleted content.
                let mut tags = write.open_table(TAGS).map_err(failed)?;
                tags.retain(|_, named| parse(named).is_ok_and(|named| named.digest != descriptor.digest))
                    .map_err(failed)?;
                let mut referrers = write.open_table(REFERRERS).map_err(failed)?;
                referrers.retain(|(_, referrer), _| referrer != digest).map_err(failed)?;
            }
        }
        write.commit().map_err(failed)
    }
}

#[async_trait]
impl IngestTarget for RedbStore {
    /// Begins a write that is lost when it is dropped: nothing is resumed.
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        if let IngestName::Resume(name) = options.name {
            return Err(Error::not_found(name));
        }
        let IngestOptions { media_type, algorithm, .. } = options;
        Ok(Box::new(RedbIngest { store: self.clone(), media_type, algorithm, bytes: Vec::new() }))
    }
}

/// Content that is being written.
struct RedbIngest {
    store: RedbStore,
    media_type: MediaType,
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

#[async_trait]
impl Ingest for RedbIngest {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        chunks.iter().for_each(|chunk| self.bytes.extend_from_slice(chunk));
        Ok(())
    }

    fn pause(&mut self) -> Written {
        Written { size: self.bytes.len() as u64, read_back: None }
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        // The expected digest may be of another algorithm than that of `begin`.
        let algorithm = expected.and_then(Digest::algorithm).unwrap_or(self.algorithm);
        let digest = Digest::of(algorithm, &self.bytes);
        if expected.is_some_and(|expected| *expected != digest) {
            return Err(Error::new(
                ErrorKind::DigestMismatch,
                format!("the content has the digest {digest}"),
            ));
        }
        let descriptor = Descriptor::new(self.media_type, digest, self.bytes.len() as u64);
        self.store.put(&descriptor, Some(&self.bytes), None)?;
        Ok(descriptor)
    }
}

fn stream_of(bytes: &Bytes, range: Range<u64>) -> ByteStream {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let slice = bytes.slice(clamp(range.start)..clamp(range.end).max(clamp(range.start)));
    stream::iter((!slice.is_empty()).then_some(Ok(slice))).boxed()
}

fn json(descriptor: &Descriptor) -> Vec<u8> {
    oras::spec::json::to_vec(descriptor)
}

fn parse(json: &[u8]) -> Result<Descriptor> {
    serde_json::from_slice(json).map_err(|error| {
        Error::new(ErrorKind::InvalidContent, "the database has a malformed descriptor").with_source(error)
    })
}

/// An error of the database is one of the file system: never "not found".
fn failed(error: impl Into<redb::Error>) -> Error {
    Error::new(ErrorKind::Io, "the database failed").with_source(error.into())
}
