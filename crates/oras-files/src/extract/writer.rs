//! Entries written below a directory handle: no path is looked up from anywhere else, and no link is followed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions};
use oras_store::{Error, Kind, Result, fsio};

use super::entries::{Entries, Entry, EntryKind};
use super::links::Links;
use super::{Archive, failed};
use crate::folding::Folded;
use crate::title::{check_parts, clean, is_local};

/// Bytes in one write of a file.
const CHUNK: usize = 128 * 1024;

/// A directory of an archive, whose mode and time are set when nothing is written into it any more.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// Below the directory of the archive; empty for that one.
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) modified: SystemTime,
}

pub(super) struct Writer<'a> {
    root: Dir,
    /// The directory that was written to last.
    last: (PathBuf, Option<Dir>),
    archive: &'a Archive<'a>,
    title: PathBuf,
    /// The bits of a mode that are kept.
    kept: u32,
    directories: BTreeMap<PathBuf, (u32, SystemTime)>,
    links: Links,
    /// Only where the file system folds case.
    folded: Option<Folded>,
    buffer: Vec<u8>,
    /// Whether it was noticed that the file system keeps no modes.
    has_lost_modes: bool,
}

impl<'a> Writer<'a> {
    /// Writes to `root`, a new and empty directory.
    pub(super) fn new(root: Dir, archive: &'a Archive<'a>) -> io::Result<Self> {
        // What the umask left of 0777.
        let kept = if archive.preserve_permissions { 0o7777 } else { mode_of(&root.dir_metadata()?) & 0o777 };
        Ok(Self {
            root,
            last: (PathBuf::new(), None),
            archive,
            title: clean(Path::new(archive.title)),
            kept,
            directories: BTreeMap::new(),
            links: Links::default(),
            folded: archive.base.folds.then(Folded::default),
            buffer: vec![0; CHUNK],
            has_lost_modes: false,
        })
    }

    pub(super) fn write<R: Read>(&mut self, entry: &Entry, content: &mut Entries<R>) -> Result<()> {
        let path = self.relative(&entry.name)?;
        if path.as_os_str().is_empty() {
            if entry.kind == EntryKind::Directory {
                self.directories.insert(path, (entry.mode, entry.modified));
                return Ok(());
            }
            let message = format!("{:?} is not a directory", entry.name.display().to_string());
            return Err(Error::new(Kind::InvalidContent, message));
        }
        self.put(path, entry, content).map_err(|error| {
            let limit = failed(error);
            match limit.kind() {
                Kind::TooLarge => limit,
                _ => limit.context(format!("failed to write {:?}", entry.name.display().to_string())),
            }
        })
    }

    fn put<R: Read>(&mut self, path: PathBuf, entry: &Entry, content: &mut Entries<R>) -> io::Result<()> {
        match &entry.kind {
            // As in Go, and as in any container: what is no content is left out.
            EntryKind::Other => return Ok(()),
            EntryKind::HardLink(original) => {
                let original = self.relative(original).map_err(io::Error::other)?;
                return self.hard_link(&original, path);
            }
            EntryKind::Directory | EntryKind::File | EntryKind::Symlink(_) => {}
        }
        let is_directory = entry.kind == EntryKind::Directory;
        let name = self.make_way(&path, is_directory)?;
        let parent = self.last_directory();
        match &entry.kind {
            EntryKind::Symlink(target) => {
                parent.symlink_contents(target, &name).map_err(|error| refused("symbolic links", error))?;
                self.links.insert(path, target.clone());
            }
            EntryKind::File => {
                let mut file = create(parent, &name, entry.mode)?;
                copy(content, &mut file, &mut self.buffer)?;
                if self.archive.preserve_permissions {
                    set_mode(&file, entry.mode)?;
                }
                set_modified(&file, entry.modified)?;
                self.check_mode(&file, entry.mode)?;
            }
            _ => {
                self.directories.insert(path, (entry.mode, entry.modified));
            }
        }
        Ok(())
    }

    /// Notices a file system that keeps no modes. The owner's bits tell: those of others depend on access control lists.
    fn check_mode(&mut self, file: &File, mode: u32) -> io::Result<()> {
        const OWNER: u32 = 0o700;
        if !self.has_lost_modes && (mode_of_file(&file.metadata()?, mode) ^ (mode & self.kept)) & OWNER != 0 {
            self.has_lost_modes = true;
            fsio::notice_lost_modes();
        }
        Ok(())
    }

    /// A hard link to a file that the archive brought, by its path from where entries are named.
    fn hard_link(&mut self, original: &Path, path: PathBuf) -> io::Result<()> {
        let file = self.open_parent(original)?;
        let from = self.last_directory().try_clone()?;
        if !from.symlink_metadata(&file)?.is_file() {
            return Err(io::Error::new(ErrorKind::PermissionDenied, "a hard link must lead to a file"));
        }
        if original == path {
            return Ok(());
        }
        let name = self.make_way(&path, false)?;
        from.hard_link(&file, self.last_directory(), &name).map_err(|error| refused("hard links", error))
    }

