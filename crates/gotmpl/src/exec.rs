//! Walks the tree of a template and writes what it yields.

use std::fmt;
use std::io;

use crate::context::Context;
use crate::error::Error;
use crate::limits::MAX_EXEC_DEPTH;
use crate::node::{Branch, Command, Expr, Invocation, Node, Pipe, Range};
use crate::operand::Operand;
use crate::parser::Trees;
use crate::printer;
use crate::quote::quote;
use crate::value::{Integer, Value};

/// A parsed text, as far as executing needs it.
pub(crate) struct Source<'a> {
    /// The name that messages locate nodes in.
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    pub(crate) trees: &'a Trees,
    pub(crate) context: &'a Context,
}

/// The node being executed, for messages.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Nothing,
    Pipe(&'a Pipe),
    Command(&'a Command),
    Expr(&'a Expr),
    Invocation(&'a Invocation),
}

impl At<'_> {
    fn pos(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Pipe(pipe) => pipe.pos,
            Self::Command(command) => command.pos,
            Self::Expr(expr) => expr.pos,
            Self::Invocation(invocation) => invocation.pos,
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Pipe(pipe) => pipe.fmt(f),
            Self::Command(command) => command.fmt(f),
            Self::Expr(expr) => expr.fmt(f),
            Self::Invocation(invocation) => invocation.fmt(f),
        }
    }
}

/// What to do after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

pub(crate) type Run<T> = Result<T, Error>;

/// The state of one rendering.
pub(crate) struct Exec<'a, 'w> {
    pub(crate) source: &'a Source<'a>,
    out: &'w mut dyn io::Write,
    /// The template being executed.
    name: &'a str,
    at: At<'a>,
    variables: Vec<(&'a str, Operand)>,
    depth: usize,
    /// The size of all function results so far.
    pub(crate) total: usize,
}

/// Renders the template that the text itself is.
pub(crate) fn execute(source: &Source<'_>, data: &Value, out: &mut dyn io::Write) -> Run<()> {
    let dot = match data {
        Value::Nil => Operand::Missing,
        data => Operand::Of(data.clone()),
    };
    let mut exec = Exec {
        source,
        out,
        name: source.name,
        at: At::Nothing,
        variables: vec![("$", dot.clone())],
        depth: 0,
        total: 0,
    };
    let root = source.trees.get(source.name).map_or(&[][..], Vec::as_slice);
    exec.walk(&dot, root).map(|_| ())
}

impl<'a> Exec<'a, '_> {
    /// Notes the node that messages are about.
    pub(crate) fn at(&mut self, at: At<'a>) {
        self.at = at;
    }

    /// An error at the current node.
    pub(crate) fn error<T>(&self, message: impl fmt::Display) -> Run<T> {
        let Source { name, text, .. } = self.source;
        let before = &text[..self.at.pos()];
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.matches('\n').count();
        let template = quote(self.name.as_bytes());
        let context = self.at;
        Err(Error::execute(format!(
            "template: {name}:{line}:{column}: executing {template} at <{context}>: {message}"
        )))
    }

    /// Runs something that is one level deeper.
    pub(crate) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        if self.depth == MAX_EXEC_DEPTH {
            return self.error(format_args!("exceeded maximum template depth ({MAX_EXEC_DEPTH})"));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn write(&mut self, bytes: &[u8]) -> Run<()> {
        self.out.write_all(bytes).map_err(Error::write)
    }

    fn walk(&mut self, dot: &Operand, nodes: &'a [Node]) -> Run<Flow> {
        for node in nodes {
            let flow = self.walk_node(dot, node)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn walk_node(&mut self, dot: &Operand, node: &'a Node) -> Run<Flow> {
        match node {
            Node::Text(text) => self.write(text.as_bytes())?,
            Node::Action(pipe) => self.walk_action(dot, pipe)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::If(branch) => return self.deeper(|exec| exec.walk_branch(dot, branch, false)),
            Node::With(branch) => return self.deeper(|exec| exec.walk_branch(dot, branch, true)),
            Node::Range(range) => return self.deeper(|exec| exec.walk_range(dot, range)),
            Node::Template(invocation) => {
                self.deeper(|exec| exec.walk_template(dot, invocation))?;
            }
        }
        Ok(Flow::Next)
    }

    fn walk_action(&mut self, dot: &Operand, pipe: &'a Pipe) -> Run<()> {
        let value = self.pipeline(dot, pipe)?;
        if !pipe.variables.is_empty() {
            return Ok(());
        }
        self.at(At::Pipe(pipe));
        match printer::print_operand(&value) {
            Ok(text) => self.write(&text),
            Err(error) => self.error(error),
        }
    }

    fn walk_branch(&mut self, dot: &Operand, branch: &'a Branch, with: bool) -> Run<Flow> {
        let mark = self.variables.len();
        let mut flow = None;
        for (pipe, nodes) in &branch.arms {
            let value = self.pipeline(dot, pipe)?;
            if value.value().is_true() {
                flow = Some(self.walk(if with { &value } else { dot }, nodes)?);
                break;
            }
        }
        let flow = match (flow, &branch.otherwise) {
            (Some(flow), _) => flow,
            (None, Some(nodes)) => self.walk(dot, nodes)?,
            (None, None) => Flow::Next,
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn walk_range(&mut self, dot: &Operand, range: &'a Range) -> Run<Flow> {
        let mark = self.variables.len();
        let operand = self.pipeline(dot, &range.pipe)?.unwrapped();
        let body_mark = self.variables.len();
        let mut any = false;
        for (index, element) in self.elements(range, &operand)? {
            any = true;
            self.set_range_variables(&range.pipe, index, &element)?;
            let flow = self.walk(&element, &range.body)?;
            self.variables.truncate(body_mark);
            if flow == Flow::Break {
                break;
            }
        }
        let flow = match &range.otherwise {
            Some(nodes) if !any => self.walk(dot, nodes)?,
            _ => Flow::Next,
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// What a `range` goes through: the indices or keys, and the elements.
    fn elements(
        &self,
        range: &Range,
        operand: &Operand,
    ) -> Run<Box<dyn Iterator<Item = (Operand, Operand)>>> {
        Ok(match operand {
            Operand::Missing => Box::new(std::iter::empty()),
            Operand::Of(Value::List(list)) => {
                let list = list.clone();
                Box::new((0..list.items().len()).map(move |index| {
                    let element = Operand::element(&list, &list.items()[index]);
                    (Operand::Of(Value::Int(index as i64)), element)
                }))
            }
            Operand::Of(Value::Map(map)) => {
                let map = map.clone();
                Box::new(
                    map.entries().into_iter().map(move |(key, value)| {
                        (Operand::Of(Value::String(key)), Operand::entry(&map, value))
                    }),
                )
            }
            Operand::Of(value @ (Value::Int(_) | Value::Integer(_))) => {
                if range.pipe.variables.len() > 1 {
                    let shown = printer::show(value);
                    return self
                        .error(format_args!("can't use {shown} to iterate over more than one variable"));
                }
                let value = value.clone();
                let end = match value {
                    Value::Integer(integer) if integer.kind.is_unsigned() && integer.bits < 0 => i64::MAX,
                    Value::Integer(integer) => integer.bits,
                    Value::Int(end) => end,
                    _ => 0,
                };
                // The numbers have the type of the limit.
                let make = move |number| match value {
                    Value::Integer(integer) => Value::Integer(Integer { bits: number, ..integer }),
                    _ => Value::Int(number),
                };
                Box::new((0..end).map(move |number| (Operand::Missing, Operand::Of(make(number)))))
            }
            other => {
                let shown = printer::show(other.value());
                return self.error(format_args!("range can't iterate over {shown}"));
            }
        })
    }

    fn set_range_variables(&mut self, pipe: &'a Pipe, index: Operand, element: &Operand) -> Run<()> {
        let values = match pipe.variables.len() {
            0 => return Ok(()),
            1 => vec![element.clone()],
            _ => vec![index, element.clone()],
        };
        if pipe.assigns {
            for (name, value) in pipe.variables.iter().zip(values) {
                self.assign(name, value)?;
            }
        } else {
            let first = self.variables.len() - values.len();
            for (variable, value) in self.variables[first..].iter_mut().zip(values) {
                variable.1 = value;
            }
        }
        Ok(())
    }

    fn walk_template(&mut self, dot: &Operand, invocation: &'a Invocation) -> Run<()> {
        self.at(At::Invocation(invocation));
        let Some((name, nodes)) = self.source.trees.get_key_value(&invocation.name) else {
            let name = quote(invocation.name.as_bytes());
            return self.error(format_args!("template {name} not defined"));
        };
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Operand::Missing,
        };
        // A template sees no variables but its own data.
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name);
        self.walk(&dot, nodes)?;
        self.variables = variables;
        self.name = caller;
        Ok(())
    }

    /// Evaluates a pipeline, and declares or assigns its variables.
    pub(crate) fn pipeline(&mut self, dot: &Operand, pipe: &'a Pipe) -> Run<Operand> {
        self.at(At::Pipe(pipe));
        let mut last = None;
        for command in &pipe.commands {
            let value = self.command(dot, command, last)?;
            last = Some(value.unwrapped());
        }
        let value = last.unwrap_or(Operand::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Operand) -> Run<()> {
        match self.variables.iter_mut().rev().find(|variable| variable.0 == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => self.error(format_args!("undefined variable: {name}")),
        }
    }

    pub(crate) fn variable(&self, name: &str) -> Run<Operand> {
        match self.variables.iter().rev().find(|variable| variable.0 == name) {
            Some(variable) => Ok(variable.1.clone()),
            None => self.error(format_args!("undefined variable: {name}")),
        }
    }
}
