//! Hard-links a blob of another layout on the same file system, after hashing it in place.
//!
//! Both layouts then share the file, which is safe as long as no program writes into a blob. A file that
//! users other than the owner of this layout may write is copied instead.
//!
//! The file is first linked under a staging name and hashed through that name. So the published file is the
//! hashed file, even if `source` is replaced during the call. If a program of the owner writes into the file
//! later, both layouts are damaged. Readers detect the damage, because they verify the content.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oras_fs::FileStamp;
use oras_spec::Descriptor;
use tokio::sync::oneshot;

use super::blobs;
use super::file_digest::has_digest;

/// Links the file `source` as the blob of `descriptor` if it has that content and may be shared. Returns `None` if it
/// was not linked.
///
/// Returns `None` after an error, too: the caller then copies the bytes, and the copy reports the error. Nothing is
/// published before it is verified. The work ends early if the receiver of `caller` is dropped.
pub(crate) fn link_blob(
    root: &Path,
    descriptor: &Descriptor,
    source: &Path,
    caller: &oneshot::Sender<()>,
) -> Option<()> {
    let digest = &descriptor.digest;
    // A file that is reached through a link may belong to another program, so it is copied. A blob of a layout is two
    // directories below the layout.
    if source.ancestors().take(3).any(Path::is_symlink) {
        return None;
    }
    let found = fs::symlink_metadata(source).ok()?;
    if !may_be_shared(&found, &fs::metadata(root).ok()?) || found.len() != descriptor.size {
        return None;
    }
    let before = FileStamp::of(&found);
    // From here on no other program can replace the file that is checked.
    let link = tempfile::Builder::new()
        .prefix(".oras-")
        .make_in(root, |name| fs::hard_link(source, name))
        .ok()?
        .into_temp_path();
    let linked = fs::symlink_metadata(&link).ok().filter(Metadata::is_file)?;
    // Linking changes only the change time of the inode. Any other difference means that the file was changed.
    let stamp = FileStamp::of(&linked);
    if (FileStamp { changed: before.changed, ..stamp }) != before {
        return None;
    }
    let file = File::open(&link).ok()?;
    if !has_digest(&file, digest, descriptor.size, || !caller.is_closed()).ok()?? {
        return None;
    }
    // The program that wrote the file may not have flushed it.
    file.sync_all().ok()?;
    // A different stamp means that a program changed the file while it was hashed.
    if FileStamp::of(&fs::symlink_metadata(&link).ok()?) != stamp || caller.is_closed() {
        return None;
    }
    // The blob may be old. Its use is recorded, so that it is not garbage-collected at once.
    blobs::record_use(&file);
    let path = blobs::path_for_writing(root, digest).ok()?;
    let directory = path.parent()?;
    oras_fs::create_durable_directories(directory).ok()?;
    let name = link.to_path_buf();
    link.persist(&path).ok()?;
    // If another process has linked the same file already, renaming one link over the other does nothing, and the
    // staging name stays.
    drop(fs::remove_file(name));
    oras_fs::sync_directory(directory).ok()?;
    Some(())
}

/// Returns true if a layout in the directory `root` may share the file: only the owner of the layout can write it,
/// and all users can read it, like the blobs that are written here.
fn may_be_shared(file: &Metadata, root: &Metadata) -> bool {
    file.is_file() && file.mode() & 0o022 == 0 && file.mode() & 0o444 == 0o444 && file.uid() == root.uid()
}
