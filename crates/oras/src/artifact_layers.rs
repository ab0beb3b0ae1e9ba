//! Adds the layers and the config of an artifact to a collection.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use oras_copy::Event;
use oras_files::{Collection, Prepared, ScannedPath};
use oras_fs::blocking;
use oras_spec::{Descriptor, MediaType};
use oras_store::{ProgressUpdate, Pushed, Result, Store};

use crate::artifact::{ArtifactConfig, LayerInput};
use crate::earlier_layers::EarlierLayers;
use crate::{FileArgument, Listener, Step};

/// The number of files that are opened in advance, and read if they are small, while a large file is sent.
const LOOKAHEAD: usize = 32;

/// The layers of an artifact.
pub(crate) struct ArtifactLayers {
    /// All layers, in order.
    pub(crate) layers: Vec<Descriptor>,
    /// The layers that the target has already.
    pub(crate) present: Vec<Descriptor>,
}

/// Adds `inputs` to `collection`.
///
/// A large file is sent to `target` while it is hashed, and a large directory while it is packed, so that each is read
/// once. If a file is probably one of the `earlier` layers, it is hashed first, and it is not sent if the target has
/// it.
pub(crate) async fn add_layers(
    collection: &Collection,
    inputs: Vec<LayerInput>,
    target: &dyn Store,
    mut earlier: EarlierLayers<'_>,
    listener: &Arc<dyn Listener>,
) -> Result<ArtifactLayers> {
    let (mut layers, mut present) = (Vec::new(), Vec::new());
    listener.step(Step::Files { count: inputs.len(), bytes: total_size(&inputs).await });
    let prepare = |file: &FileArgument| {
        let FileArgument { title, path, media_type, .. } = file.clone();
        async move { collection.prepare(&title, &path, media_type).await }
    };
    let files = inputs.iter().filter_map(|input| match input {
        LayerInput::File(file) => Some(prepare(file)),
        LayerInput::Content(_) => None,
    });
    // Opens several files at a time, but keeps their order, which is the order of the layers.
    let mut lookahead = stream::iter(files.collect::<Vec<_>>()).buffered(LOOKAHEAD);
    for input in &inputs {
        let file = match input {
            LayerInput::File(file) => file,
            LayerInput::Content(content) => {
                layers.push(collection.add_content(content.clone()));
                continue;
            }
        };
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
    Ok(ArtifactLayers { layers, present })
}

/// Returns the sum of the sizes of `inputs`. Returns `None` if one is a directory, whose packed size is unknown, or
/// can't be read, which its preparation reports.
async fn total_size(inputs: &[LayerInput]) -> Option<u64> {
    let mut paths = Vec::new();
    let mut total = 0;
    for input in inputs {
        match input {
            LayerInput::File(file) => paths.push(file.path.clone()),
            LayerInput::Content(content) => total += content.descriptor().size,
        }
    }
    let sizes = blocking(move || {
        let size = |path| Some(std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?.len());
        Ok(paths.into_iter().map(size).sum::<Option<u64>>())
    });
    Some(total + sizes.await.ok()??)
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
        Arc::new(move |update| {
            listener.step(match update {
                ProgressUpdate::Transferred(bytes) => Step::Sending { title: &title, size, bytes },
                ProgressUpdate::Present(bytes) => Step::Sent { title: &title, size, bytes },
            });
        })
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
    config: ArtifactConfig,
    annotations: &BTreeMap<String, String>,
) -> Result<Option<Descriptor>> {
    let mut descriptor = match config {
        ArtifactConfig::Empty => return Ok(None),
        ArtifactConfig::File { path, media_type } => {
            let media_type = media_type.unwrap_or(MediaType::UNKNOWN_CONFIG);
            collection.add("$config", &path, Some(media_type)).await?
        }
        ArtifactConfig::Content(content) => collection.add_content(content),
    };
    // This removes the title `$config`. With a title, a pull would write the config as a file.
    descriptor.annotations.clone_from(annotations);
    Ok(Some(descriptor))
}
