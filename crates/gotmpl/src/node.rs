//! The tree that a template is parsed into, and how messages show its parts.

use std::fmt;

use crate::number::Number;
use crate::quote::quote;
use crate::text::Text;

/// A sequence of nodes.
pub(crate) type Nodes = Vec<Node>;

/// Something that a template does.
#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    Action(Pipe),
    Break,
    Continue,
    If(Branch),
    With(Branch),
    Range(Range),
    Template(Invocation),
}

/// `if` or `with`: its `else if` or `else with` are further arms.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) arms: Vec<(Pipe, Nodes)>,
    pub(crate) otherwise: Option<Nodes>,
}

#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) pipe: Pipe,
    pub(crate) body: Nodes,
    pub(crate) otherwise: Option<Nodes>,
}

/// `{{template "name" pipeline}}`.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) pos: usize,
    pub(crate) name: String,
    pub(crate) pipe: Option<Pipe>,
}

/// Commands joined by `|`, whose result may be assigned to variables.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    /// The variables are assigned rather than declared.
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// A word and its arguments; there is always a word.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) words: Vec<Expr>,
}

/// An operand.
#[derive(Debug)]
pub(crate) struct Expr {
    /// Where messages locate it; a chain of fields is located at its second part.
    pub(crate) pos: usize,
    pub(crate) kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Bool(bool),
    Number(Number),
    /// The text, and the literal it was written as.
    String(Text, String),
    Nil,
    Dot,
    /// `.a.b`.
    Field(Vec<String>),
    /// `$x.a.b`: the name and the fields.
    Variable(String, Vec<String>),
    Function(String),
    /// `(…).a.b`.
    Chain(Box<Expr>, Vec<String>),
    Pipe(Pipe),
}

impl ExprKind {
    /// Whether it can stand at the head of a later stage of a pipeline.
    pub(crate) fn is_executable(&self) -> bool {
        !matches!(self, Self::Bool(_) | Self::Dot | Self::Nil | Self::Number(_) | Self::String(..))
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let operator = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {operator} ", self.variables.join(", "))?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            let separator = if index > 0 { " | " } else { "" };
            write!(f, "{separator}{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            let separator = if index > 0 { " " } else { "" };
            match &word.kind {
                ExprKind::Pipe(pipe) => write!(f, "{separator}({pipe})")?,
                _ => write!(f, "{separator}{word}")?,
            }
        }
        Ok(())
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[String]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, ".{field}"))
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Bool(truth) => write!(f, "{truth}"),
            ExprKind::Number(number) => f.write_str(&number.text),
            ExprKind::String(_, literal) => f.write_str(literal),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Dot => f.write_str("."),
            ExprKind::Field(fields) => write_fields(f, fields),
            ExprKind::Variable(name, fields) => {
                f.write_str(name)?;
                write_fields(f, fields)
            }
            ExprKind::Function(name) => f.write_str(name),
            ExprKind::Chain(head, fields) => {
                match &head.kind {
                    ExprKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => write!(f, "{head}")?,
                }
                write_fields(f, fields)
            }
            ExprKind::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote(self.name.as_bytes()))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

/// Whether the nodes are nothing but blank text.
pub(crate) fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
