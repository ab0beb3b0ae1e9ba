//! Recovers files that a killed pull had moved aside: the next pull moves them back, or keeps them beside the new
//! files.
//!
//! With hard links, the earlier file keeps its path until the new file replaces it, and the path in the staging
//! directory is a second link. Without hard links, the file briefly has only the path in the staging directory.

use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use oras_fs::{WARNINGS, if_exists};

use super::replaced_file::{is_same_file, keep_beside};

/// The prefix of the names of staging directories.
pub(crate) const PREFIX: &str = ".oras-pull-";
/// The subdirectory of a staging directory with the replaced files, each under its own path.
pub(crate) const REPLACED: &str = "replaced";

/// Restores the files that killed pulls had moved aside in `dir`, which is at `path`. Best effort: a file that cannot
/// be moved stays in its staging directory.
pub(crate) fn recover(dir: &Dir, path: &Path) {
    for entry in dir.entries().into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
            || !entry.file_type().is_ok_and(|kind| kind.is_dir())
        {
            continue;
        }
        // Both handles are relative to `dir`, so a link with such a name cannot lead outside `dir`.
        let Ok(staging) = dir.open_dir(&name) else { continue };
        let Ok(lock) = dir.open(&name).map(cap_std::fs::File::into_std) else { continue };
        // A running pull holds the lock. Without locks it is unknown whether the pull runs, so its files stay.
        if lock.try_lock().is_err() {
            continue;
        }
        // A pull that has just started, and has not taken its lock yet, has no replaced files.
        if staging.symlink_metadata(REPLACED).is_ok_and(|found| found.is_dir()) {
            let mut is_complete = true;
            for aside in replaced_files(&staging) {
                is_complete &= put_back(&staging, dir, path, &aside);
            }
            // The directory may be deleted only if it no longer has the only copy of an earlier file.
            if is_complete {
                drop(dir.remove_dir_all(&name));
            }
        }
    }
}

/// Returns the files and links below [`REPLACED`], by their paths below the staging directory.
fn replaced_files(staging: &Dir) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::from(REPLACED)];
    while let Some(directory) = directories.pop() {
        for entry in staging.read_dir(&directory).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(path),
                _ => files.push(path),
            }
        }
    }
    files
}

/// Moves the file `aside` back, or keeps it beside its path. Returns false if neither is possible.
fn put_back(staging: &Dir, dir: &Dir, root: &Path, aside: &Path) -> bool {
    let Ok(path) = aside.strip_prefix(REPLACED) else { return false };
    if is_same_file(staging, dir, path, aside) {
        return true;
    }
    let shown = root.join(path);
    let shown = shown.display();
    match if_exists(dir.symlink_metadata(path)) {
        Ok(None) => {
            let is_restored = staging.rename(aside, dir, path).is_ok();
            if is_restored {
                tracing::warn!(target: WARNINGS, "an interrupted pull had moved {shown} aside: restored");
            }
            is_restored
        }
        Ok(Some(_)) => {
            let Some(beside) = keep_beside(staging, dir, path, aside) else { return false };
            let beside = root.join(beside);
            let beside = beside.display();
            tracing::warn!(
                target: WARNINGS,
                "an interrupted pull had replaced {shown}: the earlier file is kept as {beside}"
            );
            true
        }
        Err(_) => false,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::pull::output_dir::OutputDir;

    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("the directory is ours");
        let mut file = fs::File::create(path).expect("the directory is ours");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("the file is ours");
    }

    #[test]
    fn restores_files_that_a_killed_pull_moved_aside() {
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
        drop(OutputDir::open(root.path()).unwrap());
        assert_eq!(text("gone"), "old");
        assert_eq!((text("d/changed"), text("d/changed.oras-old")), ("new".into(), "old".into()));
        assert_eq!(text("same"), "same");
        assert!(!at(".oras-pull-1-0").exists() && !at("busy").exists());
        assert_eq!(text(".oras-pull-2-0/replaced/busy"), "in use");
    }
}
