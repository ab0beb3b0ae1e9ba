//! Backup: tags of a repository, with all below them, into an OCI layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_layout::{ArchiveWriter, Layout};
use oras_spec::reference::check_tag;
use oras_store::{ErrorKind, ReadStore, Result, Target};

use crate::tagged::{self, Plan};
use crate::{Listener, Step, TaggedArtifact};

/// What to back up, and how.
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// The tags; none means all.
    pub tags: Vec<String>,
    /// Takes what refers to them too, also to the manifests of an index.
    pub referrers: bool,
    /// Nodes in flight; 0 means the default.
    pub concurrency: usize,
    /// Only finds out what would be backed up: nothing is transferred and nothing is written.
    pub dry_run: bool,
}

/// Where a backup goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupOutput {
    /// An OCI layout in this directory, made if it is not there, added to if it is.
    Directory(PathBuf),
    /// A tar archive at this path, which replaces what was there when it is complete.
    Archive(PathBuf),
}

impl BackupOutput {
    /// An archive if the path ends in `.tar`, whatever the case; else a directory.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let archive = path.to_string_lossy().to_ascii_lowercase().ends_with(".tar");
        if archive { Self::Archive(path) } else { Self::Directory(path) }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Archive(path) => path,
        }
    }
}

/// What was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// The tags, in the order in which they were named or listed.
    pub artifacts: Vec<TaggedArtifact>,
    /// The size of the archive, if one was written.
    pub archive_size: Option<u64>,
}

/// Copies the artifacts that `options.tags` name in `source` into the layout `output`, each blob once, tags last.
///
/// An archive is written as the content arrives and gets its name when it is complete: after an error, and when the
/// future is dropped, there is no archive, and one that was there is as it was. A directory keeps the blobs that were
/// copied before an error, untagged, so that the next attempt need not copy them again.
///
/// # Errors
/// A tag that is not there, before anything is copied; [`NoTags`](crate::NoTags); the first error of the copy, with
/// the side that failed. `AlreadyExists` when something other than a file has the archive's name.
///
/// ```
/// use std::sync::Arc;
///
/// use oras::spec::MediaType;
/// use oras::store::{Content, Source, Target};
/// use oras::{BackupOptions, BackupOutput, Memory, Quiet, RestoreOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let (here, there) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
/// let index = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
/// here.tag(&index, "v1").await?;
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
    source: Arc<dyn ReadStore>,
    output: BackupOutput,
    options: BackupOptions,
    listener: Arc<dyn Listener>,
) -> Result<BackedUp> {
    let BackupOptions { tags, referrers, concurrency, dry_run } = options;
    // Runs when it is awaited.
    let plan = async {
        let tags = if tags.is_empty() { listed(&*source, &*listener).await? } else { tags };
        Plan::make(&source, tags, referrers, concurrency, &*listener).await
    };
    if dry_run {
        let plan = plan.await?;
        plan.rehearse(&*listener);
        return Ok(BackedUp { artifacts: plan.artifacts, archive_size: None });
    }
    match output {
        BackupOutput::Directory(path) => {
            let layout = Layout::open_or_create(path).await;
            let layout = layout.map_err(|error| error.context("failed to prepare OCI store for backup"))?;
            let target: Arc<dyn Target> = Arc::new(layout);
            let plan = plan.await?;
            plan.run(&source, &target, false, concurrency, &listener).await?;
            Ok(BackedUp { artifacts: plan.artifacts, archive_size: None })
        }
        BackupOutput::Archive(path) => {
            // Begun before anything is asked of the source, so that a path that can't be written is told at once.
            let archive = ArchiveWriter::create(&path).await.map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => error,
                _ => error.context(format!("unable to create output file {}", path.display())),
            })?;
            let target: Arc<dyn Target> = Arc::new(archive.clone());
            let plan = plan.await?;
            plan.run(&source, &target, false, concurrency, &listener).await?;
            listener.step(Step::Exporting(&path));
            let size = archive.finish().await.map_err(|error| {
                error.context(format!("failed to create tar archive at {}", path.display()))
            })?;
            listener.step(Step::Exported(&path, size));
            Ok(BackedUp { artifacts: plan.artifacts, archive_size: Some(size) })
        }
    }
}

/// Lists the tags to back up. A registry may list tags that no client can ask it for: each is reported and skipped.
async fn listed(source: &dyn ReadStore, listener: &dyn Listener) -> Result<Vec<String>> {
    let mut tags = tagged::list(source).await?;
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

    /// Compiles only if the futures may be run on any thread.
    #[tokio::test]
    async fn futures_can_be_sent() {
        fn sent<T: Future + Send>(future: T) -> T {
            future
        }
        let store = Arc::new(Memory::new());
        let output = BackupOutput::of("x.tar");
        let options = BackupOptions { dry_run: true, ..BackupOptions::default() };
        let error = sent(backup(store.clone(), output, options, Arc::new(Quiet))).await.unwrap_err();
        assert!(error.find::<crate::NoTags>().is_some());
        let options = RestoreOptions::default();
        let error = sent(restore(store.clone(), store, options, Arc::new(Quiet))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_name_says_what_is_written() {
        let names =
            [("a.tar", true), ("a.TAR", true), (".tar", true), ("a.tar/", false), ("a.tar.gz", false)];
        for (path, archive) in names {
            let output = BackupOutput::of(path);
            assert_eq!(matches!(output, BackupOutput::Archive(_)), archive, "{path}");
        }
    }
}
