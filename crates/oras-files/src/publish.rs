//! The last step of a pull: staged files get their names, relative to a directory handle that nothing leads out of.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use oras_store::fsio::Whole;
use oras_store::{Error, Kind, Result};

use crate::base::Base;
use crate::extract::{Directory, set_mode, set_modified};
use crate::folding::Folded;
use crate::interrupted;
use crate::kept::Kept;
use crate::rollback::{Done, roll_back};
use crate::target::Place;

/// Something staged, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The directory that it is published below.
    pub(crate) base: Arc<Base>,
    /// The file or directory, below the staging directory.
    pub(crate) staged: PathBuf,
    pub(crate) form: Form,
    /// The path below the base.
    pub(crate) target: PathBuf,
    /// What is to be set of the directories in it, children first.
    pub(crate) directories: Arc<Vec<Directory>>,
}

/// Where the bytes of an item are before it is published.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// In the staging directory.
    Staged,
    /// In this file, which gets to the staging directory when all is published.
    Whole(Whole),
    /// In its place, where they were before.
    Kept,
}

impl Item {
    /// What was staged for `place`, a file or a directory about which nothing is to be set.
    pub(crate) fn new(place: &Place, staged: PathBuf, form: Form) -> Self {
        let (base, target) = (Arc::clone(&place.base), place.relative.clone());
        Self { base, staged, form, target, directories: Arc::default() }
    }

    fn whole(&self) -> Option<&Whole> {
        match &self.form {
            Form::Whole(whole) => Some(whole),
            Form::Staged | Form::Kept => None,
        }
    }
}

/// A rename out of the staging directory.
struct Move {
    base: Arc<Base>,
    from: PathBuf,
    to: PathBuf,
}

/// Publishes `items`: checks everything, then moves; a move that fails takes back those before it.
pub(crate) fn publish(items: &[Item], keep_old_files: bool) -> Result<()> {
    check_case(items)?;
    let published = gather(items).and_then(|()| publish_gathered(items, keep_old_files));
    if published.is_err() {
        // The next run may have them.
        for (item, whole) in wholes(items) {
            if let Ok(staging) = item.base.staging_file() {
                whole.take_back(&staging, &item.staged);
            }
        }
    }
    published
}

fn wholes(items: &[Item]) -> impl Iterator<Item = (&Item, &Whole)> {
    items.iter().filter_map(|item| Some((item, item.whole()?)))
}

/// Moves files that were kept for another run into the staging directory.
fn gather(items: &[Item]) -> Result<()> {
    for (item, whole) in wholes(items) {
        let moved = item.base.staging_file().and_then(|staging| whole.move_to(&staging, &item.staged));
        moved.map_err(|error| {
            Error::io(format!("failed to write {}", item.base.path.join(&item.target).display()), error)
        })?;
    }
    Ok(())
}

fn publish_gathered(items: &[Item], keep_old_files: bool) -> Result<()> {
    let kept = Kept::of(items);
    let mut moves = Vec::new();
    for (number, item) in items.iter().enumerate().filter(|(_, item)| !matches!(item.form, Form::Kept)) {
        let covered = |path: &Path| kept.covers(item, number, path);
        let mut plan = Plan { base: &item.base, keep_old_files, covered: &covered, moves: &mut moves };
        plan.add(item.staged.clone(), &item.target).map_err(|error| {
            error.context(format!("failed to write {}", item.base.path.join(&item.target).display()))
        })?;
    }
    let mut done = Vec::new();
    let result = run_all(&moves, &mut done).and_then(|()| finish(items, &moves));
    result.map_err(|error| roll_back(done, error))
}

/// Refuses two titles that the file system takes for one: the second would replace the first.
fn check_case(items: &[Item]) -> Result<()> {
    let mut seen = BTreeMap::<&Path, Folded>::new();
    for item in items.iter().filter(|item| item.base.folds) {
        if let Some(other) = seen.entry(&item.base.path).or_default().clash(&item.target) {
            let message = format!(
                "the file system does not tell {:?} from {:?}, which differs in case",
                item.target.display().to_string(),
                other.display().to_string()
            );
            return Err(Error::new(Kind::AlreadyExists, message));
        }
    }
    Ok(())
}

fn run_all(moves: &[Move], done: &mut Vec<Done>) -> Result<()> {
    for step in moves {
        run(step, done).map_err(|error| {
            Error::io(format!("failed to write {}", step.base.path.join(&step.to).display()), error)
        })?;
    }
    Ok(())
}

