//! Nodes written to paths: staged and verified first, published together.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use oras_spec::{Descriptor, Digest, MediaType, annotation};
use oras_store::fsio::blocking;
use oras_store::{Content, Error, Kind, MAX_MANIFEST_SIZE, Pushed, Result, Target};
use parking_lot::{Mutex, MutexGuard};

use crate::base::Base;
use crate::extract::UnpackLimits;
use crate::kept::{self, Look};
use crate::publish::{self, Form, Item};
use crate::staging;
use crate::title::{check_parts, clean, is_local};

/// How files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullOptions {
    /// Follows titles that lead out of the output directory, and lets links in archives lead anywhere.
    pub allow_path_traversal: bool,
    /// Fails instead of replacing what is there.
    pub keep_old_files: bool,
    /// Gives what is unpacked all bits of its mode, whatever the umask; otherwise nothing gets the set-user-ID,
    /// set-group-ID or sticky bit.
    pub preserve_permissions: bool,
    /// How much an archive may unpack to.
    pub unpack: UnpackLimits,
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
pub(crate) struct Inner {
    output: PathBuf,
    options: PullOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The directories that files are published below.
    bases: BTreeMap<PathBuf, Arc<Base>>,
    staged: BTreeMap<String, StagedFile>,
}

#[derive(Clone, Debug)]
struct StagedFile {
    digest: Digest,
    item: Item,
}

/// Where a title leads.
pub(crate) struct Place {
    /// The nearest directory that exists.
    pub(crate) base: Arc<Base>,
    /// The path below it.
    pub(crate) relative: PathBuf,
    /// The whole path.
    pub(crate) path: PathBuf,
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
        let item = staging::stage(&self.inner, content, title).await?;
        self.inner.record(content.descriptor(), item);
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
        self.state.lock()
    }

    pub(crate) fn options(&self) -> PullOptions {
        self.options
    }

    pub(crate) fn place(&self, title: &str, is_directory: bool) -> Result<Place> {
        let refused = || {
            let message = format!("failed to resolve path for writing: path traversal disallowed: {title:?}");
            Error::new(Kind::InvalidContent, message)
        };
        let named = clean(Path::new(title));
        // `push .` names its directory like that: the output directory itself.
        if title.contains('\0') || (named == Path::new(".") && !is_directory) {
            return Err(Error::new(Kind::InvalidContent, format!("{title:?} is not the name of a file")));
        }
        check_parts(Path::new(title))?;
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
        let (existing, is_dir) = nearest(&from)?;
        if !is_dir {
            let message = format!(
                "failed to ensure directories of the target path: mkdir {}: not a directory",
                existing.display()
            );
            return Err(Error::new(Kind::Io, message));
        }
        let relative = clean(path.strip_prefix(existing).map_err(|_| refused())?);
        let base = existing
            .canonicalize()
            .map_err(|error| Error::io(format!("failed to find {}", existing.display()), error))?;
        let base = self.base(base)?;
        base.check_names(&relative)?;
        publish::parents_are_directories(&base.dir, &relative).map_err(|error| match error.kind() {
            Kind::Denied => refused(),
            _ => error,
        })?;
        if self.options.keep_old_files && is_taken(&path)? {
            let message =
                format!("failed to resolve path for writing: overwrite disallowed: {}", path.display());
            return Err(Error::new(Kind::AlreadyExists, message));
        }
        Ok(Place { base, relative, path })
    }

    /// The directory at `path`, where all links are resolved: opened once.
    fn base(&self, path: PathBuf) -> Result<Arc<Base>> {
        let mut state = self.state();
        if let Some(base) = state.bases.get(&path) {
            return Ok(Arc::clone(base));
        }
        let base = Arc::new(Base::open(&path)?);
        state.bases.insert(path, Arc::clone(&base));
        Ok(base)
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
        let place = self.place(title, false)?;
        let never = AtomicBool::new(false);
        let look = Look { cancelled: &never };
        if let Some(item) = look.find(&place, child).filter(|_| !unpacks(child)) {
            self.record(child, item);
            return Ok(());
        }
        let failed = |error| Error::io(format!("failed to copy content to {}", place.path.display()), error);
        let staged = place.base.fresh();
        let from = &from.item;
        let source = match &from.form {
            Form::Whole(whole) => whole.open(),
            Form::Staged => from.base.staging.open(&from.staged).map(cap_std::fs::File::into_std),
            Form::Kept => from.base.dir.open(&from.target).map(cap_std::fs::File::into_std),
        };
        let mut source = source.map_err(failed)?;
        if source.metadata().map_err(failed)?.is_dir() {
            let message = format!("{title}: the same directory cannot be pulled under two names");
            return Err(Error::new(Kind::Unsupported, message));
        }
        let mut file = place.base.create(&staged)?;
        // Verified once more: what was kept is not ours alone.
        kept::copy(&mut source, &mut file, child, &never).map_err(|error| place.copy_failed(error))?;
        self.record(child, Item::new(&place, staged, Form::Staged));
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

/// Returns the nearest of the path and its parents that exists, and whether that is a directory.
fn nearest(path: &Path) -> Result<(&Path, bool)> {
    for ancestor in path.ancestors() {
        match ancestor.metadata() {
            Ok(found) => return Ok((ancestor, found.is_dir())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unseen(ancestor, error)),
        }
    }
    Ok((Path::new("/"), true))
}

/// Returns true if anything has the path.
fn is_taken(path: &Path) -> Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(unseen(path, error)),
    }
}

fn unseen(path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("failed to look at {}", path.display()), error)
}

/// Whether it is a packed directory.
pub(crate) fn unpacks(descriptor: &Descriptor) -> bool {
    descriptor.annotations.get(annotation::UNPACK).is_some_and(|unpack| unpack == "true")
}

fn is_manifest(media_type: &MediaType) -> bool {
    media_type.is_manifest()
}
