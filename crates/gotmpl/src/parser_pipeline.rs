//! Parses what stands inside an action: pipelines, commands and operands.

use crate::limits::MAX_PARSE_DEPTH;
use crate::node::{Command, Expr, ExprKind, Pipe};
use crate::number::Number;
use crate::parser::{Parsed, Parser};
use crate::quote::{quote, unquote};
use crate::token::{Kind, Token};

impl Parser<'_> {
    /// A pipeline up to and including the token that ends it.
    pub(crate) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, assigns: false, variables: Vec::new(), commands: Vec::new() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    pipe.commands.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            if !command.words[0].kind.is_executable() {
                return self.error(format_args!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(pipe)
    }

    /// Reads a variable that is declared or assigned, and says whether another one must follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        self.next();
        // In "$x foo" the variable is an argument: all of it goes back, the space included.
        let after = self.peek();
        let operator = self.peek_non_space();
        let is_comma = operator.kind == Kind::Char && operator.text == ",";
        if !is_comma && !matches!(operator.kind, Kind::Assign | Kind::Declare) {
            if after.kind == Kind::Space {
                self.backup3(variable, after);
            } else {
                self.backup2(variable);
            }
            return Ok(false);
        }
        self.next_non_space();
        pipe.variables.push(variable.text.clone());
        self.tree.variables.push(variable.text);
        if !is_comma {
            pipe.assigns = operator.kind == Kind::Assign;
            return Ok(false);
        }
        if context == "range" && pipe.variables.len() < 2 {
            return match self.peek_non_space().kind {
                Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                _ => self.error("range can only initialize variables"),
            };
        }
        self.error(format_args!("too many declarations in {context}"))
    }

    /// Operands up to a `|`, which is consumed, or to the end of the pipeline, which is not.
    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_non_space().pos, words: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.words.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.words.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    /// A term and the fields that follow it.
    fn operand(&mut self) -> Parsed<Option<Expr>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let first = self.peek();
        if first.kind != Kind::Field {
            return Ok(Some(term));
        }
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        let kind = match term.kind {
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

    fn term(&mut self) -> Parsed<Option<Expr>> {
        let token = self.next_non_space();
        let kind = match token.kind {
            Kind::Identifier => {
                self.check_function(&token.text)?;
                ExprKind::Function(token.text)
            }
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Variable => {
                if !self.tree.variables.contains(&token.text) {
                    let name = quote(token.text.as_bytes());
                    return self.error(format_args!("undefined variable {name}"));
                }
                ExprKind::Variable(token.text, Vec::new())
            }
            Kind::Field => ExprKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => ExprKind::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => self.number(&token)?,
            Kind::LeftParen => self.parenthesized()?,
            Kind::String | Kind::RawString => match unquote(&token.text) {
                Ok(text) => ExprKind::String(text.into(), token.text),
                Err(error) => return self.error(error),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        // A parenthesis is located like the pipeline inside.
        let pos = if let ExprKind::Pipe(pipe) = &kind { pipe.pos } else { token.pos };
        Ok(Some(Expr { pos, kind }))
    }

    fn parenthesized(&mut self) -> Parsed<ExprKind> {
        if self.paren_depth == MAX_PARSE_DEPTH {
            return self.error("max expression depth exceeded");
        }
        self.paren_depth += 1;
        let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen);
        self.paren_depth -= 1;
        pipe.map(ExprKind::Pipe)
    }

    fn number(&mut self, token: &Token) -> Parsed<ExprKind> {
        let number = match token.kind {
            Kind::CharConstant => Number::parse_char(&token.text),
            _ => Number::parse(&token.text),
        };
        match number {
            Ok(number) => Ok(ExprKind::Number(number)),
            Err(error) => self.error(error),
        }
    }
}
