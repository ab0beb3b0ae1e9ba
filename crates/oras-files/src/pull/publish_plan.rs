//! Plans a publication: which staged files and directories are moved, and which existing paths conflict with them.

use std::collections::BTreeMap;
use std::io::{self, Error as IoError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_store::{Error, ErrorKind, Result};

use super::output_dir::OutputDir;
use super::staged_item::StagedItem;
use crate::case_folding::CaseFoldedPaths;

/// A rename out of the staging directory.
pub(crate) struct Move {
    pub(crate) output: Arc<OutputDir>,
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
}

/// Returns the moves that publish `items`, in order. Nothing is changed.
///
/// # Errors
/// `AlreadyExists` for a conflict with an existing path or between two items; `Denied`; `Io`.
pub(crate) fn plan_moves(items: &[StagedItem], keep_old_files: bool) -> Result<Vec<Move>> {
    let unchanged = UnchangedPaths::of(items);
    let mut moves = Vec::new();
    for (number, item) in items.iter().enumerate().filter(|(_, item)| !item.is_unchanged()) {
        let keeps_existing = |path: &Path| unchanged.covers(item, number, path);
        let mut planner = Planner {
            output: &item.output,
            keep_old_files,
            keeps_existing: &keeps_existing,
            moves: &mut moves,
        };
        planner.add(item.staged.clone(), &item.target).map_err(|error| {
            error.context(format!("failed to write {}", item.output.path.join(&item.target).display()))
        })?;
    }
    Ok(moves)
}

/// Rejects two titles that are one path on a case-insensitive file system: the second would replace the first.
pub(crate) fn check_case(items: &[StagedItem]) -> Result<()> {
    let mut seen = BTreeMap::<&Path, CaseFoldedPaths>::new();
    for item in items.iter().filter(|item| item.output.folds_case) {
        if let Some(other) = seen.entry(&item.output.path).or_default().add(&item.target) {
            let message = format!(
                "the file system does not tell {:?} from {:?}, which differs in case",
                item.target.display().to_string(),
                other.display().to_string()
            );
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
    }
    Ok(())
}

/// The paths of unchanged items. Items are published in order, so a later item replaces an earlier one.
struct UnchangedPaths<'a>(BTreeMap<(&'a Path, &'a Path), usize>);

impl<'a> UnchangedPaths<'a> {
    fn of(items: &'a [StagedItem]) -> Self {
        let unchanged = items.iter().enumerate().filter(|(_, item)| item.is_unchanged());
        Self(unchanged.map(|(number, item)| ((&*item.output.path, &*item.target), number)).collect())
    }

    /// Returns true if a later, unchanged item already has its content at `path` or at a parent of `path`. `number` is
    /// the number of `item`. The later item would replace what `item` writes there, so the existing file stays.
    fn covers(&self, item: &StagedItem, number: usize, path: &Path) -> bool {
        let is_replaced =
            |at: &Path| self.0.get(&(&*item.output.path, at)).is_some_and(|later| *later > number);
        !self.0.is_empty() && path.ancestors().any(is_replaced)
    }
}

/// Adds the moves of one item.
struct Planner<'a> {
    output: &'a Arc<OutputDir>,
    keep_old_files: bool,
    /// Returns true for a path whose existing file stays.
    keeps_existing: &'a dyn Fn(&Path) -> bool,
    moves: &'a mut Vec<Move>,
}

impl Planner<'_> {
    /// Adds the move of the staged `from` to `target`. Existing directories are merged, entry by entry.
    fn add(&mut self, from: PathBuf, target: &Path) -> Result<()> {
        let output = self.output;
        // Checked again, because another program may have changed the directories since the title was resolved.
        output.check_parents(target)?;
        let staged = output.staging.symlink_metadata(&from).map_err(|error| look_failed(&from, error))?;
        let existing = match output.dir.symlink_metadata(target) {
            Ok(existing) => existing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.push(from, target);
                return Ok(());
            }
            Err(error) => return Err(look_failed(target, error)),
        };
        if self.keep_old_files {
            return Err(Error::new(ErrorKind::AlreadyExists, "overwrite disallowed"));
        }
        match (staged.is_dir(), existing.is_dir()) {
            (true, true) => {
                let entries = output.staging.read_dir(&from).map_err(|error| look_failed(&from, error))?;
                for entry in entries {
                    let name = entry.map_err(|error| look_failed(&from, error))?.file_name();
                    self.add(from.join(&name), &target.join(&name))?;
                }
            }
            _ if (self.keeps_existing)(target) => {}
            (false, true) => {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("{} is a directory", target.display()),
                ));
            }
            (true, false) if !existing.is_symlink() => {
                let message = format!("{} is not a directory", target.display());
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            _ => self.push(from, target),
        }
        Ok(())
    }

    fn push(&mut self, from: PathBuf, target: &Path) {
        self.moves.push(Move { output: Arc::clone(self.output), from, to: target.to_owned() });
    }
}

fn look_failed(path: &Path, error: IoError) -> Error {
    Error::io(format!("failed to look at {}", path.display()), error)
}
