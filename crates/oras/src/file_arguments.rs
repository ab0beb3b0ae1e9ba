//! Turns file arguments into the layers of an artifact.

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileArgument {
    /// The title of the layer. A pull writes the file to this path.
    pub title: String,
    /// The path of the file or directory.
    pub path: PathBuf,
    /// The media type of the layer. `None` means the default for a file or a directory.
    pub media_type: Option<MediaType>,
    /// Further annotations of the layer.
    pub annotations: BTreeMap<String, String>,
}

impl FileArgument {
    /// Returns an argument for the file or directory at `path`, with the default media type.
    pub fn new(title: impl Into<String>, path: impl AsRef<Path>) -> Self {
        Self { title: title.into(), path: path.as_ref().to_owned(), ..Self::default() }
    }
}

/// The number of files that are opened in advance, and read if they are small, while a large file is sent.
const LOOKAHEAD: usize = 32;

/// The layers of the files.
pub(crate) struct FileLayers {
    /// All layers, in the order of the files.
    pub(crate) layers: Vec<Descriptor>,
    /// The layers that the target has already.
    pub(crate) present: Vec<Descriptor>,
}

/// Adds `files` to `collection`.
///
/// A large file is sent to `target` while it is hashed, and a large directory while it is packed, so that each is read
/// once. If a file is probably one of the `earlier` layers, it is hashed first, and it is not sent if the target has
/// it.
pub(crate) async fn add_files(
    collection: &Collection,
    files: Vec<FileArgument>,
    target: &dyn Store,
    mut earlier: EarlierLayers<'_>,
    listener: &Arc<dyn Listener>,
) -> Result<FileLayers> {
    let (mut layers, mut present) = (Vec::new(), Vec::new());
    let prepare = |file: &FileArgument| {
        let FileArgument { title, path, media_type, .. } = file.clone();
        async move { collection.prepare(&title, &path, media_type).await }
    };
    // Opens several files at a time, but keeps their order, which is the order of the layers.
    let lookahead: Vec<_> = files.iter().map(prepare).collect();
    let mut lookahead = stream::iter(lookahead).buffered(LOOKAHEAD);
    for file in &files {
        listener.step(Step::Preparing(&file.title));
        // The stream has one item for each file, so it does not end early.
        let Some(prepared) = lookahead.next().await else { break };
        let mut layer = match prepared? {
            Prepared::Described(layer) => layer,
            // Only large files use the earlier layers: for small files, the lookup costs more than it saves.
            Prepared::Scanned(scanned) if scanned.is_large() => {
                let (layer, is_present) =
                    send_large(collection, scanned, target, &mut earlier, listener).await?;
                if is_present {
                    present.push(layer.clone());
                }
                layer
            }
            Prepared::Scanned(scanned) => collection.describe(scanned).await?,
        };
        // The given annotations replace those of packing, such as the title.
        layer.annotations.extend(file.annotations.clone());
        layers.push(layer);
    }
    if layers.is_empty() {
        listener.step(Step::EmptyArtifact);
    }
    Ok(FileLayers { layers, present })
}

/// Sends a large file or directory, and returns its layer and whether the target has it now.
///
/// The events of the node are reported after the transfer, because the digest is unknown until then.
async fn send_large(
    collection: &Collection,
    scanned: ScannedPath,
    target: &dyn Store,
    earlier: &mut EarlierLayers<'_>,
    listener: &Arc<dyn Listener>,
) -> Result<(Descriptor, bool)> {
    let (title, size) = (scanned.title().to_owned(), scanned.size());
    let progress = {
        let listener = Arc::clone(listener);
        Arc::new(move |bytes| listener.step(Step::Sending { title: &title, size, bytes }))
    };
    let (node, outcome) = collection.send(scanned, target, progress, earlier.get().boxed()).await?;
    // Without an outcome nothing was sent, and the copy transfers the layer later.
    let Some(outcome) = outcome else { return Ok((node, false)) };
    if outcome == Pushed::Copied {
        listener.step(Step::Node(Event::Started(&node)));
    }
    listener.step(Step::Node(Event::Finished { node: &node, outcome, children: &[] }));
    Ok((node, true))
}

/// Adds the config to `collection`. Returns `None` for an empty config, because packing generates it.
pub(crate) async fn add_config(
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
    // This removes the title `$config`. With a title, a pull would write the config as a file.
    descriptor.annotations.clone_from(annotations);
    Ok(Some(descriptor))
}
