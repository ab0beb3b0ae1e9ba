//! Parses templates: text, control structures and definitions.

use std::collections::BTreeMap;
use std::mem;

use crate::function_table;
use crate::limits::MAX_PARSE_DEPTH;
use crate::parse::lexer::Lexer;
use crate::parse::node::{Branch, Invocation, Node, Nodes, Pipe, Range, is_blank};
use crate::parse::token::{Token, TokenKind};
use crate::strings::quote::{quote, unquote};

/// The templates of a text by name: the text itself, and those that it defines.
pub(crate) type Trees = BTreeMap<String, Nodes>;

/// The result of parsing. The error is Go's complete message.
pub(crate) type Parsed<T> = Result<T, String>;

/// Parses a text. The error is Go's complete message.
pub(crate) fn parse(name: &str, text: &str) -> Parsed<Trees> {
    let mut parser = Parser {
        name,
        text,
        lexer: Lexer::new(text),
        tokens: Vec::new(),
        next: 0,
        tree: Tree::new(),
        trees: Trees::new(),
        control_depth: 0,
        paren_depth: 0,
    };
    let root = parser.parse_root()?;
    parser.add(name.to_owned(), root)?;
    Ok(parser.trees)
}

pub(crate) struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    lexer: Lexer<'a>,
    /// The tokens that the lexer has returned so far.
    tokens: Vec<Token<'a>>,
    /// The index of the next token. The parser goes back by setting it to an earlier index.
    pub(crate) next: usize,
    pub(crate) tree: Tree,
    trees: Trees,
    control_depth: usize,
    pub(crate) paren_depth: usize,
}

/// The state of parsing one template. Each definition and block has its own.
pub(crate) struct Tree {
    pub(crate) variables: Vec<String>,
    /// The offset at which the current action starts.
    action_start: Option<usize>,
    range_depth: usize,
}

impl Tree {
    fn new() -> Self {
        Self { variables: vec!["$".to_owned()], action_start: None, range_depth: 0 }
    }
}

/// The action that ends a list of nodes.
enum End {
    End,
    Else,
}

/// A node, or the end of the list of nodes.
enum Item {
    Node(Node),
    End(End),
}

