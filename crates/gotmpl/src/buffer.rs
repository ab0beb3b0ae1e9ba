//! A buffer with an upper limit, so that no template can fill the memory.

use crate::limits::{MAX_STRING, too_long};

/// Collects bytes up to [`MAX_STRING`]; what is written beyond is dropped and remembered as a failure.
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

    /// Writes `count` times the same bytes.
    pub(crate) fn fill(&mut self, bytes: &[u8], count: usize) {
        if bytes.len().checked_mul(count).is_none_or(|total| total > MAX_STRING - self.bytes.len()) {
            self.fail(too_long());
        }
        if self.failure.is_none() && !bytes.is_empty() {
            self.bytes.extend_from_slice(&bytes.repeat(count));
        }
    }

    /// Makes [`Buffer::finish`] fail, for this reason unless there is one already.
    pub(crate) fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    /// Whether going on is of no use.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was collected, or the reason why that failed.
    pub(crate) fn finish(self) -> Result<Vec<u8>, String> {
        self.failure.map_or(Ok(self.bytes), Err)
    }
}
