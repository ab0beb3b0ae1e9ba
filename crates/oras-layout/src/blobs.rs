//! The files below `blobs/`.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use oras_spec::layout::BLOBS_DIR;
use oras_spec::{Algorithm, Descriptor, Digest};
use oras_store::fsio::{self, Durability, Staged, blocking};
use oras_store::{Content, Error, Kind, Origin, Pushed, Result};
use tokio::sync::oneshot;

use crate::place::{self, Blob, missing};
use crate::verified::{has_digest, verify};
use crate::{Layout, evict};

/// The path of a blob. A digest contains neither `/` nor `.`, so the path stays inside.
pub(crate) fn path(root: &Path, digest: &Digest) -> PathBuf {
    root.join(BLOBS_DIR).join(digest.algorithm_name()).join(digest.encoded())
}

/// Opens a blob for reading. A link to a regular file is followed, as build tools link blobs into layouts, once the
/// bytes are known to be those of the digest: a layout must not make its readers send a file from elsewhere.
pub(crate) fn open(root: &Path, digest: &Digest) -> Result<Blob> {
    let path = path(root, digest);
    let (file, size) = match fsio::open_plain(&path) {
        Err(_) if path.is_symlink() => {
            let (file, size) = fsio::open_linked(&path).map_err(|error| unopened(root, digest, error))?;
            let failed = |error| Error::io(format!("failed to read {}", path.display()), error);
            if has_digest(&file, digest, size, || true).map_err(failed)? != Some(true) {
                let message = format!("the link {} leads to other content", path.display());
                return Err(Error::new(Kind::DigestMismatch, message));
            }
            (file, size)
        }
        opened => opened.map_err(|error| unopened(root, digest, error))?,
    };
    Ok(Blob { file: file.into(), start: 0, size })
}

fn unopened(root: &Path, digest: &Digest, error: std::io::Error) -> Error {
    let path = path(root, digest);
    match error.kind() {
        std::io::ErrorKind::NotFound => missing(root, &digest.to_string()),
        std::io::ErrorKind::InvalidInput => {
            Error::new(Kind::InvalidContent, format!("{} is not a regular file", path.display()))
        }
        _ => Error::io(format!("failed to open {}", path.display()), error),
    }
}

/// Returns the path of a blob that is about to be written or removed.
///
/// # Errors
/// `Io` if the system cannot tell what the directories are. `Denied` if `blobs` or the directory of the algorithm is a link: nothing is written through links, since what they
/// lead to belongs to another program.
pub(crate) fn path_for_writing(root: &Path, digest: &Digest) -> Result<PathBuf> {
    let path = path(root, digest);
    for directory in path.ancestors().skip(1).take(2) {
        match fs::symlink_metadata(directory) {
            Ok(found) if found.is_symlink() => {
                let link = directory.display();
                let message = format!("{link} is a symbolic link: the layout can be read, not changed");
                return Err(Error::new(Kind::Denied, message));
            }
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(Error::io(format!("failed to look at {}", directory.display()), error));
            }
            _ => {}
        }
    }
    Ok(path)
}

/// Reads blobs, many of them: those that are as long as they are said to be. Their directory is found once.
pub(crate) fn reader(root: &Path) -> impl Fn(&Descriptor) -> Result<Option<Bytes>> + Sync {
    let algorithm = Algorithm::Sha256;
    let directory = File::open(root.join(BLOBS_DIR).join(algorithm.as_str())).ok();
    move |node| {
        let directory = directory.as_ref().filter(|_| node.digest.algorithm() == Some(algorithm));
        let read = directory
            .and_then(|directory| fsio::read_plain(directory, &node.digest.encoded(), node.size).ok());
        // Why it can't be read like that is found out by the one way that tells.
        read.map_or_else(|| place::bytes(open(root, &node.digest), node.size), |bytes| Ok(Some(bytes)))
    }
}

