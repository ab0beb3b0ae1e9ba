//! Prints strings, integers and floats with the verbs and flags of `printf`.

use crate::print::float::format_float;
use crate::print::printer::Printer;
use crate::strings::quote::{can_backquote, quote, quote_ascii, quote_char};
use crate::strings::unicode::{REPLACEMENT, chars, decode, is_print};
use crate::values::value::Value;

impl Printer {
    /// Writes a text, padded to the width.
    pub(crate) fn pad(&mut self, text: &[u8]) {
        let width = self.flags.width.unwrap_or(0);
        if width == 0 {
            return self.out.write(text);
        }
        // The width counts characters, not bytes.
        let padding = width.saturating_sub(chars(text).count());
        if self.flags.minus {
            self.out.write(text);
            self.out.fill(b" ", padding);
        } else {
            self.out.fill(if self.flags.zero { b"0" } else { b" " }, padding);
            self.out.write(text);
        }
    }

    /// Writes a text, padded to the width with blanks even if the flag `0` is set.
    fn pad_blank(&mut self, text: &[u8]) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text);
        self.flags.zero = zero;
    }

    /// Prints a string with `v`, `s`, `x`, `X` or `q`.
    pub(crate) fn string(&mut self, text: &[u8], verb: char) {
        match verb {
            'x' | 'X' => self.hex_string(text, verb),
            'q' => self.quoted_string(text),
            'v' if self.flags.go_syntax => self.quoted_string(text),
            _ => {
                let text = self.truncate(text);
                self.pad(text);
            }
        }
    }

    fn truncate<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let mut end = 0;
        for _ in 0..precision {
            end += decode(&text[end..]).1;
        }
        &text[..end]
    }

    fn quoted_string(&mut self, text: &[u8]) {
        let text = self.truncate(text);
        if self.flags.sharp && can_backquote(text) {
            self.pad(&[b"`", text, b"`"].concat());
        } else if self.flags.plus {
            self.pad(quote_ascii(text).as_bytes());
        } else {
            self.pad(quote(text).as_bytes());
        }
    }

    fn hex_string(&mut self, text: &[u8], verb: char) {
        // Unlike for other verbs, the precision counts bytes here.
        let length = self.flags.precision.map_or(text.len(), |precision| precision.min(text.len()));
        let prefix = match (self.flags.sharp, verb) {
            (false, _) => "",
            (_, 'x') => "0x",
            _ => "0X",
        };
        let mut hex = String::new();
        for (index, byte) in text[..length].iter().enumerate() {
            if index > 0 && self.flags.space {
                hex.push(' ');
            }
            if index == 0 || self.flags.space {
                hex.push_str(prefix);
            }
            hex.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
        }
        self.pad(hex.as_bytes());
    }

    /// Prints an integer.
    pub(crate) fn integer(&mut self, value: &Value, bits: i64, is_unsigned: bool, verb: char) {
        let is_negative = bits < 0 && !is_unsigned;
        let magnitude = if is_negative { bits.unsigned_abs() } else { bits as u64 };
        // `%#v` prints unsigned integers in hexadecimal.
        let go_hex = verb == 'v' && self.flags.go_syntax && is_unsigned;
        let digits = match verb {
            _ if go_hex => format!("{magnitude:x}"),
            'v' | 'd' => magnitude.to_string(),
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            'c' | 'q' | 'U' => return self.character(bits as u64, verb),
            _ => return self.complain(value, verb),
        };
        let sharp = self.flags.sharp || go_hex;
        let shown_verb = if go_hex { 'x' } else { verb };
        self.signed_digits(is_negative, digits, shown_verb, sharp);
    }

    fn signed_digits(&mut self, is_negative: bool, mut digits: String, verb: char, sharp: bool) {
        let flags = self.flags;
        let signed = is_negative || flags.plus || flags.space;
        let mut least = flags.precision.unwrap_or(0);
        // A precision of zero prints no digits for zero, as in C.
        if flags.precision == Some(0) && digits == "0" {
            return self.pad_blank(b"");
        }
        if let (None, Some(width), true) = (flags.precision, flags.width, flags.zero && !flags.minus) {
            // Zero padding is a minimum number of digits. The sign takes one place of the width.
            least = width - usize::from(signed && width > 0);
        }
        if digits.len() < least {
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        let prefix = match verb {
            'O' => "0o",
            'b' if sharp => "0b",
            'o' if sharp && !digits.starts_with('0') => "0",
            'x' if sharp => "0x",
            'X' if sharp => "0X",
            _ => "",
        };
        // Go prints the prefix of `%#o` after that of `%O`.
        let octal = if verb == 'O' && sharp && !digits.starts_with('0') { "0" } else { "" };
        let sign = match (is_negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        self.pad_blank(format!("{sign}{prefix}{octal}{digits}").as_bytes());
    }

    fn character(&mut self, code: u64, verb: char) {
        let c = u32::try_from(code).ok().and_then(char::from_u32);
        let shown = c.unwrap_or(REPLACEMENT);
        match verb {
            'c' => self.pad(shown.encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => self.pad(quote_char(shown, self.flags.plus).as_bytes()),
            _ => {
                let least = self.flags.precision.unwrap_or(0).max(4);
                let digits = format!("{code:X}");
                let zeros = "0".repeat(least.saturating_sub(digits.len()));
                let mut text = format!("U+{zeros}{digits}");
                if let Some(c) = c.filter(|&c| self.flags.sharp && is_print(c)) {
                    text.push_str(&format!(" '{c}'"));
                }
                self.pad_blank(text.as_bytes());
            }
        }
    }

    /// Prints a float.
    pub(crate) fn float(&mut self, value: &Value, number: f64, verb: char) {
        let (form, default) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'f' | 'e' | 'E' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return self.complain(value, verb),
        };
        let flags = self.flags;
        let precision = flags.precision.or(default);
        let text = format_float(number, form, precision);
        let (sign, mut digits) = match text.as_bytes().first() {
            Some(b'-') => ("-", text[1..].to_owned()),
            Some(b'+') => ("+", text[1..].to_owned()),
            _ => ("+", text),
        };
        let sign = if flags.space && sign == "+" && !flags.plus { " " } else { sign };
        // Go does not pad infinities and NaN with zeros. It always prints the sign of `+Inf`, but that of NaN only with
        // a flag.
        if !number.is_finite() {
            let sign = if number.is_nan() && !flags.plus && !flags.space { "" } else { sign };
            return self.pad_blank(format!("{sign}{digits}").as_bytes());
        }
        if flags.sharp && form != 'b' {
            digits = keep_point(&digits, form, precision);
        }
        if !flags.plus && sign == "+" {
            return self.pad(digits.as_bytes());
        }
        let width = flags.width.unwrap_or(0);
        // The sign precedes the zeros.
        if flags.zero && !flags.minus && width > digits.len() + 1 {
            self.out.push_str(sign);
            self.out.fill(b"0", width - digits.len() - 1);
            return self.out.push_str(&digits);
        }
        self.pad(format!("{sign}{digits}").as_bytes());
    }
}

/// Applies the flag `#`: adds a point, and restores the trailing zeros of `g`.
fn keep_point(number: &str, form: char, precision: Option<usize>) -> String {
    let is_hex = matches!(form, 'x' | 'X');
    let exponent_at = if is_hex { number.find(['p', 'P']) } else { number.find(['e', 'E']) };
    let (mantissa, exponent) = number.split_at(exponent_at.unwrap_or(number.len()));
    let mut text = mantissa.to_owned();
    let wanted = if matches!(form, 'g' | 'G' | 'x') { precision.unwrap_or(6) } else { 0 };
    // Leading zeros are not significant digits.
    let mut significant = 0;
    let mut seen = false;
    for c in mantissa.chars().filter(|&c| c != '.') {
        seen |= c != '0';
        significant += usize::from(seen);
    }
    if !mantissa.contains('.') {
        significant += usize::from(mantissa == "0");
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', wanted.saturating_sub(significant)));
    text.push_str(exponent);
    text
}
