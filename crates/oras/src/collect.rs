//! Files named for an artifact, collected into nodes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use oras_copy::Event;
use oras_files::{Collection, Prepared, ScannedPath};
use oras_spec::{Descriptor, MediaType, json};
use oras_store::{Pushed, Result, Store};

use crate::earlier_layers::EarlierLayers;
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

/// Files that are looked at, and read if they are small, before those in front of them are done.
const AHEAD: usize = 32;

/// The layers of an artifact, in order, and which of them the target has already.
#[derive(Default)]
pub(crate) struct Layers {
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) sent: Vec<Descriptor>,
}

/// Adds `files` to `collection`. A large file is sent to `target` while it is hashed, a large directory while it is packed.
/// What looks like one of the `earlier` layers is hashed first and not sent if the target has it.
pub(crate) async fn files(
    collection: &Collection,
    files: Vec<FileArgument>,
    target: &dyn Store,
    mut earlier: EarlierLayers<'_>,
    listener: &Arc<dyn Listener>,
) -> Result<Layers> {
    let Layers { mut layers, mut sent } = Layers::default();
    let prepare = |file: &FileArgument| {
        let FileArgument { title, path, media_type, .. } = file.clone();
        async move { collection.prepare(&title, &path, media_type).await }
    };
    let ahead: Vec<_> = files.iter().map(prepare).collect();
    let mut ahead = stream::iter(ahead).buffered(AHEAD);
    for file in &files {
        listener.step(Step::Preparing(&file.title));
        let Some(prepared) = ahead.next().await else { break };
        let mut layer = match prepared? {
            Prepared::Described(layer) => layer,
            Prepared::Scanned(scanned) if scanned.is_large() => {
                let (layer, is_sent) = send(collection, scanned, (target, &mut earlier), listener).await?;
                if is_sent {
                    sent.push(layer.clone());
                }
                layer
            }
            Prepared::Scanned(scanned) => collection.describe(scanned).await?,
        };
        layer.annotations.extend(file.annotations.clone());
        layers.push(layer);
    }
    if layers.is_empty() {
        listener.step(Step::EmptyArtifact);
    }
    Ok(Layers { layers, sent })
}

/// Sends what is large, and tells of it as of any node once it is known which it is; whether it is there now.
async fn send(
    collection: &Collection,
    scanned: ScannedPath,
    (target, earlier): (&dyn Store, &mut EarlierLayers<'_>),
    listener: &Arc<dyn Listener>,
) -> Result<(Descriptor, bool)> {
    let (title, size) = (scanned.title().to_owned(), scanned.size());
    let progress = {
        let listener = Arc::clone(listener);
        Arc::new(move |bytes| listener.step(Step::Sending { title: &title, size, bytes }))
    };
    let (node, outcome) = collection.send(scanned, target, progress, earlier.get().boxed()).await?;
    let Some(outcome) = outcome else { return Ok((node, false)) };
    if outcome == Pushed::Copied {
        listener.step(Step::Node(Event::Started(&node)));
    }
    listener.step(Step::Node(Event::Finished { node: &node, outcome, children: &[] }));
    Ok((node, true))
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
