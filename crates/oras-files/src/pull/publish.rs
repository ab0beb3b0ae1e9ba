//! Publishes staged files: renames them to their paths, below a directory handle that no path can leave.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use oras_fs::{CompletedFile, failed_to, if_exists};
use oras_store::{Error, Result};

use super::interrupted_pull::REPLACED;
use super::output_dir::OutputDir;
use super::publish_plan::{Move, check_case, plan_moves};
use super::rollback::{DoneStep, roll_back};
use super::staged_item::StagedItem;
use crate::extract::DirectoryAttributes;

/// Publishes `items`: checks all of them, then moves them. If a move fails, the earlier moves are undone.
pub(crate) fn publish(items: &[StagedItem], keep_old_files: bool) -> Result<()> {
    check_case(items)?;
    // Partial files are moved only now. Until then, the next run can resume them if this process is killed.
    let published = stage_partial_files(items).and_then(|()| move_staged(items, keep_old_files));
    if published.is_err() {
        // The next run can use the complete files, so they are moved back to where that run looks for them.
        for (item, file) in partial_files(items) {
            if let Ok(staging) = item.output.staging_file() {
                file.take_back(&staging, &item.staged);
            }
        }
    }
    published
}

fn partial_files(items: &[StagedItem]) -> impl Iterator<Item = (&StagedItem, &CompletedFile)> {
    items.iter().filter_map(|item| Some((item, item.partial_file()?)))
}

/// Moves completed partial files into the staging directory.
fn stage_partial_files(items: &[StagedItem]) -> Result<()> {
    for (item, file) in partial_files(items) {
        let moved = item.output.staging_file().and_then(|staging| file.move_to(&staging, &item.staged));
        moved.map_err(|error| write_failed(&item.output, &item.target, error))?;
    }
    Ok(())
}

fn move_staged(items: &[StagedItem], keep_old_files: bool) -> Result<()> {
    let moves = plan_moves(items, keep_old_files)?;
    let mut done = Vec::new();
    // The attributes come last, because nothing can be moved into a directory without write permission.
    let moved = moves.iter().try_for_each(|step| {
        run(step, &mut done).map_err(|error| write_failed(&step.output, &step.to, error))
    });
    let result = moved.and_then(|()| set_directory_attributes(items, &moves));
    result.map_err(|error| roll_back(done, error))
}

fn write_failed(output: &OutputDir, path: &Path, error: io::Error) -> Error {
    failed_to("write", &output.path.join(path))(error)
}

/// Sets modes and times of the directories that were moved. An existing directory keeps its own.
fn set_directory_attributes(items: &[StagedItem], moves: &[Move]) -> Result<()> {
    let moved: HashMap<_, _> =
        moves.iter().map(|step| ((&step.output.path, &*step.from), &*step.to)).collect();
    for item in items {
        for attributes in item.directories.iter() {
            let staged = item.staged.join(&attributes.path);
            let published = staged.ancestors().find_map(|ancestor| {
                let to = moved.get(&(&item.output.path, ancestor))?;
                Some(to.join(staged.strip_prefix(ancestor).ok()?))
            });
            let Some(path) = published else { continue };
            set_attributes(&item.output.dir, &path, attributes)
                .map_err(|error| write_failed(&item.output, &path, error))?;
        }
    }
    Ok(())
}

fn set_attributes(dir: &Dir, path: &Path, attributes: &DirectoryAttributes) -> io::Result<()> {
    // `open_dir` may give an `O_PATH` handle, which cannot set modes and times. The path is rebuilt without a
    // slash at its end: without `openat2`, such a slash would also give an `O_PATH` handle.
    let opened = dir.open(path.components().collect::<PathBuf>())?.into_std();
    if !opened.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    attributes.apply(&opened)
}

fn run(step: &Move, done: &mut Vec<DoneStep>) -> io::Result<()> {
    let OutputDir { dir, staging, .. } = &*step.output;
    // Parents are created one by one, so that each new directory can be removed again.
    let parents: Vec<_> =
        step.to.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()).collect();
    for parent in parents.into_iter().rev() {
        match dir.create_dir(parent) {
            Ok(()) => {
                let output = Arc::clone(&step.output);
                done.push(DoneStep::Created { output, path: parent.to_owned() });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    // The earlier file stays in the staging directory until every item is published.
    let aside = Path::new(REPLACED).join(&step.to);
    if set_aside(step, &aside)? {
        done.push(DoneStep::SetAside { output: Arc::clone(&step.output), path: step.to.clone(), aside });
    }
    // The rename replaces an existing file atomically, so a reader finds either the old or the new file.
    staging.rename(&step.from, dir, &step.to)?;
    done.push(DoneStep::Published {
        output: Arc::clone(&step.output),
        from: step.from.clone(),
        to: step.to.clone(),
    });
    Ok(())
}

/// Links or moves an existing file at the target into the staging directory, under the same path: if this process is
/// killed, the next pull can restore the file. Returns false if there is no existing file.
///
/// A file is linked rather than moved, so that its path is never without a file. Another process may delete or
/// replace it at any moment.
fn set_aside(step: &Move, aside: &Path) -> io::Result<bool> {
    let OutputDir { dir, staging, .. } = &*step.output;
    if if_exists(dir.symlink_metadata(&step.to))?.is_none() {
        return Ok(false);
    }
    if let Some(parent) = aside.parent() {
        staging.create_dir_all(parent)?;
    }
    // A rename cannot replace a file by a directory. In that case the earlier file must be moved away first.
    if !staging.symlink_metadata(&step.from)?.is_dir() {
        match dir.hard_link(&step.to, staging, aside) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            // Some file systems have no hard links, and some files must not be linked.
            Err(_) => {}
        }
    }
    Ok(if_exists(dir.rename(&step.to, staging, aside))?.is_some())
}
