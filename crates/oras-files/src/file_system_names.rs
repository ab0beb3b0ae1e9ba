//! Checks file names that FAT, exFAT and CIFS refuse or change, by creating a file of that name.

use std::io;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU32, Ordering};

use cap_std::fs::{Dir, OpenOptions};
use oras_store::{Error, ErrorKind, Result};

/// Characters that those file systems refuse in a name.
const CHARACTERS: &str = "<>:\"|?*\\";
/// The subdirectory of the probe directory in which files are created.
const PROBES: &str = "names";

/// The rules of one file system for file names.
#[derive(Clone, Copy)]
pub(crate) struct NameCheck<'a> {
    /// A directory on that file system that only this process uses.
    pub(crate) probe_dir: &'a Dir,
    /// The peculiarities that the file system is known to accept, one bit for each. Every part of every archive entry
    /// is checked, so each peculiarity is probed only once.
    pub(crate) accepted: &'a AtomicU32,
    /// Whether names that differ only in case are one name.
    pub(crate) folds_case: bool,
}

impl NameCheck<'_> {
    /// Rejects a path with a part that the file system does not store unchanged.
    ///
    /// # Errors
    /// `InvalidContent` for a name that the file system refuses or changes, `Io` if the name cannot be probed.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        for part in path.components() {
            let Component::Normal(part) = part else { continue };
            let Some(part) = part.to_str() else { continue };
            // Ordinary names have no peculiarity, so they cost no system call.
            let peculiar = peculiarities(part);
            if peculiar & !self.accepted.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let is_stored = is_stored_unchanged(self.probe_dir, part).map_err(|error| {
                Error::io(format!("failed to try whether {part:?} is the name of a file"), error)
            })?;
            if !is_stored {
                let message = format!(
                    "{part:?} is not the name of a file on this file system: FAT, exFAT and shares of Windows have \
                     no names with {CHARACTERS} or control characters, or with a dot or a space at the end"
                );
                return Err(Error::new(ErrorKind::InvalidContent, message));
            }
            self.accepted.fetch_or(peculiar, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Returns the peculiarities of a name, one bit for each.
fn peculiarities(part: &str) -> u32 {
    let characters = CHARACTERS.chars().enumerate().filter(|(_, character)| part.contains(*character));
    let mut bits = characters.fold(0, |bits, (number, _)| bits | 1 << number);
    let other_peculiarities =
        [part.chars().any(|c| c < ' ' || c == '\x7f'), part.ends_with('.'), part.ends_with(' ')];
    for (number, is_present) in other_peculiarities.into_iter().enumerate() {
        bits |= u32::from(is_present) << (CHARACTERS.len() + number);
    }
    bits
}

/// Creates and removes a file, and returns true if its directory listed it under exactly the name `part`.
fn is_stored_unchanged(probe_dir: &Dir, part: &str) -> io::Result<bool> {
    probe_dir.create_dir_all(PROBES)?;
    let probes = probe_dir.open_dir(PROBES)?;
    let created = probes.open_with(part, OpenOptions::new().write(true).create_new(true));
    match created {
        // The directory exists and is writable, so the error must be about the name.
        Err(error) if is_about_name(&error) => return Ok(false),
        // Any other error is not about the name, so it is returned.
        created => drop(created?),
    }
    // Some file systems silently drop a dot or a space at the end, so the listed name is compared.
    let is_stored = probes.entries()?.flatten().any(|entry| entry.file_name() == part);
    probes.remove_file(part)?;
    Ok(is_stored)
}

fn is_about_name(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, InvalidInput, NotFound, PermissionDenied};
    // File systems report an invalid name with different errors.
    matches!(error.kind(), AlreadyExists | InvalidFilename | InvalidInput | NotFound | PermissionDenied)
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    #[cfg(unix)]
    fn accepts_all_names_on_unix_file_systems() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        let accepted = AtomicU32::new(0);
        let names = NameCheck { probe_dir: &dir, accepted: &accepted, folds_case: false };
        for path in ["a:b/c?", "d.", "e ", "f*\"<>|\\", "g\tg", "plain", "..."] {
            names.check(Path::new(path)).unwrap();
        }
        assert_eq!(dir.read_dir(PROBES).unwrap().count(), 0);
    }

    #[test]
    fn distinguishes_peculiarities() {
        for name in ["plain", ".hidden", "a b", "日本", "nul", "a.b"] {
            assert_eq!(peculiarities(name), 0, "{name}");
        }
        let all: Vec<_> = ["a:", "a?", "a.", "a ", "a\n"].map(peculiarities).into();
        assert!(all.iter().all(|bits| bits.count_ones() == 1), "{all:?}");
        assert_eq!(peculiarities("a:?."), all[0] | all[1] | all[2]);
    }
}
