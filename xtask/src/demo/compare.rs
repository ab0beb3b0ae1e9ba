//! Compares two directory trees: names, bytes, modes and links.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use xtask::process::Result;

/// The numbers of equal entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    files: usize,
    bytes: u64,
    directories: usize,
    links: usize,
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Compared: files: {} ({} bytes, and modes); directories: {} (names and modes); links: {} (targets).",
            self.files, self.bytes, self.directories, self.links
        )
    }
}

/// Compares the entries `names` of two directories. The second must have no other entries.
pub(super) fn same(left: &Path, right: &Path, names: &[&str]) -> Result<Compared> {
    let expected: BTreeSet<OsString> = names.iter().map(OsString::from).collect();
    same_names(&expected, &entries(right)?, right)?;
    let mut compared = Compared::default();
    for name in names {
        same_entry(&left.join(name), &right.join(name), &mut compared)?;
    }
    Ok(compared)
}

fn same_entry(left: &Path, right: &Path, compared: &mut Compared) -> Result {
    let (left_is, right_is) = (std::fs::symlink_metadata(left)?, std::fs::symlink_metadata(right)?);
    if left_is.file_type() != right_is.file_type() {
        return differs(right, "is of another kind");
    }
    if left_is.is_symlink() {
        compared.links += 1;
        let equal = std::fs::read_link(left)? == std::fs::read_link(right)?;
        return if equal { Ok(()) } else { differs(right, "points elsewhere") };
    }
    if mode(&left_is) != mode(&right_is) {
        return differs(right, &format!("has mode {:04o}, not {:04o}", mode(&right_is), mode(&left_is)));
    }
    if left_is.is_dir() {
        compared.directories += 1;
        let names = entries(left)?;
        same_names(&names, &entries(right)?, right)?;
        return names.iter().try_for_each(|name| same_entry(&left.join(name), &right.join(name), compared));
    }
    compared.files += 1;
    compared.bytes += left_is.len();
    if std::fs::read(left)? == std::fs::read(right)? { Ok(()) } else { differs(right, "has other bytes") }
}

fn same_names(expected: &BTreeSet<OsString>, found: &BTreeSet<OsString>, dir: &Path) -> Result {
    match expected.symmetric_difference(found).next() {
        Some(name) if expected.contains(name) => differs(&dir.join(name), "is missing"),
        Some(name) => differs(&dir.join(name), "was never pushed"),
        None => Ok(()),
    }
}

fn entries(dir: &Path) -> Result<BTreeSet<OsString>> {
    let entries =
        std::fs::read_dir(dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    Ok(entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?)
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

fn differs(path: &Path, how: &str) -> Result {
    Err(format!("{} {how}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tree;
    use xtask::files::{ScratchDir, write};

    fn two_trees() -> ScratchDir {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-compare").unwrap();
        for side in ["left", "right"] {
            std::fs::create_dir(scratch.path().join(side)).unwrap();
            tree::create(&scratch.path().join(side)).unwrap();
        }
        scratch
    }

    fn outcome(scratch: &ScratchDir) -> std::result::Result<Compared, String> {
        let (left, right) = (scratch.path().join("left"), scratch.path().join("right"));
        same(&left, &right, &tree::TOP_LEVEL)
            .map_err(|error| error.to_string().replace(&*scratch.path().to_string_lossy(), ""))
    }

    #[test]
    fn counts_equal_files() {
        let compared = outcome(&two_trees()).unwrap();
        assert_eq!((compared.files, compared.directories, compared.links), (7, 3, 1));
    }

    #[test]
    fn finds_every_difference() {
        let change = |edit: fn(&Path)| {
            let scratch = two_trees();
            edit(&scratch.path().join("right"));
            outcome(&scratch).unwrap_err()
        };
        assert_eq!(
            change(|dir| write(&dir.join("readme.txt"), "other").unwrap()),
            "/right/readme.txt has other bytes"
        );
        assert_eq!(
            change(|dir| std::fs::remove_file(dir.join("assets/latest")).unwrap()),
            "/right/assets/latest is missing"
        );
        assert_eq!(change(|dir| write(&dir.join("extra"), "").unwrap()), "/right/extra was never pushed");
        let relinked = change(|dir| {
            std::fs::remove_file(dir.join("assets/latest")).unwrap();
            std::os::unix::fs::symlink("elsewhere", dir.join("assets/latest")).unwrap();
        });
        assert_eq!(relinked, "/right/assets/latest points elsewhere");
        let mode = change(|dir| {
            let private = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(dir.join("assets/data"), private).unwrap();
        });
        assert!(mode.starts_with("/right/assets/data has mode 0700"), "{mode}");
    }
}
