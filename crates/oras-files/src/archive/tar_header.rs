//! Writes tar headers that are identical to those of Go's `archive/tar` as the Go tool uses it (ustar, POSIX.1-1988;
//! PAX records, POSIX.1-2001, if a field does not fit).
//!
//! The `tar` crate writes GNU long names and pads fields differently, which would change the content digest that both
//! tools put into the layer's annotations. Names are bytes, because a file system has no encoding.

use std::fs::Metadata;

/// The length of the name and link fields.
const NAME: usize = 100;
/// The length of the field for the directories of a long name.
const PREFIX: usize = 155;
/// The largest number that fits eleven octal digits.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// The fields of a header that are not constant.
#[derive(Clone, Default)]
pub(super) struct TarHeader {
    name: Vec<u8>,
    /// The target of a symbolic link.
    pub(super) link: Vec<u8>,
    /// The size of a file in bytes.
    pub(super) size: u64,
    mode: u32,
    modified: i64,
    /// The number of a device.
    pub(super) device: u64,
    /// The type of the entry.
    pub(super) flag: u8,
}

impl TarHeader {
    /// Returns a header with the name, the mode and the modification time, which is not after `latest`.
    pub(super) fn new(name: Vec<u8>, metadata: &Metadata, latest: Option<i64>) -> Self {
        let modified = modified(metadata).min(latest.unwrap_or(i64::MAX));
        Self { name, mode: mode(metadata), modified, ..Self::default() }
    }

    /// Returns the header, preceded by a PAX header if a field does not fit.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let prefixed = split(&self.name);
        let modified = octal_time(self.modified);
        let name_fits = fits(&self.name) || prefixed.is_some();
        if name_fits && fits(&self.link) && self.size <= MAX_OCTAL && modified.is_some() {
            let (prefix, name) = prefixed.unwrap_or((b"", &self.name));
            return self.block(name, &self.link, prefix).to_vec();
        }
        // Sorted by key. A long name gets a record even if it would fit with the prefix field, because a header with
        // records does not use that field.
        let mut data = Vec::new();
        if !fits(&self.link) {
            record(&mut data, "linkpath", &self.link);
        }
        if modified.is_none() {
            record(&mut data, "mtime", self.modified.to_string().as_bytes());
        }
        if !fits(&self.name) {
            record(&mut data, "path", &self.name);
        }
        if self.size > MAX_OCTAL {
            record(&mut data, "size", self.size.to_string().as_bytes());
        }
        let mut bytes = records_header(&self.name, data.len()).to_vec();
        bytes.extend(&data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(self.block(&ascii(&self.name), &ascii(&self.link), b""));
        bytes
    }

    fn block(&self, name: &[u8], link: &[u8], prefix: &[u8]) -> [u8; 512] {
        let mut block = template(name, self.mode, self.size, self.flag);
        octal(&mut block[136..148], octal_time(self.modified).unwrap_or_default());
        put(&mut block[157..257], link);
        // The major and minor number, as Linux splits a device number.
        octal(&mut block[329..337], (self.device >> 8 & 0xfff) | (self.device >> 32 & 0xffff_f000));
        octal(&mut block[337..345], (self.device & 0xff) | (self.device >> 12 & 0xffff_ff00));
        put(&mut block[345..500], prefix);
        with_checksum(block)
    }
}

/// Returns the header of the records that precede the header of `name`.
fn records_header(name: &[u8], length: usize) -> [u8; 512] {
    let start = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, file) = name.split_at(start);
    // The result of Go's `path.Join`. Only the name of the root directory can be one of the special cases.
    let joined = match file {
        b".." if directory.is_empty() => b".".to_vec(),
        b".." => directory.to_vec(),
        b"." | b"" => [directory, b"PaxHeaders.0"].concat(),
        _ => [directory, b"PaxHeaders.0/", file].concat(),
    };
    let mut shown = ascii(&joined);
    shown.truncate(NAME);
    while shown.last() == Some(&b'/') {
        shown.pop();
    }
    let mut block = template(&shown, 0, length as u64, b'x');
    octal(&mut block[136..148], 0);
    with_checksum(block)
}

fn template(name: &[u8], mode: u32, size: u64, flag: u8) -> [u8; 512] {
    let mut block = [0; 512];
    put(&mut block[..NAME], name);
    octal(&mut block[100..108], u64::from(mode));
    // User and group are 0, so that the bytes do not depend on the user who packs the directory.
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], size);
    block[156] = flag;
    // The magic `ustar` with its NUL, and the version `00`.
    block[257..265].copy_from_slice(b"ustar\x0000");
    block
}

