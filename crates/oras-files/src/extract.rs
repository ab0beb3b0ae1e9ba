//! Unpacking a directory layer: through a directory handle, nothing leaves it, and the content digest is checked
//! before anybody sees a file.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use flate2::read::MultiGzDecoder;
use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::{Error, Kind, Result};
use tar::EntryType;

use crate::title::{clean, is_local};

/// More entries than this are not a directory but an attack.
const MAX_ENTRIES: u64 = 10_000_000;

/// What is known of an archive.
pub(crate) struct Archive<'a> {
    /// All names begin with it.
    pub(crate) title: &'a str,
    /// The digest of the uncompressed tar, if the layer tells it.
    pub(crate) content_digest: Option<&'a str>,
    /// The most bytes it may unpack to.
    pub(crate) max_size: u64,
}

/// Unpacks the verified file at `packed` into the new directory `target`.
pub(crate) fn extract(packed: &Path, target: &Path, archive: &Archive<'_>) -> Result<()> {
    let failed = |error| Error::io("failed to unpack", error);
    fs::create_dir(target).map_err(failed)?;
    let dir = Dir::open_ambient_dir(target, ambient_authority()).map_err(failed)?;
    let mut tar = tar::Archive::new(Hashing::new(decompress(packed).map_err(failed)?, archive.max_size));
    let mut writer =
        Writer { dir, title: clean(Path::new(archive.title)), directories: Vec::new(), links: Vec::new() };
    for (count, entry) in tar.entries().map_err(failed)?.enumerate() {
        if count as u64 >= MAX_ENTRIES {
            return Err(Error::new(Kind::TooLarge, format!("more than {MAX_ENTRIES} entries")));
        }
        writer.write(&mut entry.map_err(failed)?)?;
    }
    let mut stream = tar.into_inner();
    // The Go tool hashes up to the end marker, others also the padding behind it.
    let at_marker = stream.hasher.clone().finish();
    io::copy(&mut stream, &mut io::sink()).map_err(failed)?;
    let at_end = stream.hasher.finish();
    if let Some(expected) = archive.content_digest.and_then(|text| text.parse::<Digest>().ok())
        && expected.algorithm() == Some(Algorithm::Sha256)
        && expected != at_marker
        && expected != at_end
    {
        return Err(Error::new(Kind::InvalidContent, "content digest mismatch"));
    }
    writer.finish()
}

fn decompress(packed: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(packed)?;
    let mut magic = [0; 4];
    let count = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let file = BufReader::with_capacity(64 * 1024, file);
    match &magic[..count] {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "zstd is not supported yet"))
        }
        _ => Ok(Box::new(file)),
    }
}

/// Hashes what is read through it, up to a limit.
struct Hashing {
    inner: Box<dyn Read>,
    hasher: Hasher,
    left: u64,
}

impl Hashing {
    fn new(inner: Box<dyn Read>, limit: u64) -> Self {
        Self { inner, hasher: Hasher::new(Algorithm::Sha256), left: limit }
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("the archive unpacks to more bytes than allowed"))?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

struct Writer {
    dir: Dir,
    title: PathBuf,
    /// Modes and times are set last: writing into a directory changes its time, and may need its permission.
    directories: Vec<(PathBuf, u32, u64)>,
    links: Vec<(PathBuf, PathBuf)>,
}

impl Writer {
    fn outside(&self, what: &Path) -> Error {
        let message =
            format!("{:?} is outside of {:?}", what.display().to_string(), self.title.display().to_string());
        Error::new(Kind::InvalidContent, message)
    }

    /// The path of an entry below the title.
    fn relative(&self, name: &Path) -> Result<PathBuf> {
        let outside = || self.outside(name);
        let has_parent = name.components().any(|part| matches!(part, std::path::Component::ParentDir));
        let cleaned = clean(name);
        if name.is_absolute() || has_parent {
            return Err(outside());
        }
        let relative = cleaned.strip_prefix(&self.title).map_err(|_| outside())?.to_owned();
        if relative.as_os_str().is_empty() || is_local(&relative) { Ok(relative) } else { Err(outside()) }
    }