/// Whether a file of the right length has the blob's name. Its bytes are verified when they are read.
pub(crate) fn is_there(root: &Path, descriptor: &Descriptor) -> bool {
    fs::metadata(path(root, &descriptor.digest))
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == descriptor.size)
}

/// Like [`is_there`], for who is going to rely on it: it has been used now, so that [`crate::collect`] leaves it. The use is
/// noted unless one was within `noted`. The size does not matter when it is `None`.
///
/// # Errors
/// Those of looking for it: nobody knows then whether it is there.
pub(crate) fn claim(root: &Path, digest: &Digest, size: Option<u64>, noted: Duration) -> Result<bool> {
    let path = path(root, digest);
    let look = || match fs::metadata(&path) {
        Ok(found) => Ok((found.is_file() && size.is_none_or(|size| found.len() == size)).then_some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("failed to look for {}", path.display()), error)),
    };
    match look()? {
        Some(found) if is_younger(&found, noted) => Ok(true),
        Some(_) => {
            // Only its owner can note it; whoever can't has to rely on the delay of a collection. The file that a link
            // leads to is not ours to change.
            if path_for_writing(root, digest).is_ok_and(|path| !path.is_symlink()) {
                drop(open(root, digest).map(|blob| note_use(&blob.file)));
            }
            Ok(look()?.is_some())
        }
        None => Ok(false),
    }
}

/// Notes on a blob that it is used now. That is the time of its last change, as reading must not count: whoever looks for
/// garbage reads every manifest.
pub(crate) fn note_use(blob: &File) {
    // Best effort, as with whatever is noted.
    drop(blob.set_modified(SystemTime::now()));
}

/// Whether the use of a blob was noted within that time.
pub(crate) fn is_younger(blob: &Metadata, limit: Duration) -> bool {
    let age = blob.modified().map(|modified| SystemTime::now().duration_since(modified));
    age.is_ok_and(|age| age.map_or(true, |age| age < limit))
}

