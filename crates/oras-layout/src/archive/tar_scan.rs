//! Finds the files of a layout in a tar archive. Every header is read once, and no content is read.
//!
//! The formats are ustar, PAX and GNU. Only names that belong to a layout are kept, so the number of blobs bounds the
//! memory. The size of records that precede a header is limited, too.

use std::collections::HashMap;
use std::fs::File;

use oras_spec::Digest;
use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE};
use oras_store::{Error, ErrorKind, Result};
use tar::{EntryType, Header};

use super::tar_header::BLOCK;

/// The maximum size of PAX records and of a long name. Go's reader has the same limit.
const MAX_RECORDS: u64 = 1024 * 1024;

/// The reason why a file cannot be read as a tar archive. A program finds it in the error of [`Archive::open`], for
/// example to propose the tool that decompresses the file.
///
/// [`Archive::open`]: crate::Archive::open
///
/// ```
/// use oras_layout::{Archive, NotTar};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("layout.tar.gz");
/// # std::io::Write::write_all(&mut std::fs::File::create(&path)?, &[0x1f, 0x8b, 8, 0])?;
/// let error = Archive::open(path).await.unwrap_err();
/// match error.find::<NotTar>() {
///     Some(NotTar::Compressed(tool)) => println!("decompress the archive with {tool} first"),
///     _ => println!("{}", error.chain()),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTar {
    /// The file ends in the middle of an entry, or is too short to contain one.
    #[error("unexpected EOF")]
    Truncated,
    /// A header is malformed.
    #[error("invalid tar header")]
    BadHeader,
    /// The file is compressed with this tool.
    #[error("compressed with {0}, but only uncompressed tar archives are supported")]
    Compressed(&'static str),
}

impl From<NotTar> for Error {
    fn from(why: NotTar) -> Self {
        Self::from_source(ErrorKind::InvalidContent, why)
    }
}

/// The files of a layout in an archive. If several entries have the same name, the last one is used.
#[derive(Debug, Default)]
pub(super) struct ArchiveContents {
    pub(super) marker: Option<EntryRange>,
    pub(super) index: Option<EntryRange>,
    pub(super) blobs: HashMap<Digest, EntryRange>,
}

/// The position of an entry's content in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryRange {
    pub(super) start: u64,
    pub(super) size: u64,
    /// Whether the entry is a regular file. Links and devices have no content.
    pub(super) is_file: bool,
}

impl ArchiveContents {
    fn add(&mut self, name: &[u8], entry: EntryRange) {
        // A name that is absolute or contains `..` does not belong to a layout.
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| !name.starts_with('/')) else { return };
        let parts: Vec<_> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        match parts[..] {
            [MARKER_FILE] => self.marker = Some(entry),
            [INDEX_FILE] => self.index = Some(entry),
            [BLOBS_DIR, algorithm, encoded] => {
                if let Ok(digest) = format!("{algorithm}:{encoded}").parse() {
                    self.blobs.insert(digest, entry);
                }
            }
            _ => {}
        }
    }
}

