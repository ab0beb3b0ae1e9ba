//! Reads numbers as Go's `strconv` does: literals of templates, and strings that functions convert.
//!
//! These readers are written by hand because Rust's `parse` accepts neither prefixes nor underscores.

use crate::strings::quote::{Unit, unquote_char};

/// A numeric constant, converted to each type that can represent it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    /// The literal in the template.
    pub(crate) text: String,
}

impl Number {
    /// Parses an integer or a float.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut number = Self { int: None, uint: None, float: None, text: text.to_owned() };
        if text.ends_with('i') {
            return Err(format!("complex constants are not supported: {text:?}"));
        }
        // As in Go, an integer takes precedence over a float, and a float with an integral value is also an
        // integer.
        number.uint = parse_uint(text);
        number.int = parse_int(text);
        // `-0` and `+0` have a sign, but Go also accepts them as unsigned zeros.
        if number.int == Some(0) {
            number.uint = Some(0);
        }
        if let Some(int) = number.int {
            number.float = Some(int as f64);
        } else if let Some(uint) = number.uint {
            number.float = Some(uint as f64);
        } else if let Ok(float) = parse_float(text) {
            // Digits alone that fit no integer type are an overflow, not a float.
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {text:?}"));
            }
            number.float = Some(float);
            // A conversion saturates, so the largest integer may be the result of a float that is too large.
            number.int = Some(float as i64).filter(|&int| int as f64 == float && int != i64::MAX);
            number.uint = Some(float as u64).filter(|&uint| uint as f64 == float && uint != u64::MAX);
        } else {
            return Err(format!("illegal number syntax: {text:?}"));
        }
        Ok(number)
    }

    /// Parses a character in single quotes.
    pub(crate) fn parse_char(text: &str) -> Result<Self, String> {
        let (unit, tail) = unquote_char(&text[1..], '\'').ok_or("invalid syntax")?;
        if tail != "'" {
            return Err(format!("malformed character constant: {text}"));
        }
        let code = match unit {
            Unit::Byte(byte) => u32::from(byte),
            Unit::Char(c) => u32::from(c),
        };
        Ok(Self {
            int: Some(code.into()),
            uint: Some(code.into()),
            float: Some(code.into()),
            text: text.to_owned(),
        })
    }

    /// Returns true if the constant is treated as a float when no parameter determines its type.
    pub(crate) fn looks_like_float(&self) -> bool {
        let hexadecimal = self.text.starts_with("0x") || self.text.starts_with("0X");
        let hex_int = hexadecimal && self.text.len() > 2 && !self.text.contains(['p', 'P']);
        self.float.is_some()
            && !hex_int
            && !self.text.starts_with('\'')
            && self.text.contains(['.', 'e', 'E', 'p', 'P'])
    }
}

/// Returns true if every underscore is between two digits, or between the prefix and a digit.
fn has_valid_underscores(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let lower = digits.to_ascii_lowercase();
    let prefixed = ["0b", "0o", "0x"].iter().any(|prefix| lower.starts_with(prefix));
    // A prefix such as `0x` counts as a digit here.
    let (mut previous, rest) = if prefixed { ('0', &lower[2..]) } else { ('^', lower.as_str()) };
    for c in rest.chars() {
        let kind = match c {
            '0'..='9' => '0',
            'a'..='f' if lower.starts_with("0x") => '0',
            '_' if previous != '0' => return false,
            '_' => '_',
            _ if previous == '_' => return false,
            _ => '!',
        };
        previous = kind;
    }
    previous != '_'
}

/// Parses an unsigned literal with an optional prefix for the base.
fn parse_uint(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &text[2..]),
        [b'0', b'b', ..] => (2, &text[2..]),
        [b'0', b'o', ..] => (8, &text[2..]),
        // A leading zero means octal, as in old Go and C.
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    if digits.starts_with(['+', '-']) || (text.contains('_') && !has_valid_underscores(text)) {
        return None;
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

/// Parses a literal with an optional sign and prefix, as Go's `ParseInt` with base 0.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i128::from(parse_uint(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// An error of [`parse_float`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatError {
    Syntax,
    Range,
}

/// Parses a decimal or hexadecimal float, an infinity or NaN, as Go's `ParseFloat`.
pub(crate) fn parse_float(text: &str) -> Result<f64, FloatError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    match lower.as_str() {
        // Go rejects a sign before NaN.
        "nan" if unsigned.len() == text.len() => return Ok(f64::NAN),
        "inf" | "infinity" => {
            return Ok(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        _ => {}
    }
    if text.contains('_') && !has_valid_underscores(text) {
        return Err(FloatError::Syntax);
    }
    let digits = lower.replace('_', "");
    let magnitude = match digits.strip_prefix("0x") {
        Some(digits) => parse_hex_float(digits).ok_or(FloatError::Syntax)?,
        // Rust's parser accepts a signed NaN, Go's does not, so the first character is checked here.
        None if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            digits.parse().map_err(|_| FloatError::Syntax)?
        }
        None => return Err(FloatError::Syntax),
    };
    if magnitude.is_infinite() {
        return Err(FloatError::Range);
    }
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// Parses what follows `0x`. The exponent is mandatory.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    // The power is applied in two steps, because 2^shift alone can overflow when the product does not.
    let half = shift / 2;
    Some(value * 2.0_f64.powi(half) * 2.0_f64.powi(shift - half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_integers() {
        assert_eq!(parse_int("0x1F"), Some(31));
        assert_eq!(parse_int("0b11"), Some(3));
        assert_eq!(parse_int("0o17"), Some(15));
        assert_eq!(parse_int("017"), Some(15));
        assert_eq!(parse_int("1_000"), Some(1000));
        assert_eq!(parse_int("1__0"), None);
        assert_eq!(parse_int("_1"), None);
        assert_eq!(parse_int("0x_1"), Some(1));
        assert_eq!(parse_int("08"), None);
        assert_eq!(parse_int("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_int("+-1"), None);
        assert_eq!(parse_int(""), None);
    }

    #[test]
    fn parses_floats() {
        assert_eq!(parse_float("1e3"), Ok(1000.0));
        assert_eq!(parse_float("0x1p-2"), Ok(0.25));
        assert_eq!(parse_float("0x1.8p1"), Ok(3.0));
        assert_eq!(parse_float(".5"), Ok(0.5));
        assert_eq!(parse_float("-Inf"), Ok(f64::NEG_INFINITY));
        assert_eq!(parse_float("1e999"), Err(FloatError::Range));
        assert_eq!(parse_float("e5"), Err(FloatError::Syntax));
        assert_eq!(parse_float(""), Err(FloatError::Syntax));
    }
}
