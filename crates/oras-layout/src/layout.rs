//! The layout as a store.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use oras_spec::{Algorithm, Descriptor, Digest, Manifest, MediaType};
use oras_store::fsio::{Errands, blocking};
use oras_store::{
    ByteStream, Content, Delete, Error, Ingest, IngestTarget, Kind, Origin, Predecessors, Pushed, Result,
    Source, TagList, Target,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::gathered::Gathered;
use crate::graph::{Graph, Stamp};
use crate::index::{Change, Index};
use crate::ingest::LayoutIngest;
use crate::journal::{self, Journal};
use crate::limits::MAX_STORED_MANIFEST;
use crate::place::{self, Blob, Names, Place, Reader};
use crate::verified::{is_intact, verify};
use crate::{blobs, evict};

/// A use of a blob is noted unless one was noted within this time.
const NOTED: Duration = Duration::from_secs(10 * 60);
/// The same, where blobs may be collected soon.
const NOTED_SOON: Duration = Duration::from_secs(1);

/// An OCI image layout in a directory; clones share caches.
///
/// Any number of handles and processes may read and write one layout at once.
#[derive(Clone, Debug)]
pub struct Layout {
    inner: Arc<Inner>,
    prunes: bool,
    links: bool,
    limit: Option<u64>,
    names: Names,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    journal: Journal,
    gathered: Gathered,
    errands: Errands,
    index: Mutex<Option<(Stamp, Arc<Index>)>>,
    graph: Mutex<Option<(Stamp, Arc<Graph>)>>,
    /// What this handle and its clones have hashed and found right: each blob is hashed once.
    verified: Mutex<HashSet<Digest>>,
    notes_use: AtomicBool,
}

impl Layout {
    /// The layout at `path`; works on a read-only directory.
    ///
    /// # Errors
    /// `InvalidContent` when there is none, or none of version 1.0.0, or its index can't be read.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let layout = Self::at(path.into());
        let root = layout.inner.root.clone();
        blocking(move || journal::check(&root)).await?;
        layout.index().await?;
        Ok(layout)
    }

    /// The layout at `path`, which is made by the first write if it is not there.
    ///
    /// # Errors
    /// Those of [`Layout::open`] when there is a layout.
    pub async fn open_or_create(path: impl Into<PathBuf>) -> Result<Self> {
        let layout = Self::at(path.into());
        let root = layout.inner.root.clone();
        let there = blocking(move || {
            if journal::exists(&root)? && !is_directory(&root)? {
                let message =
                    format!("{} is not a directory, and only there a layout can be written", root.display());
                return Err(Error::new(Kind::InvalidContent, message));
            }
            journal::sweep(&root);
            journal::exists(&root.join(oras_spec::layout::MARKER_FILE))
        });
        if there.await? { Self::open(layout.inner.root.clone()).await } else { Ok(layout) }
    }

    fn at(root: PathBuf) -> Self {
        let journal = Journal::new(root.clone());
        let inner = Inner {
            root,
            journal,
            gathered: Gathered::default(),
            errands: Errands::default(),
            index: Mutex::default(),
            graph: Mutex::default(),
            verified: Mutex::default(),
            notes_use: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner), prunes: false, links: true, limit: None, names: Names::Plain }
    }

    /// The same layout, of which [`Delete::delete`] also removes the node's referrers, and then what the removed
    /// manifests listed and nothing else needs, all in one step under the layout's lock.
    ///
    /// What has a tag stays, as does what a manifest that stays lists or refers to. A writer that found a blob in
    /// the layout, and has not listed the manifest that needs it yet, is not known: do not prune while others push.
    #[must_use]
    pub fn pruning(mut self) -> Self {
        self.prunes = true;
        self
    }

    /// The same layout, which has every blob in a file of its own.
    ///
    /// Without this, blobs of another layout on the same file system are verified and then hard-linked, if nobody but
    /// the owner of this layout may write them and everybody may read them: a program that writes into the blobs of
    /// one layout, which none should, damages both.
    #[must_use]
    pub fn unshared(mut self) -> Self {
        self.links = false;
        self
    }

    /// The same layout as a cache of about `limit` bytes: when what is written makes it larger, the blobs go that were
    /// not used for longest, and the entries of manifests that go.
    ///
    /// A use is a write or a [`Layout::touch`]; where the file system notes when a file is read, that counts too. What was
    /// used in the last five minutes stays, whatever the size, and so does what a tag reaches: somebody wanted to keep
    /// it. Who reads a blob when it goes reads it to its end. The size is kept in a file `cache-size` beside the blobs,
    /// and counted anew once a day, for there may be writers that do not keep it.
    #[must_use]
    pub fn bounded(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The same layout, which notes for all its handles that what is resolved by its digest is used, so that
    /// [`Layout::collect`] leaves it: for a server, whose clients ask what is there before they push what needs it.
    #[must_use]
    pub fn noting_use(self) -> Self {
        self.inner.notes_use.store(true, Ordering::Relaxed);
        self
    }

    /// The same layout, whose names are the tags of a repository, as a registry serves them: names that are no valid tags
    /// are left out, but a name that is a full reference, such as `docker.io/library/tool:3.20`, is the tag in it, if all
    /// such names with that tag are of one manifest. A name that is the tag itself comes first.
    ///
    /// To move such a tag is to move the names it stands for, and to remove it is to remove them.
    #[must_use]
    pub fn as_repository(mut self) -> Self {
        self.names = Names::Tags;
        self
    }

    /// How long ago a use may have been noted that need not be noted again.
    pub(crate) fn noted(&self) -> Duration {
        if self.inner.notes_use.load(Ordering::Relaxed) { NOTED_SOON } else { NOTED }
    }

    /// Removes what processes that are gone left half-written here, once nobody has touched it for a day.
    pub async fn sweep(&self) {
        let root = self.path().to_owned();
        let swept = blocking(move || {
            journal::sweep(&root);
            Ok(())
        });
        // Best effort, as sweeping is.
        drop(swept.await);
    }

    /// How many bytes the layout may have, if it is [`Layout::bounded`].
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Notes that the blob is used, so that it is not among the first that go from a [`Layout::bounded`] cache; its bytes
    /// and the time of its last change stay. Where that can't be noted nothing happens.
    pub async fn touch(&self, digest: &Digest) {
        let (root, digest) = (self.path().to_owned(), digest.clone());
        drop(blocking(move || evict::touch(&root, &digest)).await);
    }

    /// Whether a blob with the size of `node` is here, not whether it is right; it is used now, if the layout is
    /// [`Layout::bounded`]. Blocks for as long as it takes to ask for a file's metadata.
    pub fn offers(&self, node: &Descriptor) -> bool {
        let there = blobs::is_there(self.path(), node);
        if there {
            self.note_use(&node.digest);
        }
        there
    }

    /// Best effort, as with whatever is noted.
    fn note_use(&self, digest: &Digest) {
        if self.limit.is_some() {
            drop(evict::touch(self.path(), digest));
        }
    }

    /// Whether the blob of `node` is here, byte for byte; it is used now, if the layout is [`Layout::bounded`].
    ///
    /// The blob is read and hashed. Dropping the future ends the work.
    pub async fn has_verified(&self, node: &Descriptor) -> bool {
        let (layout, node) = (self.clone(), node.clone());
        // Held while somebody waits.
        let (asked, _waiting) = oneshot::channel();
        let verified = blocking(move || {
            let is_right = verify(&layout, &node, &asked)? == Some(true);
            if is_right {
                layout.note_use(&node.digest);
            }
            Ok(is_right)
        });
        verified.await.unwrap_or(false)
    }

    #[cfg(unix)]
    pub(crate) fn links(&self) -> bool {
        self.links
    }

    pub(crate) fn verified(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.inner.verified.lock()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.inner.root
    }

    /// The index as it is on disk now; parsed again only when the file changed.
    async fn index(&self) -> Result<Arc<Index>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.index()).await
    }

    /// Makes a change durable, and with it what was gathered.
    pub(crate) async fn change(&self, change: Change) -> Result<()> {
        if self.inner.gathered.is_empty() {
            return self.write(vec![change]).await;
        }
        self.inner.gathered.store(self, Some(change)).await
    }

    /// Makes changes durable.
    pub(crate) async fn write(&self, changes: Vec<Change>) -> Result<()> {
        self.inner.journal.write(changes).await
    }

    async fn is_there(&self, node: &Descriptor) -> Result<bool> {
        let (root, asked, noted) = (self.path().to_owned(), node.clone(), self.noted());
        let look = move || blobs::claim(&root, &asked.digest, Some(asked.size), noted);
        let there = self.inner.errands.run(look).await?;
        // A server answers for content that its clients verify.
        if !there || self.inner.notes_use.load(Ordering::Relaxed) {
            return Ok(there);
        }
        let (layout, node) = (self.clone(), node.clone());
        // Held while somebody waits.
        let (asked, _waiting) = oneshot::channel();
        blocking(move || is_intact(&layout, node, &asked)).await
    }

    /// Stores what was gathered before something is looked for that might be among it.
    async fn settle(&self) -> Result<()> {
        if self.inner.gathered.is_empty() { Ok(()) } else { self.inner.gathered.store(self, None).await }
    }
}

