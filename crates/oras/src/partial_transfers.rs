//! Lists and deletes partial downloads and uploads of unfinished transfers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use oras_fs::{IdlePartialFile, blocking, find_idle_partial_files};
use oras_remote::{Client, UnfinishedUpload, UnfinishedUploads};
use oras_store::Result;
use serde::{Serialize, Serializer};

/// The options of [`list_partial_transfers`] and [`clean_partial_transfers`]. They name where to search.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PartialOptions {
    /// The directories to search for partial downloads, with all directories below them.
    pub directories: Vec<PathBuf>,
    /// The directory of unfinished uploads, see [`ClientOptions`](oras_remote::ClientOptions). `None` means that
    /// uploads are not searched.
    pub uploads: Option<PathBuf>,
    /// The minimum time since the last progress of the transfer.
    pub older_than: Duration,
}

impl PartialOptions {
    oras_store::setters! {
        directories: Vec<PathBuf>;
        uploads: impl Into<Option<PathBuf>> => uploads.into();
        older_than: Duration;
    }
}

/// The partial downloads and uploads of unfinished transfers. It serializes to the JSON document of `--format json`.
///
/// ```
/// use oras::{PartialDownload, PartialOptions, PartialTransfers, PartialUpload, list_partial_transfers};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let options = PartialOptions::default().directories(vec![directory.path().into()]);
/// let PartialTransfers { downloads, uploads } = list_partial_transfers(&options).await?;
/// for PartialDownload { path, size, .. } in downloads {
///     println!("{size} bytes in {}", path.display());
/// }
/// for PartialUpload { registry, repository, .. } in uploads {
///     println!("an upload to {registry}/{repository}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartialTransfers {
    /// The partial downloads.
    pub downloads: Vec<PartialDownload>,
    /// The unfinished uploads, oldest first.
    pub uploads: Vec<PartialUpload>,
}

/// A partial download. A later pull to the same directory resumes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartialDownload {
    /// The partial file.
    pub path: PathBuf,
    /// The digest of the whole content.
    pub digest: String,
    /// The number of bytes that were downloaded.
    pub size: u64,
    /// The time of the last write. It serializes in the format of RFC 3339.
    #[serde(serialize_with = "rfc3339")]
    pub touched: SystemTime,
}

/// An unfinished upload. A later push of the same content resumes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartialUpload {
    /// The scheme, host and port of the registry.
    pub registry: String,
    /// The repository of the blob.
    pub repository: String,
    /// The digest of the blob, or another name if the digest is not known yet.
    pub name: String,
    /// The size of the whole blob. Only the registry knows the number of received bytes.
    pub blob_size: u64,
    /// The time of the last progress. It serializes in the format of RFC 3339.
    #[serde(serialize_with = "rfc3339")]
    pub touched: SystemTime,
    /// True if the registry deleted the upload session, false if the attempt failed and the session ends by its
    /// timeout. `None` if there was no attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<bool>,
}

/// Serializes the time in whole seconds, which is enough for the age of a file.
fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    match Timestamp::try_from(*time).and_then(|time| Timestamp::from_second(time.as_second())) {
        Ok(time) => serializer.collect_str(&time),
        Err(error) => Err(serde::ser::Error::custom(error)),
    }
}

/// Lists partial downloads and unfinished uploads, except those that a running process uses.
///
/// # Errors
/// `Io` if one of the given directories cannot be read. Unreadable directories below them are skipped.
pub async fn list_partial_transfers(options: &PartialOptions) -> Result<PartialTransfers> {
    let (downloads, uploads) = find(options).await?;
    Ok(PartialTransfers {
        downloads: downloads.iter().map(download).collect(),
        uploads: uploads.iter().map(|found| upload(found, None)).collect(),
    })
}

/// Deletes partial downloads and unfinished uploads, except those that a running process uses, and returns the deleted
/// ones.
///
/// Also deletes the upload sessions at the registries if these can be reached. If the future is dropped, some of the
/// files may already be deleted.
///
/// # Errors
/// Returns the errors of [`list_partial_transfers`], and `Io` if a file cannot be deleted.
pub async fn clean_partial_transfers(options: &PartialOptions, client: &Client) -> Result<PartialTransfers> {
    let (downloads, uploads) = find(options).await?;
    let removed = blocking(move || {
        let mut removed = Vec::new();
        for file in downloads {
            // `remove` returns false for a file that a process uses again, or that does not exist any more.
            if file.remove()? {
                removed.push(download(&file));
            }
        }
        Ok(removed)
    });
    let mut cleaned = PartialTransfers { downloads: removed.await?, uploads: Vec::new() };
    // Downloads are deleted first: this needs no network.
    if let Some(unfinished) = options.uploads.as_ref().map(UnfinishedUploads::new) {
        for found in uploads {
            // An upload for which `cancel` returns `None` was not deleted, so the result does not list it.
            if let Some(cancelled) = unfinished.cancel(client, &found).await? {
                cleaned.uploads.push(upload(&found, Some(cancelled)));
            }
        }
    }
    Ok(cleaned)
}

/// Finds the partial files and the unfinished uploads that are old enough.
async fn find(options: &PartialOptions) -> Result<(Vec<IdlePartialFile>, Vec<UnfinishedUpload>)> {
    let PartialOptions { directories, uploads, older_than } = options.clone();
    blocking(move || {
        // One given directory may contain another, so the same file may be found twice.
        let (mut downloads, mut paths) = (Vec::new(), BTreeSet::new());
        for directory in directories {
            let is_new = |file: &IdlePartialFile| {
                let path = file.path();
                paths.insert(path.canonicalize().unwrap_or(path))
            };
            downloads.extend(find_idle_partial_files(&directory)?.into_iter().filter(is_new));
        }
        let mut uploads = match uploads {
            Some(directory) => UnfinishedUploads::new(directory).list()?,
            None => Vec::new(),
        };
        // A time in the future, as after the clock was set back, counts as an age of zero: the file may be in use.
        let is_old = |touched: SystemTime| touched.elapsed().unwrap_or_default() >= older_than;
        downloads.retain(|file| is_old(file.touched));
        uploads.retain(|upload| is_old(upload.touched));
        Ok((downloads, uploads))
    })
    .await
}

fn download(file: &IdlePartialFile) -> PartialDownload {
    let (path, digest) = (file.path(), file.digest.to_string());
    PartialDownload { path, digest, size: file.size, touched: file.touched }
}

fn upload(found: &UnfinishedUpload, cancelled: Option<bool>) -> PartialUpload {
    let UnfinishedUpload { registry, repository, name, size, touched, .. } = found.clone();
    PartialUpload { registry, repository, name, blob_size: size, touched, cancelled }
}
