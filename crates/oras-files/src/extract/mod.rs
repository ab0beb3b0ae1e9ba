//! Unpacking a directory layer: through a directory handle, nothing leaves it, and the content digest is checked
//! before anybody sees a file.

mod ahead;
mod entries;
mod limits;
mod links;
mod pax;
mod writer;

use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use cap_std::fs::Dir;
use flate2::read::MultiGzDecoder;
use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::{Error, Kind, Result};

use crate::base::Base;

use self::ahead::Ahead;
use self::entries::Entries;
use self::limits::Bounded;
pub use self::limits::{LimitExceeded, UnpackLimits};
use self::writer::Writer;
pub(crate) use self::writer::{Directory, set_mode, set_modified};

/// What is known of an archive, and what it may do.
pub(crate) struct Archive<'a> {
    /// All names begin with it.
    pub(crate) title: &'a str,
    /// Refuses paths with parts that the file system does not keep.
    pub(crate) base: &'a Base,
    /// Where the directory will be: an absolute link may lead back into it.
    pub(crate) place: &'a Path,
    /// Its bytes as they are packed.
    pub(crate) size: u64,
    /// The digest of the uncompressed tar, if the layer tells it.
    pub(crate) content_digest: Option<&'a str>,
    /// How much it may unpack to.
    pub(crate) limits: UnpackLimits,
    /// Keeps all bits of modes, as if there were no umask.
    pub(crate) preserve_permissions: bool,
    /// Lets links lead anywhere.
    pub(crate) links_lead_out: bool,
}

/// Unpacks `packed`, to its end or to the first error, into the empty directory `root`, until `cancelled` is set. What remains to be
/// set of its directories once they are where they belong, children first: until then they can be moved and removed.
pub(crate) fn extract(
    packed: Box<dyn Read + Send>,
    root: Dir,
    archive: &Archive<'_>,
    cancelled: Arc<AtomicBool>,
) -> Result<Vec<Directory>> {
    // Decompressing takes as long as writing files: a core for each.
    thread::scope(|scope| {
        let stream = Ahead::start(scope, move || decompress(packed)).map_err(failed)?;
        let allowed = limits::allowed(&archive.limits, archive.size);
        let stream = Bounded::new(stream, Hasher::new(Algorithm::Sha256), allowed, cancelled);
        let mut entries = Entries::new(stream);
        let mut writer = Writer::new(root, archive).map_err(failed)?;
        let mut count = 0;
        while let Some(entry) = entries.next().map_err(failed)? {
            count += 1;
            if count > archive.limits.entries {
                return Err(LimitExceeded::Entries(archive.limits.entries).into());
            }
            writer.write(&entry, &mut entries)?;
        }
        check_digest(entries.stream(), archive.content_digest)?;
        writer.finish()
    })
}

/// The Go tool hashes up to the end marker, others also the padding behind it.
fn check_digest<R: Read>(stream: &mut Bounded<R>, told: Option<&str>) -> Result<()> {
    let Some(expected) = told.and_then(|text| text.parse::<Digest>().ok()) else { return Ok(()) };
    if expected.algorithm() != Some(Algorithm::Sha256) || expected == stream.hasher().clone().finish() {
        return Ok(());
    }
    io::copy(stream, &mut io::sink()).map_err(failed)?;
    if expected == stream.hasher().clone().finish() {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidContent, "content digest mismatch"))
}

/// An error of unpacking; an exceeded limit and an error of ours stay what they are.
fn failed(error: io::Error) -> Error {
    let error = match error.downcast::<LimitExceeded>() {
        Ok(exceeded) => return exceeded.into(),
        Err(error) => error,
    };
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Error::new(Kind::InvalidContent, "the archive is malformed").with_source(error)
        }
        Err(error) => Error::io("failed to unpack", error),
    }
}

/// The largest window of a zstd frame, 128 MiB: what the `zstd` program takes unless it is told otherwise.
const ZSTD_WINDOW_LOG: u32 = 27;

fn decompress(mut packed: Box<dyn Read + Send>) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::new();
    (&mut packed).take(4).read_to_end(&mut magic)?;
    let begun = Cursor::new(magic.clone());
    let packed = BufReader::with_capacity(64 * 1024, begun.chain(packed));
    match &magic[..] {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(packed))),
        // A frame, or a skippable frame before it (RFC 8878, 3.1.2), as pzstd and eStargz write them.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            let mut decoder = zstd::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Ok(Box::new(decoder))
        }
        _ => Ok(Box::new(packed)),
    }
}
