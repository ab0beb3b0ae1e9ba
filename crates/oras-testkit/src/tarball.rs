//! Tar archives with arbitrary bytes, including invalid ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use oras_spec::Digest;

const BLOCK: usize = 512;

/// A builder of tar archives.
#[derive(Clone, Debug, Default)]
pub struct Tarball(Vec<u8>);

/// A header with arbitrary fields and the right checksum.
#[derive(Clone, Debug)]
pub struct Header {
    /// The type: `b'0'` for a file.
    pub flag: u8,
    /// The name, cut to the field.
    pub name: Vec<u8>,
    /// The target of a link, cut to the field.
    pub link: Vec<u8>,
    /// The size in the header.
    pub size: u64,
    /// All twelve bits of the mode.
    pub mode: u32,
    /// Seconds since 1970.
    pub modified: u64,
}

impl Header {
    /// A header with the usual mode, and no content.
    pub fn new(flag: u8, name: impl AsRef<[u8]>) -> Self {
        let mode = if flag == b'5' { 0o755 } else { 0o644 };
        Self { flag, name: name.as_ref().to_vec(), link: Vec::new(), size: 0, mode, modified: 1_700_000_000 }
    }

    /// The block.
    pub fn to_bytes(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, length: usize, bytes: &[u8]| {
            let count = bytes.len().min(length);
            block[at..at + count].copy_from_slice(&bytes[..count]);
        };
        put(0, 100, &self.name);
        put(100, 8, format!("{:07o}\0", self.mode).as_bytes());
        put(108, 8, b"0000000\0");
        put(116, 8, b"0000000\0");
        put(124, 12, format!("{:011o}\0", self.size).as_bytes());
        put(136, 12, format!("{:011o}\0", self.modified).as_bytes());
        put(148, 8, b"        ");
        put(156, 1, &[self.flag]);
        put(157, 100, &self.link);
        put(257, 8, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

impl Tarball {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds raw bytes.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// Adds a header without content.
    #[must_use]
    pub fn header(self, header: &Header) -> Self {
        self.raw(header.to_bytes())
    }

    /// An entry with its content, filled up to a block; the size is that of the content.
    #[must_use]
    pub fn entry(self, header: &Header, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let header = Header { size: content.len() as u64, ..header.clone() };
        self.header(&header).raw(content).raw(vec![0; content.len().next_multiple_of(BLOCK) - content.len()])
    }

    /// A file.
    #[must_use]
    pub fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry(&Header::new(b'0', name), content)
    }

    /// A directory.
    #[must_use]
    pub fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.header(&Header::new(b'5', name))
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.link(b'2', name, target)
    }

    /// A hard link; its target is named like an entry.
    #[must_use]
    pub fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.link(b'1', name, target)
    }

    fn link(self, flag: u8, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.header(&Header { link: target.as_ref().to_vec(), ..Header::new(flag, name) })
    }

    /// PAX records for the next entry.
    #[must_use]
    pub fn records(self, records: &[(&str, &str)]) -> Self {
        let records: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.extension(b'x', records)
    }

    /// An extension header with any content: `b'x'`, `b'g'`, `b'L'`, `b'K'`.
    #[must_use]
    pub fn extension(self, flag: u8, content: impl AsRef<[u8]>) -> Self {
        self.entry(&Header::new(flag, "PaxHeaders.0/x"), content)
    }

    /// The archive without an end marker.
    pub fn open_end(self) -> Vec<u8> {
        self.0
    }

    /// The archive with its end marker.
    pub fn done(self) -> Vec<u8> {
        self.raw([0; 2 * BLOCK]).0
    }
}

/// A PAX record: its length, itself included, a space, `key=value`, a line break.
pub fn record(key: &str, value: &str) -> Vec<u8> {
    let body = format!(" {key}={value}\n");
    let mut length = body.len() + 1;
    while format!("{length}{body}").len() != length {
        length += 1;
    }
    format!("{length}{body}").into_bytes()
}

/// The bytes as one gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// The JSON of a descriptor, as `oras push directory` writes it, of the layer `packed` that unpacks to `tar`.
pub fn directory_layer(title: &str, packed: &[u8], tar: &[u8]) -> String {
    let (digest, content) = (Digest::sha256(packed), Digest::sha256(tar));
    let title = title.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{digest}","size":{},"annotations":{{"io.deis.oras.content.digest":"{content}","io.deis.oras.content.unpack":"true","org.opencontainers.image.title":"{title}"}}}}"#,
        packed.len()
    )
}
