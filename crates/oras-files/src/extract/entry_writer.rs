//! Writes the entries of an archive below a directory handle. Every path is opened part by part from that handle, and
//! no link is followed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions};
use oras_fs::{fill, if_exists};
use oras_store::{Error, ErrorKind, Result};

use super::directory_attributes::{DirectoryAttributes, set_mode, set_modified};
use super::entry_path::check_entry_path;
use super::symlinks::Symlinks;
use super::tar_reader::{ArchiveEntry, ArchiveEntryKind, TarReader};
use super::unpack_limits::{LimitExceeded, UnpackLimits};
use crate::case_folding::CaseFoldedPaths;
use crate::file_system_names::NameCheck;
use crate::title::clean;

/// The maximum size in bytes of one write to a file.
const CHUNK: usize = 128 * 1024;

/// The properties of one archive, and what the extraction allows.
pub(crate) struct ExtractOptions<'a> {
    /// The title of the layer: all names in the archive begin with it.
    pub(crate) title: &'a str,
    pub(crate) names: NameCheck<'a>,
    /// The final path of the directory: an absolute link may lead back into it.
    pub(crate) destination: &'a Path,
    /// The size of the compressed archive in bytes.
    pub(crate) packed_size: u64,
    /// The digest of the uncompressed tar, if the layer has one.
    pub(crate) content_digest: Option<&'a str>,
    /// The limits on the unpacked size and the number of entries.
    pub(crate) limits: UnpackLimits,
    /// Keeps all bits of modes, regardless of the umask.
    pub(crate) preserve_permissions: bool,
    /// Allows links that lead out of the directory.
    pub(crate) allow_outside_links: bool,
}

/// Writes entries below one directory.
pub(super) struct EntryWriter<'a> {
    root: Dir,
    /// The path and the handle of the previous entry's directory, which the next entry usually shares. The handle is
    /// `None` for the root.
    last_path: PathBuf,
    last_dir: Option<Dir>,
    options: &'a ExtractOptions<'a>,
    title: PathBuf,
    /// The mask that is applied to the modes of files and directories.
    mode_mask: u32,
    directories: BTreeMap<PathBuf, (u32, SystemTime)>,
    links: Symlinks,
    /// The paths of all earlier entries; `None` unless the file system is case-insensitive.
    paths: Option<CaseFoldedPaths>,
    buffer: Vec<u8>,
}

impl<'a> EntryWriter<'a> {
    /// Creates a writer for `root`, a new and empty directory.
    pub(super) fn new(root: Dir, options: &'a ExtractOptions<'a>) -> io::Result<Self> {
        // The mode of a new directory is 0777 less the umask.
        let mode_mask =
            if options.preserve_permissions { 0o7777 } else { mode_of(&root.dir_metadata()?) & 0o777 };
        Ok(Self {
            root,
            last_path: PathBuf::new(),
            last_dir: None,
            options,
            title: clean(Path::new(options.title)),
            mode_mask,
            directories: BTreeMap::new(),
            links: Symlinks::default(),
            paths: options.names.folds_case.then(CaseFoldedPaths::default),
            buffer: vec![0; CHUNK],
        })
    }

    /// Writes an entry, whose content is read from `content`.
    pub(super) fn write<R: Read>(&mut self, entry: &ArchiveEntry, content: &mut TarReader<R>) -> Result<()> {
        let path = self.relative(&entry.name)?;
        if path.as_os_str().is_empty() {
            if entry.kind == ArchiveEntryKind::Directory {
                self.directories.insert(path, (entry.mode, entry.modified));
                return Ok(());
            }
            let message = format!("{:?} is not a directory", entry.name.display().to_string());
            return Err(Error::new(ErrorKind::InvalidContent, message));
        }
        self.put(path, entry, content).map_err(|error| {
            let error = unpack_error(error);
            match error.kind() {
                ErrorKind::TooLarge => error,
                _ => error.context(format!("failed to write {:?}", entry.name.display().to_string())),
            }
        })
    }

    fn put<R: Read>(
        &mut self,
        path: PathBuf,
        entry: &ArchiveEntry,
        content: &mut TarReader<R>,
    ) -> io::Result<()> {
        match &entry.kind {
            // Devices and pipes are skipped, as the Go tool does.
            ArchiveEntryKind::Other => return Ok(()),
            // The linked file must also be below the title. Otherwise the link could give access to any file.
            ArchiveEntryKind::HardLink(original) => {
                let original = self.relative(original).map_err(io::Error::other)?;
                return self.hard_link(&original, path);
            }
            ArchiveEntryKind::Directory | ArchiveEntryKind::File | ArchiveEntryKind::Symlink(_) => {}
        }
        let is_directory = entry.kind == ArchiveEntryKind::Directory;
        // This may delete an earlier entry at this path: the last entry of a path is kept, as in every tar program.
        let name = self.prepare_path(&path, is_directory)?;
        let parent = self.last_directory();
        match &entry.kind {
            ArchiveEntryKind::Symlink(target) => {
                parent
                    .symlink_contents(target, &name)
                    .map_err(|error| refused_link("symbolic links", error))?;
                // The target is checked only at the end, because later entries can change where the link leads.
                self.links.insert(path, target.clone());
            }
            ArchiveEntryKind::File => {
                // This fails if the name exists, so it never writes through a link.
                let mut file = create(parent, &name, entry.mode)?;
                copy(content, &mut file, &mut self.buffer)?;
                // The umask applied when the file was created, so the mode is set again.
                if self.options.preserve_permissions {
                    set_mode(&file, entry.mode)?;
                }
                set_modified(&file, entry.modified)?;
                #[cfg(unix)]
                self.check_mode(&file, entry.mode)?;
            }
            _ => {
                self.directories.insert(path, (entry.mode, entry.modified));
            }
        }
        Ok(())
    }

