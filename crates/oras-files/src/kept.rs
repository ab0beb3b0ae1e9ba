//! What a pull finds in its place already, and leaves as it is: nothing of it is fetched. Or in another file of this machine.
//!
//! A file is known by its size, then by its digest. A directory is known by its tar: if packing it gives the content
//! digest that the layer tells, unpacking the layer would change nothing. Whatever is not certain is fetched.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cap_std::fs::Dir;
use oras_spec::{Algorithm, Descriptor, Digest, annotation};
use oras_store::{Error, FileStamp, Kind, Result, Verifier, fsio};

use crate::archive;
use crate::publish::{Form, Item};
use crate::target::{Place, unpacks};

/// A directory whose tar is so much larger than the layer, and larger than [`SMALL`], is sooner fetched than read.
const READ_FOR_EACH: u64 = 16;
const SMALL: u64 = 64 << 20;
/// Between so many bytes that the system copies it is looked whether anybody still waits.
const COPIED_AT_ONCE: u64 = 64 << 20;

/// What makes out whether something is there.
pub(crate) struct Look<'a> {
    /// Ends the work when it is set.
    pub(crate) cancelled: &'a AtomicBool,
}

impl Look<'_> {
    /// What is at `place`, if it is what pulling `layer` would leave there. No link is followed below the base.
    pub(crate) fn find(&self, place: &Place, layer: &Descriptor) -> Option<Item> {
        let dir = &place.base.dir;
        if place.relative.ancestors().skip(1).any(|parent| is_link(dir, parent)) {
            return None;
        }
        let found = dir.symlink_metadata(&place.relative).ok()?;
        let same = match unpacks(layer) {
            true => found.is_dir() && self.is_directory(place, layer).unwrap_or_default(),
            false => found.is_file() && self.is_file(dir, &place.relative, layer).unwrap_or_default(),
        };
        same.then(|| Item::new(place, PathBuf::new(), Form::Kept))
    }

    fn is_file(&self, dir: &Dir, path: &Path, layer: &Descriptor) -> Option<bool> {
        let mut file = dir.open(path).ok()?.into_std();
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() != layer.size {
            return Some(false);
        }
        let stamp = FileStamp::of(&metadata);
        copy(&mut file, &mut io::sink(), layer, self.cancelled).ok()?;
        Some(FileStamp::of(&file.metadata().ok()?) == stamp)
    }

    /// Has the system copy the file `source` to the file that `make` makes, and hashes the copy: file systems that can
    /// share blocks copy no bytes. Returns `None` if the copy is not `layer`.
    ///
    /// The copy is hashed, not `source`: nobody else can reach the staged file, so that a program that writes into
    /// `source` meanwhile can't bring in bytes that nobody verified.
    pub(crate) fn copy_verified(
        &self,
        source: &Path,
        make: impl FnOnce() -> Result<File>,
        layer: &Descriptor,
    ) -> Option<()> {
        // Who reads a link as content checks where it leads.
        let found = fs::symlink_metadata(source).ok()?;
        let source = File::open(source).ok().filter(|_| found.is_file() && found.len() == layer.size)?;
        let mut to = make().ok()?;
        let mut left = layer.size;
        while left > 0 && !self.cancelled.load(Ordering::Relaxed) {
            match io::copy(&mut (&source).take(left.min(COPIED_AT_ONCE)), &mut to).ok()? {
                0 => break,
                copied => left -= copied,
            }
        }
        to.rewind().ok()?;
        copy(&mut to, &mut io::sink(), layer, self.cancelled).ok()
    }

    fn is_directory(&self, place: &Place, layer: &Descriptor) -> Option<bool> {
        let told: Digest = layer.annotations.get(annotation::CONTENT_DIGEST)?.parse().ok()?;
        // What is staged is in the output directory itself, which is never the same therefore.
        if told.algorithm() != Some(Algorithm::Sha256) || place.relative.as_os_str().is_empty() {
            return Some(false);
        }
        let most = layer.size.saturating_mul(READ_FOR_EACH).max(SMALL);
        let path = place.base.path.join(&place.relative);
        Some(told == archive::content_digest(&path, layer.title()?, None, most, self.cancelled).ok()?)
    }
}

fn is_link(dir: &Dir, path: &Path) -> bool {
    !path.as_os_str().is_empty() && dir.symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// Copies what is found to be `layer`.
///
/// # Errors
/// [`Kind::DigestMismatch`] or [`Kind::SizeMismatch`] when it is not.
pub(crate) fn copy(
    from: &mut (impl Read + Send),
    to: &mut impl io::Write,
    layer: &Descriptor,
    cancelled: &AtomicBool,
) -> Result<()> {
    let failed = |error| Error::io("failed to read", error);
    let mut verifier = Verifier::new(layer)?;
    let mut copied = Ok(());
    let ended = fsio::read_through(from, |piece| {
        copied = verifier.update(piece).and_then(|()| to.write_all(piece).map_err(failed));
        match copied.is_err() || cancelled.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    copied?;
    match ended.map_err(failed)? {
        true => verifier.finish(),
        false => Err(Error::new(Kind::Other, "cancelled")),
    }
}

/// What is kept of the items of a pull, which come in the order in which they get their names.
pub(crate) struct Kept<'a>(BTreeMap<(&'a Path, &'a Path), usize>);

impl<'a> Kept<'a> {
    pub(crate) fn of(items: &'a [Item]) -> Self {
        let kept = items.iter().enumerate().filter(|(_, item)| matches!(item.form, Form::Kept));
        Self(kept.map(|(number, item)| ((&*item.base.path, &*item.target), number)).collect())
    }

    /// Whether what is at `path` below the base of `item`, which is the item of that number, was to replace what the
    /// item brings there: it is itself kept, or in a directory that is.
    pub(crate) fn covers(&self, item: &Item, number: usize, path: &Path) -> bool {
        let found = |at: &Path| self.0.get(&(&*item.base.path, at)).is_some_and(|later| *later > number);
        !self.0.is_empty() && path.ancestors().any(found)
    }
}
