//! Unpacks the archive of a directory layer, and checks its content digest before any file is published.

use std::io::{self, Read};
use std::thread;

use cap_std::fs::Dir;
use oras_spec::{Algorithm, Digest};
use oras_store::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::decompress::decompress;
use super::directory_attributes::DirectoryAttributes;
use super::entry_writer::{EntryWriter, ExtractOptions, unpack_error};
use super::read_ahead::ReadAhead;
use super::tar_reader::TarReader;
use super::unpack_limits::{LimitExceeded, LimitedReader};

/// Unpacks the compressed archive `packed` into the empty directory `root`, until the first error or until
/// `cancel` is cancelled.
///
/// Returns the attributes of its directories, children first. They are set after publication, because a directory
/// without write permission could not be moved or deleted.
pub(crate) fn extract_archive(
    packed: Box<dyn Read + Send>,
    root: Dir,
    options: &ExtractOptions<'_>,
    cancel: CancellationToken,
) -> Result<Vec<DirectoryAttributes>> {
    // Decompressing takes about as long as writing the files, so both run on separate threads.
    thread::scope(|scope| {
        let stream = ReadAhead::start(scope, move || decompress(packed)).map_err(unpack_error)?;
        let allowed = options.limits.for_archive(options.packed_size);
        let stream = LimitedReader::new(stream, allowed, cancel);
        let mut entries = TarReader::new(stream);
        let mut writer = EntryWriter::new(root, options).map_err(unpack_error)?;
        let mut count = 0;
        while let Some(entry) = entries.next().map_err(unpack_error)? {
            // An empty file takes little space in the archive but an inode on disk, so the number of entries is
            // limited, too.
            count += 1;
            if count > options.limits.entries {
                return Err(LimitExceeded::Entries(options.limits.entries).into());
            }
            writer.write(&entry, &mut entries)?;
        }
        check_digest(entries.stream(), options.content_digest)?;
        writer.finish()
    })
}

/// Compares the content digest. The Go tool hashes the tar up to the end marker, other tools also the padding after
/// it; both are accepted.
fn check_digest<R: Read>(stream: &mut LimitedReader<R>, expected: Option<&str>) -> Result<()> {
    let Some(expected) = expected.and_then(|text| text.parse::<Digest>().ok()) else { return Ok(()) };
    // The stream is hashed only with SHA-256, so a content digest with another algorithm is not compared.
    if expected.algorithm() != Some(Algorithm::Sha256) || expected == stream.digest() {
        return Ok(());
    }
    io::copy(stream, &mut io::sink()).map_err(unpack_error)?;
    if expected == stream.digest() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidContent, "content digest mismatch"))
}
