//! The last step of a pull: staged files get their names, relative to a directory handle that nothing leads out of.

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use oras_store::{Error, Kind, Result};

/// Something staged, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// A directory that exists; all links in it are resolved.
    pub(crate) base: PathBuf,
    /// The staged file or directory, below the base.
    pub(crate) staged: PathBuf,
    /// The path below the base.
    pub(crate) target: PathBuf,
}

/// A rename, below one directory handle.
struct Move {
    dir: usize,
    from: PathBuf,
    to: PathBuf,
}

/// What was done, to be undone in reverse.
enum Done {
    Created(usize, PathBuf),
    Aside { dir: usize, was: PathBuf, is: PathBuf },
    Moved { dir: usize, from: PathBuf, to: PathBuf },
}

/// Publishes `items`: checks everything, then moves; a move that fails takes back those before it.
pub(crate) fn publish(items: &[Item], keep_old_files: bool) -> Result<()> {
    let mut dirs = Vec::with_capacity(items.len());
    let mut moves = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let dir = open(&item.base)?;
        let from = item.staged.strip_prefix(&item.base).unwrap_or(&item.staged).to_owned();
        plan(&dir, at, from, &item.target, keep_old_files, &mut moves).map_err(|error| {
            error.context(format!("failed to write {}", item.base.join(&item.target).display()))
        })?;
        dirs.push(dir);
    }
    let mut done = Vec::new();
    for (number, step) in moves.iter().enumerate() {
        if let Err(error) = run(&dirs, step, number, &mut done) {
            undo(&dirs, done);
            let base = items.get(step.dir).map(|item| item.base.join(&step.to)).unwrap_or_default();
            return Err(Error::io(format!("failed to write {}", base.display()), error));
        }
    }
    Ok(())
}

/// Whether every existing parent of `target` is a directory within `base`; `Denied` when a link leads out.
pub(crate) fn check_parents(base: &Path, target: &Path) -> Result<()> {
    parents_are_directories(&open(base)?, target)
}

fn open(base: &Path) -> Result<Dir> {
    Dir::open_ambient_dir(base, ambient_authority())
        .map_err(|error| Error::io(format!("failed to open {}", base.display()), error))
}

fn parents_are_directories(dir: &Dir, target: &Path) -> Result<()> {
    for parent in target.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
        match dir.metadata(parent) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(Error::new(
                    Kind::AlreadyExists,
                    format!("{} is not a directory", parent.display()),
                ));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A dangling link is in the way, too.
                if dir.symlink_metadata(parent).is_ok() {
                    return Err(Error::new(Kind::Denied, format!("{} is a dangling link", parent.display())));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(
                    Error::new(Kind::Denied, format!("{} leads out", parent.display())).with_source(error)
                );
            }
            Err(error) => return Err(Error::io(format!("failed to look at {}", parent.display()), error)),
        }
    }
    Ok(())
}

fn plan(
    dir: &Dir,
    at: usize,
    from: PathBuf,
    target: &Path,
    keep_old_files: bool,
    moves: &mut Vec<Move>,
) -> Result<()> {
    parents_are_directories(dir, target)?;
    let looked = |path: &Path, error| Error::io(format!("failed to look at {}", path.display()), error);
    let staged = dir.symlink_metadata(&from).map_err(|error| looked(&from, error))?;
    let existing = match dir.symlink_metadata(target) {
        Ok(existing) => existing,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            moves.push(Move { dir: at, from, to: target.to_owned() });
            return Ok(());
        }
        Err(error) => return Err(looked(target, error)),
    };
    if keep_old_files {
        return Err(Error::new(Kind::AlreadyExists, "overwrite disallowed"));
    }
    match (staged.is_dir(), existing.is_dir()) {
        (true, true) => {
            let entries = dir.read_dir(&from).map_err(|error| looked(&from, error))?;
            for entry in entries {
                let name = entry.map_err(|error| looked(&from, error))?.file_name();
                plan(dir, at, from.join(&name), &target.join(&name), false, moves)?;
            }
            Ok(())
        }
        (false, true) => Err(Error::new(Kind::AlreadyExists, format!("{} is a directory", target.display()))),
        (true, false) if !existing.is_symlink() => {
            Err(Error::new(Kind::AlreadyExists, format!("{} is not a directory", target.display())))
        }
        _ => {
            moves.push(Move { dir: at, from, to: target.to_owned() });
            Ok(())
        }
    }
}

fn run(dirs: &[Dir], step: &Move, number: usize, done: &mut Vec<Done>) -> io::Result<()> {
    let dir = dirs.get(step.dir).ok_or_else(|| io::Error::other("no such directory"))?;
    let mut parents: Vec<_> =
        step.to.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()).collect();
    parents.reverse();
    for parent in parents {
        match dir.create_dir(parent) {
            Ok(()) => done.push(Done::Created(step.dir, parent.to_owned())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    if dir.symlink_metadata(&step.to).is_ok() {
        // What was there is kept in the staging directory until everything is in place.
        let staging: PathBuf =
            step.from.components().take_while(|part| matches!(part, Component::Normal(_))).take(1).collect();
        let aside = staging.join(format!("replaced-{number}"));
        dir.rename(&step.to, dir, &aside)?;
        done.push(Done::Aside { dir: step.dir, was: step.to.clone(), is: aside });
    }
    dir.rename(&step.from, dir, &step.to)?;
    done.push(Done::Moved { dir: step.dir, from: step.from.clone(), to: step.to.clone() });
    Ok(())
}

/// Takes steps back, the last one first. Nothing better can be done with an error here.
fn undo(dirs: &[Dir], done: Vec<Done>) {
    for step in done.into_iter().rev() {
        let undone = match step {
            Done::Created(at, path) => dirs.get(at).map(|dir| dir.remove_dir(path)),
            Done::Aside { dir, was, is } => dirs.get(dir).map(|dir| dir.rename(is, dir, was)),
            Done::Moved { dir, from, to } => dirs.get(dir).map(|dir| dir.rename(to, dir, from)),
        };
        drop(undone);
    }
}
