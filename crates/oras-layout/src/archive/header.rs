//! Headers of the entries that are written.

use tar::{EntryType, Header};

use super::BLOCK;

/// The largest size that fits the eleven octal digits of a header: 8 GiB less one.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// The header of a directory, whose name must end in a slash.
pub(super) fn directory(name: &str) -> Vec<u8> {
    header(name, 0, 0o755, EntryType::Directory)
}

/// The header of a file, after which its content follows.
pub(super) fn file(name: &str, size: u64, mode: u32) -> Vec<u8> {
    header(name, size, mode, EntryType::Regular)
}

/// A ustar header, with PAX records before it for a name or a size that does not fit (POSIX.1-2001, pax). Owner and
/// time are 0: an archive says what is in it, not who made it and when.
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
    bytes.extend(block(name, if size > MAX_OCTAL { 0 } else { size }, mode, kind));
    bytes
}

/// A header alone; a name that is too long is cut.
fn block(name: &str, size: u64, mode: u32, kind: EntryType) -> [u8; BLOCK as usize] {
    let mut header = Header::new_ustar();
    let field = &mut header.as_old_mut().name;
    for (place, byte) in field.iter_mut().zip(name.bytes()) {
        *place = byte;
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

/// Adds one record: its length, itself included, a space, `key=value`, a line break.
fn record(records: &mut Vec<u8>, key: &str, value: &str) {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    records.extend(format!("{length}{rest}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_recorded() {
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