/// The PAX records or the long name that precede an entry.
#[derive(Default)]
struct Records {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Finds the files of a layout in an archive.
///
/// # Errors
/// `InvalidContent` with [`NotTar`] as its source; `Unsupported` for sparse entries; `Io`.
pub(super) fn scan(file: &File) -> Result<ArchiveContents> {
    let mut scanner = Scanner { file, length: file.metadata().map_err(failed)?.len(), at: 0 };
    // Blobs are read in place by their position, which is impossible in a compressed archive.
    scanner.refuse_compressed()?;
    let mut contents = ArchiveContents::default();
    let mut records = Records::default();
    while let Some(header) = scanner.header()? {
        let kind = header.entry_type();
        let size = header.entry_size().map_err(|_| NotTar::BadHeader)?;
        match kind {
            EntryType::XHeader => records.read(&scanner.records(size)?)?,
            EntryType::GNULongName => {
                let mut name = scanner.records(size)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                records.name = Some(name);
            }
            // Global records and link targets do not change where a blob is.
            EntryType::XGlobalHeader | EntryType::GNULongLink => scanner.skip(size)?,
            EntryType::GNUSparse => return Err(sparse()),
            _ => {
                let Records { name, size: recorded } = std::mem::take(&mut records);
                // Links, directories and devices have no content, whatever their size says.
                let size = if has_content(kind) { recorded.unwrap_or(size) } else { 0 };
                let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
                let entry = EntryRange { start: scanner.at, size, is_file };
                contents.add(&name.unwrap_or_else(|| header.path_bytes().into_owned()), entry);
                scanner.skip(size)?;
            }
        }
    }
    Ok(contents)
}

fn has_content(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

impl Records {
    /// Parses PAX records, each of the form `<length> <key>=<value>` and a line break. A value may contain any bytes.
    fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (key, value, rest) = split_record(bytes).ok_or(NotTar::BadHeader)?;
            bytes = rest;
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or(NotTar::BadHeader)?);
                }
                _ if key.starts_with(b"GNU.sparse.") => return Err(sparse()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns the key and the value of the first record, and the rest.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // No valid length has more digits than this.
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn failed(error: std::io::Error) -> Error {
    Error::io("failed to read the archive", error)
}

fn sparse() -> Error {
    Error::new(ErrorKind::Unsupported, "the archive has sparse entries, which are not supported")
}

struct Scanner<'a> {
    file: &'a File,
    length: u64,
    at: u64,
}

impl Scanner<'_> {
    fn refuse_compressed(&self) -> Result<()> {
        const MAGIC: [(&[u8], &str); 4] = [
            (&[0x1f, 0x8b], "gzip"),
            (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
            (b"BZh", "bzip2"),
        ];
        let mut start = [0; 6];
        let count = oras_fs::read_at(self.file, &mut start, 0).map_err(failed)?;
        match MAGIC.iter().find(|(magic, _)| start[..count].starts_with(magic)) {
            Some((_, tool)) => Err(NotTar::Compressed(tool).into()),
            None => Ok(()),
        }
    }

    /// Reads the next header. Returns `None` at the end of the archive, which is two empty blocks or the end of the
    /// file.
    fn header(&mut self) -> Result<Option<Header>> {
        let Some(header) = self.block()? else { return Ok(None) };
        if is_empty(&header) {
            return match self.block()? {
                Some(next) if !is_empty(&next) => Err(NotTar::BadHeader.into()),
                _ => Ok(None),
            };
        }
        match header.cksum() {
            Ok(sum) if sums(header.as_bytes()).contains(&i64::from(sum)) => Ok(Some(header)),
            _ => Err(NotTar::BadHeader.into()),
        }
    }

    fn block(&mut self) -> Result<Option<Header>> {
        if self.at == self.length {
            return Ok(None);
        }
        let mut block = [0; BLOCK as usize];
        if oras_fs::read_at(self.file, &mut block, self.at).map_err(failed)? < block.len() {
            return Err(NotTar::Truncated.into());
        }
        self.at += BLOCK;
        Ok(Some(Header::from_byte_slice(&block).clone()))
    }

    /// Reads the content of a PAX or GNU entry that describes the entry after it.
    fn records(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_RECORDS {
            return Err(NotTar::BadHeader.into());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| NotTar::BadHeader)?];
        if oras_fs::read_at(self.file, &mut bytes, self.at).map_err(failed)? < bytes.len() {
            return Err(NotTar::Truncated.into());
        }
        self.skip(size)?;
        Ok(bytes)
    }

    /// Seeks to the next header. Fails if content is missing. Padding may be missing at the end of the file.
    fn skip(&mut self, size: u64) -> Result<()> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.length).ok_or(NotTar::Truncated)?;
        self.at = end.checked_next_multiple_of(BLOCK).unwrap_or(self.length).min(self.length);
        Ok(())
    }
}

fn is_empty(header: &Header) -> bool {
    header.as_bytes().iter().all(|byte| *byte == 0)
}

/// Returns the checksum of a header, whose own field counts as spaces: the sum of unsigned bytes, and the sum of
/// signed bytes that some historic writers used.
fn sums(block: &[u8; BLOCK as usize]) -> [i64; 2] {
    let bytes = || block[..148].iter().chain(b"        ").chain(&block[156..]);
    [bytes().map(|byte| i64::from(*byte)).sum(), bytes().map(|byte| i64::from(byte.cast_signed())).sum()]
}
