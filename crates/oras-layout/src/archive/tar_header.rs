//! Writes tar headers.

use tar::{EntryType, Header};

/// The size of a header in bytes. Content is padded to a multiple of it.
pub(super) const BLOCK: u64 = 512;
/// The largest size that fits the eleven octal digits of a header: 8 GiB less one byte.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// Returns the header of a directory, whose name must end in a slash.
pub(super) fn directory(name: &str) -> Vec<u8> {
    header(name, 0, 0o755, EntryType::Directory)
}

/// Returns the header of a file. The content follows it.
pub(super) fn file(name: &str, size: u64, mode: u32) -> Vec<u8> {
    header(name, size, mode, EntryType::Regular)
}

/// Returns a ustar header, preceded by PAX records if the name or the size does not fit (POSIX.1-2001, pax). Owner
/// and time are 0, so that the archive depends only on its content.
fn header(name: &str, size: u64, mode: u32, kind: EntryType) -> Vec<u8> {
    let mut records = Vec::new();
    if name.len() > Header::new_ustar().as_old().name.len() {
        record(&mut records, "path", name);
    }
    if size > MAX_OCTAL {
        record(&mut records, "size", &size.to_string());
    }
    let mut bytes = Vec::new();
    if !records.is_empty() {
        let length = records.len() as u64;
        bytes.extend(block(&format!("PaxHeaders.0/{name}"), length, 0o644, EntryType::XHeader));
        bytes.extend(records);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    }
    // A size that does not fit the field is only in the PAX record, from which readers take it.
    bytes.extend(block(name, if size > MAX_OCTAL { 0 } else { size }, mode, kind));
    bytes
}

/// Returns a header without PAX records. A long name is truncated.
fn block(name: &str, size: u64, mode: u32, kind: EntryType) -> [u8; BLOCK as usize] {
    let mut header = Header::new_ustar();
    let field = &mut header.as_old_mut().name;
    for (to, byte) in field.iter_mut().zip(name.bytes()) {
        *to = byte;
    }
    header.set_size(size);
    header.set_mode(mode);
    header.set_entry_type(kind);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    *header.as_bytes()
}

/// Appends a PAX record: its length, which counts itself, a space, `key=value` and a line break.
fn record(records: &mut Vec<u8>, key: &str, value: &str) {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    // The length counts its own digits, so it is computed until it no longer changes.
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    records.extend(format!("{length}{rest}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_records_for_fields_that_do_not_fit() {
        assert_eq!(file("a", MAX_OCTAL, 0o444).len(), 512);
        let huge = file("a", MAX_OCTAL + 1, 0o444);
        assert_eq!(huge.len(), 3 * 512);
        assert!(huge[512..].starts_with(b"19 size=8589934592\n\0"));
        let long = file(&"x".repeat(101), 1, 0o444);
        assert!(long[512..].starts_with(format!("111 path={}\n\0", "x".repeat(101)).as_bytes()));
        for length in [84, 85, 86, 87, 88, 982, 983, 984, 985, 986, 987, 988] {
            let mut records = Vec::new();
            record(&mut records, "path", &"x".repeat(length));
            let text = String::from_utf8(records).unwrap();
            assert_eq!(text.split(' ').next().unwrap(), text.len().to_string());
        }
    }
}
