//! Prints values as Go's `fmt` does.

use crate::datetime::calendar::{month_name, weekday_name};
use crate::datetime::format;
use crate::eval::operand::Operand;
use crate::limits::check_nesting;
use crate::strings::buffer::Buffer;
use crate::strings::quote::quote;
use crate::strings::text::Text;
use crate::values::value::{Element, Integer, IntegerKind, List, Map, Value};

/// The flags, width and precision of a directive of `printf`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
    pub(crate) minus: bool,
    pub(crate) plus: bool,
    pub(crate) sharp: bool,
    pub(crate) space: bool,
    pub(crate) zero: bool,
    /// Set by `%#v`: values are printed in Go's syntax.
    pub(crate) go_syntax: bool,
    /// Set by `%+v`: fields are printed with their names.
    pub(crate) plus_names: bool,
}

/// Formats values into a buffer.
#[derive(Default)]
pub(crate) struct Printer {
    pub(crate) out: Buffer,
    pub(crate) flags: Flags,
    /// True while an error such as `%!d(string=hi)` is printed, in which Go calls no `String` methods.
    is_complaining: bool,
}

/// Returns the output of an action.
pub(crate) fn print_operand(operand: &Operand) -> Result<Vec<u8>, String> {
    match operand {
        // Only a missing value and a nil interface print `<no value>`. A nil inside of a list prints `<nil>`.
        Operand::Missing | Operand::Interface(Value::Nil) => Ok(b"<no value>".to_vec()),
        Operand::Of(Value::String(text)) => Ok(text.to_vec()),
        operand => print_value(operand.value()),
    }
}

/// Returns a value in the form of `%v`.
pub(crate) fn print_value(value: &Value) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    printer.print(value, 'v');
    printer.out.finish()
}

/// Returns a value in the form of `%v`, for messages. If the value can't be printed, returns the error message.
pub(crate) fn show(value: &Value) -> String {
    let text = print_value(value).unwrap_or_else(String::into_bytes);
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns a value in the form of a verb, for messages.
pub(crate) fn show_as(value: &Value, verb: char) -> String {
    let mut printer = Printer::default();
    printer.print(value, verb);
    String::from_utf8_lossy(printer.out.as_bytes()).into_owned()
}

/// Returns the result of Go's `reflect.Value.String`: the text of a string, or the type of another value.
pub(crate) fn show_reflect(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        other => format!("<{} Value>", other.type_name()),
    }
}

/// Joins values as Go's `Sprint` does: with a space between two values of which neither is a string.
pub(crate) fn sprint<'v>(values: impl Iterator<Item = &'v Value>) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    // No space precedes the first value.
    let mut after_string = true;
    for value in values {
        let is_string = matches!(value, Value::String(_));
        if !after_string && !is_string {
            printer.out.push(b' ');
        }
        printer.print(value, 'v');
        after_string = is_string;
    }
    printer.out.finish()
}

/// Joins values as Go's `Sprintln` does: with spaces between them and a line feed at the end.
pub(crate) fn sprintln<'v>(values: impl Iterator<Item = &'v Value>) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    for (index, value) in values.enumerate() {
        if index > 0 {
            printer.out.push(b' ');
        }
        printer.print(value, 'v');
    }
    printer.out.push(b'\n');
    printer.out.finish()
}

