//! Copies tags of a repository, with their artifacts, into an OCI layout.

use oras_copy::Concurrency;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_layout::{ArchiveWriter, Layout};
use oras_spec::MediaType;
use oras_spec::reference::check_tag;
use oras_store::{Error, ErrorKind, ReadStore, Result, Target};

use crate::required_referrers::check_required;
use crate::tag_transfer::{self, TagTransfer};
use crate::{Listener, Step, TaggedArtifact};

/// The options of [`backup`]. The default copies all tags, without referrers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BackupOptions {
    /// The tags to back up. Empty means all tags.
    pub tags: Vec<String>,
    /// Also copies the referrers of the artifacts, and those of the manifests in an index.
    pub referrers: bool,
    /// Every artifact must have a referrer of each of these types, or the backup fails with
    /// [`MissingReferrer`](crate::MissingReferrer) before it writes a tag or an archive. With a type, all referrers are
    /// copied.
    pub require_referrers: Vec<MediaType>,
    /// The maximum number of nodes that are transferred at a time.
    pub concurrency: Concurrency,
    /// Reports what would be backed up, without a transfer and without writing anything.
    pub dry_run: bool,
}

impl BackupOptions {
    oras_store::setters! {
        tags: impl IntoIterator<Item = impl Into<String>> => tags.into_iter().map(Into::into).collect();
        referrers: bool;
        require_referrers: Vec<MediaType>;
        concurrency: impl Into<Concurrency> => concurrency.into();
        dry_run: bool;
    }
}

/// The destination of a backup. [`BackupOutput::of`] decides by the path whether it is a directory or an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupOutput {
    /// An OCI layout in this directory. It is created if it does not exist; an existing layout keeps its content.
    Directory(PathBuf),
    /// A tar archive at this path. The complete archive replaces an existing file.
    Archive(PathBuf),
}

impl BackupOutput {
    /// Returns an archive if the path ends in `.tar`, in upper or lower case, and a directory otherwise.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let archive = path.to_string_lossy().to_ascii_lowercase().ends_with(".tar");
        if archive { Self::Archive(path) } else { Self::Directory(path) }
    }

    /// Returns the path of the directory or the archive.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Archive(path) => path,
        }
    }
}

/// The result of [`backup`]. [`report::Backup`](crate::report::Backup) makes a JSON document of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// The artifacts, in the order in which their tags were given or listed.
    pub artifacts: Vec<TaggedArtifact>,
    /// The size of the archive in bytes, if an archive was written.
    pub archive_size: Option<u64>,
}

