//! Formats as Go's `Sprintf` does.

use crate::print::printer::{Flags, Printer};
use crate::strings::unicode::decode;
use crate::values::value::Value;

/// The maximum width and precision, as in Go.
const MAX_SIZE: i64 = 1_000_000;

/// Formats the arguments by a format string.
pub(crate) fn sprintf(format: &[u8], args: &[&Value]) -> Result<Vec<u8>, String> {
    let mut formatter = Formatter { format, args, ..Formatter::default() };
    formatter.run();
    formatter.printer.out.finish()
}

#[derive(Default)]
struct Formatter<'a> {
    printer: Printer,
    format: &'a [u8],
    pos: usize,
    args: &'a [&'a Value],
    /// The index of the next argument.
    arg: usize,
    /// Whether the format contains explicit indices. If it does, unused arguments are not reported.
    has_indices: bool,
    /// Whether all indices of the directive are valid.
    is_index_valid: bool,
    /// Whether the part of the directive that was read last is an index.
    is_after_index: bool,
}

impl Formatter<'_> {
    fn run(&mut self) {
        while self.pos < self.format.len() && !self.printer.out.has_failed() {
            let rest = &self.format[self.pos..];
            let length = rest.iter().position(|&byte| byte == b'%').unwrap_or(rest.len());
            self.printer.out.write(&rest[..length]);
            self.pos += length;
            if self.pos < self.format.len() {
                self.pos += 1;
                self.directive();
            }
        }
        // Go reports unused arguments only if the format has no explicit indices.
        if self.has_indices || self.arg >= self.args.len() {
            return;
        }
        self.printer.flags = Flags::default();
        self.printer.out.push_str("%!(EXTRA ");
        for (index, arg) in self.args[self.arg..].iter().enumerate() {
            if index > 0 {
                self.printer.out.push_str(", ");
            }
            self.printer.typed(arg);
        }
        self.printer.out.push(b')');
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.pos).copied()
    }

    fn directive(&mut self) {
        self.printer.flags = Flags::default();
        self.flags();
        self.is_index_valid = true;
        self.index();
        self.width();
        self.precision();
        if !self.is_after_index {
            self.index();
        }
        if self.pos >= self.format.len() {
            return self.printer.out.push_str("%!(NOVERB)");
        }
        let (verb, size) = decode(&self.format[self.pos..]);
        self.pos += size;
        self.verb(verb);
    }

    fn flags(&mut self) {
        let flags = &mut self.printer.flags;
        while let Some(byte) = self.format.get(self.pos) {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => return,
            }
            self.pos += 1;
        }
    }

    fn width(&mut self) {
        if self.peek() == Some(b'*') {
            self.pos += 1;
            match self.size_argument() {
                Some(width) => {
                    self.printer.flags.width = Some(width.unsigned_abs() as usize);
                    // A negative width is the flag `-`, which excludes `0`.
                    if width < 0 {
                        self.printer.flags.minus = true;
                        self.printer.flags.zero = false;
                    }
                }
                None => self.printer.out.push_str("%!(BADWIDTH)"),
            }
            self.is_after_index = false;
        } else {
            self.printer.flags.width = self.number();
            self.is_index_valid &= !(self.is_after_index && self.printer.flags.width.is_some());
        }
    }

    fn precision(&mut self) {
        // A point at the end of the format is the verb, as in Go.
        if self.peek() != Some(b'.') || self.pos + 1 >= self.format.len() {
            return;
        }
        self.pos += 1;
        self.is_index_valid &= !self.is_after_index;
        self.index();
        if self.peek() == Some(b'*') {
            self.pos += 1;
            let precision = self.size_argument().and_then(|precision| usize::try_from(precision).ok());
            if precision.is_none() {
                self.printer.out.push_str("%!(BADPREC)");
            }
            self.printer.flags.precision = precision;
            self.is_after_index = false;
        } else {
            // A point without a number is a precision of zero.
            self.printer.flags.precision = Some(self.number().unwrap_or(0));
        }
    }

    fn verb(&mut self, verb: char) {
        if verb == '%' {
            return self.printer.out.push(b'%');
        }
        let complaint = if !self.is_index_valid {
            "(BADINDEX)"
        } else if self.arg >= self.args.len() {
            "(MISSING)"
        } else {
            ""
        };
        if !complaint.is_empty() {
            self.printer.out.push_str("%!");
            self.printer.out.push_char(verb);
            return self.printer.out.push_str(complaint);
        }
        if matches!(verb, 'v' | 'w') {
            // For `%v`, the flags `#` and `+` select a form instead of changing numbers.
            self.printer.flags.go_syntax = self.printer.flags.sharp;
            self.printer.flags.plus_names = self.printer.flags.plus;
            self.printer.flags.sharp = false;
            self.printer.flags.plus = false;
        }
        self.printer.print(self.args[self.arg], verb);
        self.arg += 1;
    }

    /// Reads a decimal number. A number that is too large ends the directive, as in Go.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            if number.is_some_and(|number| number > MAX_SIZE as usize) {
                self.pos = self.format.len();
                return None;
            }
            number = Some(number.unwrap_or(0) * 10 + usize::from(digit - b'0'));
            self.pos += 1;
        }
        number
    }

    /// Consumes the argument for a `*`. Returns it if it is an integer of at most [`MAX_SIZE`].
    fn size_argument(&mut self) -> Option<i64> {
        let size = match self.args.get(self.arg)? {
            Value::Int(number) => Some(*number),
            Value::Integer(integer) => Some(integer.bits),
            _ => None,
        };
        self.arg += 1;
        size.filter(|size| (-MAX_SIZE..=MAX_SIZE).contains(size))
    }

    /// Reads an explicit index such as `[2]`.
    fn index(&mut self) {
        self.is_after_index = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.has_indices = true;
        let rest = &self.format[self.pos..];
        // Go needs three bytes and a closing bracket for an index. Otherwise it skips only the opening bracket.
        let close = rest.iter().position(|&byte| byte == b']');
        let Some(close) = close.filter(|_| rest.len() >= 3) else {
            self.pos += 1;
            self.is_index_valid = false;
            return;
        };
        self.pos += close + 1;
        let number = std::str::from_utf8(&rest[1..close]).unwrap_or_default();
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<usize>().ok().filter(|_| digits);
        self.is_after_index = number.is_some();
        match number.filter(|&number| (1..=self.args.len()).contains(&number)) {
            Some(number) => self.arg = number - 1,
            None => self.is_index_valid = false,
        }
    }
}
