//! A bundle that is read.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use oras_layout::Archive;
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{ByteStream, Error, ErrorKind, MAX_MANIFEST_SIZE, ReadStore, Result, Source};

use super::inventory::{BUNDLE_TYPE, BundledRepository, Inventory};

/// The size in bytes of the largest inventory that is read: it lists 500,000 referrers.
const MAX_INVENTORY: u64 = 256 << 20;

/// The error of an archive that is not a bundle. It is in the chain of an error of the kind
/// [`ErrorKind::InvalidContent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a bundle: the archive has no inventory")]
pub struct NotBundle;

/// A bundle that is open for reading. It is read in place: nothing is unpacked. Clones share the open file.
#[derive(Clone, Debug)]
pub struct Bundle {
    archive: Archive,
    inventory: Arc<Inventory>,
    /// The manifest of the inventory.
    manifest: Descriptor,
}

impl Bundle {
    /// Opens the bundle at `path`. Reads the headers of the archive, the index and the inventory, but no other content.
    ///
    /// # Errors
    /// Those of [`Archive::open`]; `InvalidContent` with [`NotBundle`] for an archive without an inventory, and for a
    /// damaged inventory.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let archive = Archive::open(path).await?;
        let is_inventory = |entry: &Descriptor| {
            entry.artifact_type.as_ref().is_some_and(|found| found.as_str() == BUNDLE_TYPE)
        };
        let manifest = archive.roots().into_iter().find(is_inventory).ok_or_else(|| {
            let path = archive.path().display().to_string();
            Error::from_source(ErrorKind::InvalidContent, NotBundle).context(format!("failed to open {path}"))
        })?;
        let read = async {
            let parsed = archive.content(&manifest).manifest(MAX_MANIFEST_SIZE).await?;
            let layer = parsed.layers().first();
            let layer = layer.ok_or_else(|| Error::from_source(ErrorKind::InvalidContent, NotBundle))?;
            Inventory::parse(&archive.content(layer).bytes(MAX_INVENTORY).await?)
        };
        let path = archive.path().display();
        let inventory =
            read.await.map_err(|error| error.context(format!("failed to read the inventory of {path}")))?;
        Ok(Self { inventory: Arc::new(inventory), manifest, archive })
    }

    /// Returns the path of the bundle.
    pub fn path(&self) -> &Path {
        self.archive.path()
    }

    /// Returns what the bundle contains.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Returns the archive with the content.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Returns the repository with the full name `name`, if the bundle has it.
    pub fn repository(&self, name: &str) -> Option<BundleRepository> {
        let number = self.inventory.repositories.iter().position(|repository| repository.name == name)?;
        let mut referrers: HashMap<_, HashSet<_>> = HashMap::new();
        for referrer in &self.inventory.repositories[number].referrers {
            let of_subject = referrers.entry(referrer.subject.clone()).or_default();
            of_subject.insert(referrer.descriptor.digest.clone());
        }
        let referrers = Arc::new(referrers);
        Some(BundleRepository {
            archive: self.archive.clone(),
            inventory: Arc::clone(&self.inventory),
            number,
            referrers,
        })
    }

    pub(super) fn manifest(&self) -> &Descriptor {
        &self.manifest
    }
}

/// A repository in a bundle, as a store: it has the tags and the referrers that its source had. [`Bundle::repository`]
/// returns it. Content of other repositories in the bundle can be read by its digest.
#[derive(Clone, Debug)]
pub struct BundleRepository {
    archive: Archive,
    inventory: Arc<Inventory>,
    number: usize,
    /// The referrers of each subject.
    referrers: Arc<HashMap<Digest, HashSet<Digest>>>,
}

impl BundleRepository {
    /// Returns what the inventory says about the repository.
    pub fn listed(&self) -> &BundledRepository {
        &self.inventory.repositories[self.number]
    }
}

#[async_trait]
impl Source for BundleRepository {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        match self.listed().tags.get(reference) {
            Some(node) => Ok(node.clone()),
            None if reference.parse::<Digest>().is_ok() => self.archive.resolve(reference).await,
            None => Err(Error::not_found(format!("{}:{reference}", self.listed().name))),
        }
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        self.archive.fetch(descriptor, range).await
    }
}

#[async_trait]
impl ReadStore for BundleRepository {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let Some(listed) = self.referrers.get(&node.digest) else { return Ok(Vec::new()) };
        // Another repository in the bundle may have other referrers of the same subject.
        let mut found = self.archive.predecessors(node, artifact_type).await?;
        found.retain(|referrer| listed.contains(&referrer.digest));
        Ok(found)
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let tags = self.listed().tags.keys().filter(move |tag| last.is_none_or(|last| tag.as_str() > last));
        stream::iter(tags.map(|tag| Ok(tag.clone()))).boxed()
    }
}
