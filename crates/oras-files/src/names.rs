//! Names that FAT, exFAT and CIFS refuse or change: found out by asking the file system itself, before anything is written.

use std::io;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU32, Ordering};

use cap_std::fs::{Dir, OpenOptions};
use oras_store::{Error, Kind, Result};

/// Characters that are no part of a name there.
const CHARACTERS: &str = "<>:\"|?*\\";
/// The directory in the staging directory in which names are tried.
const PROBES: &str = "names";

/// Checks each part of `path` that some file systems do not keep as it is: a file of that name is made in `staging`, on the
/// file system that the path is for. `kept` holds the peculiarities that were tried already, as every part of an archive is
/// checked.
///
/// # Errors
/// `InvalidContent` for a name that the file system refuses or changes, `Io` when it cannot be tried.
pub(crate) fn check(staging: &Dir, path: &Path, kept: &AtomicU32) -> Result<()> {
    for part in path.components() {
        let Component::Normal(part) = part else { continue };
        let Some(part) = part.to_str() else { continue };
        let peculiar = peculiarities(part);
        if peculiar & !kept.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let is_kept = is_kept(staging, part).map_err(|error| {
            Error::io(format!("failed to try whether {part:?} is the name of a file"), error)
        })?;
        if !is_kept {
            let message = format!(
                "{part:?} is not the name of a file on this file system: FAT, exFAT and shares of Windows have no \
                 names with {CHARACTERS} or control characters, or with a dot or a space at the end"
            );
            return Err(Error::new(Kind::InvalidContent, message));
        }
        kept.fetch_or(peculiar, Ordering::Relaxed);
    }
    Ok(())
}

/// The peculiarities of a name, a bit for each.
fn peculiarities(part: &str) -> u32 {
    let characters = CHARACTERS.chars().enumerate().filter(|(_, character)| part.contains(*character));
    let mut bits = characters.fold(0, |bits, (number, _)| bits | 1 << number);
    let others = [part.chars().any(|c| c < ' ' || c == '\x7f'), part.ends_with('.'), part.ends_with(' ')];
    for (number, is_so) in others.into_iter().enumerate() {
        bits |= u32::from(is_so) << (CHARACTERS.len() + number);
    }
    bits
}

/// Returns true if a new file of that name has exactly that name.
fn is_kept(staging: &Dir, part: &str) -> io::Result<bool> {
    staging.create_dir_all(PROBES)?;
    let probes = staging.open_dir(PROBES)?;
    let made = probes.open_with(part, OpenOptions::new().write(true).create_new(true));
    match made {
        // The directory is there and may be written, so that the error is about the name.
        Err(error) if is_about_name(&error) => return Ok(false),
        made => drop(made?),
    }
    let is_kept = probes.entries()?.flatten().any(|entry| entry.file_name() == part);
    probes.remove_file(part)?;
    Ok(is_kept)
}

fn is_about_name(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, InvalidInput, NotFound, PermissionDenied};
    matches!(error.kind(), AlreadyExists | InvalidFilename | InvalidInput | NotFound | PermissionDenied)
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    #[cfg(unix)]
    fn unix_file_systems_keep_all_names() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        let kept = AtomicU32::new(0);
        for path in ["a:b/c?", "d.", "e ", "f*\"<>|\\", "g\tg", "plain", "..."] {
            check(&dir, Path::new(path), &kept).unwrap();
        }
        assert_eq!(dir.read_dir(PROBES).unwrap().count(), 0);
    }

    #[test]
    fn peculiar_names_are_told_apart() {
        for name in ["plain", ".hidden", "a b", "日本", "nul", "a.b"] {
            assert_eq!(peculiarities(name), 0, "{name}");
        }
        let all: Vec<_> = ["a:", "a?", "a.", "a ", "a\n"].map(peculiarities).into();
        assert!(all.iter().all(|bits| bits.count_ones() == 1), "{all:?}");
        assert_eq!(peculiarities("a:?."), all[0] | all[1] | all[2]);
    }
}
