//! Formats like Go's `Sprintf`.

use crate::printer::{Flags, Printer};
use crate::unicode::decode;
use crate::value::Value;

/// The largest width and precision.
const MAX_SIZE: i64 = 1_000_000;

/// Formats the arguments as the format says.
pub(crate) fn sprintf(format: &[u8], args: &[&Value]) -> Result<Vec<u8>, String> {
    let mut formatter =
        Formatter { printer: Printer::default(), format, pos: 0, args, arg: 0, reordered: false };
    formatter.run();
    formatter.printer.out.finish()
}

struct Formatter<'a> {
    printer: Printer,
    format: &'a [u8],
    pos: usize,
    args: &'a [&'a Value],
    /// The next argument.
    arg: usize,
    /// There were explicit indices, so that unused arguments are not noticed.
    reordered: bool,
}

/// What is known about the indices of a directive.
struct Indices {
    good: bool,
    /// The last thing read was an index.
    after: bool,
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
        if self.reordered || self.arg >= self.args.len() {
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
        let mut indices = Indices { good: true, after: false };
        self.index(&mut indices);
        self.width(&mut indices);
        self.precision(&mut indices);
        if !indices.after {
            self.index(&mut indices);
        }
        if self.pos >= self.format.len() {
            return self.printer.out.push_str("%!(NOVERB)");
        }
        let (verb, size) = decode(&self.format[self.pos..]);
        self.pos += size;
        self.verb(verb, indices.good);
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

    fn width(&mut self, indices: &mut Indices) {
        if self.peek() == Some(b'*') {
            self.pos += 1;
            match self.size_argument() {
                Some(width) => {
                    self.printer.flags.width = Some(width.unsigned_abs() as usize);
                    if width < 0 {
                        self.printer.flags.minus = true;
                        self.printer.flags.zero = false;
                    }
                }
                None => self.printer.out.push_str("%!(BADWIDTH)"),
            }
            indices.after = false;
        } else {
            self.printer.flags.width = self.number();
            indices.good &= !(indices.after && self.printer.flags.width.is_some());
        }
    }

    fn precision(&mut self, indices: &mut Indices) {
        if self.peek() != Some(b'.') || self.pos + 1 >= self.format.len() {
            return;
        }
        self.pos += 1;
        indices.good &= !indices.after;
        self.index(indices);
        if self.peek() == Some(b'*') {
            self.pos += 1;
            let precision = self.size_argument().and_then(|precision| usize::try_from(precision).ok());
            if precision.is_none() {
                self.printer.out.push_str("%!(BADPREC)");
            }
            self.printer.flags.precision = precision;
            indices.after = false;
        } else {
            self.printer.flags.precision = Some(self.number().unwrap_or(0));
        }
    }

    fn verb(&mut self, verb: char, good_index: bool) {
        if verb == '%' {
            return self.printer.out.push(b'%');
        }
        let complaint = if !good_index {
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
            self.printer.flags.go_syntax = self.printer.flags.sharp;
            self.printer.flags.plus_names = self.printer.flags.plus;
            self.printer.flags.sharp = false;
            self.printer.flags.plus = false;
        }
        self.printer.print(self.args[self.arg], verb);
        self.arg += 1;
    }

    /// A decimal number, if there is one. One that is too large ends the directive, as in Go.
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

    /// The argument that a `*` stands for, if it is an integer of a sensible size.
    fn size_argument(&mut self) -> Option<i64> {
        let size = match self.args.get(self.arg)? {
            Value::Int(number) => Some(*number),
            Value::Integer(integer) => Some(integer.bits),
            _ => None,
        };
        self.arg += 1;
        size.filter(|size| (-MAX_SIZE..=MAX_SIZE).contains(size))
    }

    /// An explicit index such as `[2]`.
    fn index(&mut self, indices: &mut Indices) {
        indices.after = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.pos..];
        let close = rest.iter().position(|&byte| byte == b']');
        let Some(close) = close.filter(|_| rest.len() >= 3) else {
            self.pos += 1;
            indices.good = false;
            return;
        };
        self.pos += close + 1;
        let number = std::str::from_utf8(&rest[1..close]).unwrap_or_default();
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<usize>().ok().filter(|_| digits);
        indices.after = number.is_some();
        match number.filter(|&number| (1..=self.args.len()).contains(&number)) {
            Some(number) => self.arg = number - 1,
            None => indices.good = false,
        }
    }
}