    /// Detects a file system that stores no modes. Only the owner's bits are compared, as access control lists can
    /// change the other bits.
    #[cfg(unix)]
    fn check_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        const OWNER: u32 = 0o700;
        let stored = std::os::unix::fs::MetadataExt::mode(&file.metadata()?);
        if (stored ^ (mode & self.mode_mask)) & OWNER != 0 {
            oras_fs::warn_of_lost_modes();
        }
        Ok(())
    }

    /// Creates a hard link to `original`, an earlier file of the archive.
    fn hard_link(&mut self, original: &Path, path: PathBuf) -> io::Result<()> {
        let file = self.open_parent(original)?;
        let from = self.last_directory().try_clone()?;
        // A hard link to a symbolic link would bypass the check of the targets of symbolic links.
        if !from.symlink_metadata(&file)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "a hard link must lead to a file"));
        }
        if original == path {
            return Ok(());
        }
        let name = self.prepare_path(&path, false)?;
        from.hard_link(&file, self.last_directory(), &name).map_err(|error| refused_link("hard links", error))
    }

    fn relative(&self, name: &Path) -> Result<PathBuf> {
        check_entry_path(name, &self.title, &self.options.names)
    }

    /// Creates the parents of `path`, deletes an earlier file at the path, and creates the directory if the entry is
    /// one. Returns the name within the parent.
    fn prepare_path(&mut self, path: &Path, is_directory: bool) -> io::Result<PathBuf> {
        if let Some(other) = self.paths.as_mut().and_then(|paths| paths.add(path)) {
            let message = format!(
                "the file system does not tell it from {:?}, which differs in case",
                other.display().to_string()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let name = self.open_parent(path)?;
        let parent = self.last_directory();
        match if_exists(parent.symlink_metadata(&name))? {
            None => {}
            Some(found) if found.is_dir() && is_directory => return Ok(name),
            Some(found) if found.is_dir() => return Err(io::Error::other("a directory is in the way")),
            Some(_) => {
                parent.remove_file(&name)?;
                self.links.remove(path);
            }
        }
        if is_directory {
            self.last_directory().create_dir(&name)?;
        }
        Ok(name)
    }

    /// Opens the parent of `path` part by part, and creates missing directories. Returns the name within the parent.
    fn open_parent(&mut self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        if self.last_path == parent {
            return Ok(name);
        }
        let (mut at, mut dir) = (PathBuf::new(), None);
        let mut parts = parent;
        // Directories are never deleted, so the open directory of the previous entry is still at its path.
        if let (Ok(rest), Some(last)) = (parent.strip_prefix(&self.last_path), &self.last_dir) {
            (at, dir, parts) = (self.last_path.clone(), Some(last.try_clone()?), rest);
        }
        for part in parts {
            let here: &Dir = dir.as_ref().unwrap_or(&self.root);
            match if_exists(here.symlink_metadata(part))? {
                None => here.create_dir(part)?,
                Some(found) if found.is_dir() => {}
                Some(found) if found.is_symlink() => {
                    let message = "a parent is a symbolic link";
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
                }
                Some(_) => return Err(io::Error::new(io::ErrorKind::NotADirectory, "a parent is a file")),
            }
            let next = here.open_dir(part)?;
            dir = Some(next);
            at.push(part);
        }
        (self.last_path, self.last_dir) = (at, dir);
        Ok(name)
    }

    fn last_directory(&self) -> &Dir {
        self.last_dir.as_ref().unwrap_or(&self.root)
    }

    /// Checks where links lead, which needs all entries. Returns the attributes of directories, children first.
    pub(super) fn finish(self) -> Result<Vec<DirectoryAttributes>> {
        if !self.options.allow_outside_links
            && let Some(target) = self.links.leading_out(self.options.destination)
        {
            let (target, title) = (target.display().to_string(), self.title.display().to_string());
            return Err(Error::new(ErrorKind::InvalidContent, format!("{target:?} is outside of {title:?}")));
        }
        let mask = self.mode_mask;
        let directories = self.directories.into_iter().rev();
        Ok(directories
            .map(|(path, (mode, modified))| DirectoryAttributes { path, mode: mode & mask, modified })
            .collect())
    }
}

fn copy(from: &mut impl Read, file: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let count = fill(buffer, |unfilled, _| from.read(unfilled))?;
        file.write_all(&buffer[..count])?;
        if count < buffer.len() {
            return Ok(());
        }
    }
}

/// Adds the kind of link to an error if the file system does not support such links.
fn refused_link(what: &str, error: io::Error) -> io::Error {
    if !oras_fs::is_refused(&error) {
        return error;
    }
    io::Error::new(error.kind(), format!("the file system refuses {what}: {error}"))
}

/// Creates a file with the mode less the umask, without the set-user-ID, set-group-ID and sticky bits.
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

#[cfg(not(unix))]
fn mode_of(_: &cap_std::fs::Metadata) -> u32 {
    0o777
}

/// Converts an I/O error of unpacking. An exceeded limit and an [`Error`] inside it are returned as they are.
pub(super) fn unpack_error(error: io::Error) -> Error {
    let error = match error.downcast::<LimitExceeded>() {
        Ok(exceeded) => return exceeded.into(),
        Err(error) => error,
    };
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Error::new(ErrorKind::InvalidContent, "the archive is malformed").with_source(error)
        }
        Err(error) => Error::io("failed to unpack", error),
    }
}
