//! What transfers that were not finished have left for a later run: found, and removed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use oras_fs::{IdlePartialFile, blocking, find_idle_partial_files};
use oras_remote::{Client, UnfinishedUpload, UnfinishedUploads};
use oras_store::Result;
use serde::{Serialize, Serializer};

/// Where to look for what unfinished transfers have left, and for what of it.
#[derive(Clone, Debug, Default)]
pub struct PartialOptions {
    /// Directories to look for downloads in, and in all directories below them.
    pub directories: Vec<PathBuf>,
    /// The directory of unfinished uploads ([`ClientOptions`](oras_remote::ClientOptions)); none is looked for without.
    pub uploads: Option<PathBuf>,
    /// Only what did not go on for as long as this.
    pub older_than: Duration,
}

/// What unfinished transfers have left, as `--format json` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Partials {
    /// Downloads, by their paths.
    pub downloads: Vec<PartialDownload>,
    /// Uploads, the oldest first.
    pub uploads: Vec<PartialUpload>,
}

/// A download that was not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartialDownload {
    /// The file that has what came.
    pub path: PathBuf,
    /// The digest of the whole content.
    pub digest: String,
    /// The bytes that came so far.
    pub size: u64,
    /// When the last of them came, by RFC 3339.
    #[serde(serialize_with = "rfc3339")]
    pub touched: SystemTime,
}

/// An upload that was not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartialUpload {
    /// Scheme, host and port of the registry.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The digest of the blob, or what it was known by before it had one.
    pub name: String,
    /// The size of the whole blob: the registry alone knows how much of it came.
    pub blob_size: u64,
    /// When the upload last went on, by RFC 3339.
    #[serde(serialize_with = "rfc3339")]
    pub touched: SystemTime,
    /// Whether the registry was told to forget it; it forgets it by itself, too. Absent when nobody tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<bool>,
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    match Timestamp::try_from(*time).and_then(|time| Timestamp::from_second(time.as_second())) {
        Ok(time) => serializer.collect_str(&time),
        Err(error) => Err(serde::ser::Error::custom(error)),
    }
}

/// Finds what unfinished transfers have left. What a process is at is left out.
///
/// # Errors
/// `Io` when one of the directories can't be read; what can't be read below them is left out.
pub async fn list_partials(options: &PartialOptions) -> Result<Partials> {
    let (downloads, uploads) = find(options).await?;
    Ok(Partials {
        downloads: downloads.iter().map(download).collect(),
        uploads: uploads.iter().map(|found| upload(found, None)).collect(),
    })
}

/// Removes what unfinished transfers have left, and lets the registries forget the uploads as far as they can be
/// reached; what was removed. What a process is at is left alone. Cancelled, it has removed some.
///
/// # Errors
/// As of [`list_partials`]; `Io` when a file can't be removed.
pub async fn clean_partials(options: &PartialOptions, client: &Client) -> Result<Partials> {
    let (downloads, uploads) = find(options).await?;
    let removed = blocking(move || {
        let mut removed = Vec::new();
        for file in downloads {
            if file.remove()? {
                removed.push(download(&file));
            }
        }
        Ok(removed)
    });
    let mut cleaned = Partials { downloads: removed.await?, uploads: Vec::new() };
    if let Some(kept) = options.uploads.as_ref().map(UnfinishedUploads::new) {
        for found in uploads {
            if let Some(cancelled) = kept.cancel(client, &found).await? {
                cleaned.uploads.push(upload(&found, Some(cancelled)));
            }
        }
    }
    Ok(cleaned)
}

async fn find(options: &PartialOptions) -> Result<(Vec<IdlePartialFile>, Vec<UnfinishedUpload>)> {
    let PartialOptions { directories, uploads, older_than } = options.clone();
    blocking(move || {
        // Directories may be within each other.
        let (mut downloads, mut seen) = (Vec::new(), BTreeSet::new());
        for directory in directories {
            let is_new = |file: &IdlePartialFile| {
                let path = file.path();
                seen.insert(path.canonicalize().unwrap_or(path))
            };
            downloads.extend(find_idle_partial_files(&directory)?.into_iter().filter(is_new));
        }
        let mut uploads = match uploads {
            Some(directory) => UnfinishedUploads::new(directory).list()?,
            None => Vec::new(),
        };
        // A clock that was set back makes nothing old.
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
