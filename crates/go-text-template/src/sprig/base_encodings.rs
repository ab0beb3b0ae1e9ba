//! `b64enc`, `b64dec`, `b32enc` and `b32dec`: Go's standard encodings with padding.
//!
//! The decoders are written by hand because sprig returns Go's error message, which contains a byte offset.

use crate::eval::function::{Function, Type::Str, function};
use crate::limits::{MAX_STRING, too_long};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("b64enc", &[Str], |call| BASE64.encode(call.str(0)).map(Value::text)),
    function("b64dec", &[Str], |call| Ok(BASE64.decode_or_message(call.str(0)))),
    function("b32enc", &[Str], |call| BASE32.encode(call.str(0)).map(Value::text)),
    function("b32dec", &[Str], |call| Ok(BASE32.decode_or_message(call.str(0)))),
];

/// An encoding of groups of bytes as groups of letters.
struct Base {
    name: &'static str,
    alphabet: &'static [u8],
    /// The number of bits in a letter.
    bits: u32,
    /// The number of letters in a group.
    letters: usize,
}

const BASE64: Base = Base {
    name: "base64",
    alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    bits: 6,
    letters: 4,
};

const BASE32: Base =
    Base { name: "base32", alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, letters: 8 };

impl Base {
    fn bytes_of(&self, letters: usize) -> usize {
        letters * self.bits as usize / 8
    }

    fn encode(&self, data: &[u8]) -> Result<Vec<u8>, String> {
        // Base32 writes eight letters for five bytes, so the result for data of half the limit is within the limit.
        if data.len() > MAX_STRING / 2 {
            return Err(too_long());
        }
        let mut encoded = Vec::new();
        for group in data.chunks(self.bytes_of(self.letters)) {
            let bits = group.iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
            // A short last group is padded with zero bits.
            let bits = bits << (8 * (self.bytes_of(self.letters) - group.len()));
            let used = (group.len() * 8).div_ceil(self.bits as usize);
            for letter in 0..self.letters {
                let shift = self.bits * (self.letters - 1 - letter) as u32;
                let index = (bits >> shift) as usize & (self.alphabet.len() - 1);
                encoded.push(if letter < used { self.alphabet[index] } else { b'=' });
            }
        }
        Ok(encoded)
    }

    /// Decodes as sprig does: returns the data, or the error message as the result.
    fn decode_or_message(&self, text: &[u8]) -> Value {
        let decoded = if self.bits == 6 { self.decode64(text) } else { self.decode32(text) };
        match decoded {
            Ok(data) => Value::text(data),
            Err(at) => Value::from(format!("illegal {} data at input byte {at}", self.name)),
        }
    }

    fn digit(&self, letter: u8) -> Option<u64> {
        self.alphabet.iter().position(|&known| known == letter).map(|digit| digit as u64)
    }

    /// Returns the bytes of a group of `letters` letters.
    fn group(&self, bits: u64, letters: usize) -> Vec<u8> {
        let bytes = self.bytes_of(letters);
        let spare = letters as u32 * self.bits - bytes as u32 * 8;
        (bits >> spare).to_be_bytes()[8 - bytes..].to_vec()
    }

    /// Decodes base64 and skips line breaks. The error is the byte offset of Go's message.
    fn decode64(&self, text: &[u8]) -> Result<Vec<u8>, usize> {
        let is_break = |at: usize| matches!(text.get(at), Some(b'\r' | b'\n'));
        let (mut decoded, mut bits, mut count, mut at) = (Vec::new(), 0, 0, 0);
        loop {
            match text.get(at) {
                None if count == 0 => return Ok(decoded),
                // Go's offset is that of the incomplete group.
                None => return Err(at - count),
                Some(b'\r' | b'\n') => at += 1,
                Some(b'=') => break,
                Some(&letter) => {
                    bits = bits << self.bits | self.digit(letter).ok_or(at)?;
                    count += 1;
                    at += 1;
                }
            }
            if count == self.letters {
                decoded.extend(self.group(bits, count));
                (bits, count) = (0, 0);
            }
        }
        // One letter has fewer bits than a byte.
        if count < 2 {
            return Err(at);
        }
        at += 1;
        if count == 2 {
            while is_break(at) {
                at += 1;
            }
            match text.get(at) {
                None => return Err(at),
                Some(b'=') => at += 1,
                Some(_) => return Err(at - 1),
            }
        }
        while is_break(at) {
            at += 1;
        }
        decoded.extend(self.group(bits, count));
        if at < text.len() { Err(at) } else { Ok(decoded) }
    }

    /// Decodes base32 and skips line breaks. The error is the byte offset for Go's message, not counting line breaks.
    fn decode32(&self, text: &[u8]) -> Result<Vec<u8>, usize> {
        let text: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        let (mut decoded, mut bits, mut count) = (Vec::new(), 0, 0);
        for (at, &letter) in text.iter().enumerate() {
            let rest = &text[at + 1..];
            if letter == b'=' && count >= 2 && rest.len() < self.letters {
                // The padding must fill the group.
                let missing = self.letters - 1 - count;
                if rest.len() < missing {
                    return Err(text.len());
                }
                if let Some(bad) = rest[..missing].iter().position(|&byte| byte != b'=') {
                    return Err(at + bad);
                }
                // One letter less would encode the same number of bytes.
                if matches!(count, 3 | 6) {
                    return Err(at);
                }
                decoded.extend(self.group(bits, count));
                return Ok(decoded);
            }
            bits = bits << self.bits | self.digit(letter).ok_or(at)?;
            count += 1;
            if count == self.letters {
                decoded.extend(self.group(bits, count));
                (bits, count) = (0, 0);
            }
        }
        if count > 0 { Err(text.len() - count) } else { Ok(decoded) }
    }
}
