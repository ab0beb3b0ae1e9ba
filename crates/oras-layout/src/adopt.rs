//! Taking a blob that another layout on the same file system has: hashed where it is, then hard-linked.
//!
//! Both layouts share the file then. Blobs never change, so that nothing is lost by it, as long as no one writes into
//! them: a file that others than the owner of this layout may write is copied instead.
//!
//! The file is linked under a staging name first and hashed through that name, so what gets the blob's name is the very
//! file that was hashed, whatever happens to the name `source` meanwhile. A program of the owner that writes into the
//! file later damages both layouts; every reader verifies what it reads.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oras_spec::Descriptor;
use oras_store::{FileStamp, fsio};
use tokio::sync::oneshot;

use crate::blobs;
use crate::verified::has_digest;

/// Links the file `source` as the blob of `descriptor`, if it is that blob and may be shared; whether it was.
///
/// `false` stands for every reason not to: whoever asks copies the bytes then, and is told what is wrong with them.
/// Nothing is visible before it is verified. When the receiver of `wanted` is gone the work ends without a result.
pub(crate) fn adopt(
    root: &Path,
    descriptor: &Descriptor,
    source: &Path,
    wanted: &oneshot::Sender<()>,
) -> bool {
    try_adopt(root, descriptor, source, wanted).is_some()
}

fn try_adopt(
    root: &Path,
    descriptor: &Descriptor,
    source: &Path,
    wanted: &oneshot::Sender<()>,
) -> Option<()> {
    let digest = &descriptor.digest;
    // A file that is reached through a link belongs to another program: it is copied. A layout keeps blobs two
    // directories down.
    if source.ancestors().take(3).any(Path::is_symlink) {
        return None;
    }
    let found = fs::symlink_metadata(source).ok()?;
    if !may_be_shared(&found, &fs::metadata(root).ok()?) || found.len() != descriptor.size {
        return None;
    }
    let before = FileStamp::of(&found);
    // The link comes first: from here on nobody can put another file in the place of the one that is looked at.
    let link = tempfile::Builder::new()
        .prefix(".oras-")
        .make_in(root, |name| fs::hard_link(source, name))
        .ok()?
        .into_temp_path();
    let linked = fs::symlink_metadata(&link).ok().filter(Metadata::is_file)?;
    // Linking changes the time of the inode, and nothing else.
    let stamp = FileStamp::of(&linked);
    if (FileStamp { changed: before.changed, ..stamp }) != before {
        return None;
    }
    let file = File::open(&link).ok()?;
    if !has_digest(&file, digest, descriptor.size, || !wanted.is_closed()).ok()?? {
        return None;
    }
    // Whoever wrote it need not have flushed it.
    file.sync_all().ok()?;
    if FileStamp::of(&fs::symlink_metadata(&link).ok()?) != stamp || wanted.is_closed() {
        return None;
    }
    // The blob may be old, and is used now.
    blobs::note_use(&file);
    let path = blobs::path_for_writing(root, digest).ok()?;
    let directory = path.parent()?;
    fsio::create_directories(directory).ok()?;
    let name = link.to_path_buf();
    link.persist(&path).ok()?;
    // Renaming a link to another of the same file does nothing: somebody else was faster.
    drop(fs::remove_file(name));
    fsio::sync_directory(directory).ok()?;
    Some(())
}

/// Whether a layout in the directory `root` may share the file: nobody but who can write the layout can write it, and
/// everybody can read it, like the blobs that are written here.
fn may_be_shared(file: &Metadata, root: &Metadata) -> bool {
    file.is_file() && file.mode() & 0o022 == 0 && file.mode() & 0o444 == 0o444 && file.uid() == root.uid()
}
