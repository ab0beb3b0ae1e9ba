//! Parses the text of a template, and the templates that it defines.

use std::collections::BTreeMap;
use std::mem;

use crate::functions;
use crate::lexer::Lexer;
use crate::limits::MAX_PARSE_DEPTH;
use crate::node::{Branch, Invocation, Node, Nodes, Pipe, Range, is_blank};
use crate::quote::{quote, unquote};
use crate::token::{Kind, Token};

/// The templates of a text by name; the text itself has the name it was given.
pub(crate) type Trees = BTreeMap<String, Nodes>;

pub(crate) type Parsed<T> = Result<T, String>;

/// Parses a text; an error is Go's whole message.
pub(crate) fn parse(name: &str, text: &str) -> Parsed<Trees> {
    let mut parser = Parser {
        name,
        lexer: Lexer::new(text),
        tree: Tree::new(),
        trees: Trees::new(),
        control_depth: 0,
        paren_depth: 0,
    };
    let root = parser.root()?;
    parser.add(name.to_owned(), root)?;
    Ok(parser.trees)
}

pub(crate) struct Parser<'a> {
    name: &'a str,
    lexer: Lexer<'a>,
    pub(crate) tree: Tree,
    trees: Trees,
    control_depth: usize,
    pub(crate) paren_depth: usize,
}

/// What is known while parsing one template: definitions and blocks have their own.
pub(crate) struct Tree {
    /// Three tokens of look-ahead.
    tokens: [Token; 3],
    peeked: usize,
    pub(crate) variables: Vec<String>,
    /// The line of the delimiter that began the current action, or 0.
    action_line: usize,
    range_depth: usize,
}

impl Tree {
    fn new() -> Self {
        let none = Token { kind: Kind::Eof, pos: 0, text: String::new(), line: 0 };
        Self {
            tokens: [none.clone(), none.clone(), none],
            peeked: 0,
            variables: vec!["$".to_owned()],
            action_line: 0,
            range_depth: 0,
        }
    }
}

/// What ends a list of nodes.
enum End {
    End,
    Else,
}

impl End {
    fn describe(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or the end of the list that it would belong to.
enum Item {
    Node(Node),
    End(End),
}

impl Parser<'_> {
    pub(crate) fn next(&mut self) -> Token {
        if self.tree.peeked > 0 {
            self.tree.peeked -= 1;
        } else {
            self.tree.tokens[0] = self.lexer.next_token();
        }
        self.tree.tokens[self.tree.peeked].clone()
    }

    pub(crate) fn backup(&mut self) {
        self.tree.peeked += 1;
    }

    /// Puts back the token that was read before the last one, too.
    pub(crate) fn backup2(&mut self, earlier: Token) {
        self.tree.tokens[1] = earlier;
        self.tree.peeked = 2;
    }

    pub(crate) fn backup3(&mut self, earliest: Token, earlier: Token) {
        self.tree.tokens[1] = earlier;
        self.tree.tokens[2] = earliest;
        self.tree.peeked = 3;
    }

    pub(crate) fn peek(&mut self) -> Token {
        let token = self.next();
        self.backup();
        token
    }

    pub(crate) fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    pub(crate) fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.backup();
        token
    }

    pub(crate) fn error<T>(&self, message: impl std::fmt::Display) -> Parsed<T> {
        Err(format!("template: {}:{}: {message}", self.name, self.tree.tokens[0].line))
    }

