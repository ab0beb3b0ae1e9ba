//! PAX records (POSIX.1-2001, pax, "pax Extended Header"): `length key=value\n`. The length includes itself.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The records that describe the next entry. Records that extraction does not need, such as attributes, are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    pub(super) sparse: bool,
}

impl Records {
    /// Parses all records.
    ///
    /// # Errors
    /// `InvalidData` for anything malformed: tools that skip it would read different archives.
    pub(super) fn parse(mut data: &[u8]) -> io::Result<Self> {
        let mut records = Self::default();
        while !data.is_empty() {
            let (key, value, rest) = split_record(data).ok_or_else(|| malformed("a malformed PAX record"))?;
            records.set(key, value)?;
            data = rest;
        }
        Ok(records)
    }

    /// Returns true if a record sets a name or a size. In a global header, tools interpret those differently.
    pub(super) fn has_names_or_sizes(&self) -> bool {
        self.path.is_some() || self.link.is_some() || self.size.is_some() || self.sparse
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let name = || {
            // A NUL would end the name for one tool and not for another.
            if value.contains(&0) {
                return Err(malformed("a PAX record has a name with a NUL in it"));
            }
            // An empty value removes the record, so the field of the header applies.
            Ok(Some(value.to_vec()).filter(|value| !value.is_empty()))
        };
        match key {
            b"path" => self.path = name()?,
            b"linkpath" => self.link = name()?,
            b"size" if value.is_empty() => self.size = None,
            b"size" => {
                self.size =
                    Some(digits(value).ok_or_else(|| malformed("a PAX record has a size that is none"))?);
            }
            b"mtime" if value.is_empty() => self.modified = None,
            b"mtime" => {
                let time = parse_time(value);
                self.modified = Some(time.ok_or_else(|| malformed("a PAX record has a time that is none"))?);
            }
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {}
        }
        Ok(())
    }
}

/// Returns the key and the value of the first record, and the rest of the data.
fn split_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // No valid length has more digits than this.
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(digits(&data[..space])?).ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let key = &body[..equals];
    (!key.is_empty() && !key.contains(&0)).then_some((key, &body[equals + 1..], &data[length..]))
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Parses seconds since 1970 with an optional sign and fraction.
fn parse_time(text: &[u8]) -> Option<SystemTime> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let dot = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanos = 0;
    for place in 0..9 {
        nanos = nanos * 10 + fraction.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    }
    let since = Duration::new(digits(&text[..dot])?, nanos);
    let time = if negative { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) };
    // A time that the system cannot represent is replaced, because the content does not depend on it.
    Some(time.unwrap_or(UNIX_EPOCH))
}

pub(super) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_records() {
        let records = Records::parse(
            b"10 path=a\n12 size=1234\n17 mtime=-1.2500\n21 SCHILY.xattr.x=\n\n\n12 comment=\n",
        );
        assert!(records.is_err(), "the length of the attribute is wrong");
        let records =
            Records::parse(b"9 path=a\n13 size=1234\n15 mtime=-1.25\n21 SCHILY.xattr.x=\n\n\n").unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a"[..]));
        assert_eq!(records.size, Some(1234));
        assert_eq!(records.modified, Some(UNIX_EPOCH - Duration::from_millis(1250)));
        assert!(!records.sparse);
    }

    #[test]
    fn rejects_malformed_records() {
        for data in [
            "9 path=a",
            "8 path=a\n",
            "09 path\n",
            "x path=a\n",
            "5 =a\n",
            "99999999999999999999999 path=a\n",
            "18446744073709551615 path=a\n",
            "1 ",
            "3 \n",
            " ",
            "0 path=a\n",
            "11 path=a\0\n",
            "11 size=-1\n",
            "11 size=1x\n",
            "12 mtime=1.x\n",
            "9 path=a\nx",
        ] {
            assert!(Records::parse(data.as_bytes()).is_err(), "{data:?}");
        }
    }
}
