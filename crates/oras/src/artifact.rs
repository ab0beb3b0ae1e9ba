//! The builder of an artifact: its type, config, layers, subject and annotations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use oras_files::{DirectoryOptions, title_of};
use oras_spec::{Descriptor, MediaType, Platform, annotation};
use oras_store::{Content, Error, ErrorKind, Result};
use serde::Serialize;

use crate::{FileArgument, ImageSpec};

/// An artifact to store: its type, config, layers, subject and annotations.
///
/// Layers are files, directories, or content from memory or from another store. Files are read when the artifact is
/// pushed. [`push`](fn@crate::push) and [`attach`](fn@crate::attach) store an artifact with options and report their
/// steps; [`Artifact::push`] stores it without them. To read an artifact, see
/// [`StoredArtifact`](crate::store::StoredArtifact).
///
/// ```
/// use oras::{Artifact, Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// let config = serde_json::json!({"name": "web"});
/// let pushed = Artifact::new("application/vnd.me")
///     .config_json("application/vnd.me.config+json", &config)?
///     .layer("text/plain", "hello world\n")
///     .annotation("org.opencontainers.image.version", "1.0")
///     .push(&store, Some("v1"))
///     .await?;
///
/// let signature = Artifact::new("application/vnd.me.signature")
///     .layer("application/octet-stream", vec![1, 2, 3])
///     .subject(pushed.root)
///     .push(&store, None)
///     .await?;
/// assert_eq!(store.referrers("v1").await?[0].digest, signature.root.digest);
///
/// let read = store.artifact("v1").await?;
/// assert_eq!(read.config::<serde_json::Value>().await?, config);
/// assert_eq!(read.content(&read.layers()[0]).bytes(100).await?, "hello world\n");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Artifact {
    pub(crate) image_spec: ImageSpec,
    pub(crate) artifact_type: Option<MediaType>,
    pub(crate) config: ArtifactConfig,
    pub(crate) config_annotations: BTreeMap<String, String>,
    pub(crate) layers: Vec<LayerInput>,
    pub(crate) subject: Option<Descriptor>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) directories: DirectoryOptions,
}

/// The config of an [`Artifact`].
#[derive(Clone, Debug, Default)]
pub(crate) enum ArtifactConfig {
    /// The empty config of the image-spec.
    #[default]
    Empty,
    /// A file. Without a media type, [`MediaType::UNKNOWN_CONFIG`] applies.
    File { path: PathBuf, media_type: Option<MediaType> },
    /// Any content.
    Content(Content),
}

/// A layer of an [`Artifact`].
#[derive(Clone, Debug)]
pub(crate) enum LayerInput {
    /// A file or directory.
    File(FileArgument),
    /// Any content.
    Content(Content),
}

impl Artifact {
    /// Makes an artifact of this type, with an empty config and without layers.
    ///
    /// The type must be a media type, such as `application/vnd.example`; a push rejects any other text.
    pub fn new(artifact_type: impl Into<String>) -> Self {
        Self::default().artifact_type(artifact_type)
    }

    /// Makes an artifact without a type. It needs a config with a media type of its own.
    pub fn untyped() -> Self {
        Self::default()
    }

    /// Sets the type.
    pub fn artifact_type(mut self, artifact_type: impl Into<String>) -> Self {
        self.artifact_type = Some(MediaType::new(artifact_type.into()));
        self
    }

    /// Sets the version of the image-spec whose rules the manifest follows.
    pub fn image_spec(mut self, version: ImageSpec) -> Self {
        self.image_spec = version;
        self
    }

    /// Sets the config to `bytes`.
    pub fn config(mut self, media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.config = ArtifactConfig::Content(Content::of(MediaType::new(media_type.into()), bytes));
        self
    }