    /// The path of an entry below the title; only its text counts, as `..` is never looked up.
    fn relative(&self, name: &Path) -> Result<PathBuf> {
        let outside = || {
            let title = self.title.display().to_string();
            Error::new(
                Kind::InvalidContent,
                format!("{:?} is outside of {title:?}", name.display().to_string()),
            )
        };
        let cleaned = if name.as_os_str().is_empty() { return Err(outside()) } else { clean(name) };
        let relative = match cleaned.strip_prefix(&self.title) {
            Ok(relative) => relative.to_owned(),
            // `push .` names its entries without a title.
            Err(_) if self.title == Path::new(".") => cleaned,
            Err(_) => return Err(outside()),
        };
        check_parts(&relative)?;
        self.archive.base.check_names(&relative)?;
        if relative.as_os_str().is_empty() || is_local(&relative) { Ok(relative) } else { Err(outside()) }
    }

    /// Makes the parents of `path` and removes what an earlier entry put there; a directory is made. The name in it.
    fn make_way(&mut self, path: &Path, directory: bool) -> io::Result<PathBuf> {
        if let Some(other) = self.folded.as_mut().and_then(|folded| folded.clash(path)) {
            let message = format!(
                "the file system does not tell it from {:?}, which differs in case",
                other.display().to_string()
            );
            return Err(io::Error::new(ErrorKind::AlreadyExists, message));
        }
        let name = self.open_parent(path)?;
        let parent = self.last_directory();
        match parent.symlink_metadata(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(found) if found.is_dir() && directory => return Ok(name),
            Ok(found) if found.is_dir() => return Err(io::Error::other("a directory is in the way")),
            Ok(_) => {
                parent.remove_file(&name)?;
                self.links.remove(path);
            }
        }
        if directory {
            self.last_directory().create_dir(&name)?;
        }
        Ok(name)
    }

    /// Opens the parent of `path`, part by part, making what is missing; the name in it.
    fn open_parent(&mut self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        if self.last.0 == parent {
            return Ok(name);
        }
        let (mut at, mut dir) = (PathBuf::new(), None);
        let mut parts = parent;
        // Directories are never removed, so where the last entry went is a place to go on from.
        if let (Ok(rest), Some(last)) = (parent.strip_prefix(&self.last.0), &self.last.1) {
            (at, dir, parts) = (self.last.0.clone(), Some(last.try_clone()?), rest);
        }
        for part in parts {
            let here: &Dir = dir.as_ref().unwrap_or(&self.root);
            match here.symlink_metadata(part) {
                Ok(found) if found.is_dir() => {}
                Ok(found) if found.is_symlink() => {
                    return Err(io::Error::new(ErrorKind::PermissionDenied, "a parent is a symbolic link"));
                }
                Ok(_) => return Err(io::Error::new(ErrorKind::NotADirectory, "a parent is a file")),
                Err(error) if error.kind() == ErrorKind::NotFound => here.create_dir(part)?,
                Err(error) => return Err(error),
            }
            let next = here.open_dir(part)?;
            dir = Some(next);
            at.push(part);
        }
        self.last = (at, dir);
        Ok(name)
    }

    fn last_directory(&self) -> &Dir {
        self.last.1.as_ref().unwrap_or(&self.root)
    }

    /// Checks where links lead now that everything is there; what is to be set of directories, children first.
    pub(super) fn finish(self) -> Result<Vec<Directory>> {
        if !self.archive.links_lead_out
            && let Some(target) = self.links.leading_out(self.archive.place)
        {
            let (target, title) = (target.display().to_string(), self.title.display().to_string());
            return Err(Error::new(Kind::InvalidContent, format!("{target:?} is outside of {title:?}")));
        }
        let kept = self.kept;
        let directories = self.directories.into_iter().rev();
        Ok(directories
            .map(|(path, (mode, modified))| Directory { path, mode: mode & kept, modified })
            .collect())
    }
}

fn copy(from: &mut impl Read, file: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match from.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => file.write_all(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Names the kind of link in an error of a file system without such links.
fn refused(what: &str, error: io::Error) -> io::Error {
    if !is_refusal(&error) {
        return error;
    }
    io::Error::new(error.kind(), format!("the file system refuses {what}: {error}"))
}

/// A new file with the mode less the umask; never with the set-user-ID, set-group-ID or sticky bit.
fn create(parent: &Dir, name: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, mode & 0o777);
    #[cfg(not(unix))]
    let _ = mode;
    Ok(parent.open_with(name, &options)?.into_std())
}

#[cfg(unix)]
fn mode_of(metadata: &cap_std::fs::Metadata) -> u32 {
    cap_std::fs::MetadataExt::mode(metadata)
}

#[cfg(unix)]
fn mode_of_file(metadata: &std::fs::Metadata, _: u32) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}

#[cfg(not(unix))]
fn mode_of_file(_: &std::fs::Metadata, wanted: u32) -> u32 {
    wanted
}

#[cfg(not(unix))]
fn mode_of(_: &cap_std::fs::Metadata) -> u32 {
    0o777
}

/// Sets the mode of an open file or directory, where the file system and the owner of the file allow it.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    unless_refused(file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)))?;
    #[cfg(not(unix))]
    let _ = (file, mode);
    Ok(())
}

/// Sets the time of the last change, where the file system and the owner of the file allow it.
pub(crate) fn set_modified(file: &File, modified: SystemTime) -> io::Result<()> {
    unless_refused(file.set_modified(modified))
}

/// FAT, exFAT, CIFS and mounts that belong to another user refuse modes and times, which the content does not depend on.
fn unless_refused(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_refusal(&error) => Ok(()),
        result => result,
    }
}

/// Whether the file system refuses a kind of call, rather than failing at it.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::InvalidInput)
}
