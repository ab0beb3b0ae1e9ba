//! An artifact in a store, for reading: its manifest, config, layers and referrers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use oras_spec::{Descriptor, Manifest, MediaType, Platform, annotation};
use serde::de::DeserializeOwned;

use crate::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, ReadStore, Result, Source, select_platform};

/// An artifact in a store: its manifest, and access to its config, layers and referrers. Cheap to clone.
///
/// A `StoredArtifact` is a snapshot: if the tag moves later, it still describes the manifest that was read. Layers are
/// read when they are asked for, and everything that is read is verified.
///
/// The stores of ORAS open one with their method `artifact`. [`StoredArtifact::open`] works with any [`ReadStore`].
///
/// ```
/// use oras_store::{ReadStore, Result, StoredArtifact};
///
/// /// Prints the name in the config of an artifact, and the size of each layer.
/// async fn describe(store: impl ReadStore + 'static) -> Result<()> {
///     let artifact = StoredArtifact::open(store, "v1").await?;
///     let config: serde_json::Value = artifact.config().await?;
///     println!("{}", config["name"]);
///     for layer in artifact.layers() {
///         // Small layers fit into memory; `reader` streams any layer.
///         println!("{} bytes", artifact.content(layer).bytes(1 << 20).await?.len());
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct StoredArtifact {
    store: Arc<dyn ReadStore>,
    descriptor: Descriptor,
    manifest: Arc<Manifest>,
}

impl StoredArtifact {
    /// Reads the manifest that `reference`, a tag or a digest, names in `store`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the store has no such tag or digest; `InvalidInput` if the digest is that of a blob;
    /// `TooLarge` for a manifest of more than [`MAX_MANIFEST_SIZE`] bytes; `InvalidContent` for a malformed one.
    pub async fn open(store: impl ReadStore + 'static, reference: &str) -> Result<Self> {
        Self::open_in(Arc::new(store), reference).await
    }

    async fn open_in(store: Arc<dyn ReadStore>, reference: &str) -> Result<Self> {
        match store.resolve_with_bytes(reference).await? {
            // The store has verified these bytes, so they are not fetched again.
            (descriptor, Some(bytes)) => {
                let manifest = Arc::new(Manifest::parse(&descriptor.media_type, bytes)?);
                Ok(Self { store, descriptor, manifest })
            }
            (descriptor, None) => Self::read(store, descriptor).await,
        }
    }

    async fn read(store: Arc<dyn ReadStore>, descriptor: Descriptor) -> Result<Self> {
        if !descriptor.media_type.is_manifest() {
            let message = format!("{} is a blob, not a manifest", descriptor.digest);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let source = Arc::clone(&store) as Arc<dyn Source>;
        let content = Content::from_source(source, descriptor.clone());
        let manifest = Arc::new(content.manifest(MAX_MANIFEST_SIZE).await?);
        Ok(Self { store, descriptor, manifest })
    }

    /// Reads a manifest that this one lists: an entry of an index, the subject, or a referrer.
    ///
    /// # Errors
    /// Those of [`StoredArtifact::open`].
    pub async fn related(&self, manifest: &Descriptor) -> Result<Self> {
        Self::read(Arc::clone(&self.store), manifest.clone()).await
    }

    /// Returns the image for `platform`: the first matching entry of an index, or this artifact if it is the image.
    ///
    /// # Errors
    /// Those of [`select_platform`](crate::select_platform): [`ErrorKind::NotFound`] if no image matches.
    pub async fn for_platform(&self, platform: &Platform) -> Result<Self> {
        let root = Content::from_bytes(self.descriptor.clone(), self.manifest.bytes().clone())?;
        let source = Arc::clone(&self.store) as Arc<dyn Source>;
        let selected = select_platform(source, &root, platform).await?;
        if selected.digest == self.descriptor.digest {
            Ok(self.clone())
        } else {
            self.related(&selected).await
        }
    }

    /// Returns the descriptor of the manifest.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the manifest with its original bytes.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the type of the artifact, see [`Manifest::artifact_type`].
    pub fn artifact_type(&self) -> Option<&MediaType> {
        self.manifest.artifact_type()
    }

    /// Returns the annotations of the manifest.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        self.manifest.annotations()
    }

    /// Returns the manifest to which this artifact refers, if there is one.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.manifest.subject()
    }

    /// Returns the layers in order. An index has none: [`StoredArtifact::for_platform`] selects an image of it.
    pub fn layers(&self) -> &[Descriptor] {
        self.manifest.layers()
    }

    /// Returns the first layer with this title, which is the path of its file.
    pub fn layer(&self, title: &str) -> Option<&Descriptor> {
        let has_title =
            |layer: &&Descriptor| layer.annotations.get(annotation::TITLE).is_some_and(|own| own == title);
        self.layers().iter().find(has_title)
    }

    /// Returns content that is listed in the manifest: a layer, the config, or an entry of an index. Reads nothing
    /// yet.
    pub fn content(&self, descriptor: &Descriptor) -> Content {
        Content::from_source(Arc::clone(&self.store) as Arc<dyn Source>, descriptor.clone())
    }

    /// Reads the config and decodes it from JSON.
    ///
    /// # Errors
    /// `InvalidInput` if the manifest is an index, which has no config; `TooLarge` for a config of more than
    /// [`MAX_MANIFEST_SIZE`] bytes; `InvalidContent` if it is not the JSON of a `T`.
    pub async fn config<T: DeserializeOwned>(&self) -> Result<T> {
        let Some(config) = self.manifest.config() else {
            let message =
                format!("{} has no config: it is an {}", self.descriptor.digest, self.descriptor.media_type);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        };
        let bytes = self.content(config).bytes(MAX_MANIFEST_SIZE).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::InvalidContent, format!("failed to decode the config {}", config.digest))
                .with_source(error)
        })
    }

    /// Lists the manifests whose subject is this manifest, each with its artifact type and annotations. With
    /// `artifact_type`, lists only referrers of this type. The
    /// referrers of an image in an index are not those of the index.
    pub async fn referrers(&self, artifact_type: Option<&MediaType>) -> Result<Vec<Descriptor>> {
        self.store.predecessors(&self.descriptor, artifact_type).await
    }
}

impl fmt::Debug for StoredArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredArtifact").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}