/// Removes a blob; one that is not there is removed.
pub(crate) fn remove(root: &Path, digest: &Digest) -> Result<()> {
    let path = path_for_writing(root, digest)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("failed to remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Writes a blob: verified, flushed, then named; or links it, if it is in a file that may be shared.
pub(crate) async fn write(layout: &Layout, content: &Content) -> Result<Pushed> {
    let (origin, node) = (content.origin(), content.descriptor().clone());
    // Held while somebody waits.
    let (asked, _waiting) = oneshot::channel();
    let prepared = {
        let layout = layout.clone();
        blocking(move || prepare(&layout, &node, &origin, &asked)).await?
    };
    if let Some(done) = prepared {
        return Ok(done);
    }
    let staged = fsio::stage(content, layout.path(), Durability::Synced).await?;
    let (layout, digest) = (layout.clone(), content.descriptor().digest.clone());
    blocking(move || publish(&layout, staged, &digest)).await?;
    Ok(Pushed::Copied)
}

/// Makes the layout; what became of the blob, if it need not be copied.
fn prepare(
    layout: &Layout,
    node: &Descriptor,
    origin: &Origin,
    wanted: &oneshot::Sender<()>,
) -> Result<Option<Pushed>> {
    // A blob with other bytes is written anew, over the damaged one.
    if claim(layout.path(), &node.digest, Some(node.size), layout.noted())?
        && verify(layout, node, wanted)? != Some(false)
    {
        return Ok(Some(Pushed::Existed));
    }
    crate::journal::create(layout.path())?;
    Ok(adopt(layout, node, origin, wanted).then_some(Pushed::Adopted))
}

/// Whether the content was in a file that this layout shares from now on.
#[cfg(unix)]
fn adopt(layout: &Layout, node: &Descriptor, origin: &Origin, wanted: &oneshot::Sender<()>) -> bool {
    let Origin::File { path } = origin else { return false };
    let adopted = layout.links() && crate::adopt::adopt(layout.path(), node, path, wanted);
    if adopted {
        evict::added(layout, node.size);
    }
    adopted
}

#[cfg(not(unix))]
fn adopt(_: &Layout, _: &Descriptor, _: &Origin, _: &oneshot::Sender<()>) -> bool {
    false
}

/// Files of a group that are flushed together: their number is bounded by that of open files.
const GROUP: usize = 128;
/// Threads that flush a group: the file system writes its journal once for those that wait at the same time.
const FLUSHERS: usize = 16;

/// A flush that takes longer waits for a disk: several may wait at the same time.
const SLOW_FLUSH: Duration = Duration::from_micros(100);

/// Writes verified blobs: all of a group flushed, then all named, then the directory flushed.
pub(crate) fn write_all(layout: &Layout, blobs: &[(Descriptor, Bytes)]) -> Result<()> {
    let root = layout.path();
    crate::journal::create(root)?;
    for group in blobs.chunks(GROUP) {
        let mut staged = Vec::new();
        let is_right = |node: &Descriptor, bytes: &Bytes| {
            open(root, &node.digest).ok().and_then(|blob| blob.bytes(node.size).ok().flatten()).as_ref()
                == Some(bytes)
        };
        for (node, bytes) in group.iter().filter(|(node, bytes)| !is_right(node, bytes)) {
            let mut file = Staged::create(root)?;
            std::io::Write::write_all(file.file_mut(), bytes)
                .map_err(|error| Error::io(format!("failed to write {}", file.path().display()), error))?;
            staged.push((file, &node.digest));
        }
        sync_all(&mut staged)?;
        let mut directories = BTreeSet::new();
        for (file, digest) in staged {
            let target = path_for_writing(root, digest)?;
            if let Some(directory) = target.parent().filter(|directory| !directories.contains(*directory)) {
                fsio::create_directories(directory)?;
                directories.insert(directory.to_owned());
            }
            name(file, &target)?;
        }
        directories.iter().try_for_each(|directory| fsio::sync_directory(directory))?;
        evict::added(layout, group.iter().map(|(node, _)| node.size).sum());
    }
    Ok(())
}

fn sync_all(staged: &mut [(Staged, &Digest)]) -> Result<()> {
    // Where a flush takes no time, as in memory, threads would.
    let mut flushed = 0;
    let mut took = Duration::ZERO;
    while took < SLOW_FLUSH && flushed < staged.len() {
        let began = Instant::now();
        staged[flushed].0.sync()?;
        took = began.elapsed();
        flushed += 1;
    }
    let staged = &mut staged[flushed..];
    let share = staged.len().div_ceil(FLUSHERS).max(1);
    std::thread::scope(|scope| {
        let flush = |share: &mut [(Staged, &Digest)]| share.iter_mut().try_for_each(|(file, _)| file.sync());
        let threads: Vec<_> =
            staged.chunks_mut(share).map(|share| scope.spawn(move || flush(share))).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Gives a verified file its name, and makes that durable.
pub(crate) fn publish(layout: &Layout, mut staged: Staged, digest: &Digest) -> Result<()> {
    let target = path_for_writing(layout.path(), digest)?;
    let directory = target.parent().unwrap_or(layout.path());
    fsio::create_directories(directory)?;
    // It may have been written long ago, by an upload that went on late.
    note_use(staged.file_mut());
    let named = name(staged, &target)?;
    fsio::sync_directory(directory)?;
    evict::added(layout, named.len());
    Ok(())
}

/// Gives a verified file its name, read-only as blobs never change.
fn name(mut staged: Staged, target: &Path) -> Result<Metadata> {
    let failed = |error| Error::io(format!("failed to write {}", target.display()), error);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        match staged.file_mut().set_permissions(mode) {
            // FAT, exFAT, CIFS and mounts that belong to another user keep no modes. The digest protects the content.
            Err(error) if fsio::is_refused(&error) => fsio::notice_lost_modes(),
            set => set.map_err(failed)?,
        }
    }
    let found = staged.publish(target)?.metadata().map_err(failed)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&found) & 0o777 != 0o444 {
        fsio::notice_lost_modes();
    }
    Ok(found)
}
