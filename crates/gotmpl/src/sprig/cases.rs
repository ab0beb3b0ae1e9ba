//! Upper and lower case, and the conventions for names that are made of it.

use crate::call::Type::Str;
use crate::call::{Call, Function, function};
use crate::unicode::{
    chars, is_digit, is_letter, is_lower, is_number, is_punctuation, is_space, is_title, is_upper, map,
    to_lower, to_upper,
};
use crate::value::Value;

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
        let starts = if previous.is_ascii() {
            !(previous.is_ascii_alphanumeric() || previous == '_')
        } else {
            !is_letter(previous) && !is_digit(previous) && is_space(previous)
        };
        titled.push(if starts { to_upper(c) } else { c });
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
            to_upper(c)
        } else {
            after_blank = is_space(c);
            return c;
        };
        after_blank = false;
        swapped
    };
    chars(text).map(change).collect()
}

/// What separates words.
fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || is_space(c)
}

/// `some_words` to `SomeWords`; connectors at the start, and all but one of several, stay.
fn camelcase(text: &[char]) -> String {
    let start = text.iter().take_while(|&&c| is_connector(c)).count();
    let mut out: String = text[..start].iter().collect();
    let Some((&first, rest)) = text[start..].split_first() else {
        // Where there are connectors only, xstrings writes the last one twice.
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

/// A letter that has case, or may stand for one.
fn is_alphabet(c: char) -> bool {
    is_letter(c) && !c.is_ascii() && !is_upper(c) && !is_lower(c) || is_upper(c) || is_lower(c)
}

/// A text as words of one class each.
struct Words<'a> {
    rest: &'a [char],
}

impl<'a> Words<'a> {
    fn new(text: &'a [char]) -> Self {
        Self { rest: text }
    }

    fn next(&mut self) -> (Class, &'a [char]) {
        let Some((&first, tail)) = self.rest.split_first() else {
            return (Class::None, &[]);
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
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (class, word)
    }

    /// All words in lower case with connectors where a convention wants them.
    fn join(mut self, connector: char) -> String {
        let mut out = String::new();
        let (mut class, mut word) = self.next();
        while !self.rest.is_empty() {
            if class != Class::Connector {
                push_lower(&mut out, (class, word), connector);
            }
            let (previous, last) = (class, word);
            (class, word) = self.next();
            match previous {
                Class::Number => (class, word) = self.join_letters((class, word), &mut out, connector),
                Class::Connector => push_lower(&mut out, (previous, last), connector),
                Class::Punctuation => {}
                _ if class != Class::Number => push_connector(&mut out, class, connector),
                _ if self.rest.is_empty() => {}
                _ => {
                    let number = word;
                    (class, word) = self.next();
                    if class == Class::Letter {
                        // Small letters follow the number: a new word begins with it, as in "http_2xx".
                        out.push(connector);
                        push_lower(&mut out, (Class::Number, number), connector);
                        (class, word) = self.join_letters((class, word), &mut out, connector);
                    } else {
                        // The number belongs to the word before it, as in "bld4_floor".
                        push_lower(&mut out, (Class::Number, number), connector);
                        push_connector(&mut out, class, connector);
                    }
                }
            }
        }
        push_lower(&mut out, (class, word), connector);
        out
    }

    /// Small letters and numbers that belong together, and the connector to what follows them.
    fn join_letters(
        &mut self,
        (mut class, mut word): (Class, &'a [char]),
        out: &mut String,
        connector: char,
    ) -> (Class, &'a [char]) {
        while matches!(class, Class::Letter | Class::Number) {
            push_lower(out, (class, word), connector);
            (class, word) = self.next();
        }
        if class != Class::None {
            push_connector(out, class, connector);
        }
        (class, word)
    }
}

/// The length of a word that begins with a capital: "HTTP" of "HTTPStatus", or "Status".
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

fn push_lower(out: &mut String, (class, word): (Class, &[char]), connector: char) {
    match class {
        Class::Upper => out.extend(word.iter().map(|&c| to_lower(c))),
        Class::Connector => out.extend(word.iter().map(|_| connector)),
        _ => out.extend(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake() {
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
    fn camel() {
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
