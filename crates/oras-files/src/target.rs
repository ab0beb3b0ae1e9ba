//! Nodes written to paths: staged and verified first, published together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use oras_spec::{Descriptor, Digest, MediaType, annotation};
use oras_store::fsio::{self, Durability, blocking};
use oras_store::{Content, Error, Kind, MAX_MANIFEST_SIZE, Pushed, Result, Target};
use tempfile::TempDir;

use crate::extract::{self, Archive};
use crate::publish::{self, Item};
use crate::title::{clean, is_local};

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullOptions {
    /// Follows titles that lead out of the output directory.
    pub allow_path_traversal: bool,
    /// Fails instead of replacing what is there.
    pub keep_old_files: bool,
    /// Refuses archives that unpack to more bytes than this.
    pub max_unpacked_size: u64,
}

impl Default for PullOptions {
    /// Nothing outside of the output directory, replacing what is there, archives up to 1 TiB.
    fn default() -> Self {
        Self { allow_path_traversal: false, keep_old_files: false, max_unpacked_size: 1 << 40 }
    }
}

/// A directory that titled content is pulled into.
///
/// Nothing is visible before [`FileTarget::commit`]; dropping the target removes what was staged. What has no title
/// is not wanted: [`Target::exists`] says that it is there, so that nobody fetches it.
#[derive(Clone, Debug)]
pub struct FileTarget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    output: PathBuf,
    options: PullOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// One staging directory per directory that files are published below: the same file system, so a rename does.
    staging: BTreeMap<PathBuf, TempDir>,
    staged: BTreeMap<String, StagedFile>,
    count: u64,
}

#[derive(Clone, Debug)]
struct StagedFile {
    digest: Digest,
    item: Item,
}

/// Where a title leads.
struct Place {
    /// The nearest directory that exists.
    base: PathBuf,
    /// The path below it.
    relative: PathBuf,
    /// The whole path.
    path: PathBuf,
}

impl FileTarget {
    /// A target that writes below `output`, which is made with the first file if it is not there.
    pub fn new(output: PathBuf, options: PullOptions) -> Self {
        Self { inner: Arc::new(Inner { output, options, state: Mutex::default() }) }
    }

