//! Receipts: small files that say what a receiver has, so that the next bundle can leave it out.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use oras_fs::blocking;
use oras_layout::Layout;
use oras_spec::{Digest, json};
use oras_store::{Error, ErrorKind, ReadStore, Result};
use serde::{Deserialize, Serialize};

use super::name_mapping::NameMapping;
use super::repository_walk::{WalkOptions, default_concurrency, walk};
use super::source::BundleSource;
use crate::{NoTags, Quiet, repository_dirs};

/// The version of the document that this crate writes and reads.
const SCHEMA_VERSION: u32 = 1;

/// What a receiver has. A restore makes one, and [`take_receipt`] makes one of any registry or directory of layouts.
/// [`BundleOptions::have`](super::BundleOptions::have) leaves the content out of the next bundle.
///
/// A lost bundle costs nothing: the next one is created against the last receipt that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The version of this document: 1.
    pub schema_version: u32,
    /// The repositories, sorted by name.
    pub repositories: Vec<ReceivedRepository>,
}

/// The content of a repository at a receiver. A [`Receipt`] lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRepository {
    /// The name at the receiver, without its registry.
    pub name: String,
    /// The full name of the repository in the bundle from which it was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The digests of all blobs and manifests, sorted.
    pub digests: Vec<Digest>,
}

/// A repository of a receiver, of which [`take_receipt`] lists the content. It is usually a repository of the registry
/// to which bundles are restored.
#[derive(Clone)]
pub struct ReceiptSource {
    /// The name without the registry.
    pub name: String,
    /// The repository.
    pub store: Arc<dyn ReadStore>,
}

impl fmt::Debug for ReceiptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptSource").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ReceiptSource {
    /// Finds the layouts below the directory at `path`, as `oras serve` stores them.
    ///
    /// # Errors
    /// The errors of opening a layout; `Io`.
    pub async fn in_directory(path: impl Into<PathBuf>) -> Result<Vec<Self>> {
        let path = path.into();
        let root = path.clone();
        let mut sources = Vec::new();
        for found in blocking(move || repository_dirs::list(&root)).await? {
            if found.is_layout {
                let store = Arc::new(Layout::open(path.join(&found.name)).await?);
                sources.push(Self { name: found.name, store });
            }
        }
        Ok(sources)
    }
}

/// Lists the content of repositories: all tags, what their manifests list, and all referrers.
///
/// # Errors
/// The errors of the repositories.
pub async fn take_receipt(sources: Vec<ReceiptSource>) -> Result<Receipt> {
    let options = WalkOptions { allow_missing: true, concurrency: default_concurrency(), listener: &Quiet };
    let mut received = Vec::new();
    for ReceiptSource { name, store } in sources {
        let walked = match walk(&BundleSource::new(&name, store), &options).await {
            Ok(walked) => walked,
            Err(error) if error.find::<NoTags>().is_some() => continue,
            Err(error) => return Err(error),
        };
        let mut digests = HashSet::new();
        for (digest, node) in walked.nodes {
            digests.insert(digest);
            let blobs = node.children.into_iter().filter(|child| !child.media_type.is_manifest());
            digests.extend(blobs.map(|blob| blob.digest));
        }
        received.push(ReceivedRepository::new(&name, None, digests));
    }
    Ok(Receipt::new(received))
}

impl Receipt {
    pub(super) fn new(mut repositories: Vec<ReceivedRepository>) -> Self {
        repositories.sort_by(|a, b| a.name.cmp(&b.name));
        Self { schema_version: SCHEMA_VERSION, repositories }
    }

    /// Parses a receipt.
    ///
    /// # Errors
    /// `InvalidContent` for a malformed receipt or an unknown version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = |what: String| Error::new(ErrorKind::InvalidContent, what);
        let receipt: Self =
            serde_json::from_slice(bytes).map_err(|error| invalid(format!("malformed receipt: {error}")))?;
        match receipt.schema_version {
            SCHEMA_VERSION => Ok(receipt),
            version => {
                Err(invalid(format!("the receipt has version {version}, and only version 1 is supported")))
            }
        }
    }

    /// Returns the document as JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// Returns the content that the receiver has of the repository with the full name `source`. A repository without
    /// a recorded source is the one that would be restored to its name.
    pub(super) fn digests_of(&self, source: &str) -> HashSet<Digest> {
        let name = NameMapping::default().map(source).ok();
        let is_of = |received: &&ReceivedRepository| match &received.source {
            Some(recorded) => recorded == source,
            None => name.as_ref() == Some(&received.name),
        };
        self.repositories.iter().filter(is_of).flat_map(|received| received.digests.iter().cloned()).collect()
    }
}

impl ReceivedRepository {
    pub(super) fn new(name: &str, source: Option<&str>, digests: impl IntoIterator<Item = Digest>) -> Self {
        let mut digests: Vec<_> = digests.into_iter().collect();
        digests.sort_by_cached_key(ToString::to_string);
        digests.dedup();
        Self { name: name.to_owned(), source: source.map(ToOwned::to_owned), digests }
    }
}
