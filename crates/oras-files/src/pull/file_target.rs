//! A directory as the target of a pull.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use oras_fs::blocking;
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, PushMode, Pushed, Result, Target};
use parking_lot::Mutex;

use super::duplicate_content::copy_duplicate;
use super::options::PullOptions;
use super::publish::publish;
use super::stage::stage;
use super::staged_item::StagedItem;
use super::title_path::Destinations;
use crate::title::clean;

/// A directory that titled content is pulled into. It is a [`Target`], so any copy can write to it.
///
/// Nothing is visible before [`FileTarget::commit`]; dropping the target deletes the staged files. Content without a
/// title is neither read nor written.
#[derive(Clone, Debug)]
pub struct FileTarget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    destinations: Arc<Destinations>,
    /// The staged items, by their cleaned title.
    staged: Mutex<BTreeMap<String, StagedContent>>,
}

#[derive(Clone, Debug)]
struct StagedContent {
    digest: Digest,
    item: StagedItem,
}

impl FileTarget {
    /// Creates a target that writes below `output`. The directory is created with the first file if it does not exist.
    pub fn new(output: PathBuf, options: PullOptions) -> Self {
        let destinations = Arc::new(Destinations::new(output, options));
        Self { inner: Arc::new(Inner { destinations, staged: Mutex::default() }) }
    }

    /// Publishes all staged files. If an error occurs, publishes none of them.
    ///
    /// Conflicts are checked before the first file is moved. If a move still fails, the earlier moves are
    /// undone. Existing directories are merged with those of the artifact; an existing link is replaced, never
    /// followed.
    pub async fn commit(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            // Dropped last: a staging directory must exist until its items are published.
            let _open = inner.destinations.take_open();
            let staged = std::mem::take(&mut *inner.staged.lock());
            let items: Vec<_> = staged.into_values().map(|staged| staged.item).collect();
            publish(&items, inner.destinations.options.keep_old_files)
        })
        .await
    }
}

impl Inner {
    /// Returns true if this content is already staged under the title.
    ///
    /// # Errors
    /// `AlreadyExists` if other content is staged under the title.
    fn is_staged(&self, layer: &Descriptor, title: &str) -> Result<bool> {
        match self.staged.lock().get(&cleaned(title)) {
            Some(staged) if staged.digest == layer.digest => Ok(true),
            Some(_) => Err(Error::new(ErrorKind::AlreadyExists, format!("{title}: duplicate name"))),
            None => Ok(false),
        }
    }

    fn record(&self, layer: &Descriptor, item: StagedItem) {
        let title = cleaned(layer.title().unwrap_or_default());
        self.staged.lock().insert(title, StagedContent { digest: layer.digest.clone(), item });
    }

    /// Copies content that was staged under another title, because a manifest lists it under several titles and it was
    /// pushed only once.
    fn stage_duplicate(&self, layer: &Descriptor, title: &str) -> Result<()> {
        if self.is_staged(layer, title)? {
            return Ok(());
        }
        let original = self.staged.lock().values().find(|staged| staged.digest == layer.digest).cloned();
        let Some(original) = original else { return Ok(()) };
        let item = copy_duplicate(&self.destinations, &original.item, layer, title)?;
        self.record(layer, item);
        Ok(())
    }
}

fn cleaned(title: &str) -> String {
    clean(Path::new(title)).to_string_lossy().into_owned()
}

#[async_trait]
impl Target for FileTarget {
    /// Returns true if the content is staged. A manifest is always fetched, because `push` reads the titles of its
    /// children.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        descriptor.title().map_or(Ok(false), |title| self.inner.is_staged(descriptor, title))
    }

    /// Stages content with a title, whatever the mode: a directory has no tags.
    async fn push(&self, content: &Content, _: PushMode<'_>) -> Result<Pushed> {
        let descriptor = content.descriptor();
        if let Some(title) = descriptor.title() {
            if self.inner.is_staged(descriptor, title)? {
                return Ok(Pushed::Existed);
            }
            let item = stage(&self.inner.destinations, content, title).await?;
            self.inner.record(descriptor, item);
            return Ok(Pushed::Copied);
        }
        if descriptor.media_type.is_manifest() {
            let children = content.manifest(MAX_MANIFEST_SIZE.max(descriptor.size)).await?.children();
            for child in children {
                let Some(title) = child.title().map(ToOwned::to_owned) else { continue };
                let inner = Arc::clone(&self.inner);
                blocking(move || inner.stage_duplicate(&child, &title)).await?;
            }
        }
        Ok(Pushed::Existed)
    }
}
