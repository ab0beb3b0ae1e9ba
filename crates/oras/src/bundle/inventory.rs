//! The inventory of a bundle: what the sources listed, so that completeness can be proved without them.

use std::collections::BTreeMap;

use oras_spec::{Descriptor, Digest, ImageManifest, MediaType, annotation, json};
use oras_store::{Content, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The artifact type of the manifest that holds the inventory.
pub(super) const BUNDLE_TYPE: &str = "application/vnd.oras.bundle.v1";
/// The media type of the inventory.
pub(super) const INVENTORY_TYPE: &str = "application/vnd.oras.bundle.inventory.v1+json";
/// The annotation by which `docker load` and `ctr images import` name an image.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";
/// The version of the inventory that this crate writes and reads.
const SCHEMA_VERSION: u32 = 1;

/// What a bundle contains and what it does not contain, as the sources listed it when the bundle was created.
///
/// It is stored in the bundle as the only layer of a manifest of the type `application/vnd.oras.bundle.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The version of this document: 1.
    pub schema_version: u32,
    /// The repositories, sorted by name.
    pub repositories: Vec<BundledRepository>,
    /// The number of different blobs and manifests, without the inventory itself.
    pub contents: u64,
    /// The sum of their sizes in bytes.
    pub size: u64,
}

/// A repository in a bundle. An [`Inventory`] lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledRepository {
    /// The full name at the source: `registry/repository`.
    pub name: String,
    /// The manifest of each tag, also of cosign's tags such as `sha256-<hex>.sig`.
    pub tags: BTreeMap<String, Descriptor>,
    /// The manifests that were selected by digest, without a tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untagged: Vec<Descriptor>,
    /// Every referrer that the source listed and that was selected, at any level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<BundledReferrer>,
    /// What the source listed and did not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingContent>,
    /// The content that the receiver has, and that was left out for this reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<Descriptor>,
    /// The number of manifests in the bundle.
    pub manifests: u64,
    /// The number of blobs in the bundle.
    pub blobs: u64,
    /// The sum of the sizes of these manifests and blobs in bytes. Other repositories may share them.
    pub size: u64,
}

/// A referrer with its subject. A [`BundledRepository`] lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledReferrer {
    /// The manifest to which the referrer refers.
    pub subject: Digest,
    /// The referrer.
    #[serde(flatten)]
    pub descriptor: Descriptor,
}

/// Content that the source listed and did not have. A [`BundledRepository`] lists them if the caller allowed that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingContent {
    /// What is missing.
    pub kind: MissingKind,
    /// The digest, the tag or the platforms.
    pub name: String,
    /// The manifest that lists it, or its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Digest>,
    /// The answer of the source.
    pub reason: String,
}

/// The kind of missing content. It is a field of [`MissingContent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingKind {
    /// A tag that the caller named.
    Tag,
    /// A platform of an index.
    Platform,
    /// A manifest that an index lists.
    Manifest,
    /// A referrer that the source lists.
    Referrer,
    /// A layer or a config.
    Blob,
}

impl MissingKind {
    /// Returns the word for a message, such as `referrer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Platform => "platform",
            Self::Manifest => "manifest",
            Self::Referrer => "referrer",
            Self::Blob => "blob",
        }
    }
}

impl Inventory {
    pub(super) fn new(repositories: Vec<BundledRepository>) -> Self {
        Self { schema_version: SCHEMA_VERSION, repositories, contents: 0, size: 0 }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = |what: String| Error::new(ErrorKind::InvalidContent, what);
        let mut inventory: Self = serde_json::from_slice(bytes)
            .map_err(|error| invalid(format!("malformed inventory of the bundle: {error}")))?;
        if inventory.schema_version != SCHEMA_VERSION {
            let version = inventory.schema_version;
            return Err(invalid(format!(
                "the bundle has version {version}, and only version 1 is supported"
            )));
        }
        // Readers search in the sorted list.
        for repository in &mut inventory.repositories {
            repository.sort_referrers();
        }
        Ok(inventory)
    }

    /// Returns the blobs and the manifest that store the inventory, in the order of the archive.
    pub(super) fn to_contents(&self) -> Result<Vec<Content>> {
        let document = Content::of(MediaType::new(INVENTORY_TYPE), json::to_vec(self));
        let config = Content::from_bytes(Descriptor::empty_json(), "{}")?;
        let mut manifest =
            ImageManifest::new(config.descriptor().clone(), vec![document.descriptor().clone()]);
        manifest.artifact_type = Some(MediaType::new(BUNDLE_TYPE));
        let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
        Ok(vec![config, document, manifest])
    }
}

impl BundledRepository {
    /// Sorts the referrers by their subjects, then by their digests.
    pub(super) fn sort_referrers(&mut self) {
        self.referrers.sort_by_cached_key(|referrer| {
            (referrer.subject.to_string(), referrer.descriptor.digest.to_string())
        });
    }
}

/// Returns the entry of `index.json` for a tag with its full name.
pub(super) fn tag_entry(repository: &str, tag: &str, node: &Descriptor, is_image: bool) -> Descriptor {
    let mut entry = node.clone();
    let name = format!("{repository}:{tag}");
    if is_image {
        entry.annotations.insert(IMAGE_NAME.to_owned(), name.clone());
    }
    entry.annotations.insert(annotation::REF_NAME.to_owned(), name);
    entry
}