fn is_directory(path: &Path) -> Result<bool> {
    let found = std::fs::metadata(path);
    Ok(found.map_err(|error| Error::io(format!("failed to look at {}", path.display()), error))?.is_dir())
}

impl Inner {
    fn stamped(&self) -> Result<(Stamp, Arc<Index>)> {
        let stamp = Stamp::of(&self.root)?;
        let mut cached = self.index.lock();
        if let Some((seen, index)) = &*cached
            && *seen == stamp
        {
            return Ok((stamp, Arc::clone(index)));
        }
        let index = Arc::new(journal::read(&self.root)?);
        *cached = Some((stamp, Arc::clone(&index)));
        Ok((stamp, index))
    }
}

impl Place for Inner {
    fn path(&self) -> &Path {
        &self.root
    }

    fn index(&self) -> Result<Arc<Index>> {
        self.stamped().map(|(_, index)| index)
    }

    fn graph(&self) -> Result<Arc<Graph>> {
        let (stamp, index) = self.stamped()?;
        let mut cached = self.graph.lock();
        if let Some((seen, graph)) = &*cached
            && *seen == stamp
        {
            return Ok(Arc::clone(graph));
        }
        let graph = Arc::new(Graph::build(self, &index)?);
        *cached = Some((stamp, Arc::clone(&graph)));
        Ok(graph)
    }

