//! The entries of a tar archive, one header at a time, as Go's `archive/tar` reads them: where tools disagree on what an
//! archive says, it is refused.
//!
//! The `tar` crate reads the fields of a header, but not the archive: it keeps PAX records of any size in memory, and
//! steps over data that entries without content claim to have.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tar::Header;

use super::pax::{Records, malformed};

const BLOCK: usize = 512;
/// The longest PAX header or GNU long name, as in Go.
const MAX_EXTENSION: u64 = 1 << 20;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Directory,
    File,
    Symlink(PathBuf),
    HardLink(PathBuf),
    /// A device, a pipe, or what nobody knows.
    Other,
}

/// A header; its content is read from [`Entries`].
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: PathBuf,
    pub(super) kind: EntryKind,
    /// All twelve bits.
    pub(super) mode: u32,
    pub(super) modified: SystemTime,
}

/// An archive that is being read.
pub(super) struct Entries<R> {
    stream: R,
    /// Of the current entry.
    content: u64,
    padding: u64,
}

/// Long names and records that belong to the next entry.
#[derive(Default)]
struct Extensions {
    records: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Entries<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, content: 0, padding: 0 }
    }

    /// The stream, which is behind the end marker once [`Entries::next`] gave nothing.
    pub(super) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next entry; what was not read of the one before is skipped.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(block) = self.header()? else {
                let nothing = extensions.records.is_none() && extensions.name.is_none();
                let complete = nothing && extensions.link.is_none();
                return if complete {
                    Ok(None)
                } else {
                    Err(malformed("the archive ends after a long name"))
                };
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
                    if records.names_or_measures() {
                        return Err(malformed("a global PAX header names or measures entries"));
                    }
                }
                b'L' => extensions.name = Some(until_nul(self.extension(size)?)),
                b'K' => extensions.link = Some(until_nul(self.extension(size)?)),
                _ => return self.entry(header, size, extensions).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &Header, size: u64, extensions: Extensions) -> io::Result<Entry> {
        let records = extensions.records.unwrap_or_default();
        let flag = header.as_bytes()[156];
        if records.sparse || flag == b'S' {
            let message = "sparse files in archives are not supported";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let name = records.path.or(extensions.name).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = records.link.or(extensions.link);
        let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = || path(link.unwrap_or_default());
        let kind = match flag {
            0 if name.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink(link()?),
            b'2' => EntryKind::Symlink(link()?),
            b'5' => EntryKind::Directory,
            _ => EntryKind::Other,
        };
        // The sizes of these mean nothing, whatever they are.
        if !matches!(flag, b'1'..=b'6') {
            self.expect(records.size.unwrap_or(size))?;
        }
        let modified = records.modified.or_else(|| {
            header.mtime().ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        });
        Ok(Entry {
            name: path(name)?,
            kind,
            mode: header.mode()? & 0o7777,
            modified: modified.unwrap_or(UNIX_EPOCH),
        })
    }

    /// A header block with a good checksum, or nothing at the end.
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
        let (mut unsigned, mut signed) = (0_u32, 0_i64);
        for (at, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            unsigned += u32::from(byte);
            // Old programs added signed characters.
            signed += i64::from(byte.cast_signed());
        }
        let told = Header::from_byte_slice(&block).cksum()?;
        if told != unsigned && i64::from(told) != signed {
            return Err(malformed("a header has the wrong checksum"));
        }
        Ok(Some(block))
    }

    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.stream.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(block))
    }

    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(malformed("a PAX header or a long name is longer than 1 MiB"));
        }
        self.expect(size)?;
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
        let mut rest = (&mut self.stream).take(std::mem::take(&mut self.content));
        io::copy(&mut rest, &mut io::sink())?;
        let left = rest.limit();
        let padding = std::mem::take(&mut self.padding);
        let skipped = io::copy(&mut (&mut self.stream).take(padding), &mut io::sink())?;
        if left > 0 || skipped < padding { Err(cut()) } else { Ok(()) }
    }
}

/// Reads the content of the current entry.
impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        let count = self.stream.read(&mut buffer[..most])?;
        self.content -= count as u64;
        if count == 0 { Err(cut()) } else { Ok(count) }
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short")
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> io::Result<PathBuf> {
    let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    bounded(name.into())
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> io::Result<PathBuf> {
    let name = String::from_utf8(bytes).map_err(|_| malformed("a name is not UTF-8"))?;
    bounded(name.into())
}

/// What no system call would take is refused here, before it costs anything.
fn bounded(path: PathBuf) -> io::Result<PathBuf> {
    const MAX: usize = 4096;
    if Path::as_os_str(&path).len() < MAX {
        Ok(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidFilename, "a name is longer than 4095 bytes"))
    }
}
