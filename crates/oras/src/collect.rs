//! Files named for an artifact, collected into nodes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oras_files::Collection;
use oras_spec::{Descriptor, MediaType, json};
use oras_store::Result;

use crate::{ConfigArgument, Listener, Step};

/// A file or a directory to pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileArgument {
    /// What it is called in the artifact, and where it is pulled to.
    pub title: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its media type; the default is that of a layer.
    pub media_type: Option<MediaType>,
    /// More annotations of its layer.
    pub annotations: BTreeMap<String, String>,
}

impl FileArgument {
    /// The file at `path`, called `title`.
    pub fn new(title: impl Into<String>, path: impl AsRef<Path>) -> Self {
        Self {
            title: title.into(),
            path: path.as_ref().to_owned(),
            media_type: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// Adds `files` to `collection`; their descriptors are the layers, in order.
pub(crate) async fn files(
    collection: &Collection,
    files: Vec<FileArgument>,
    listener: &dyn Listener,
) -> Result<Vec<Descriptor>> {
    let mut layers = Vec::with_capacity(files.len());
    for file in files {
        listener.step(Step::Preparing(&file.title));
        let mut layer = collection.add(&file.title, &file.path, file.media_type).await?;
        layer.annotations.extend(file.annotations);
        layers.push(layer);
    }
    if layers.is_empty() {
        listener.step(Step::EmptyArtifact);
    }
    Ok(layers)
}

/// Adds the config to `collection`; `None` when packing makes it up.
pub(crate) async fn config(
    collection: &Collection,
    config: ConfigArgument,
    annotations: &BTreeMap<String, String>,
) -> Result<Option<Descriptor>> {
    let mut descriptor = match config {
        ConfigArgument::Empty => return Ok(None),
        ConfigArgument::File { path, media_type } => {
            let media_type = media_type.unwrap_or(MediaType::UNKNOWN_CONFIG);
            collection.add("$config", &path, Some(media_type)).await?
        }
        ConfigArgument::Platform(platform) => {
            collection.add_bytes(MediaType::IMAGE_CONFIG, json::to_vec(&platform).into())?
        }
    };
    descriptor.annotations.clone_from(annotations);
    Ok(Some(descriptor))
}
