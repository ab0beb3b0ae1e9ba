//! How the tar of a directory is compressed: block by block, each on its own, so that all cores take part.
//!
//! A gzip file is a series of members (RFC 1952, 2.2), a zstd file one of frames (RFC 8878, 3). The size of a block
//! does not depend on the number of cores, so neither do the bytes.

use std::io;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};
use oras_spec::MediaType;
use oras_store::{Error, Kind, Result};

/// How a directory is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip, by a level from 1 to 12.
    Gzip(i32),
    /// Zstandard, by a level from 1 to 22.
    Zstd(i32),
}

impl Default for Compression {
    /// Gzip that every client unpacks, no larger than the Go tool makes it.
    fn default() -> Self {
        Self::Gzip(7)
    }
}

impl Compression {
    /// The compression called `gzip`, `zstd` or `none`, by the level that is its default unless one is given.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for another name, or a level that it does not have.
    pub fn new(name: &str, level: Option<i32>) -> Result<Self> {
        let (compression, most) = match name {
            "gzip" => (Self::Gzip(level.unwrap_or(7)), 12),
            "zstd" => (Self::Zstd(level.unwrap_or(3)), 22),
            "none" => (Self::None, 0),
            _ => {
                let message = format!("unknown compression {name:?}: gzip, zstd and none are supported");
                return Err(Error::new(Kind::InvalidInput, message));
            }
        };
        let message = match level {
            Some(level) if most == 0 => {
                format!("there is no compression level {level} without compression")
            }
            Some(level) if !(1..=most).contains(&level) => {
                format!("{name} has the compression levels 1 to {most}, not {level}")
            }
            _ => return Ok(compression),
        };
        Err(Error::new(Kind::InvalidInput, message))
    }

    /// What the layer of a directory is, unless somebody says otherwise.
    pub fn media_type(self) -> MediaType {
        match self {
            Self::None => MediaType::LAYER_TAR,
            Self::Gzip(_) => MediaType::LAYER_TAR_GZIP,
            Self::Zstd(_) => MediaType::LAYER_TAR_ZSTD,
        }
    }
}

/// Compresses blocks, one after the other; what it works in is made once.
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
                let level = CompressionLvl::new(level).map_err(|_| no_level(level))?;
                CodecKind::Gzip(Compressor::new(level))
            }
            Compression::Zstd(level) => CodecKind::Zstd(zstd::bulk::Compressor::new(level)?),
        };
        Ok(Self { kind, out: Vec::new() })
    }

    /// The block as a member or frame of its own; no header of one has a name or a time.
    pub(super) fn compress(&mut self, block: &[u8]) -> io::Result<Bytes> {
        let length = match &mut self.kind {
            CodecKind::None => return Ok(Bytes::copy_from_slice(block)),
            CodecKind::Gzip(compressor) => {
                let room = room(&mut self.out, compressor.gzip_compress_bound(block.len()));
                compressor.gzip_compress(block, room).map_err(io::Error::other)?
            }
            CodecKind::Zstd(compressor) => {
                let room = room(&mut self.out, zstd::zstd_safe::compress_bound(block.len()));
                compressor.compress_to_buffer(block, room)?
            }
        };
        Ok(Bytes::copy_from_slice(&self.out[..length]))
    }
}

/// So many bytes to write to; new ones come from the system as zeros, which are in memory only once they are written.
fn room(out: &mut Vec<u8>, size: usize) -> &mut [u8] {
    if out.len() < size {
        *out = vec![0; size];
    }
    &mut out[..size]
}

fn no_level(level: i32) -> io::Error {
    io::Error::other(format!("there is no compression level {level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_bounds() {
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