    fn claim(&self, digest: &Digest) -> Result<bool> {
        if self.notes_use.load(Ordering::Relaxed) {
            return blobs::claim(&self.root, digest, None, NOTED_SOON);
        }
        Ok(true)
    }

    fn open(&self, digest: &Digest) -> Result<Blob> {
        blobs::open(&self.root, digest)
    }

    fn reader(&self) -> Box<Reader<'_>> {
        Box::new(blobs::reader(&self.root))
    }

    fn errands(&self) -> &Errands {
        &self.errands
    }
}

#[async_trait]
impl Source for Layout {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.settle().await?;
        place::resolve(&self.inner, reference, self.names).await
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if self.inner.gathered.has(descriptor) {
            self.settle().await?;
        }
        place::fetch(&self.inner, descriptor, range).await
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        Origin::File { path: blobs::path(self.path(), &descriptor.digest) }
    }
}

#[async_trait]
impl Target for Layout {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        if self.inner.gathered.has(descriptor) {
            return Ok(true);
        }
        let there = self.is_there(descriptor).await?;
        if !there {
            self.inner.gathered.lacks(descriptor);
        }
        // A manifest that is not listed yet must be pushed once more, or no tool finds it.
        if there && descriptor.media_type.is_manifest() {
            return Ok(self.index().await?.lists(&descriptor.digest));
        }
        Ok(there)
    }

    async fn push(&self, content: &Content) -> Result<Pushed> {
        let content = &checked(content).await?;
        let pushed = blobs::write(self, content).await?;
        if content.descriptor().media_type.is_manifest() {
            self.change(Change::List(content.descriptor().clone())).await?;
        }
        Ok(pushed)
    }

    /// A manifest is kept back until there are a thousand, or something is asked that it might be the answer to.
    async fn gather(&self, content: &Content) -> Result<Pushed> {
        let node = content.descriptor();
        if !node.media_type.is_manifest() {
            return self.push(content).await;
        }
        let content = &checked(content).await?;
        let bytes = content.bytes(MAX_STORED_MANIFEST).await?;
        let there = self.inner.gathered.has(node)
            || (!self.inner.gathered.is_lacking(node) && self.is_there(node).await?);
        if self.inner.gathered.add(node.clone(), bytes) {
            self.inner.gathered.store(self, None).await?;
        }
        Ok(if there { Pushed::Existed } else { Pushed::Copied })
    }

    async fn flush(&self) -> Result<()> {
        self.settle().await
    }

    async fn tag(&self, content: &Content, tag: &str) -> Result<()> {
        // What is listed was checked when it was stored, and need not be read again to get a name.
        if !(content.descriptor().media_type.is_manifest() && self.exists(content.descriptor()).await?) {
            blobs::write(self, &checked(content).await?).await?;
        }
        if tag.parse::<Digest>().is_ok_and(|digest| digest == content.descriptor().digest) {
            return self.change(Change::List(content.descriptor().clone())).await;
        }
        if self.names == Names::Plain {
            return self.change(Change::Tag(content.descriptor().clone(), tag.to_owned())).await;
        }
        let names = self.index().await?.names_to_move(tag);
        let tag = |name| Change::Tag(content.descriptor().clone(), name);
        self.settle().await?;
        self.write(names.into_iter().map(tag).collect()).await
    }
}

