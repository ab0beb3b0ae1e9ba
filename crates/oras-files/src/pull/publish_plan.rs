//! Plans a publication: which staged files and directories are moved, and which existing paths conflict with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_fs::{failed_to, if_exists};
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
    let unchanged: BTreeMap<_, _> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.is_unchanged())
        .map(|(number, item)| ((&*item.output.path, &*item.target), number))
        .collect();
    let mut moves = Vec::new();
    for (number, item) in items.iter().enumerate().filter(|(_, item)| !item.is_unchanged()) {
        // A later, unchanged item at the path or at a parent would replace what this item writes there.
        let is_replaced =
            |path: &Path| unchanged.get(&(&*item.output.path, path)).is_some_and(|later| *later > number);
        let keeps_existing = |path: &Path| path.ancestors().any(is_replaced);
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
        let staged = output.staging.symlink_metadata(&from).map_err(failed_to("look at", &from))?;
        let existing =
            if_exists(output.dir.symlink_metadata(target)).map_err(failed_to("look at", target))?;
        let Some(existing) = existing else {
            self.push(from, target);
            return Ok(());
        };
        if self.keep_old_files {
            return Err(Error::new(ErrorKind::AlreadyExists, "overwrite disallowed"));
        }
        match (staged.is_dir(), existing.is_dir()) {
            (true, true) => {
                let entries = output.staging.read_dir(&from).map_err(failed_to("look at", &from))?;
                for entry in entries {
                    let name = entry.map_err(failed_to("look at", &from))?.file_name();
                    self.add(from.join(&name), &target.join(&name))?;
                }
            }
            _ if (self.keeps_existing)(target) => {}
            (false, true) => {
                let message = format!("{} is a directory", target.display());
                return Err(Error::new(ErrorKind::AlreadyExists, message));
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
