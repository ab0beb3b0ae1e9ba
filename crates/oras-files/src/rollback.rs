//! Takes back the steps of a publication that failed. An earlier file that cannot return to its place is kept beside it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use oras_store::Error;

use crate::base::Base;

/// Names that are tried for an earlier file that cannot return to its place.
const ATTEMPTS: u32 = 1000;

/// A step that was done.
pub(crate) enum Done {
    Created(Arc<Base>, PathBuf),
    Aside { base: Arc<Base>, was: PathBuf, is: PathBuf },
    Moved { base: Arc<Base>, from: PathBuf, to: PathBuf },
}

/// Takes back the steps of `done`, the last one first, and adds to `error` where earlier files are that could not be restored.
pub(crate) fn roll_back(done: Vec<Done>, error: Error) -> Error {
    let mut kept = Vec::new();
    for step in done.into_iter().rev() {
        match step {
            // An error leaves an empty directory or the new file, which loses nothing.
            Done::Created(base, path) => drop(base.dir.remove_dir(path)),
            Done::Moved { base, from, to } => drop(base.dir.rename(to, &base.staging, from)),
            Done::Aside { base, was, is } => {
                if let Some(place) = restore(&base, &was, &is) {
                    kept.push(format!("{} is kept as {}", base.path.join(&was).display(), place.display()));
                }
            }
        }
    }
    if kept.is_empty() {
        return error;
    }
    kept.reverse();
    error.context(format!("failed to restore earlier files: {}", kept.join(", ")))
}

/// Moves the earlier file `is` of the staging directory back to `was`. Returns where it is kept if that fails.
fn restore(base: &Base, was: &Path, is: &Path) -> Option<PathBuf> {
    // A link has no effect where a new file is left in the place, and it needs no rename.
    let restored = is_same_file(&base.staging, &base.dir, was, is)
        || base.staging.rename(is, &base.dir, was).is_ok()
        || base.staging.hard_link(is, &base.dir, was).is_ok();
    if restored {
        return None;
    }
    if let Some(beside) = keep_beside(&base.staging, &base.dir, was, is) {
        return Some(base.path.join(beside));
    }
    Some(base.keep_staged(is))
}

/// Gives the file `is` of `staging` a new name in the directory of `was`, which is below `dir`.
pub(crate) fn keep_beside(staging: &Dir, dir: &Dir, was: &Path, is: &Path) -> Option<PathBuf> {
    for attempt in 0..ATTEMPTS {
        let mut name = OsString::from(was.file_name()?);
        name.push(if attempt == 0 { ".oras-old".to_owned() } else { format!(".oras-old-{attempt}") });
        let beside = was.with_file_name(name);
        match staging.hard_link(is, dir, &beside) {
            Ok(()) => return Some(beside),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(_) => {}
        }
        // A rename replaces files, so only an unused name is taken.
        match dir.symlink_metadata(&beside) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return staging.rename(is, dir, &beside).is_ok().then_some(beside);
            }
            Err(_) => return None,
            Ok(_) => {}
        }
    }
    None
}

/// Whether `was` is still the earlier file: its second name in the staging directory is not needed then.
#[cfg(unix)]
pub(crate) fn is_same_file(staging: &Dir, dir: &Dir, was: &Path, is: &Path) -> bool {
    use cap_std::fs::MetadataExt;
    let (Ok(was), Ok(is)) = (dir.symlink_metadata(was), staging.symlink_metadata(is)) else {
        return false;
    };
    // Some file systems without hard links invent inode numbers, so the number of names counts, too.
    (was.dev(), was.ino()) == (is.dev(), is.ino()) && was.nlink() > 1
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(_: &Dir, _: &Dir, _: &Path, _: &Path) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use oras_store::Kind;

    use super::*;

    fn put(path: &Path, text: &str) {
        let mut file = fs::File::create(path).expect("the directory is ours");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("the file is ours");
    }

    #[test]
    fn keeps_an_earlier_file_that_cannot_return() {
        let root = tempfile::tempdir().unwrap();
        let base = Arc::new(Base::open(root.path()).unwrap());
        let staging = fs::read_dir(&root).unwrap().next().unwrap().unwrap().path();
        let aside =
            |is: &str, was: &str| Done::Aside { base: Arc::clone(&base), was: was.into(), is: is.into() };
        for name in ["back", "blocked", "lost"] {
            put(&staging.join(name), name);
        }
        // A directory blocks every rename to it; a directory that is missing has no room beside it either.
        fs::create_dir(root.path().join("full")).unwrap();
        put(&root.path().join("full.oras-old"), "taken");
        let done = vec![aside("back", "f"), aside("blocked", "full"), aside("lost", "missing/f")];
        let error = roll_back(done, Error::new(Kind::Io, "failed to write f"));
        let at = |name: &str| root.path().join(name).display().to_string();
        let lost = staging.join("lost").display().to_string();
        assert_eq!(
            error.chain(),
            format!(
                "failed to restore earlier files: {} is kept as {}, {} is kept as {lost}: failed to write f",
                at("full"),
                at("full.oras-old-1"),
                at("missing/f")
            )
        );
        drop(error);
        drop(base);
        assert_eq!(fs::read(root.path().join("f")).unwrap(), b"back");
        assert_eq!(fs::read(root.path().join("full.oras-old-1")).unwrap(), b"blocked");
        assert_eq!(fs::read(root.path().join("full.oras-old")).unwrap(), b"taken");
        assert_eq!(fs::read(&lost).unwrap(), b"lost");
    }

    #[test]
    fn returns_the_error_when_everything_is_restored() {
        let root = tempfile::tempdir().unwrap();
        let base = Arc::new(Base::open(root.path()).unwrap());
        let staging = fs::read_dir(&root).unwrap().next().unwrap().unwrap().path();
        put(&root.path().join("f"), "old");
        fs::hard_link(root.path().join("f"), staging.join("aside")).unwrap();
        let done = vec![Done::Aside { base: Arc::clone(&base), was: "f".into(), is: "aside".into() }];
        assert_eq!(roll_back(done, Error::new(Kind::Io, "why")).chain(), "why");
        drop(base);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }
}
