//! Parses the content of actions: pipelines, commands and operands.

use crate::limits::MAX_PARSE_DEPTH;
use crate::parse::node::{Command, Expr, ExprKind, Pipe};
use crate::parse::parser::{Parsed, Parser};
use crate::parse::token::{Token, TokenKind};
use crate::strings::quote::{quote, unquote};
use crate::values::number::Number;

impl Parser<'_> {
    /// Parses a pipeline up to and including the token `end`.
    pub(crate) fn parse_pipeline(&mut self, context: &str, end: TokenKind) -> Parsed<Pipe> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, assigns: false, variables: Vec::new(), commands: Vec::new() };
        while self.parse_declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                TokenKind::Bool
                | TokenKind::CharConstant
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::String
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    self.backup();
                    pipe.commands.push(self.parse_command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        // A constant cannot receive the result of the previous command.
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            if !command.words[0].kind.is_executable() {
                return self.error(format_args!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(pipe)
    }

    /// Parses a variable that is declared or assigned. Returns true if another variable must follow.
    fn parse_declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        let start = self.next;
        let variable = self.next_non_space();
        if variable.kind != TokenKind::Variable {
            self.next = start;
            return Ok(false);
        }
        let operator = self.next_non_space();
        let is_comma = operator.kind == TokenKind::Char && operator.text == ",";
        if !is_comma && !matches!(operator.kind, TokenKind::Assign | TokenKind::Declare) {
            // In "$x foo" the variable is an argument.
            self.next = start;
            return Ok(false);
        }
        pipe.variables.push(variable.text.clone().into_owned());
        self.tree.variables.push(variable.text.into_owned());
        if !is_comma {
            pipe.assigns = operator.kind == TokenKind::Assign;
            return Ok(false);
        }
        // Only `range $index, $element := …` declares two variables.
        if context == "range" && pipe.variables.len() < 2 {
            return match self.peek_non_space().kind {
                TokenKind::Variable | TokenKind::RightDelim | TokenKind::RightParen => Ok(true),
                _ => self.error("range can only initialize variables"),
            };
        }
        self.error(format_args!("too many declarations in {context}"))
    }

    /// Parses operands up to a `|`, which is consumed, or up to the end of the pipeline, which is not.
    fn parse_command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_non_space().pos, words: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.parse_operand()? {
                command.words.push(operand);
            }
            let token = self.next();
            match token.kind {
                TokenKind::Space => continue,
                TokenKind::RightDelim | TokenKind::RightParen => self.backup(),
                TokenKind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.words.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    /// Parses a term and the fields that follow it.
    fn parse_operand(&mut self) -> Parsed<Option<Expr>> {
        let Some(term) = self.parse_term()? else {
            return Ok(None);
        };
        let first = self.peek();
        if first.kind != TokenKind::Field {
            return Ok(Some(term));
        }
        let mut fields = Vec::new();
        while self.peek().kind == TokenKind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        let kind = match term.kind {
            // `.a` followed by `.b` is one field with two names, as in Go: error messages and positions depend on it.
            ExprKind::Field(mut names) => {
                names.append(&mut fields);
                ExprKind::Field(names)
            }
            ExprKind::Variable(name, mut names) => {
                names.append(&mut fields);
                ExprKind::Variable(name, names)
            }
            kind if !kind.is_executable() => {
                let term = Expr { pos: term.pos, kind }.to_string();
                return self.error(format_args!("unexpected . after term {}", quote(term.as_bytes())));
            }
            kind => ExprKind::Chain(Box::new(Expr { pos: term.pos, kind }), fields),
        };
        Ok(Some(Expr { pos: first.pos, kind }))
    }

    fn parse_term(&mut self) -> Parsed<Option<Expr>> {
        let token = self.next_non_space();
        let kind = match token.kind {
            TokenKind::Identifier => {
                self.check_function(&token.text)?;
                ExprKind::Function(token.text.into_owned())
            }
            TokenKind::Dot => ExprKind::Dot,
            TokenKind::Nil => ExprKind::Nil,
            TokenKind::Variable => {
                // Variables are checked here so that a template with a typing error fails before it writes output.
                if !self.tree.variables.iter().any(|name| *name == token.text) {
                    let name = quote(token.text.as_bytes());
                    return self.error(format_args!("undefined variable {name}"));
                }
                ExprKind::Variable(token.text.into_owned(), Vec::new())
            }
            // The text of the token begins with the dot.
            TokenKind::Field => ExprKind::Field(vec![token.text[1..].to_owned()]),
            TokenKind::Bool => ExprKind::Bool(token.text == "true"),
            TokenKind::CharConstant | TokenKind::Number => self.parse_number(&token)?,
            TokenKind::LeftParen => self.parse_parenthesized()?,
            TokenKind::String => match unquote(&token.text) {
                Ok(text) => ExprKind::String(text.into(), token.text.into_owned()),
                Err(error) => return self.error(error),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        // Messages about a parenthesis name the position of the pipeline inside it.
        let pos = if let ExprKind::Pipe(pipe) = &kind { pipe.pos } else { token.pos };
        Ok(Some(Expr { pos, kind }))
    }

    fn parse_parenthesized(&mut self) -> Parsed<ExprKind> {
        // Each parenthesis recurses on the native stack.
        if self.paren_depth == MAX_PARSE_DEPTH {
            return self.error("max expression depth exceeded");
        }
        self.paren_depth += 1;
        let pipe = self.parse_pipeline("parenthesized pipeline", TokenKind::RightParen);
        self.paren_depth -= 1;
        pipe.map(ExprKind::Pipe)
    }

    fn parse_number(&mut self, token: &Token<'_>) -> Parsed<ExprKind> {
        let number = match token.kind {
            TokenKind::CharConstant => Number::parse_char(&token.text),
            _ => Number::parse(&token.text),
        };
        match number {
            Ok(number) => Ok(ExprKind::Number(number)),
            Err(error) => self.error(error),
        }
    }
}
