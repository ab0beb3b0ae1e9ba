//! Opens a single file of an artifact.

use std::sync::Arc;

use oras_spec::{Descriptor, Platform};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Result, Source};

use crate::Selector;
use crate::resolve::fetch_root;

/// Opens the only file that `selector` selects in the artifact that `reference` names.
///
/// The content is transferred when it is read, and verified against the digest of the layer.
///
/// ```
/// use oras::{Artifact, Memory, Selector, open_file};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// let artifact = Artifact::new("application/vnd.me").titled_layer("hi.txt", "text/plain", "hello\n");
/// artifact.push(&store, Some("v1")).await?;
/// let file = open_file(store, "v1", None, &Selector::default()).await?;
/// assert_eq!(file.bytes(100).await?, "hello\n");
/// # Ok(()) }
/// ```
///
/// # Errors
/// - [`ErrorKind::NotFound`] if no file is selected. The message lists the titles of all files.
/// - [`ErrorKind::InvalidInput`] if several files are selected. The message lists their titles.
/// - The errors of the source.
pub async fn open_file(
    source: impl Source + 'static,
    reference: &str,
    platform: Option<&Platform>,
    selector: &Selector,
) -> Result<Content> {
    let source: Arc<dyn Source> = Arc::new(source);
    let root = fetch_root(Arc::clone(&source), reference, platform).await?;
    let children = root.manifest(MAX_MANIFEST_SIZE).await?.children();
    // A child without a title is not a file, for example the config.
    let titled: Vec<_> = children.into_iter().filter(|child| child.title().is_some()).collect();
    let titles =
        |nodes: &[&Descriptor]| nodes.iter().filter_map(|node| node.title()).collect::<Vec<_>>().join(", ");
    let wanted: Vec<_> = titled.iter().filter(|child| selector.wants(child)).collect();
    match wanted.as_slice() {
        [one] => Ok(Content::from_source(source, (*one).clone())),
        [] => {
            let all = titles(&titled.iter().collect::<Vec<_>>());
            Err(Error::new(
                ErrorKind::NotFound,
                format!("no file of {reference} is wanted: there are [{all}]"),
            ))
        }
        several => {
            let message = format!("one file can be written at a time, wanted are [{}]", titles(several));
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_memory::Memory;
    use oras_spec::{ImageManifest, MediaType, annotation};
    use oras_store::{PushMode, Target};

    #[tokio::test]
    async fn opens_exactly_one_selected_file() {
        let store = Arc::new(Memory::new());
        let mut layers = Vec::new();
        for title in ["a.txt", "b.txt"] {
            let blob = Content::of(MediaType::LAYER_TAR, title);
            store.push(&blob, PushMode::Untagged).await.unwrap();
            let mut layer = blob.descriptor().clone();
            layer.annotations.insert(annotation::TITLE.to_owned(), title.to_owned());
            layers.push(layer);
        }
        let manifest = ImageManifest::new(Descriptor::empty_json(), layers);
        store
            .push(&Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes()), PushMode::Tagged("v1"))
            .await
            .unwrap();
        let open = async |name: &'static str| {
            let selector =
                Selector::new(move |layer| layer.title().is_some_and(|title| title.contains(name)));
            open_file(store.clone(), "v1", None, &selector).await
        };
        assert_eq!(open("b").await.unwrap().bytes(9).await.unwrap(), "b.txt");
        let error = open("z").await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::NotFound && error.to_string().contains("[a.txt, b.txt]"),
            "{error}"
        );
        assert_eq!(open("txt").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
