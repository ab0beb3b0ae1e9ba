//! Upper and lower case, and conventions for names such as `snakecase`.

use crate::eval::call::Call;
use crate::eval::function::{Function, Type::Str, function};
use crate::strings::unicode::{
    chars, is_digit, is_letter, is_lower, is_number, is_punctuation, is_space, is_title, is_upper, map,
    to_lower, to_title, to_upper,
};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("upper", &[Str], |call| Ok(Value::from(map(call.str(0), to_upper)))),
    function("lower", &[Str], |call| Ok(Value::from(map(call.str(0), to_lower)))),
    function("title", &[Str], |call| Ok(Value::from(title(call.str(0))))),
    function("untitle", &[Str], |call| Ok(Value::from(untitle(call.str(0))))),
    function("swapcase", &[Str], |call| Ok(Value::from(swapcase(call.str(0))))),
    function("camelcase", &[Str], |call| Ok(Value::from(camelcase(&letters(call))))),
    function("snakecase", &[Str], |call| Ok(Value::from(Words::new(&letters(call)).join('_')))),
    function("kebabcase", &[Str], |call| Ok(Value::from(Words::new(&letters(call)).join('-')))),
];

fn letters(call: &Call<'_>) -> Vec<char> {
    chars(call.str(0)).collect()
}

fn title(text: &[u8]) -> String {
    let mut previous = ' ';
    let mut titled = String::new();
    for c in chars(text) {
        // This is the rule of Go's deprecated `strings.Title`: outside of ASCII only a space separates words.
        let starts = if previous.is_ascii() {
            !(previous.is_ascii_alphanumeric() || previous == '_')
        } else {
            !is_letter(previous) && !is_digit(previous) && is_space(previous)
        };
        titled.push(if starts { to_title(c) } else { c });
        previous = c;
    }
    titled
}

fn untitle(text: &[u8]) -> String {
    let mut starts = true;
    let change = |c: char| {
        if is_space(c) {
            starts = true;
            return c;
        }
        if std::mem::take(&mut starts) { to_lower(c) } else { c }
    };
    chars(text).map(change).collect()
}

fn swapcase(text: &[u8]) -> String {
    let mut after_blank = true;
    let change = |c: char| {
        let swapped = if is_upper(c) || is_title(c) {
            to_lower(c)
        } else if is_lower(c) {
            if after_blank { to_title(c) } else { to_upper(c) }
        } else {
            after_blank = is_space(c);
            return c;
        };
        after_blank = false;
        swapped
    };
    chars(text).map(change).collect()
}

/// Returns true for characters that separate words.
fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || is_space(c)
}

/// Converts `some_words` to `SomeWords`. Keeps connectors at both ends, and removes one connector between two words.
fn camelcase(text: &[char]) -> String {
    let start = text.iter().take_while(|&&c| is_connector(c)).count();
    let mut out: String = text[..start].iter().collect();
    let Some((&first, rest)) = text[start..].split_first() else {
        // The Go package `xstrings` writes the last connector of such a text twice.
        out.extend(text.last());
        return out;
    };
    let mut lowering = is_upper(first);
    let mut current = to_upper(first);
    for &next in rest {
        let previous = current;
        current = next;
        if is_connector(previous) && is_connector(next) {
            out.push(previous);
        } else if is_connector(previous) {
            lowering = is_upper(next);
            current = to_upper(next);
        } else {
            if lowering && is_upper(next) {
                current = to_lower(next);
            } else {
                lowering = false;
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}

/// The class of the characters of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    None,
    Number,
    Upper,
    Letter,
    Connector,
    Punctuation,
    Other,
}

/// Returns true for letters that the Go package `xstrings` treats as letters of a word.
fn is_alphabet(c: char) -> bool {
    is_letter(c) && !c.is_ascii() && !is_upper(c) && !is_lower(c) || is_upper(c) || is_lower(c)
}

/// Characters of one class.
#[derive(Clone, Copy)]
struct Word<'a> {
    class: Class,
    letters: &'a [char],
}

/// Splits a text into words of characters of the same class.
struct Words<'a> {
    rest: &'a [char],
}

impl<'a> Words<'a> {
    fn new(text: &'a [char]) -> Self {
        Self { rest: text }
    }

