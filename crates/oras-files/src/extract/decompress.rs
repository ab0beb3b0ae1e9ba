//! Detects the compression of an archive and decompresses it.

use std::io::{self, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

/// The largest window of a zstd frame, 128 MiB: the default limit of the `zstd` program. The decoder allocates the
/// window, so a higher limit would let an archive use more memory.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Returns a reader of the uncompressed archive. The first bytes identify the format. An unknown format is read as a
/// tar.
pub(super) fn decompress(mut packed: Box<dyn Read + Send>) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::new();
    // A single read may return fewer than four bytes, so this reads until it has them.
    (&mut packed).take(4).read_to_end(&mut magic)?;
    let start = Cursor::new(magic.clone());
    let packed = BufReader::with_capacity(64 * 1024, start.chain(packed));
    match &magic[..] {
        // A gzip file may have several members. This crate writes several members, too.
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(packed))),
        // A frame, or a skippable frame before it (RFC 8878, 3.1.2), which pzstd and eStargz write.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            let mut decoder = zstd::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Ok(Box::new(decoder))
        }
        _ => Ok(Box::new(packed)),
    }
}
