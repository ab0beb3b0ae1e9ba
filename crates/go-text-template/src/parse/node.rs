//! The syntax tree of a template. `Display` writes a node as error messages show it.

use std::fmt;

use crate::strings::quote::quote;
use crate::strings::text::Text;
use crate::values::number::Number;

/// A sequence of nodes.
pub(crate) type Nodes = Vec<Node>;

/// A part of a template: text, an action or a control structure.
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

/// An `if` or `with`. Each `else if` or `else with` is a further arm.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) arms: Vec<(Pipe, Nodes)>,
    pub(crate) otherwise: Option<Nodes>,
}

/// A `range` loop.
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

/// Commands joined by `|`. The result may be assigned to variables.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    /// True for `=`, false for `:=`.
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// A function or value and its arguments. There is at least one word.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) words: Vec<Expr>,
}

/// An operand of a command.
#[derive(Debug)]
pub(crate) struct Expr {
    /// The byte offset for error messages. For a chain of fields it is the offset of the second part, as in Go.
    pub(crate) pos: usize,
    pub(crate) kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Bool(bool),
    Number(Number),
    /// The text, and the literal in the template.
    String(Text, String),
    Nil,
    Dot,
    /// `.a.b`.
    Field(Vec<String>),
    /// `$x.a.b`: the name of the variable and the fields.
    Variable(String, Vec<String>),
    Function(String),
    /// `(…).a.b`.
    Chain(Box<Expr>, Vec<String>),
    Pipe(Pipe),
}

impl ExprKind {
    /// Returns true if the operand can start a later stage of a pipeline.
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
                // The tree does not store parentheses, but messages of Go contain them.
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

/// Returns true if the nodes contain only white space.
pub(crate) fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