    fn next(&mut self) -> Word<'a> {
        let Some((&first, tail)) = self.rest.split_first() else {
            return Word { class: Class::None, letters: &[] };
        };
        let run = |test: fn(char) -> bool| 1 + tail.iter().take_while(|&&c| test(c)).count();
        let (class, length) = if is_connector(first) {
            (Class::Connector, run(is_connector))
        } else if is_punctuation(first) {
            (Class::Punctuation, run(is_punctuation))
        } else if is_upper(first) {
            (Class::Upper, upper_word(tail))
        } else if is_alphabet(first) {
            (Class::Letter, run(|c| is_alphabet(c) && !is_upper(c)))
        } else if is_number(first) {
            (Class::Number, run(is_number))
        } else {
            let other = |c| !(is_connector(c) || is_alphabet(c) || is_number(c) || is_punctuation(c));
            (Class::Other, run(other))
        };
        let (letters, rest) = self.rest.split_at(length);
        self.rest = rest;
        Word { class, letters }
    }

    /// Joins the words in lower case, with connectors between them.
    fn join(mut self, connector: char) -> String {
        let mut out = String::new();
        let mut word = self.next();
        while !self.rest.is_empty() {
            if word.class != Class::Connector {
                push_lower(&mut out, word, connector);
            }
            let previous = word;
            word = self.next();
            match previous.class {
                Class::Number => word = self.join_letters(word, &mut out, connector),
                Class::Connector => push_lower(&mut out, previous, connector),
                Class::Punctuation => {}
                _ if word.class != Class::Number => push_connector(&mut out, word.class, connector),
                _ if self.rest.is_empty() => {}
                _ => {
                    let number = word;
                    word = self.next();
                    if word.class == Class::Letter {
                        // A number before small letters starts a new word, as in "http_2xx".
                        out.push(connector);
                        push_lower(&mut out, number, connector);
                        word = self.join_letters(word, &mut out, connector);
                    } else {
                        // Any other number belongs to the word before it, as in "bld4_floor".
                        push_lower(&mut out, number, connector);
                        push_connector(&mut out, word.class, connector);
                    }
                }
            }
        }
        push_lower(&mut out, word, connector);
        out
    }

    /// Appends a run of small letters and numbers, and the connector to the next word. Returns the next word.
    fn join_letters(&mut self, mut word: Word<'a>, out: &mut String, connector: char) -> Word<'a> {
        while matches!(word.class, Class::Letter | Class::Number) {
            push_lower(out, word, connector);
            word = self.next();
        }
        if word.class != Class::None {
            push_connector(out, word.class, connector);
        }
        word
    }
}

/// Returns the length of a word that begins with a capital: "HTTP" of "HTTPStatus", or "Status".
fn upper_word(tail: &[char]) -> usize {
    let uppers = tail.iter().take_while(|&&c| is_upper(c)).count();
    match tail.get(uppers) {
        Some(&c) if uppers > 0 && is_alphabet(c) => uppers,
        Some(&c) if uppers == 0 && is_alphabet(c) => {
            1 + tail.iter().take_while(|&&c| is_alphabet(c) && !is_upper(c)).count()
        }
        _ => 1 + uppers,
    }
}

fn push_connector(out: &mut String, class: Class, connector: char) {
    if !matches!(class, Class::Connector | Class::Punctuation) {
        out.push(connector);
    }
}

fn push_lower(out: &mut String, word: Word<'_>, connector: char) {
    match word.class {
        Class::Upper => out.extend(word.letters.iter().map(|&c| to_lower(c))),
        Class::Connector => out.extend(word.letters.iter().map(|_| connector)),
        _ => out.extend(word.letters),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_to_snake_case() {
        let snake = |text: &str| Words::new(&text.chars().collect::<Vec<_>>()).join('_');
        for (text, expected) in [
            ("FirstName", "first_name"),
            ("HTTPServer", "http_server"),
            ("NoHTTPS", "no_https"),
            ("GO PATH", "go_path"),
            ("http2xx", "http_2xx"),
            ("HTTP20xOK", "http_20x_ok"),
            ("Duration2m3s", "duration_2m3s"),
            ("Bld4Floor3rd", "bld4_floor_3rd"),
        ] {
            assert_eq!(snake(text), expected);
        }
    }

    #[test]
    fn converts_to_camel_case() {
        let camel = |text: &str| camelcase(&text.chars().collect::<Vec<_>>());
        for (text, expected) in [
            ("some_words", "SomeWords"),
            ("_complex__case_", "_Complex_Case_"),
            ("GOLANG_IS_GREAT", "GolangIsGreat"),
            ("a", "A"),
            ("__", "___"),
        ] {
            assert_eq!(camel(text), expected);
        }
    }
}