/// Sets modes and times of directories that were moved; those that were there before keep theirs.
fn finish(items: &[Item], moves: &[Move]) -> Result<()> {
    let moved: HashMap<_, _> = moves.iter().map(|step| ((&step.base.path, &*step.from), &*step.to)).collect();
    for item in items {
        for directory in item.directories.iter() {
            let staged = item.staged.join(&directory.path);
            let place = staged.ancestors().find_map(|ancestor| {
                let to = moved.get(&(&item.base.path, ancestor))?;
                Some(to.join(staged.strip_prefix(ancestor).ok()?))
            });
            let Some(place) = place else { continue };
            set(&item.base.dir, &place, directory).map_err(|error| {
                Error::io(format!("failed to write {}", item.base.path.join(&place).display()), error)
            })?;
        }
    }
    Ok(())
}

fn set(dir: &Dir, place: &Path, directory: &Directory) -> io::Result<()> {
    // Not open_dir: its handle is good for paths only, not for modes and times. Without `openat2` a slash at the end has
    // the same effect, so the path is built anew.
    let opened = dir.open(place.components().collect::<PathBuf>())?.into_std();
    if !opened.metadata()?.is_dir() {
        return Err(io::Error::from(ErrorKind::NotADirectory));
    }
    set_modified(&opened, directory.modified)?;
    set_mode(&opened, directory.mode)
}

/// Whether every existing parent of `target` is a directory within `dir`; `Denied` when a link leads out.
pub(crate) fn parents_are_directories(dir: &Dir, target: &Path) -> Result<()> {
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

/// How one item gets to its place.
struct Plan<'a> {
    base: &'a Arc<Base>,
    keep_old_files: bool,
    /// Tells paths where what is there stays.
    covered: &'a dyn Fn(&Path) -> bool,
    moves: &'a mut Vec<Move>,
}

impl Plan<'_> {
    fn add(&mut self, from: PathBuf, target: &Path) -> Result<()> {
        let base = self.base;
        parents_are_directories(&base.dir, target)?;
        let looked = |path: &Path, error| Error::io(format!("failed to look at {}", path.display()), error);
        let staged = base.staging.symlink_metadata(&from).map_err(|error| looked(&from, error))?;
        let to = target.to_owned();
        let existing = match base.dir.symlink_metadata(target) {
            Ok(existing) => existing,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.moves.push(Move { base: Arc::clone(base), from, to });
                return Ok(());
            }
            Err(error) => return Err(looked(target, error)),
        };
        if self.keep_old_files {
            return Err(Error::new(Kind::AlreadyExists, "overwrite disallowed"));
        }
        match (staged.is_dir(), existing.is_dir()) {
            (true, true) => {
                let entries = base.staging.read_dir(&from).map_err(|error| looked(&from, error))?;
                for entry in entries {
                    let name = entry.map_err(|error| looked(&from, error))?.file_name();
                    self.add(from.join(&name), &target.join(&name))?;
                }
                Ok(())
            }
            _ if (self.covered)(target) => Ok(()),
            (false, true) => {
                Err(Error::new(Kind::AlreadyExists, format!("{} is a directory", target.display())))
            }
            (true, false) if !existing.is_symlink() => {
                Err(Error::new(Kind::AlreadyExists, format!("{} is not a directory", target.display())))
            }
            _ => {
                self.moves.push(Move { base: Arc::clone(base), from, to });
                Ok(())
            }
        }
    }
}

fn run(step: &Move, done: &mut Vec<Done>) -> io::Result<()> {
    let Base { dir, staging, .. } = &*step.base;
    let mut parents: Vec<_> =
        step.to.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()).collect();
    parents.reverse();
    for parent in parents {
        match dir.create_dir(parent) {
            Ok(()) => done.push(Done::Created(Arc::clone(&step.base), parent.to_owned())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    // What was there is kept in the staging directory until everything is in place.
    let aside = Path::new(interrupted::REPLACED).join(&step.to);
    if put_aside(step, &aside)? {
        done.push(Done::Aside { base: Arc::clone(&step.base), was: step.to.clone(), is: aside });
    }
    staging.rename(&step.from, dir, &step.to)?;
    done.push(Done::Moved { base: Arc::clone(&step.base), from: step.from.clone(), to: step.to.clone() });
    Ok(())
}

/// Keeps what is at the target in the staging directory, if anything is, under its path: if this process is killed, the next
/// pull knows where it was. A file stays in its place meanwhile, so that nobody
/// finds nothing there; another process may take it away or put another one there at any moment.
fn put_aside(step: &Move, aside: &Path) -> io::Result<bool> {
    let Base { dir, staging, .. } = &*step.base;
    match dir.symlink_metadata(&step.to) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    if let Some(parent) = aside.parent() {
        staging.create_dir_all(parent)?;
    }
    if !staging.symlink_metadata(&step.from)?.is_dir() {
        match dir.hard_link(&step.to, staging, aside) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            // Not every file system has links, and not every file may be linked.
            Err(_) => {}
        }
    }
    match dir.rename(&step.to, staging, aside) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