/// Sets the checksum.
fn with_checksum(mut block: [u8; 512]) -> [u8; 512] {
    // The checksum field itself counts as spaces (POSIX.1-1988, ustar).
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    // Six digits and a NUL. The last byte of the field stays a space, as in a header that Go writes.
    octal(&mut block[148..155], sum);
    block
}

/// Appends a PAX record: its length, which counts itself, a space, `key=value` and a line break.
fn record(data: &mut Vec<u8>, key: &str, value: &[u8]) {
    // The three other bytes are the space, the equals sign and the line break.
    let body = key.len() + value.len() + 3;
    let mut length = body + body.to_string().len();
    // The length counts its own digits, and counting them can add one more digit.
    if length.to_string().len() != body.to_string().len() {
        length = body + length.to_string().len();
    }
    data.extend(format!("{length} {key}=").as_bytes());
    data.extend(value);
    data.push(b'\n');
}

fn fits(text: &[u8]) -> bool {
    text.is_ascii() && text.len() <= NAME
}

/// Splits a long name into the prefix and the name field of ustar, at the last slash for which both fit.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME || !name.is_ascii() {
        return None;
    }
    // The slash is in neither field, so it may be one byte after the longest prefix.
    let slash = name[..name.len().min(PREFIX + 1)].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (slash > 0 && !rest.is_empty() && rest.len() <= NAME).then_some((prefix, rest))
}

/// Removes all bytes that are not ASCII.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// Copies as much of the text as fits. Like Go, ends a cut text before its final slashes, which would mark a
/// directory.
fn put(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    if text.len() > field.len() && field.last() == Some(&b'/') {
        let end = field[..length - 1].iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        field[end] = 0;
    }
}

/// Fills the field with octal digits and a final NUL. Writes 0 for a number that is too large; a PAX record has it.
fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    let digits = if digits.len() > width { "0".repeat(width) } else { digits };
    field[..width].copy_from_slice(digits.as_bytes());
    field[width] = 0;
}

fn octal_time(modified: i64) -> Option<u64> {
    u64::try_from(modified).ok().filter(|seconds| *seconds <= MAX_OCTAL)
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & 0o7777
}

#[cfg(not(unix))]
fn mode(metadata: &Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}

/// Returns seconds since 1970, rounded as Go does: to the nearest second, and up from a half, also before 1970.
fn modified(metadata: &Metadata) -> i64 {
    const HALF: u64 = 500_000_000;
    let Ok(time) = metadata.modified() else { return 0 };
    let (since, before) = match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => (since, false),
        Err(error) => (error.duration(), true),
    };
    let nanos = u64::from(since.subsec_nanos());
    let up = if before { nanos > HALF } else { nanos >= HALF };
    let seconds = i64::try_from(since.as_secs() + u64::from(up)).unwrap_or_default();
    if before { -seconds } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_length_of_records() {
        let record = |length: usize| {
            let mut data = Vec::new();
            record(&mut data, "path", &b"x".repeat(length));
            String::from_utf8(data).unwrap()
        };
        assert_eq!(record(1), "9 path=x\n");
        for length in [1, 2, 88, 89, 90, 91, 92, 987, 988, 989, 990, 991, 992] {
            let record = record(length);
            let claimed: usize = record.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(claimed, record.len(), "{length}");
        }
    }

    #[test]
    fn splits_long_names_at_a_slash() {
        let name = format!("{}/{}", "d".repeat(120), "f".repeat(60));
        assert_eq!(split(name.as_bytes()).unwrap().0.len(), 120);
        assert_eq!(split(&b"x".repeat(101)), None);
        assert_eq!(split("é".repeat(101).as_bytes()), None);
        assert_eq!(split(b"short"), None);
    }

    #[test]
    fn writes_records_for_fields_that_do_not_fit() {
        let huge = TarHeader {
            name: b"f".to_vec(),
            size: MAX_OCTAL + 1,
            modified: -7,
            flag: b'0',
            ..TarHeader::default()
        };
        let bytes = huge.to_bytes();
        assert_eq!(bytes.len(), 3 * 512);
        assert!(bytes.starts_with(b"PaxHeaders.0/f\0"));
        assert!(bytes[512..].starts_with(b"12 mtime=-7\n19 size=8589934592\n\0"));
        assert_eq!(&bytes[1024 + 124..1024 + 148], b"00000000000\x0000000000000\0");
        let largest = TarHeader { size: MAX_OCTAL, modified: 0, ..huge };
        assert_eq!(largest.to_bytes().len(), 512);
    }
}
