//! Undoes the steps of a failed publication. An earlier file that cannot return to its path is kept beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_store::Error;

use super::output_dir::OutputDir;
use super::replaced_file::{is_same_file, keep_beside};

/// A completed step of a publication.
pub(crate) enum DoneStep {
    /// A directory was created.
    Created { output: Arc<OutputDir>, path: PathBuf },
    /// The earlier file at `path` got the name `aside` in the staging directory.
    SetAside { output: Arc<OutputDir>, path: PathBuf, aside: PathBuf },
    /// The staged file `from` was renamed to `to`.
    Published { output: Arc<OutputDir>, from: PathBuf, to: PathBuf },
}

/// Undoes the steps, the last one first. Adds to `error` the paths of earlier files that could not be restored.
pub(crate) fn roll_back(done: Vec<DoneStep>, error: Error) -> Error {
    let mut kept = Vec::new();
    // In reverse order, a new file is moved away before the earlier file is restored to its path.
    for step in done.into_iter().rev() {
        match step {
            // Errors are ignored: an empty directory or the new file stays, so no data is lost.
            DoneStep::Created { output, path } => drop(output.dir.remove_dir(path)),
            DoneStep::Published { output, from, to } => drop(output.dir.rename(to, &output.staging, from)),
            DoneStep::SetAside { output, path, aside } => {
                if let Some(now) = restore(&output, &path, &aside) {
                    kept.push(format!("{} is kept as {}", output.path.join(&path).display(), now.display()));
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

/// Moves the earlier file `aside` of the staging directory back to `path`. If that fails, returns where the file is
/// now.
fn restore(output: &OutputDir, path: &Path, aside: &Path) -> Option<PathBuf> {
    // Linking is tried last: it never replaces a new file, and works where a rename is refused.
    let restored = is_same_file(&output.staging, &output.dir, path, aside)
        || output.staging.rename(aside, &output.dir, path).is_ok()
        || output.staging.hard_link(aside, &output.dir, path).is_ok();
    if restored {
        return None;
    }
    let beside = keep_beside(&output.staging, &output.dir, path, aside);
    Some(beside.map_or_else(|| output.keep_staged(aside), |beside| output.path.join(beside)))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use oras_store::ErrorKind;

    use super::*;

    fn put(path: &Path, text: &str) {
        let mut file = fs::File::create(path).expect("the directory is ours");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("the file is ours");
    }

    #[test]
    fn keeps_an_earlier_file_that_cannot_return() {
        let root = tempfile::tempdir().unwrap();
        let output = Arc::new(OutputDir::open(root.path()).unwrap());
        let staging = fs::read_dir(&root).unwrap().next().unwrap().unwrap().path();
        let set_aside = |aside: &str, path: &str| DoneStep::SetAside {
            output: Arc::clone(&output),
            path: path.into(),
            aside: aside.into(),
        };
        for name in ["back", "blocked", "lost"] {
            put(&staging.join(name), name);
        }
        // A directory blocks every rename to its path. In a missing directory no file can be kept beside `f`.
        fs::create_dir(root.path().join("full")).unwrap();
        put(&root.path().join("full.oras-old"), "taken");
        let done = vec![set_aside("back", "f"), set_aside("blocked", "full"), set_aside("lost", "missing/f")];
        let error = roll_back(done, Error::new(ErrorKind::Io, "failed to write f"));
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
        drop(output);
        assert_eq!(fs::read(root.path().join("f")).unwrap(), b"back");
        assert_eq!(fs::read(root.path().join("full.oras-old-1")).unwrap(), b"blocked");
        assert_eq!(fs::read(root.path().join("full.oras-old")).unwrap(), b"taken");
        assert_eq!(fs::read(&lost).unwrap(), b"lost");
    }

    #[test]
    fn returns_the_error_when_everything_is_restored() {
        let root = tempfile::tempdir().unwrap();
        let output = Arc::new(OutputDir::open(root.path()).unwrap());
        let staging = fs::read_dir(&root).unwrap().next().unwrap().unwrap().path();
        put(&root.path().join("f"), "old");
        fs::hard_link(root.path().join("f"), staging.join("aside")).unwrap();
        let done =
            vec![DoneStep::SetAside { output: Arc::clone(&output), path: "f".into(), aside: "aside".into() }];
        assert_eq!(roll_back(done, Error::new(ErrorKind::Io, "why")).chain(), "why");
        drop(output);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }
}