    /// Sets the config to the JSON of `value`.
    ///
    /// # Errors
    /// `InvalidInput` if the value has no JSON, for example a map whose keys are not texts.
    pub fn config_json(self, media_type: impl Into<String>, value: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(value).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "failed to encode the config as JSON").with_source(error)
        })?;
        Ok(self.config(media_type, bytes))
    }

    /// Sets the config to a file, by default of the type [`MediaType::UNKNOWN_CONFIG`]. The push reads the file.
    pub fn config_file(mut self, path: impl Into<PathBuf>, media_type: Option<MediaType>) -> Self {
        self.config = ArtifactConfig::File { path: path.into(), media_type };
        self
    }

    /// Sets the config to an image config with this platform and no other field.
    pub fn config_platform(self, platform: &Platform) -> Self {
        self.config(MediaType::IMAGE_CONFIG, oras_spec::json::to_vec(platform))
    }

    /// Adds an annotation of the config.
    pub fn config_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config_annotations.insert(key.into(), value.into());
        self
    }

    /// Adds a layer of `bytes` without a title. A pull to a directory skips it.
    pub fn layer(self, media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.content(Content::of(MediaType::new(media_type.into()), bytes))
    }

    /// Adds a layer of `bytes`. A pull writes it to the file `title`, a relative path.
    pub fn titled_layer(
        self,
        title: impl Into<String>,
        media_type: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        let content = Content::of(MediaType::new(media_type.into()), bytes);
        let mut descriptor = content.descriptor().clone();
        descriptor.annotations.insert(annotation::TITLE.to_owned(), title.into());
        self.content(content.described_as(descriptor))
    }

    /// Adds a layer of any content, such as a blob of another store. The layer has the annotations of its descriptor.
    pub fn content(mut self, content: Content) -> Self {
        self.layers.push(LayerInput::Content(content));
        self
    }

    /// Adds a file or directory. Its title is the path if that is relative, otherwise the last part of the path.
    ///
    /// A file gets the media type [`MediaType::LAYER_TAR`], a directory is packed as
    /// [`MediaType::LAYER_TAR_GZIP`]; [`Artifact::file_as`] sets another type. The push reads the path.
    ///
    /// # Errors
    /// `InvalidInput` if the title would not be UTF-8, or would lead out of the directory of a pull, as `..` does.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self> {
        self.file_with(path.as_ref(), None)
    }

    /// Adds a file or directory with a media type, see [`Artifact::file`].
    ///
    /// # Errors
    /// Those of [`Artifact::file`].
    pub fn file_as(self, path: impl AsRef<Path>, media_type: impl Into<String>) -> Result<Self> {
        self.file_with(path.as_ref(), Some(MediaType::new(media_type.into())))
    }

    fn file_with(self, path: &Path, media_type: Option<MediaType>) -> Result<Self> {
        let invalid = || {
            let message = format!("{} gives no title for a layer", path.display());
            Error::new(ErrorKind::InvalidInput, message)
        };
        let named = if path.is_absolute() { path.file_name().map(Path::new) } else { Some(path) };
        let title = title_of(named.and_then(Path::to_str).ok_or_else(invalid)?);
        if title == "." || title == ".." || title.starts_with("../") {
            return Err(invalid());
        }
        Ok(self.file_argument(FileArgument { media_type, ..FileArgument::new(title, path) }))
    }

    /// Adds a file or directory with its own title, media type and annotations.
    pub fn file_argument(mut self, file: FileArgument) -> Self {
        self.layers.push(LayerInput::File(file));
        self
    }

    /// Adds an annotation of the manifest. The annotation `org.opencontainers.image.created` is set to the time of the
    /// push unless it is given.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Adds annotations of the manifest.
    pub fn annotations(mut self, annotations: impl IntoIterator<Item = (String, String)>) -> Self {
        self.annotations.extend(annotations);
        self
    }

    /// Sets the manifest to which the artifact refers. Clients find the artifact in the list of its referrers.
    pub fn subject(mut self, subject: Descriptor) -> Self {
        self.subject = Some(subject.plain());
        self
    }

    /// Sets how directories are packed.
    pub fn directories(mut self, options: DirectoryOptions) -> Self {
        self.directories = options;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oras_store::{Store, StoredArtifact};

    use super::*;
    use crate::{Memory, Quiet, attach};

    #[tokio::test]
    async fn keeps_the_order_of_files_and_content() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("b.txt");
        std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), b"b").unwrap();
        let (elsewhere, store) = (Memory::new(), Memory::new());
        let blob = elsewhere.push_blob(MediaType::OCTET_STREAM, "c").await.unwrap();
        let artifact = Artifact::new("a/b").titled_layer("a.txt", "text/plain", "a");
        let artifact = artifact.file(&file).unwrap().content(elsewhere.content(&blob));
        artifact.push(&store, Some("v1")).await.unwrap();

        let read = store.artifact("v1").await.unwrap();
        let titles: Vec<_> = read.layers().iter().map(Descriptor::title).collect();
        assert_eq!(titles, [Some("a.txt"), Some("b.txt"), None]);
        for (layer, bytes) in read.layers().iter().zip(["a", "b", "c"]) {
            assert_eq!(read.content(layer).bytes(1).await.unwrap(), bytes);
        }
        assert_eq!(read.layer("b.txt"), Some(&read.layers()[1]));
    }

    #[test]
    fn rejects_paths_without_a_title() {
        for path in [".", "..", "../x", "/", "a/../.."] {
            let error = Artifact::new("a/b").file(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        }
        assert!(Artifact::new("a/b").file("a/../b").is_ok());
    }

    #[tokio::test]
    async fn attaches_without_layers_and_replaces_the_subject() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let subject = Artifact::new("a/b").push(&store, Some("v1")).await.unwrap();
        let other = Artifact::new("a/other").push(&store, Some("v2")).await.unwrap();
        let note = Artifact::new("a/note").annotation("by", "me").subject(other.root);
        attach(Arc::clone(&store), "v1", note, crate::AttachOptions::default(), Quiet).await.unwrap();

        let subject =
            StoredArtifact::open(Arc::clone(&store), &subject.root.digest.to_string()).await.unwrap();
        let referrers = subject.referrers(Some(&MediaType::new("a/note"))).await.unwrap();
        assert_eq!(referrers.len(), 1);
        let note = subject.related(&referrers[0]).await.unwrap();
        assert_eq!(note.subject().map(|node| &node.digest), Some(&subject.descriptor().digest));
        assert!(subject.referrers(Some(&MediaType::new("a/none"))).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn rejects_what_has_no_config_or_is_no_manifest() {
        let store = Memory::new();
        let blob = store.push_blob(MediaType::new("application/json"), "[1]").await.unwrap();
        let read = store.artifact(&blob.digest.to_string()).await.unwrap_err();
        assert_eq!(read.kind(), ErrorKind::InvalidInput, "{}", read.chain());
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        store.push_manifest(MediaType::IMAGE_INDEX, index, Some("index")).await.unwrap();
        let index = store.artifact("index").await.unwrap();
        assert_eq!(index.config::<serde_json::Value>().await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let artifact = Artifact::new("a/b").config("application/json", "[1");
        artifact.push(&store, Some("v1")).await.unwrap();
        let config = store.artifact("v1").await.unwrap().config::<serde_json::Value>().await;
        assert_eq!(config.unwrap_err().kind(), ErrorKind::InvalidContent);
        assert_eq!(store.artifact("none").await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
