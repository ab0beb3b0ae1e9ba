//! Digests of what a pull wrote, remembered so that the next pull need not hash it.
//!
//! Until it has its name nobody else can reach what was verified. It is remembered if it had been left alone for a moment
//! when it got the name: whatever is written to it then shows in its times.

use std::fs::File;
use std::time::{Duration, SystemTime};

use oras_spec::Digest;
use oras_store::{DigestCache, FileStamp};

use crate::publish::{Form, Item};

/// Smaller files are hashed in no time.
const WORTH_KNOWING: u64 = 1 << 20;
/// Larger files take ten times as long to hash as to wait for.
const WORTH_WAITING: u64 = 256 << 20;
/// In steps of this, and so many of them, it is waited.
const STEP: Duration = Duration::from_millis(5);
const STEPS: u32 = 6;

/// The files that are about to get their names.
pub(crate) struct Remembered<'a> {
    digests: &'a DigestCache,
    files: Vec<(&'a Item, &'a Digest, FileStamp)>,
    /// When they had none.
    since: SystemTime,
}

impl<'a> Remembered<'a> {
    /// Looks at what is staged, and waits a moment if the last bytes of a large file have just been written.
    pub(crate) fn look(
        digests: &'a DigestCache,
        staged: impl Iterator<Item = (&'a Item, &'a Digest)>,
    ) -> Self {
        let stamped = |(item, digest): (&'a Item, &'a Digest)| {
            let stamp = stamp(&open(item)?).filter(|stamp| stamp.length >= WORTH_KNOWING)?;
            Some((item, digest, unnamed(stamp)))
        };
        let files: Vec<_> = staged.filter_map(stamped).collect();
        let is_young = |now: SystemTime| {
            files.iter().any(|(_, _, stamp)| stamp.length >= WORTH_WAITING && !stamp.is_settled(now))
        };
        for _ in 0..STEPS {
            if !is_young(SystemTime::now()) {
                break;
            }
            std::thread::sleep(STEP);
        }
        Self { digests, files, since: SystemTime::now() }
    }

    /// Remembers those that have their names now and are as they were.
    pub(crate) fn keep(self) {
        for (item, digest, before) in self.files {
            let named = item.base.dir.open(&item.target).ok().map(cap_std::fs::File::into_std);
            let Some(after) = named.and_then(|file| stamp(&file)) else { continue };
            if unnamed(after) == before && before.is_settled(self.since) {
                // Its name is our doing: that it is young says nothing.
                self.digests.put(&after, digest, SystemTime::now() + Duration::from_secs(1));
            }
        }
    }
}

/// The staged file; not what was there before, nor directories.
fn open(item: &Item) -> Option<File> {
    match &item.form {
        Form::Whole(whole) => whole.open().ok(),
        Form::Staged => item.base.staging.open(&item.staged).ok().map(cap_std::fs::File::into_std),
        Form::Kept => None,
    }
}

fn stamp(file: &File) -> Option<FileStamp> {
    Some(FileStamp::of(&file.metadata().ok().filter(std::fs::Metadata::is_file)?))
}

/// The stamp without what a rename changes.
fn unnamed(stamp: FileStamp) -> FileStamp {
    FileStamp { changed: stamp.modified, ..stamp }
}