impl Printer {
    /// Prints a value with a verb.
    pub(crate) fn print(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad("<nil>".as_bytes()),
            (_, 'T') => self.string(value.type_name().as_bytes(), 's'),
            // No address is printed: every value is treated as one that is not a pointer.
            (_, 'w' | 'p') => self.complain(value, verb),
            _ => self.value(value, verb, 0),
        }
    }

    /// Prints the error for a verb that does not fit the value: `%!d(string=hi)`.
    pub(crate) fn complain(&mut self, value: &Value, verb: char) {
        self.out.push_str("%!");
        self.out.push_char(verb);
        self.out.push(b'(');
        let was = std::mem::replace(&mut self.is_complaining, true);
        self.typed(value);
        self.is_complaining = was;
        self.out.push(b')');
    }

    /// Prints a value with its type: `string=hi`.
    pub(crate) fn typed(&mut self, value: &Value) {
        if matches!(value, Value::Nil) {
            return self.out.push_str("<nil>");
        }
        self.out.push_str(value.type_name());
        self.out.push(b'=');
        self.value(value, 'v', 0);
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        // A map can contain itself, which Go prints until its stack overflows.
        if let Err(error) = check_nesting(depth) {
            self.out.fail(error);
        }
        if self.out.has_failed() {
            return;
        }
        match value {
            Value::Nil => self.complain(value, verb),
            Value::Bool(truth) if matches!(verb, 't' | 'v') => {
                self.pad(if *truth { b"true" } else { b"false" });
            }
            Value::Bool(_) => self.complain(value, verb),
            Value::Int(number) => self.integer(value, *number, false, verb),
            Value::Float(number) => self.float(value, *number, verb),
            Value::String(text) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') => self.string(text, verb),
            Value::String(_) => self.complain(value, verb),
            Value::List(list) => {
                self.go_type(value);
                self.list(list, verb, depth);
            }
            Value::Map(map) => {
                self.go_type(value);
                self.map(map, verb, depth);
            }
            Value::Integer(integer) => match self.method(value, verb) {
                Some(text) => self.string(text.as_bytes(), verb),
                None => self.integer(value, integer.bits, integer.kind.is_unsigned(), verb),
            },
            Value::Time(_) | Value::Version(_) => match self.method(value, verb) {
                // Go syntax contains its own quotes.
                Some(text) if self.flags.go_syntax => self.string(text.as_bytes(), 's'),
                Some(text) => self.string(text.as_bytes(), verb),
                None => self.fields(value, verb),
            },
        }
    }

    /// Prints the type of a value in Go's syntax.
    fn go_type(&mut self, value: &Value) {
        if self.flags.go_syntax {
            self.out.push_str(value.type_name());
        }
    }

    /// Returns the result of the `String` or `GoString` method of a value, if the verb calls one.
    fn method(&self, value: &Value, verb: char) -> Option<String> {
        if self.is_complaining || !matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
            return None;
        }
        match value {
            Value::Time(time) if self.flags.go_syntax => Some(format::go_string(time)),
            _ if self.flags.go_syntax => None,
            other => to_string(other),
        }
    }

    /// Prints the fields of a version or a time with a verb that calls no method.
    fn fields(&mut self, value: &Value, verb: char) {
        let Value::Version(version) = value else {
            // A time has other fields here than in Go, so its text is printed instead.
            let text = to_string(value).unwrap_or_default();
            return self.out.push_str(&format!("%!{verb}({}={text})", value.type_name()));
        };
        let parts = version.parts();
        let number = |bits: u64| Value::Integer(Integer { kind: IntegerKind::Uint64, bits: bits as i64 });
        let text = |text: &String| Value::from(text.as_str());
        let fields = [
            ("major", number(parts.numbers[0])),
            ("minor", number(parts.numbers[1])),
            ("patch", number(parts.numbers[2])),
            ("pre", text(&parts.prerelease)),
            ("metadata", text(&parts.metadata)),
            ("original", text(&parts.original)),
        ];
        self.out.push(b'&');
        if self.flags.go_syntax {
            self.out.push_str("semver.Version");
        }
        self.bracketed("{", "}", fields, |printer, (name, field)| {
            if printer.flags.go_syntax || printer.flags.plus_names {
                printer.out.push_str(name);
                printer.out.push(b':');
            }
            printer.value(&field, verb, 1);
        });
    }

    fn list(&mut self, list: &List, verb: char, depth: usize) {
        if self.flags.go_syntax && list.is_nil() {
            return self.out.push_str("(nil)");
        }
        let is_any = list.element() == Element::Any;
        self.bracketed("[", "]", list.items(), |printer, item| printer.element(item, is_any, verb, depth));
    }

    fn map(&mut self, map: &Map, verb: char, depth: usize) {
        self.bracketed("map[", "]", map.entries(), |printer, (key, value)| {
            printer.value(&Value::String(key), verb, depth + 1);
            printer.out.push(b':');
            printer.element(&value, !map.has_strings(), verb, depth);
        });
    }

    /// Prints items between brackets, which are always braces in Go's syntax.
    fn bracketed<T>(
        &mut self,
        open: &str,
        close: &str,
        items: impl IntoIterator<Item = T>,
        mut print: impl FnMut(&mut Self, T),
    ) {
        let [open, separator, close] =
            if self.flags.go_syntax { ["{", ", ", "}"] } else { [open, " ", close] };
        self.out.push_str(open);
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push_str(separator);
            }
            print(self, item);
        }
        self.out.push_str(close);
    }

    fn element(&mut self, item: &Value, is_interface: bool, verb: char, depth: usize) {
        match item {
            Value::Nil if is_interface && self.flags.go_syntax => self.out.push_str("interface {}(nil)"),
            Value::Nil => self.out.push_str("<nil>"),
            item => self.value(item, verb, depth + 1),
        }
    }
}

/// Returns the result of the `String` method of a value, if it has one.
pub(crate) fn to_string(value: &Value) -> Option<String> {
    match value {
        Value::Time(time) => Some(format::to_string(time)),
        Value::Version(version) => Some(version.to_string()),
        Value::Integer(integer) => match integer.kind {
            IntegerKind::Month => Some(month_name(integer.bits)),
            IntegerKind::Weekday => Some(weekday_name(integer.bits)),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the text of a value in double quotes.
pub(crate) fn quoted(value: &Value) -> Result<String, String> {
    Ok(quote(&to_text(value)?))
}

/// Returns the text of a value for functions that accept any value as a string.
pub(crate) fn to_text(value: &Value) -> Result<Text, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => print_value(other).map(Text::from),
    }
}
