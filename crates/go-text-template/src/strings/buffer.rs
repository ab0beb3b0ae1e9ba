//! A byte buffer with a maximum length.

use crate::limits::{MAX_STRING, too_long};

/// A buffer of at most [`MAX_STRING`] bytes.
///
/// A write beyond the limit is dropped, and [`Buffer::finish`] then returns an error. So code that writes many
/// pieces needs no check after each of them.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    failure: Option<String>,
}

impl Buffer {
    pub(crate) fn push(&mut self, byte: u8) {
        self.write(&[byte]);
    }

    pub(crate) fn push_char(&mut self, c: char) {
        self.write(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if bytes.len() > MAX_STRING - self.bytes.len() {
            self.fail(too_long());
        }
        if self.failure.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Writes `bytes` `count` times.
    pub(crate) fn fill(&mut self, bytes: &[u8], count: usize) {
        if bytes.len().checked_mul(count).is_none_or(|total| total > MAX_STRING - self.bytes.len()) {
            self.fail(too_long());
        }
        if self.failure.is_none() && !bytes.is_empty() {
            self.bytes.extend_from_slice(&bytes.repeat(count));
        }
    }

    /// Makes [`Buffer::finish`] fail. The first reason is kept.
    pub(crate) fn fail(&mut self, reason: String) {
        // The first failure is the cause of the later ones.
        self.failure.get_or_insert(reason);
    }

    /// Returns true if [`Buffer::finish`] will fail, so that a loop can stop.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes, or the reason of the first failure.
    pub(crate) fn finish(self) -> Result<Vec<u8>, String> {
        self.failure.map_or(Ok(self.bytes), Err)
    }
}