    /// Gives everything that was staged its name: all, or after an error none.
    ///
    /// What is in the way is checked before anything is moved; should a move fail all the same, what was moved is
    /// moved back. Existing directories are merged with those of the artifact; an existing link is replaced, never
    /// followed.
    pub async fn commit(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let state = std::mem::take(&mut *inner.state());
            let items: Vec<_> = state.staged.into_values().map(|staged| staged.item).collect();
            publish::publish(&items, inner.options.keep_old_files)
        })
        .await
    }

    async fn stage(&self, content: &Content, title: &str) -> Result<()> {
        let descriptor = content.descriptor();
        let inner = Arc::clone(&self.inner);
        let owned = title.to_owned();
        let (place, directory) = blocking(move || {
            let place = inner.place(&owned)?;
            let directory = inner.staging(&place)?;
            Ok((place, directory))
        })
        .await?;
        let failed =
            |error: Error| error.context(format!("failed to copy content to {}", place.path.display()));
        // That the content can't be had at all is no failure of the copying.
        let stream = content.unverified(0..descriptor.size).await?;
        let opened = Content::once(descriptor.clone(), stream);
        let staged = fsio::stage(&opened, &directory, Durability::Relaxed).await.map_err(failed)?;
        let unpack = descriptor.annotations.get(annotation::UNPACK).is_some_and(|unpack| unpack == "true");
        let (title, expected) =
            (title.to_owned(), descriptor.annotations.get(annotation::CONTENT_DIGEST).cloned());
        let (limit, shown) = (self.inner.options.max_unpacked_size, place.path.display().to_string());
        let target = directory.join("content");
        let staged_at = target.clone();
        blocking(move || {
            if !unpack {
                return staged.publish(&target).map(drop);
            }
            let archive = Archive { title: &title, content_digest: expected.as_deref(), max_size: limit };
            extract::extract(staged.path(), &target, &archive)
                .map_err(|error| error.context(format!("failed to extract tar to {shown}")))
        })
        .await?;
        self.inner.record(descriptor, Item { base: place.base, staged: staged_at, target: place.relative });
        Ok(())
    }

    /// Writes the titles of a manifest whose content came under another title.
    async fn restore(&self, manifest: &Content) -> Result<()> {
        let children = manifest.manifest(MAX_MANIFEST_SIZE.max(manifest.descriptor().size)).await?.children();
        for child in children {
            let Some(title) = child.title().map(ToOwned::to_owned) else { continue };
            let inner = Arc::clone(&self.inner);
            blocking(move || inner.copy_of(&child, &title)).await?;
        }
        Ok(())
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, title: &str) -> Result<Place> {
        let refused = || {
            let message = format!("failed to resolve path for writing: path traversal disallowed: {title:?}");
            Error::new(Kind::InvalidContent, message)
        };
        let named = clean(Path::new(title));
        if title.contains('\0') || named == Path::new(".") {
            return Err(Error::new(Kind::InvalidContent, format!("{title:?} is not the name of a file")));
        }
        let output = std::path::absolute(&self.output)
            .map_err(|error| Error::io(format!("failed to find {}", self.output.display()), error))?;
        // Cleaned before it is looked at, as the Go tool does: `../out` is beside where we are.
        let output = clean(&output);
        let local = is_local(&named);
        if !local && !self.options.allow_path_traversal {
            return Err(refused());
        }
        let path = clean(&output.join(&named));
        // Below the output directory no link may lead out of it; elsewhere the user asked for it.
        let from = if local { output.clone() } else { path.parent().unwrap_or(&path).to_owned() };
        let existing = from.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
        if !existing.is_dir() {
            let message = format!(
                "failed to ensure directories of the target path: mkdir {}: not a directory",
                existing.display()
            );
            return Err(Error::new(Kind::Io, message));
        }
        let relative = path.strip_prefix(existing).map_err(|_| refused())?.to_owned();
        let base = existing
            .canonicalize()
            .map_err(|error| Error::io(format!("failed to find {}", existing.display()), error))?;
        publish::check_parents(&base, &relative).map_err(|error| match error.kind() {
            Kind::Denied => refused(),
            _ => error,
        })?;
        if self.options.keep_old_files && path.symlink_metadata().is_ok() {
            let message =
                format!("failed to resolve path for writing: overwrite disallowed: {}", path.display());
            return Err(Error::new(Kind::AlreadyExists, message));
        }
        Ok(Place { base, relative, path })
    }

    /// A fresh directory on the file system of the place.
    fn staging(&self, place: &Place) -> Result<PathBuf> {
        let failed =
            |error| Error::io(format!("failed to create a directory in {}", place.base.display()), error);
        let mut state = self.state();
        state.count += 1;
        let name = state.count.to_string();
        if !state.staging.contains_key(&place.base) {
            let directory =
                tempfile::Builder::new().prefix(".oras-pull-").tempdir_in(&place.base).map_err(failed)?;
            state.staging.insert(place.base.clone(), directory);
        }
        let root =
            state.staging.get(&place.base).map(|directory| directory.path().to_owned()).unwrap_or_default();
        drop(state);
        let directory = root.join(name);
        fs::create_dir(&directory).map_err(failed)?;
        Ok(directory)
    }

    /// Claims a title; two different contents can't have one.
    fn claimed(&self, descriptor: &Descriptor, title: &str) -> Result<bool> {
        match self.state().staged.get(&clean(Path::new(title)).to_string_lossy().into_owned()) {
            Some(staged) if staged.digest == descriptor.digest => Ok(true),
            Some(_) => Err(Error::new(Kind::AlreadyExists, format!("{title}: duplicate name"))),
            None => Ok(false),
        }
    }

    fn record(&self, descriptor: &Descriptor, item: Item) {
        let title = clean(Path::new(descriptor.title().unwrap_or_default())).to_string_lossy().into_owned();
        self.state().staged.insert(title, StagedFile { digest: descriptor.digest.clone(), item });
    }

    fn copy_of(&self, child: &Descriptor, title: &str) -> Result<()> {
        if self.claimed(child, title)? {
            return Ok(());
        }
        let from = self.state().staged.values().find(|staged| staged.digest == child.digest).cloned();
        let Some(from) = from else { return Ok(()) };
        if from.item.staged.is_dir() {
            let message = format!("{title}: the same directory cannot be pulled under two names");
            return Err(Error::new(Kind::Unsupported, message));
        }
        let place = self.place(title)?;
        let staged = self.staging(&place)?.join("content");
        fs::copy(&from.item.staged, &staged).map_err(|error| {
            Error::io(format!("failed to copy content to {}", place.path.display()), error)
        })?;
        self.record(child, Item { base: place.base, staged, target: place.relative });
        Ok(())
    }
}

#[async_trait]
impl Target for FileTarget {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(descriptor.title().is_none() && !is_manifest(&descriptor.media_type))
    }

    async fn push(&self, content: &Content) -> Result<Pushed> {
        let descriptor = content.descriptor();
        match descriptor.title() {
            Some(title) => {
                if self.inner.claimed(descriptor, title)? {
                    return Ok(Pushed::Existed);
                }
                self.stage(content, title).await?;
                Ok(Pushed::Copied)
            }
            None if is_manifest(&descriptor.media_type) => {
                self.restore(content).await?;
                Ok(Pushed::Existed)
            }
            None => Ok(Pushed::Existed),
        }
    }

    async fn tag(&self, content: &Content, _: &str) -> Result<()> {
        self.push(content).await.map(drop)
    }
}

fn is_manifest(media_type: &MediaType) -> bool {
    media_type.is_manifest()
}