impl<'a> Parser<'a> {
    pub(crate) fn next(&mut self) -> Token<'a> {
        if self.next == self.tokens.len() {
            self.tokens.push(self.lexer.next_token());
        }
        self.next += 1;
        self.tokens[self.next - 1].clone()
    }

    pub(crate) fn backup(&mut self) {
        self.next -= 1;
    }

    pub(crate) fn peek(&mut self) -> Token<'a> {
        let token = self.next();
        self.backup();
        token
    }

    pub(crate) fn next_non_space(&mut self) -> Token<'a> {
        loop {
            let token = self.next();
            if token.kind != TokenKind::Space {
                return token;
            }
        }
    }

    pub(crate) fn peek_non_space(&mut self) -> Token<'a> {
        let token = self.next_non_space();
        self.backup();
        token
    }

    /// Returns the line of an offset, from 1.
    fn line(&self, pos: usize) -> usize {
        1 + self.text[..pos].matches('\n').count()
    }

    pub(crate) fn error<T>(&self, message: impl std::fmt::Display) -> Parsed<T> {
        // Go reports the line of the token that was read last, even if that token was put back.
        let line = self.line(self.tokens.last().map_or(0, |token| token.pos));
        Err(format!("template: {}:{line}: {message}", self.name))
    }

    pub(crate) fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Parsed<T> {
        if token.kind != TokenKind::Error {
            return self.error(format_args!("unexpected {} in {context}", token.describe()));
        }
        // An error of the lexer in an action of several lines is often caused on the first line, so Go names it.
        let started = self.tree.action_start.map(|pos| self.line(pos));
        match started.filter(|&line| line != self.line(token.pos)) {
            None => self.error(&token.text),
            Some(line) => {
                // The message "unclosed action" already contains the word.
                let link = if token.text.ends_with(" action") { "" } else { " in action" };
                self.error(format_args!("{}{link} started at {}:{line}", token.text, self.name))
            }
        }
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Parsed<Token<'a>> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    /// Adds a template. A blank template does not replace another one.
    fn add(&mut self, name: String, nodes: Nodes) -> Parsed<()> {
        match self.trees.get(&name) {
            // A file that only contains definitions has a blank text, which must not replace a definition of its name.
            Some(old) if !is_blank(old) => {
                if is_blank(&nodes) {
                    return Ok(());
                }
                let name = quote(name.as_bytes());
                self.error(format_args!("template: multiple definition of template {name}"))
            }
            _ => {
                self.trees.insert(name, nodes);
                Ok(())
            }
        }
    }

    fn parse_root(&mut self) -> Parsed<Nodes> {
        let mut nodes = Nodes::new();
        loop {
            let start = self.next;
            match self.next().kind {
                TokenKind::Eof => return Ok(nodes),
                // A definition is valid only at the top level, so `parse_list` does not handle it.
                TokenKind::LeftDelim if self.next_non_space().kind == TokenKind::Define => {
                    self.parse_definition()?;
                    continue;
                }
                _ => self.next = start,
            }
            match self.parse_text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::End(End::End) => return self.error("unexpected {{end}}"),
                Item::End(End::Else) => return self.error("unexpected {{else}}"),
            }
        }
    }

    /// Parses with the state of a new template, and adds the template that `parse` returns.
    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<(String, Nodes)>) -> Parsed<()> {
        // A nested template sees neither the variables nor the loops of the template around it.
        let outer = mem::replace(&mut self.tree, Tree::new());
        let (name, nodes) = parse(self)?;
        self.add(name, nodes)?;
        self.tree = outer;
        Ok(())
    }

    fn parse_definition(&mut self) -> Parsed<()> {
        self.nested(|parser| {
            let token = parser.next_non_space();
            let name = parser.parse_template_name(&token, "define clause")?;
            parser.expect(TokenKind::RightDelim, "define clause")?;
            Ok((name, parser.parse_body("unexpected {{else}} in define clause")?))
        })
    }

    /// Parses nodes up to an `end`. Fails with a message at an `else`.
    fn parse_body(&mut self, message: &str) -> Parsed<Nodes> {
        match self.parse_list()? {
            (nodes, End::End) => Ok(nodes),
            (_, End::Else) => self.error(message),
        }
    }

    fn parse_list(&mut self) -> Parsed<(Nodes, End)> {
        let mut nodes = Nodes::new();
        while self.peek_non_space().kind != TokenKind::Eof {
            match self.parse_text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::End(end) => return Ok((nodes, end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn parse_text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            TokenKind::Text => Ok(Item::Node(Node::Text(token.text.into_owned()))),
            TokenKind::LeftDelim => {
                self.tree.action_start = Some(token.pos);
                let item = self.parse_action();
                self.tree.action_start = None;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn parse_action(&mut self) -> Parsed<Item> {
        let node = match self.next_non_space().kind {
            TokenKind::Block => self.parse_block()?,
            TokenKind::Break => self.jump("break", Node::Break)?,
            TokenKind::Continue => self.jump("continue", Node::Continue)?,
            TokenKind::Else => return self.else_control().map(Item::End),
            TokenKind::End => {
                self.expect(TokenKind::RightDelim, "end")?;
                return Ok(Item::End(End::End));
            }
            TokenKind::If => Node::If(self.parse_branch(TokenKind::If, "if")?),
            TokenKind::With => Node::With(self.parse_branch(TokenKind::With, "with")?),
            TokenKind::Range => Node::Range(self.parse_range()?),
            TokenKind::Template => self.parse_invocation()?,
            _ => {
                self.backup();
                Node::Action(self.parse_pipeline("command", TokenKind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn jump(&mut self, word: &str, node: Node) -> Parsed<Node> {
        let token = self.next_non_space();
        if token.kind != TokenKind::RightDelim {
            return self.unexpected(&token, &format!("{{{{{word}}}}}"));
        }
        // Only the parser checks this: the executor applies every `break` to the innermost `range`.
        if self.tree.range_depth == 0 {
            return self.error(format_args!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn else_control(&mut self) -> Parsed<End> {
        // The `if` of an `else if` is not consumed: `branch` reads it as the start of the next arm.
        if !matches!(self.peek_non_space().kind, TokenKind::If | TokenKind::With) {
            self.expect(TokenKind::RightDelim, "else")?;
        }
        Ok(End::Else)
    }

    /// Parses a control structure, which counts as one level of nesting and limits the scope of its variables.
    fn control<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.control_depth == MAX_PARSE_DEPTH {
            return self.error("max control structure depth exceeded");
        }
        self.control_depth += 1;
        let variables = self.tree.variables.len();
        let parsed = parse(self);
        self.tree.variables.truncate(variables);
        self.control_depth -= 1;
        parsed
    }

    fn parse_branch(&mut self, keyword: TokenKind, context: &str) -> Parsed<Branch> {
        self.control(|parser| {
            let mut branch = Branch { arms: Vec::new(), otherwise: None };
            loop {
                let pipe = parser.parse_pipeline(context, TokenKind::RightDelim)?;
                let (nodes, end) = parser.parse_list()?;
                branch.arms.push((pipe, nodes));
                if matches!(end, End::End) {
                    return Ok(branch);
                }
                // `else with` in an `if` is not a further arm: Go parses it as a plain `else` and reports an error.
                if parser.peek().kind != keyword {
                    branch.otherwise = Some(parser.parse_otherwise()?);
                    return Ok(branch);
                }
                parser.next();
            }
        })
    }

    /// Parses the nodes after an `else`.
    fn parse_otherwise(&mut self) -> Parsed<Nodes> {
        self.parse_body("expected end; found {{else}}")
    }

    fn parse_range(&mut self) -> Parsed<Range> {
        self.control(|parser| {
            let pipe = parser.parse_pipeline("range", TokenKind::RightDelim)?;
            parser.tree.range_depth += 1;
            let (body, end) = parser.parse_list()?;
            parser.tree.range_depth -= 1;
            let otherwise = match end {
                End::End => None,
                End::Else => Some(parser.parse_otherwise()?),
            };
            Ok(Range { pipe, body, otherwise })
        })
    }

    fn parse_block(&mut self) -> Parsed<Node> {
        let token = self.next_non_space();
        let name = self.parse_template_name(&token, "block clause")?;
        let pipe = self.parse_pipeline("block clause", TokenKind::RightDelim)?;
        self.control(|parser| {
            let name = name.clone();
            parser.nested(|parser| Ok((name, parser.parse_body("unexpected {{else}} in block clause")?)))
        })?;
        Ok(Node::Template(Invocation { pos: token.pos, name, pipe: Some(pipe) }))
    }

    fn parse_invocation(&mut self) -> Parsed<Node> {
        let token = self.next_non_space();
        let name = self.parse_template_name(&token, "template clause")?;
        let mut pipe: Option<Pipe> = None;
        if self.next_non_space().kind != TokenKind::RightDelim {
            self.backup();
            pipe = Some(self.parse_pipeline("template clause", TokenKind::RightDelim)?);
        }
        Ok(Node::Template(Invocation { pos: token.pos, name, pipe }))
    }

    fn parse_template_name(&mut self, token: &Token<'_>, context: &str) -> Parsed<String> {
        if token.kind != TokenKind::String {
            return self.unexpected(token, context);
        }
        match unquote(&token.text) {
            Ok(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
            Err(error) => self.error(error),
        }
    }

    /// Returns an error if a function is unknown or unsupported.
    pub(crate) fn check_function(&self, name: &str) -> Parsed<()> {
        if function_table::find(name).is_some() {
            return Ok(());
        }
        let quoted = quote(name.as_bytes());
        match function_table::unsupported_reason(name) {
            Some(reason) => self.error(format_args!("function {quoted} not supported: {reason}")),
            None => self.error(format_args!("function {quoted} not defined")),
        }
    }
}