    fn write<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<()> {
        let failed = |error| Error::io("failed to unpack", error);
        let name = entry.path().map_err(failed)?.into_owned();
        let header = entry.header();
        let kind = header.entry_type();
        let mode = header.mode().map_err(failed)? & 0o777;
        let modified = header.mtime().map_err(failed)?;
        let wrap = |error| Error::io(format!("failed to write {}", name.display()), error);
        match kind {
            EntryType::Directory
            | EntryType::Regular
            | EntryType::Continuous
            | EntryType::Symlink
            | EntryType::Link => {}
            // Devices, pipes and extensions nobody knows are no content.
            _ => return Ok(()),
        }
        let path = self.relative(&name)?;
        if path.as_os_str().is_empty() {
            if kind == EntryType::Directory {
                self.directories.push((PathBuf::from("."), mode, modified));
                return Ok(());
            }
            return Err(Error::new(Kind::InvalidContent, format!("{} is not a directory", name.display())));
        }
        self.prepare(&path, kind == EntryType::Directory).map_err(wrap)?;
        match kind {
            EntryType::Directory => self.directories.push((path, mode, modified)),
            EntryType::Symlink => {
                let target =
                    entry.link_name().map_err(failed)?.map(|link| link.into_owned()).unwrap_or_default();
                let from = path.parent().unwrap_or(Path::new(""));
                if target.is_absolute() || clean(&from.join(&target)).starts_with("..") {
                    return Err(self.outside(&target));
                }
                self.dir.symlink_contents(&target, &path).map_err(wrap)?;
                self.links.push((path, target));
            }
            EntryType::Link => {
                let link =
                    entry.link_name().map_err(failed)?.map(|link| link.into_owned()).unwrap_or_default();
                let original = self.relative(&link)?;
                let found = self.dir.symlink_metadata(&original).map_err(wrap)?;
                if !found.is_file() {
                    return Err(self.outside(&link));
                }
                self.no_linked_parents(&original).map_err(wrap)?;
                self.dir.hard_link(&original, &self.dir, &path).map_err(wrap)?;
            }
            _ => {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                let file = self.dir.open_with(&path, &options).map_err(wrap)?;
                let mut file = file.into_std();
                io::copy(entry, &mut file).map_err(wrap)?;
                set_mode(&file, mode).map_err(wrap)?;
                file.set_modified(time(modified)).map_err(wrap)?;
            }
        }
        Ok(())
    }

    /// Makes the parents of `path`, none of which may be a link, and removes what an earlier entry put there.
    fn prepare(&self, path: &Path, directory: bool) -> io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.no_linked_parents(path)?;
            self.dir.create_dir_all(parent)?;
        }
        match self.dir.symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if directory {
                    self.dir.create_dir(path)
                } else {
                    Ok(())
                }
            }
            Err(error) => Err(error),
            Ok(found) if found.is_dir() && directory => Ok(()),
            Ok(found) if found.is_dir() => Err(io::Error::other("a directory is in the way")),
            Ok(_) => {
                self.dir.remove_file(path)?;
                if directory { self.dir.create_dir(path) } else { Ok(()) }
            }
        }
    }

    fn no_linked_parents(&self, path: &Path) -> io::Result<()> {
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            if self.dir.symlink_metadata(parent).is_ok_and(|found| found.is_symlink()) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "a parent is a symbolic link"));
            }
        }
        Ok(())
    }

    /// Checks where links lead now that everything is there, then sets what was put off.
    fn finish(self) -> Result<()> {
        for (path, target) in &self.links {
            // Links may dangle, but following them may not leave the directory, whatever they go through.
            match self.dir.metadata(path) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return Err(self.outside(target)),
            }
        }
        for (path, mode, modified) in self.directories.iter().rev() {
            let failed = |error| Error::io(format!("failed to write {}", path.display()), error);
            // Not open_dir: its handle is good for paths only, not for modes and times.
            let directory = self.dir.open(path).map_err(failed)?.into_std();
            directory.set_modified(time(*modified)).map_err(failed)?;
            set_mode(&directory, *mode).map_err(failed)?;
        }
        Ok(())
    }
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = (file, mode);
    Ok(())
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}
