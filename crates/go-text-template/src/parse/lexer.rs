//! Splits the text of a template into tokens.

use std::borrow::Cow;

use crate::parse::token::{Token, TokenKind};
use crate::strings::quote::{quote, unicode_sharp};
use crate::strings::unicode::{is_digit, is_letter, is_print};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
/// The length of a trim marker: a minus sign and a space.
const TRIM: usize = 2;

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

fn starts_with_left_trim(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_blank))
}

fn starts_with_right_trim(text: &str) -> bool {
    text.strip_prefix(is_blank).is_some_and(|rest| rest.starts_with('-'))
}

/// Reads the tokens of a template one by one.
pub(crate) struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    /// The offset at which the current token starts.
    start: usize,
    open_parens: usize,
    is_in_action: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str) -> Self {
        Self { input, pos: 0, start: 0, open_parens: 0, is_in_action: false }
    }

    /// Reads the next token. After an error or the end of the text, it is always the end.
    pub(crate) fn next_token(&mut self) -> Token<'a> {
        if self.is_in_action { self.action() } else { self.text() }
    }

    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        self.pos = self.input.len() - self.rest().trim_start_matches(is_skipped).len();
    }

    fn accept(&mut self, set: &str) -> bool {
        let accepted = self.peek().is_some_and(|c| set.contains(c));
        if accepted {
            self.bump();
        }
        accepted
    }

    fn token(&mut self, kind: TokenKind) -> Token<'a> {
        let text = self.input[self.start..self.pos].into();
        let token = Token { kind, pos: self.start, text };
        self.start = self.pos;
        token
    }

    fn error(&mut self, message: impl Into<Cow<'a, str>>) -> Token<'a> {
        let token = Token { kind: TokenKind::Error, pos: self.start, text: message.into() };
        // With an empty input, every further token is the end of the text.
        self.input = "";
        self.pos = 0;
        self.start = 0;
        token
    }

    /// Reads a token outside of actions: text up to the next action, or a left delimiter.
    fn text(&mut self) -> Token<'a> {
        loop {
            let Some(length) = self.rest().find(LEFT) else {
                self.pos = self.input.len();
                let kind = if self.pos > self.start { TokenKind::Text } else { TokenKind::Eof };
                return self.token(kind);
            };
            let (text, delimiter) = self.rest().split_at(length);
            let trims = starts_with_left_trim(&delimiter[LEFT.len()..]);
            // A left delimiter with a trim marker removes the white space before it, so the text token can end
            // before the delimiter. Text that is empty after trimming creates no token.
            let kept = if trims { text.trim_end_matches(is_blank) } else { text };
            if !kept.is_empty() {
                self.pos += kept.len();
                let token = self.token(TokenKind::Text);
                self.pos += length - kept.len();
                self.start = self.pos;
                return token;
            }
            self.pos += length;
            self.start = self.pos;
            self.pos += LEFT.len();
            let marker = if trims { TRIM } else { 0 };
            // A comment is only recognized directly after the delimiter. It creates no token.
            if !self.rest()[marker..].starts_with("/*") {
                let token = self.token(TokenKind::LeftDelim);
                self.is_in_action = true;
                self.pos += marker;
                self.start = self.pos;
                self.open_parens = 0;
                return token;
            }
            self.pos += marker;
            self.start = self.pos;
            if let Err(error) = self.comment() {
                return error;
            }
        }
    }

    fn comment(&mut self) -> Result<(), Token<'a>> {
        self.pos += "/*".len();
        let Some(length) = self.rest().find("*/") else {
            return Err(self.error("unclosed comment"));
        };
        self.pos += length + "*/".len();
        match self.at_right_delim() {
            Some(trim) => drop(self.right_delim(trim)),
            None => return Err(self.error("comment ends before closing delimiter")),
        }
        Ok(())
    }

    /// Checks for a right delimiter. Returns true if it trims, false if it does not.
    fn at_right_delim(&self) -> Option<bool> {
        if starts_with_right_trim(self.rest()) && self.rest()[TRIM..].starts_with(RIGHT) {
            Some(true)
        } else {
            self.rest().starts_with(RIGHT).then_some(false)
        }
    }

    fn right_delim(&mut self, trim: bool) -> Token<'a> {
        if trim {
            self.pos += TRIM;
            self.start = self.pos;
        }
        self.pos += RIGHT.len();
        let token = self.token(TokenKind::RightDelim);
        if trim {
            self.skip(is_blank);
            self.start = self.pos;
        }
        self.is_in_action = false;
        token
    }

    fn action(&mut self) -> Token<'a> {
        if let Some(trim) = self.at_right_delim() {
            if self.open_parens == 0 {
                return self.right_delim(trim);
            }
            return self.error("unclosed left paren");
        }
        let Some(c) = self.peek() else {
            return self.error("unclosed action");
        };
        if is_blank(c) {
            return self.space();
        }
        if c.is_ascii_digit() || c == '+' || c == '-' {
            return self.number();
        }
        if c == '.' {
            // `.5` is a number, `.x` a field. A dot at the end of the text is read as a number, as in Go, and its
            // error is that of a number.
            return match self.rest().as_bytes().get(1) {
                Some(next) if !next.is_ascii_digit() => {
                    self.bump();
                    self.field_or_variable(TokenKind::Field)
                }
                _ => self.number(),
            };
        }
        if is_alphanumeric(c) {
            return self.identifier();
        }
        self.bump();
        self.punctuation(c)
    }

    /// Reads the token that begins with `c`, which is consumed and is not a letter, digit, sign, dot or blank.
    fn punctuation(&mut self, c: char) -> Token<'a> {
        match c {
            '=' => self.token(TokenKind::Assign),
            ':' if self.bump() == Some('=') => self.token(TokenKind::Declare),
            ':' => self.error("expected :="),
            '|' => self.token(TokenKind::Pipe),
            '"' => self.quoted('"', TokenKind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', TokenKind::CharConstant, "unterminated character constant"),
            // A raw string has no escapes and may contain line feeds.
            '`' => match self.rest().find('`') {
                Some(length) => {
                    self.pos += length + 1;
                    self.token(TokenKind::String)
                }
                None => self.error("unterminated raw quoted string"),
            },
            '$' => self.field_or_variable(TokenKind::Variable),
            '(' => {
                self.open_parens += 1;
                self.token(TokenKind::LeftParen)
            }
            ')' => match self.open_parens.checked_sub(1) {
                Some(open) => {
                    self.open_parens = open;
                    self.token(TokenKind::RightParen)
                }
                None => self.error("unexpected right paren"),
            },
            // The parser decides whether such a character is an error. A comma, for example, separates two variables.
            c if c.is_ascii() && is_print(c) => self.token(TokenKind::Char),
            c => self.error(format!("unrecognized character in action: {}", unicode_sharp(c))),
        }
    }

    fn space(&mut self) -> Token<'a> {
        self.skip(is_blank);
        // The last blank may belong to a right delimiter that trims.
        self.pos -= 1;
        if self.at_right_delim() != Some(true) {
            self.pos += 1;
        }
        self.token(TokenKind::Space)
    }

    fn identifier(&mut self) -> Token<'a> {
        self.skip(is_alphanumeric);
        // Go requires a delimiter after a word, so that `a"b"` is an error rather than two operands.
        if let Some(error) = self.bad_terminator() {
            return error;
        }
        let word = &self.input[self.start..self.pos];
        let kind = match word {
            "true" | "false" => TokenKind::Bool,
            _ => TokenKind::keyword(word).unwrap_or(TokenKind::Identifier),
        };
        self.token(kind)
    }

    /// Reads a field or variable whose dot or dollar sign is consumed.
    fn field_or_variable(&mut self, kind: TokenKind) -> Token<'a> {
        if self.at_terminator() {
            return self.token(if kind == TokenKind::Variable { kind } else { TokenKind::Dot });
        }
        self.skip(is_alphanumeric);
        match self.bad_terminator() {
            Some(error) => error,
            None => self.token(kind),
        }
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_blank(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn bad_terminator(&mut self) -> Option<Token<'a>> {
        if self.at_terminator() {
            return None;
        }
        let c = self.peek()?;
        Some(self.error(format!("bad character {}", unicode_sharp(c))))
    }

    /// Reads a string or a character. The parser checks its escapes.
    fn quoted(&mut self, end: char, kind: TokenKind, unterminated: &'static str) -> Token<'a> {
        loop {
            let mut c = self.bump();
            // An escaped quote does not end the literal. A line feed ends it with an error even if it is escaped.
            if c == Some('\\') {
                // A blank replaces the escaped character, so that an escaped quote does not end the literal below.
                c = self.bump().filter(|&c| c != '\n').map(|_| ' ');
            }
            match c {
                None | Some('\n') => return self.error(unterminated),
                Some(c) if c == end => return self.token(kind),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Token<'a> {
        let mut ok = self.scan_number();
        // The parser rejects complex constants such as `1+2i` with a separate message.
        if ok && matches!(self.peek(), Some('+' | '-')) {
            ok = self.scan_number() && self.input[..self.pos].ends_with('i');
        }
        if ok {
            return self.token(TokenKind::Number);
        }
        let text = quote(&self.input.as_bytes()[self.start..self.pos]);
        self.error(format!("bad number syntax: {text}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        // Underscores are accepted in any place here. The parser of numbers checks their positions.
        let (mut digits, mut exponent) = ("0123456789_", "eE");
        // The prefix determines the digits and the exponent: a hexadecimal exponent starts with `p`, because `e` is a
        // digit.
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.skip(|c| digits.contains(c));
        if self.accept(".") {
            self.skip(|c| digits.contains(c));
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.skip(|c| c.is_ascii_digit() || c == '_');
        }
        self.accept("i");
        // The letter is consumed because Go's message about a bad number contains it.
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }
}