/// A manifest with its bytes in memory, refused if it is none; other content as it is.
pub(crate) async fn checked(content: &Content) -> Result<Content> {
    let descriptor = content.descriptor();
    if !descriptor.media_type.is_manifest() {
        return Ok(content.clone());
    }
    let bytes = content.bytes(MAX_STORED_MANIFEST).await?;
    Manifest::parse(&descriptor.media_type, bytes.clone())?;
    Content::from_bytes(descriptor.clone(), bytes)
}

#[async_trait]
impl Predecessors for Layout {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        self.settle().await?;
        place::predecessors(&self.inner, node, artifact_type).await
    }
}

impl TagList for Layout {
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        place::tags(&self.inner, last, self.names)
    }
}

#[async_trait]
impl Delete for Layout {
    /// Removes the entries of the digest from the index, then its file. Content below it stays, unless this is a
    /// handle made by [`Layout::pruning`].
    async fn delete(&self, descriptor: &Descriptor) -> Result<()> {
        self.settle().await?;
        let path = blobs::path(self.path(), &descriptor.digest);
        if !blocking(move || journal::exists(&path)).await? {
            return Err(place::missing(self.path(), &descriptor.digest.to_string()));
        }
        if self.prunes {
            return self.change(Change::Prune(descriptor.digest.clone())).await;
        }
        self.change(Change::Remove(descriptor.digest.clone())).await?;
        let (root, digest) = (self.path().to_owned(), descriptor.digest.clone());
        blocking(move || blobs::remove(&root, &digest)).await
    }

    /// A manifest that loses its last tag stays listed without one.
    async fn untag(&self, tag: &str) -> Result<()> {
        self.settle().await?;
        let index = self.index().await?;
        let names = match self.names {
            Names::Plain => index.tagged(tag).map(|_| tag.to_owned()).into_iter().collect(),
            Names::Tags => index.names_of(tag),
        };
        if !names.is_empty() {
            return self.write(names.into_iter().map(Change::Untag).collect()).await;
        }
        match tag.parse::<Digest>() {
            Ok(_) => Err(Error::new(Kind::InvalidInput, format!("{tag} is a digest, not a tag"))),
            Err(_) => Err(place::missing(self.path(), tag)),
        }
    }
}

#[async_trait]
impl IngestTarget for Layout {
    async fn begin(&self, media_type: MediaType, algorithm: Algorithm) -> Result<Box<dyn Ingest>> {
        Ok(Box::new(LayoutIngest::new(self.clone(), None, media_type, algorithm).await?))
    }

    /// The content is in a file in the layout's directory, which no tool takes for a blob.
    async fn begin_named(
        &self,
        name: &str,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Box<dyn Ingest>> {
        Ok(Box::new(LayoutIngest::new(self.clone(), Some(name), media_type, algorithm).await?))
    }

    async fn resume(
        &self,
        name: &str,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Option<Box<dyn Ingest>>> {
        let found = LayoutIngest::resume(self.clone(), name, media_type, algorithm).await?;
        Ok(found.map(|ingest| Box::new(ingest) as _))
    }
}
