//! Which files of an artifact are wanted, and one file alone.

use std::fmt;
use std::sync::Arc;

use oras_spec::{Descriptor, Platform};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Result, Source};

use crate::resolve::fetch_root;

/// Chooses among the files of an artifact by their layers; by default all.
#[derive(Clone)]
pub struct Selector(Arc<dyn Fn(&Descriptor) -> bool + Send + Sync>);

impl Selector {
    /// The files for whose layer `wants` is true.
    pub fn new(wants: impl Fn(&Descriptor) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wants))
    }

    /// Whether the file of that layer is wanted.
    pub fn wants(&self, layer: &Descriptor) -> bool {
        (self.0)(layer)
    }
}

impl Default for Selector {
    fn default() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Selector")
    }
}

/// The one file of the artifact `reference` in `source` that `selector` wants; nothing of it is transferred yet, and
/// what is read from it is verified.
///
/// # Errors
/// [`ErrorKind::NotFound`] when no file is wanted, [`ErrorKind::InvalidInput`] when several are, each with the titles there are;
/// those of the source.
pub async fn open_file(
    source: Arc<dyn Source>,
    reference: &str,
    platform: Option<&Platform>,
    selector: &Selector,
) -> Result<Content> {
    let root = fetch_root(Arc::clone(&source), reference, platform).await?;
    let children = root.manifest(MAX_MANIFEST_SIZE).await?.children();
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
    use oras_store::Target;

    #[tokio::test]
    async fn one_file_or_none() {
        let store = Arc::new(Memory::new());
        let mut layers = Vec::new();
        for title in ["a.txt", "b.txt"] {
            let blob = Content::of(MediaType::LAYER_TAR, title);
            store.push(&blob).await.unwrap();
            let mut layer = blob.descriptor().clone();
            layer.annotations.insert(annotation::TITLE.to_owned(), title.to_owned());
            layers.push(layer);
        }
        let manifest = ImageManifest::new(Descriptor::empty_json(), layers);
        store.tag(&Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes()), "v1").await.unwrap();
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
