//! Reads the entries of a tar archive, one header at a time, as Go's `archive/tar` does. An archive that tools
//! interpret differently is rejected.
//!
//! The `tar` crate decodes the fields of a header, but does not read the archive: it would keep PAX records of any
//! size in memory, and would skip data that entries without content claim to have.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tar::Header;

use super::pax_records::{Records, malformed};

const BLOCK: usize = 512;
/// The maximum size of a PAX header or GNU long name, the same as in Go.
const MAX_EXTENSION: u64 = 1 << 20;

/// The type of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArchiveEntryKind {
    Directory,
    File,
    Symlink(PathBuf),
    HardLink(PathBuf),
    /// A device, a pipe, or an unknown type.
    Other,
}

/// An entry. Its content is read from the [`TarReader`].
#[derive(Debug)]
pub(super) struct ArchiveEntry {
    pub(super) name: PathBuf,
    pub(super) kind: ArchiveEntryKind,
    /// All twelve permission bits.
    pub(super) mode: u32,
    pub(super) modified: SystemTime,
}

/// A tar archive that is being read.
pub(super) struct TarReader<R> {
    stream: R,
    /// The bytes of the current entry's content that were not read yet.
    content: u64,
    /// The bytes between the content and the next header.
    padding: u64,
}

/// Long names and PAX records, which precede the entry that they describe.
#[derive(Default)]
struct Extensions {
    records: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, content: 0, padding: 0 }
    }

    /// Returns the stream. It is after the end marker once [`TarReader::next`] has returned `None`.
    pub(super) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Returns the next entry. Unread content of the one before is skipped.
    pub(super) fn next(&mut self) -> io::Result<Option<ArchiveEntry>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(block) = self.header()? else {
                // A long name or a PAX header without an entry means that the archive was cut off.
                let Extensions { records: None, name: None, link: None } = extensions else {
                    return Err(malformed("the archive ends after a long name"));
                };
                return Ok(None);
            };
            let header = Header::from_byte_slice(&block);
            let size = header.entry_size()?;
            match block[156] {
                b'x' => {
                    let records = Records::parse(&self.extension(size)?)?;
                    if extensions.records.replace(records).is_some() {
                        return Err(malformed("an entry has two PAX headers"));
                    }
                }
                b'g' => {
                    let records = Records::parse(&self.extension(size)?)?;
                    if records.has_names_or_sizes() {
                        return Err(malformed("a global PAX header names or measures entries"));
                    }
                }
                b'L' => extensions.name = Some(until_nul(self.extension(size)?)),
                b'K' => extensions.link = Some(until_nul(self.extension(size)?)),
                _ => return self.entry(header, size, extensions).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &Header, size: u64, extensions: Extensions) -> io::Result<ArchiveEntry> {
        let records = extensions.records.unwrap_or_default();
        let flag = header.as_bytes()[156];
        if records.sparse || flag == b'S' {
            let message = "sparse files in archives are not supported";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let name = records.path.or(extensions.name).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = records.link.or(extensions.link);
        let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = || to_path(link.unwrap_or_default());
        let kind = match flag {
            // Archives from before ustar mark a directory by a trailing slash.
            0 if name.ends_with(b"/") => ArchiveEntryKind::Directory,
            // Type 7 is a contiguous file, which is treated as an ordinary file.
            0 | b'0' | b'7' => ArchiveEntryKind::File,
            b'1' => ArchiveEntryKind::HardLink(link()?),
            b'2' => ArchiveEntryKind::Symlink(link()?),
            b'5' => ArchiveEntryKind::Directory,
            _ => ArchiveEntryKind::Other,
        };
        // These types have no content, whatever the size in the header.
        if !matches!(flag, b'1'..=b'6') {
            self.expect(records.size.unwrap_or(size))?;
        }
        let modified = records.modified.or_else(|| {
            header.mtime().ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        });
        Ok(ArchiveEntry {
            name: to_path(name)?,
            kind,
            mode: header.mode()? & 0o7777,
            modified: modified.unwrap_or(UNIX_EPOCH),
        })
    }

    /// Reads a header block and checks its checksum. Returns `None` at the end of the archive.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().all(|byte| *byte == 0) {
            return match self.block()? {
                Some(second) if second.iter().any(|byte| *byte != 0) => {
                    Err(malformed("entries follow an empty block"))
                }
                _ => Ok(None),
            };
        }
        // The checksum itself counts as spaces. Some old programs summed signed characters.
        let summed = || block[..148].iter().chain(b"        ").chain(&block[156..]);
        let unsigned: i64 = summed().map(|byte| i64::from(*byte)).sum();
        let signed: i64 = summed().map(|byte| i64::from(byte.cast_signed())).sum();
        if ![unsigned, signed].contains(&Header::from_byte_slice(&block).cksum()?.into()) {
            return Err(malformed("a header has the wrong checksum"));
        }
        Ok(Some(block))
    }

    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        match oras_fs::fill(&mut block, |unfilled, _| self.stream.read(unfilled))? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(truncated()),
        }
    }

    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(malformed("a PAX header or a long name is longer than 1 MiB"));
        }
        self.expect(size)?;
        // The buffer grows with the bytes that arrive, because the size may be false.
        let mut data = Vec::new();
        self.read_to_end(&mut data)?;
        Ok(data)
    }

    fn expect(&mut self, size: u64) -> io::Result<()> {
        let padded = size.checked_next_multiple_of(BLOCK as u64);
        let padded = padded.ok_or_else(|| malformed("an entry has an impossible size"))?;
        (self.content, self.padding) = (size, padded - size);
        Ok(())
    }

    fn skip(&mut self) -> io::Result<()> {
        // `expect` has checked that the sum is not too large.
        let rest = std::mem::take(&mut self.content) + std::mem::take(&mut self.padding);
        let skipped = io::copy(&mut (&mut self.stream).take(rest), &mut io::sink())?;
        if skipped < rest { Err(truncated()) } else { Ok(()) }
    }
}

/// Reads the content of the current entry.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        let count = self.stream.read(&mut buffer[..most])?;
        self.content -= count as u64;
        if count == 0 { Err(truncated()) } else { Ok(count) }
    }
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short")
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}

#[cfg(unix)]
fn to_path(bytes: Vec<u8>) -> io::Result<PathBuf> {
    let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    check_length(name.into())
}

#[cfg(not(unix))]
fn to_path(bytes: Vec<u8>) -> io::Result<PathBuf> {
    let name = String::from_utf8(bytes).map_err(|_| malformed("a name is not UTF-8"))?;
    check_length(name.into())
}

/// Rejects a path that is too long for any system call, before it is processed.
fn check_length(path: PathBuf) -> io::Result<PathBuf> {
    const MAX: usize = 4096;
    if Path::as_os_str(&path).len() < MAX {
        Ok(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidFilename, "a name is longer than 4095 bytes"))
    }
}
