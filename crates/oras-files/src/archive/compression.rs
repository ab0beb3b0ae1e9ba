//! Compresses a tar in independent blocks, so that all cores can work on it.
//!
//! A gzip file is a series of members (RFC 1952, 2.2), and a zstd file is a series of frames (RFC 8878, 3). The block
//! size does not depend on the number of cores, so the compressed bytes do not either.

use std::io;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};
use oras_spec::MediaType;
use oras_store::{Error, ErrorKind, Result};

/// The compression of a packed directory. It is a field of [`DirectoryOptions`](crate::DirectoryOptions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    None,
    /// Gzip with a level from 1 to 12.
    Gzip(i32),
    /// Zstandard with a level from 1 to 22.
    Zstd(i32),
}

impl Default for Compression {
    /// Returns gzip, which every client unpacks, with a level whose output is no larger than the Go tool's.
    fn default() -> Self {
        Self::Gzip(7)
    }
}

impl Compression {
    /// Returns the compression `gzip`, `zstd` or `none`, with its default level unless `level` is given.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for another name or an invalid level.
    pub fn new(name: &str, level: Option<i32>) -> Result<Self> {
        let (compression, max_level) = match name {
            "gzip" => (Self::Gzip(level.unwrap_or(7)), 12),
            "zstd" => (Self::Zstd(level.unwrap_or(3)), 22),
            "none" => (Self::None, 0),
            _ => {
                let message = format!("unknown compression {name:?}: gzip, zstd and none are supported");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        let message = match level {
            Some(level) if max_level == 0 => {
                format!("there is no compression level {level} without compression")
            }
            Some(level) if !(1..=max_level).contains(&level) => {
                format!("{name} has the compression levels 1 to {max_level}, not {level}")
            }
            _ => return Ok(compression),
        };
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// Returns the default media type for the layer of a directory.
    pub fn media_type(self) -> MediaType {
        match self {
            Self::None => MediaType::LAYER_TAR,
            Self::Gzip(_) => MediaType::LAYER_TAR_GZIP,
            Self::Zstd(_) => MediaType::LAYER_TAR_ZSTD,
        }
    }
}

/// A compressor of blocks, which reuses its buffers.
pub(super) struct Codec {
    kind: CodecKind,
    /// The compressed block.
    out: Vec<u8>,
}

enum CodecKind {
    None,
    Gzip(Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Codec {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        let kind = match compression {
            Compression::None => CodecKind::None,
            Compression::Gzip(level) => {
                let invalid = |_| io::Error::other(format!("there is no compression level {level}"));
                CodecKind::Gzip(Compressor::new(CompressionLvl::new(level).map_err(invalid)?))
            }
            Compression::Zstd(level) => CodecKind::Zstd(zstd::bulk::Compressor::new(level)?),
        };
        Ok(Self { kind, out: Vec::new() })
    }

    /// Compresses a block into a separate gzip member or zstd frame. Its header has no name and no time.
    pub(super) fn compress(&mut self, block: Vec<u8>) -> io::Result<Bytes> {
        let length = match &mut self.kind {
            CodecKind::None => return Ok(block.into()),
            CodecKind::Gzip(compressor) => {
                let room = room(&mut self.out, compressor.gzip_compress_bound(block.len()));
                compressor.gzip_compress(&block, room).map_err(io::Error::other)?
            }
            CodecKind::Zstd(compressor) => {
                let room = room(&mut self.out, zstd::zstd_safe::compress_bound(block.len()));
                compressor.compress_to_buffer(&block, room)?
            }
        };
        Ok(Bytes::copy_from_slice(&self.out[..length]))
    }
}

/// Returns a buffer of `size` bytes. A new buffer is zeroed by the system, and takes memory only where it is written.
fn room(out: &mut Vec<u8>, size: usize) -> &mut [u8] {
    if out.len() < size {
        *out = vec![0; size];
    }
    &mut out[..size]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_invalid_levels() {
        for (name, level, expected) in [
            ("gzip", None, Some(Compression::Gzip(7))),
            ("gzip", Some(12), Some(Compression::Gzip(12))),
            ("gzip", Some(0), None),
            ("gzip", Some(13), None),
            ("zstd", None, Some(Compression::Zstd(3))),
            ("zstd", Some(22), Some(Compression::Zstd(22))),
            ("zstd", Some(23), None),
            ("none", None, Some(Compression::None)),
            ("none", Some(1), None),
            ("", None, None),
        ] {
            assert_eq!(Compression::new(name, level).ok(), expected, "{name} {level:?}");
        }
    }
}