    pub(crate) fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.error(format_args!("unexpected {} in {context}", token.describe()));
        }
        let started = self.tree.action_line;
        if started == 0 || started == token.line {
            return self.error(&token.text);
        }
        // "unclosed action" is not to say "action" twice.
        let link = if token.text.ends_with(" action") { "" } else { " in action" };
        self.error(format_args!("{}{link} started at {}:{started}", token.text, self.name))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    /// Keeps a template; a blank one never replaces another.
    fn add(&mut self, name: String, nodes: Nodes) -> Parsed<()> {
        match self.trees.get(&name) {
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

    fn root(&mut self) -> Parsed<Nodes> {
        let mut nodes = Nodes::new();
        loop {
            match self.peek().kind {
                Kind::Eof => return Ok(nodes),
                Kind::LeftDelim => {
                    let delimiter = self.next();
                    if self.next_non_space().kind == Kind::Define {
                        self.definition()?;
                        continue;
                    }
                    self.backup2(delimiter);
                }
                _ => {}
            }
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::End(end) => return self.error(format_args!("unexpected {}", end.describe())),
            }
        }
    }

    /// Parses with the state of a new template and adds what `parse` returns.
    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<(String, Nodes)>) -> Parsed<()> {
        let outer = mem::replace(&mut self.tree, Tree::new());
        let (name, nodes) = parse(self)?;
        self.add(name, nodes)?;
        self.tree = outer;
        Ok(())
    }

    fn definition(&mut self) -> Parsed<()> {
        self.nested(|parser| {
            let token = parser.next_non_space();
            let name = parser.template_name(&token, "define clause")?;
            parser.expect(Kind::RightDelim, "define clause")?;
            Ok((name, parser.body("define clause")?))
        })
    }

    /// Nodes up to an `end`.
    fn body(&mut self, context: &str) -> Parsed<Nodes> {
        match self.list()? {
            (nodes, End::End) => Ok(nodes),
            (_, end) => self.error(format_args!("unexpected {} in {context}", end.describe())),
        }
    }

    fn list(&mut self) -> Parsed<(Nodes, End)> {
        let mut nodes = Nodes::new();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::End(end) => return Ok((nodes, end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.tree.action_line = token.line;
                let item = self.action();
                self.tree.action_line = 0;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let node = match self.next_non_space().kind {
            Kind::Block => self.block()?,
            Kind::Break => self.jump("break", Node::Break)?,
            Kind::Continue => self.jump("continue", Node::Continue)?,
            Kind::Else => return self.else_control().map(Item::End),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::End(End::End));
            }
            Kind::If => Node::If(self.branch(Kind::If, "if")?),
            Kind::With => Node::With(self.branch(Kind::With, "with")?),
            Kind::Range => Node::Range(self.range()?),
            Kind::Template => self.invocation()?,
            _ => {
                self.backup();
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn jump(&mut self, word: &str, node: Node) -> Parsed<Node> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, &format!("{{{{{word}}}}}"));
        }
        if self.tree.range_depth == 0 {
            return self.error(format_args!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn else_control(&mut self) -> Parsed<End> {
        // `else if` is like `else` followed by `if`, whose token is left for the branch to see.
        if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(End::Else)
    }

    /// Parses a control structure: its variables end with it, and it counts as one level.
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

    fn branch(&mut self, keyword: Kind, context: &str) -> Parsed<Branch> {
        self.control(|parser| {
            let mut branch = Branch { arms: Vec::new(), otherwise: None };
            loop {
                let pipe = parser.pipeline(context, Kind::RightDelim)?;
                let (nodes, end) = parser.list()?;
                branch.arms.push((pipe, nodes));
                if matches!(end, End::End) {
                    return Ok(branch);
                }
                if parser.peek().kind != keyword {
                    branch.otherwise = Some(parser.otherwise()?);
                    return Ok(branch);
                }
                parser.next();
            }
        })
    }

    /// What follows an `else`.
    fn otherwise(&mut self) -> Parsed<Nodes> {
        match self.list()? {
            (nodes, End::End) => Ok(nodes),
            (_, end) => self.error(format_args!("expected end; found {}", end.describe())),
        }
    }

    fn range(&mut self) -> Parsed<Range> {
        self.control(|parser| {
            let pipe = parser.pipeline("range", Kind::RightDelim)?;
            parser.tree.range_depth += 1;
            let (body, end) = parser.list()?;
            parser.tree.range_depth -= 1;
            let otherwise = match end {
                End::End => None,
                End::Else => Some(parser.otherwise()?),
            };
            Ok(Range { pipe, body, otherwise })
        })
    }

    fn block(&mut self) -> Parsed<Node> {
        let token = self.next_non_space();
        let name = self.template_name(&token, "block clause")?;
        let pipe = self.pipeline("block clause", Kind::RightDelim)?;
        self.control(|parser| {
            let name = name.clone();
            parser.nested(|parser| Ok((name, parser.body("block clause")?)))
        })?;
        Ok(Node::Template(Invocation { pos: token.pos, name, pipe: Some(pipe) }))
    }

    fn invocation(&mut self) -> Parsed<Node> {
        let token = self.next_non_space();
        let name = self.template_name(&token, "template clause")?;
        let mut pipe: Option<Pipe> = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline("template clause", Kind::RightDelim)?);
        }
        Ok(Node::Template(Invocation { pos: token.pos, name, pipe }))
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Parsed<String> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(token, context);
        }
        match unquote(&token.text) {
            Ok(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
            Err(error) => self.error(error),
        }
    }

    /// Says why a function cannot be called, if it cannot.
    pub(crate) fn check_function(&self, name: &str) -> Parsed<()> {
        if functions::find(name).is_some() {
            return Ok(());
        }
        let quoted = quote(name.as_bytes());
        match functions::refusal(name) {
            Some(reason) => self.error(format_args!("function {quoted} not supported: {reason}")),
            None => self.error(format_args!("function {quoted} not defined")),
        }
    }
}
