//! Earlier files that a pull had moved aside when it was killed: the next pull puts them back, or keeps them beside.
//!
//! Where there are hard links a file is in its place at every moment, and what is aside is only its second name. File
//! systems without them have a moment in which the file is aside alone.

use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use oras_store::fsio;

use crate::rollback::{is_same_file, keep_beside};

/// Staging directories begin so.
pub(crate) const PREFIX: &str = ".oras-pull-";
/// The directory in a staging directory that has what was replaced, each file under its path.
pub(crate) const REPLACED: &str = "replaced";

/// Restores in `dir`, which is at `path`, what pulls that are gone had moved aside. Best effort: what can't be moved stays
/// where it is.
pub(crate) fn restore(dir: &Dir, path: &Path) {
    for entry in dir.entries().into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
            || !entry.file_type().is_ok_and(|kind| kind.is_dir())
        {
            continue;
        }
        let Ok(staging) = dir.open_dir(&name) else { continue };
        let Ok(lock) = dir.open(&name).map(cap_std::fs::File::into_std) else { continue };
        // A pull that runs has the lock. Without locks nobody knows whether it runs.
        if lock.try_lock().is_err() {
            continue;
        }
        // A pull that begins has nothing aside.
        if staging.symlink_metadata(REPLACED).is_ok_and(|found| found.is_dir()) {
            let mut all = true;
            for is in files(&staging) {
                all &= put_back(&staging, dir, path, &is);
            }
            if all {
                drop(dir.remove_dir_all(&name));
            }
        }
    }
}

/// The files and links below [`REPLACED`], by their paths from the staging directory.
fn files(staging: &Dir) -> Vec<PathBuf> {
    let (mut found, mut next) = (Vec::new(), vec![PathBuf::from(REPLACED)]);
    while let Some(directory) = next.pop() {
        for entry in staging.read_dir(&directory).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => next.push(path),
                _ => found.push(path),
            }
        }
    }
    found
}

/// Moves the file back, or keeps it beside its place. Returns false if neither is possible.
fn put_back(staging: &Dir, dir: &Dir, path: &Path, is: &Path) -> bool {
    let Ok(was) = is.strip_prefix(REPLACED) else { return false };
    if is_same_file(staging, dir, was, is) {
        return true;
    }
    let shown = path.join(was);
    match dir.symlink_metadata(was) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let restored = staging.rename(is, dir, was).is_ok();
            if restored {
                fsio::notice(&format!("an interrupted pull had moved {} aside: restored", shown.display()));
            }
            restored
        }
        Err(_) => false,
        Ok(_) => match keep_beside(staging, dir, was, is) {
            Some(beside) => {
                let beside = path.join(beside);
                fsio::notice(&format!(
                    "an interrupted pull had replaced {}: the earlier file is kept as {}",
                    shown.display(),
                    beside.display()
                ));
                true
            }
            None => false,
        },
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::base::Base;

    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("the directory is ours");
        let mut file = fs::File::create(path).expect("the directory is ours");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("the file is ours");
    }

    #[test]
    fn restores_what_a_killed_pull_moved_aside() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let text = |name: &str| String::from_utf8(fs::read(at(name)).unwrap()).unwrap();
        put(&at(".oras-pull-1-0/replaced/gone"), "old");
        put(&at(".oras-pull-1-0/replaced/d/changed"), "old");
        put(&at("d/changed"), "new");
        put(&at("same"), "same");
        fs::hard_link(at("same"), at(".oras-pull-1-0/replaced/same")).unwrap();
        put(&at(".oras-pull-2-0/replaced/busy"), "in use");
        let busy = fs::File::open(at(".oras-pull-2-0")).unwrap();
        busy.lock().unwrap();
        drop(Base::open(root.path()).unwrap());
        assert_eq!(text("gone"), "old");
        assert_eq!((text("d/changed"), text("d/changed.oras-old")), ("new".into(), "old".into()));
        assert_eq!(text("same"), "same");
        assert!(!at(".oras-pull-1-0").exists() && !at("busy").exists());
        assert_eq!(text(".oras-pull-2-0/replaced/busy"), "in use");
    }
}
