//! The tokens of a template.

use std::borrow::Cow;

use crate::strings::quote::quote;

/// A token of a template.
#[derive(Clone, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    /// The offset of the first byte.
    pub(crate) pos: usize,
    pub(crate) text: Cow<'a, str>,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An error, whose message is the text of the token.
    Error,
    Bool,
    /// Another printable ASCII character, such as a comma.
    Char,
    CharConstant,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl TokenKind {
    /// Returns the kind of a keyword.
    pub(crate) fn keyword(word: &str) -> Option<Self> {
        Some(match word {
            // Go lists the dot among the keywords, so messages show it as `<.>`.
            "." => Self::Dot,
            "block" => Self::Block,
            "break" => Self::Break,
            "continue" => Self::Continue,
            "define" => Self::Define,
            "else" => Self::Else,
            "end" => Self::End,
            "if" => Self::If,
            "range" => Self::Range,
            "nil" => Self::Nil,
            "template" => Self::Template,
            "with" => Self::With,
            _ => return None,
        })
    }
}

impl Token<'_> {
    /// Returns the token as error messages show it, in at most ten characters.
    pub(crate) fn describe(&self) -> String {
        match self.kind {
            TokenKind::Eof => "EOF".to_owned(),
            TokenKind::Error => self.text.to_string(),
            _ if TokenKind::keyword(&self.text) == Some(self.kind) => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                // Go compares the length in bytes, but cuts the text after ten characters.
                let start: String = self.text.chars().take(10).collect();
                format!("{}...", quote(start.as_bytes()))
            }
            _ => quote(self.text.as_bytes()),
        }
    }
}
