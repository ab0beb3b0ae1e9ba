//! Tags, one object each.

use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{PutMode, UpdateVersion};
use oras_spec::reference::check_tag;
use oras_spec::{Descriptor, Digest, json};
use oras_store::{Error, ErrorKind, Result};

use crate::Bucket;
use crate::errors::{failed, lost_race};
use crate::index_update::IndexChange;
use crate::manifests::READS_IN_FLIGHT;

/// Attempts to replace a tag while other writers replace it, too. One writer succeeds in each round, so this is more than
/// the writers of one tag that are expected at the same time.
const MAX_ATTEMPTS: u32 = 64;

impl Bucket {
    /// Makes `tag` name a manifest only if it names the manifest `expected` now. With `None`, the tag must not exist.
    /// Programs use it to detect that another writer has moved the tag.
    ///
    /// # Errors
    /// `AlreadyExists` if the tag names another manifest or exists, and `NotFound` if it does not exist. `InvalidInput`
    /// for an invalid tag.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    ///
    /// use oras_bucket::Bucket;
    /// use oras_bucket::store::spec::MediaType;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> oras_bucket::store::Result<()> {
    /// let bucket = Bucket::new(Arc::new(oras_bucket::object_store::memory::InMemory::new()), "app");
    /// let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    /// let index = bucket.push_manifest(MediaType::IMAGE_INDEX, index, None).await?;
    /// bucket.replace_tag("v1", &index, None).await?;
    /// assert!(bucket.replace_tag("v1", &index, None).await.is_err(), "the tag exists");
    /// bucket.replace_tag("v1", &index, Some(&index.digest)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn replace_tag(&self, tag: &str, node: &Descriptor, expected: Option<&Digest>) -> Result<()> {
        let tag = check_tag(tag)?;
        self.ensure_marker().await?;
        let mode = match expected {
            None => PutMode::Create,
            Some(expected) => match self.read_tag(tag).await? {
                Some((named, version)) if named.digest == *expected => PutMode::Update(version),
                Some(_) => return Err(moved(tag)),
                None => return Err(self.not_found(tag)),
            },
        };
        if !self.put_tag(tag, node, mode).await? {
            return Err(moved(tag));
        }
        self.note_change(IndexChange::Tag(node.clone(), tag.to_owned()));
        self.update_index().await
    }

    /// Makes `tag` name a manifest. An existing tag is replaced.
    pub(crate) async fn set_tag(&self, tag: &str, node: &Descriptor) -> Result<()> {
        if self.options().single_writer {
            return self.put_tag(tag, node, PutMode::Overwrite).await.map(drop);
        }
        // Most tags are new, so the first request is a create-only put.
        let mut mode = PutMode::Create;
        for attempt in 0..MAX_ATTEMPTS {
            if self.put_tag(tag, node, mode).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(20)) * 5)).await;
            mode = match self.read_tag(tag).await? {
                Some((named, _)) if named == node.plain() => return Ok(()),
                Some((_, version)) => PutMode::Update(version),
                None => PutMode::Create,
            };
        }
        Err(moved(tag))
    }

    /// Returns false if the condition of `mode` does not hold.
    async fn put_tag(&self, tag: &str, node: &Descriptor, mode: PutMode) -> Result<bool> {
        let key = self.keys().tag(tag);
        match self.store().put_opts(&key, json::to_vec(&node.plain()).into(), mode.into()).await {
            Ok(_) => Ok(true),
            Err(error) if lost_race(&error) => Ok(false),
            Err(error) => Err(failed("write", &key, error)),
        }
    }

    pub(crate) async fn read_tag(&self, tag: &str) -> Result<Option<(Descriptor, UpdateVersion)>> {
        self.read_descriptor(&self.keys().tag(tag)).await
    }

    pub(crate) async fn delete_tag(&self, tag: &str) -> Result<()> {
        if tag.parse::<Digest>().is_ok() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("{tag} is a digest, not a tag")));
        }
        let key = self.keys().tag(check_tag(tag).map_err(|_| self.not_found(tag))?);
        // Some stores answer "ok" to the deletion of an object that does not exist.
        if self.size(&key).await?.is_none() {
            return Err(self.not_found(tag));
        }
        self.delete_object(&key).await?;
        self.note_change(IndexChange::Untag(tag.to_owned()));
        self.update_index().await
    }

    /// Deletes every tag that names `digest`. Reads all tags, because a tag is found only by its name.
    pub(crate) async fn delete_tags_of(&self, digest: &Digest) -> Result<()> {
        let mut tagged = self.list_tagged_nodes();
        while let Some((tag, node)) = tagged.try_next().await? {
            if node.digest == *digest {
                self.delete_object(&self.keys().tag(&tag)).await?;
            }
        }
        Ok(())
    }

    /// Lists the tags after `last` in ascending order, page by page.
    pub(crate) fn list_tags(&self, last: Option<&str>) -> BoxStream<'_, Result<String>> {
        let prefix = self.keys().tags();
        // Text that is not a tag is no key of a tag. The filter below compares it with every tag.
        let offset = last.and_then(|last| check_tag(last).ok()).map(|last| self.keys().tag(last));
        let objects = match offset {
            Some(offset) => self.store().list_with_offset(Some(&prefix), &offset),
            None => self.store().list(Some(&prefix)),
        };
        let last = last.map(str::to_owned);
        let names =
            objects.map_err(move |error| failed("list", &prefix, error)).try_filter_map(move |meta| {
                let name = meta.location.filename().filter(|name| check_tag(name).is_ok());
                let name =
                    name.filter(|name| last.as_deref().is_none_or(|last| *name > last)).map(str::to_owned);
                async { Ok(name) }
            });
        if self.lists_in_order() { names.boxed() } else { sorted(names.boxed()) }
    }

    /// Lists the tags with the descriptors that they name, in ascending order.
    pub(crate) fn list_tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        let nodes = self.list_tags(None).map_ok(move |tag| async move {
            let found = self.read_tag(&tag).await?;
            Ok(found.map(|(node, _)| (tag, node)))
        });
        nodes.try_buffered(READS_IN_FLIGHT).try_filter_map(async |found| Ok(found)).boxed()
    }

    /// Returns true if the store lists keys in the order of their bytes, as S3, Google Cloud Storage and Azure do.
    fn lists_in_order(&self) -> bool {
        !self.store().to_string().starts_with("LocalFileSystem")
    }
}

/// Collects and sorts a list.
fn sorted(names: BoxStream<'_, Result<String>>) -> BoxStream<'_, Result<String>> {
    let all = async {
        let mut names: Vec<String> = names.try_collect().await?;
        names.sort_unstable();
        Ok::<_, Error>(stream::iter(names).map(Ok))
    };
    stream::once(all).try_flatten().boxed()
}

fn moved(tag: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("another writer has changed the tag {tag}"))
}