/// Copies the artifacts that `options.tags` name in `source` into an OCI layout. The tags are written last.
///
/// Each blob is copied once. An archive is written to a temporary file and published when it is complete, so an
/// existing archive does not change if the backup returns an error or the future is dropped. A directory keeps the
/// blobs that were copied before an error, without tags, and the next backup skips them.
///
/// # Errors
/// - An error for a tag that does not exist, before anything is copied.
/// - [`NoTags`](crate::NoTags) if the source has no tags.
/// - The first error of the copy, with the side that failed.
/// - [`ErrorKind::AlreadyExists`] if the path of the archive exists and is not a file.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use oras::spec::MediaType;
/// use oras::store::{Content, PushMode, Source, Target};
/// use oras::{BackupOptions, BackupOutput, Memory, Quiet, RestoreOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let (here, there) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
/// let index = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
/// here.push(&index, PushMode::Tagged("v1")).await?;
///
/// let path = directory.path().join("backup.tar");
/// let quiet = Arc::new(Quiet);
/// oras::backup(here, BackupOutput::of(&path), BackupOptions::default(), quiet.clone()).await?;
/// let archive = oras::open_layout(&path).await?;
/// let restored = oras::restore(archive, there.clone(), RestoreOptions::default(), quiet).await?;
/// assert_eq!(restored[0].tag, "v1");
/// assert_eq!(there.resolve("v1").await?.digest, index.descriptor().digest);
/// # Ok(()) }
/// ```
pub async fn backup(
    source: impl ReadStore + 'static,
    output: BackupOutput,
    options: BackupOptions,
    listener: impl Listener + 'static,
) -> Result<BackedUp> {
    let source: Arc<dyn ReadStore> = Arc::new(source);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    let BackupOptions { tags, referrers, require_referrers, concurrency, dry_run } = options;
    let referrers = referrers || !require_referrers.is_empty();
    // The source gets no request before this future is awaited, so that errors of the output come first.
    let plan = async {
        let tags = if tags.is_empty() { list_valid_tags(&*source, &*listener).await? } else { tags };
        let from = Arc::clone(&source);
        let transfer = TagTransfer::plan(source, tags, referrers, concurrency, Arc::clone(&listener)).await?;
        for artifact in &transfer.artifacts {
            check_required(&from, &artifact.root, &require_referrers).await?;
        }
        Ok::<_, Error>(transfer)
    };
    if dry_run {
        let transfer = plan.await?;
        transfer.report_artifacts();
        return Ok(BackedUp { artifacts: transfer.artifacts, archive_size: None });
    }
    // The output is opened before the first request to the source, so that an unusable path fails at once.
    let (target, archive): (Arc<dyn Target>, _) = match &output {
        BackupOutput::Directory(path) => {
            let layout = Layout::open_or_create(path).await;
            let layout = layout.map_err(|error| error.context("failed to prepare OCI store for backup"))?;
            (Arc::new(layout), None)
        }
        BackupOutput::Archive(path) => {
            let archive = ArchiveWriter::create(path).await.map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => error,
                _ => error.context(format!("unable to create output file {}", path.display())),
            })?;
            (Arc::new(archive.clone()), Some(archive))
        }
    };
    let transfer = plan.await?;
    // `false`, because a tag in a layout costs no request and can be written at the end.
    transfer.run(&target, false).await?;
    let artifacts = transfer.artifacts;
    let Some(archive) = archive else { return Ok(BackedUp { artifacts, archive_size: None }) };
    let path = output.path();
    listener.step(Step::Exporting(path));
    let size = archive
        .finish()
        .await
        .map_err(|error| error.context(format!("failed to create tar archive at {}", path.display())))?;
    listener.step(Step::Exported(path, size));
    Ok(BackedUp { artifacts, archive_size: Some(size) })
}

/// Lists the tags to back up.
///
/// A registry may list tags outside the grammar of tags, which clients cannot request. They are reported and skipped.
async fn list_valid_tags(source: &dyn ReadStore, listener: &dyn Listener) -> Result<Vec<String>> {
    let mut tags = tag_transfer::list_tags(source).await?;
    tags.retain(|tag| {
        let is_valid = check_tag(tag).is_ok();
        if !is_valid {
            listener.step(Step::InvalidTag(tag));
        }
        is_valid
    });
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Quiet, RestoreOptions, restore};

    /// Compiles only if the futures are `Send`.
    #[tokio::test]
    async fn futures_are_send() {
        fn assert_send<T: Future + Send>(future: T) -> T {
            future
        }
        let store = Arc::new(Memory::new());
        let output = BackupOutput::of("x.tar");
        let options = BackupOptions { dry_run: true, ..BackupOptions::default() };
        let error = assert_send(backup(store.clone(), output, options, Arc::new(Quiet))).await.unwrap_err();
        assert!(error.find::<crate::NoTags>().is_some());
        let options = RestoreOptions::default();
        let error = assert_send(restore(store.clone(), store, options, Arc::new(Quiet))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn writes_an_archive_if_the_path_ends_in_tar() {
        let names =
            [("a.tar", true), ("a.TAR", true), (".tar", true), ("a.tar/", false), ("a.tar.gz", false)];
        for (path, archive) in names {
            let output = BackupOutput::of(path);
            assert_eq!(matches!(output, BackupOutput::Archive(_)), archive, "{path}");
        }
    }
}
