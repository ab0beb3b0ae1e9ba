//! Executes a template: walks its nodes and writes the output.

use std::fmt;
use std::io;

use crate::error::Error;
use crate::eval::context::Context;
use crate::eval::operand::Operand;
use crate::limits::MAX_EXEC_DEPTH;
use crate::parse::node::{Branch, Invocation, Node, Pipe, Range};
use crate::parse::parser::Trees;
use crate::print::printer;
use crate::strings::quote::quote;
use crate::values::value::{Integer, Value};

/// The parsed template that an executor renders.
#[derive(Debug)]
pub(crate) struct Source {
    /// The name of the text in messages.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) trees: Trees,
    pub(crate) context: Context,
}

/// The node that is executed. Error messages contain its position and its text.
#[derive(Clone, Copy)]
pub(crate) struct Location<'a> {
    pub(crate) pos: usize,
    pub(crate) node: &'a dyn fmt::Display,
}

/// How execution continues after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The result of executing a node.
pub(crate) type Run<T> = Result<T, Error>;

/// The state of one execution.
pub(crate) struct Executor<'a, 'w> {
    pub(crate) source: &'a Source,
    out: &'w mut dyn io::Write,
    /// The name of the template that is executed.
    name: &'a str,
    location: Location<'a>,
    variables: Vec<(&'a str, Operand)>,
    depth: usize,
    /// The size in bytes of all function results so far.
    pub(crate) total: usize,
}

/// Renders the template whose name is `source.name`.
pub(crate) fn execute(source: &Source, data: &Value, out: &mut dyn io::Write) -> Run<()> {
    let dot = match data {
        Value::Nil => Operand::Missing,
        data => Operand::Of(data.clone()),
    };
    let mut exec = Executor {
        source,
        out,
        name: &source.name,
        location: Location { pos: 0, node: &"" },
        // `$` holds the data of the template, even where the dot is another value.
        variables: vec![("$", dot.clone())],
        depth: 0,
        total: 0,
    };
    let root = source.trees.get(&source.name).map_or(&[][..], Vec::as_slice);
    exec.walk(&dot, root).map(|_| ())
}

impl<'a> Executor<'a, '_> {
    /// Sets the node for error messages.
    pub(crate) fn locate(&mut self, pos: usize, node: &'a dyn fmt::Display) {
        self.location = Location { pos, node };
    }

    /// Returns an error at the current node, in Go's format.
    pub(crate) fn error<T>(&self, message: impl fmt::Display) -> Run<T> {
        let Source { name, text, .. } = self.source;
        // Positions are computed only for errors, so that nodes need no line numbers.
        let Location { pos, node } = self.location;
        let before = &text[..pos];
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.matches('\n').count();
        let template = quote(self.name.as_bytes());
        Err(Error::execute(format!(
            "template: {name}:{line}:{column}: executing {template} at <{node}>: {message}"
        )))
    }

    /// Calls `run` one nesting level deeper. Fails if the depth would exceed [`MAX_EXEC_DEPTH`].
    pub(crate) fn descend<T>(&mut self, run: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        // Each level uses native stack, so a recursive template without a limit would overflow it.
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
            Node::If(branch) => return self.descend(|exec| exec.walk_branch(dot, branch, false)),
            Node::With(branch) => return self.descend(|exec| exec.walk_branch(dot, branch, true)),
            Node::Range(range) => return self.descend(|exec| exec.walk_range(dot, range)),
            Node::Template(invocation) => {
                self.descend(|exec| exec.walk_template(dot, invocation))?;
            }
        }
        Ok(Flow::Next)
    }

    fn walk_action(&mut self, dot: &Operand, pipe: &'a Pipe) -> Run<()> {
        let value = self.evaluate_pipeline(dot, pipe)?;
        // An action that sets a variable prints nothing.
        if !pipe.variables.is_empty() {
            return Ok(());
        }
        self.locate(pipe.pos, pipe);
        match printer::print_operand(&value) {
            Ok(text) => self.write(&text),
            Err(error) => self.error(error),
        }
    }

    fn walk_branch(&mut self, dot: &Operand, branch: &'a Branch, with: bool) -> Run<Flow> {
        let mark = self.variables.len();
        // Variables that the pipelines of the arms declare stay in scope until the end of the branch.
        let mut flow = None;
        for (pipe, nodes) in &branch.arms {
            let value = self.evaluate_pipeline(dot, pipe)?;
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
        let operand = self.evaluate_pipeline(dot, &range.pipe)?.unwrapped();
        // The variables of the pipeline stay in scope until the end of the loop, those of the body until the
        // end of an iteration.
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

    /// Returns the elements of a `range` with their indices or keys.
    fn elements(
        &self,
        range: &Range,
        operand: &Operand,
    ) -> Run<Box<dyn Iterator<Item = (Operand, Operand)>>> {
        Ok(match operand {
            Operand::Missing => Box::new(std::iter::empty()),
            Operand::Of(Value::List(list)) => {
                // The body may replace the variable that holds the list. So the iterator owns a clone, which
                // shares the elements.
                let list = list.clone();
                Box::new((0..list.items().len()).map(move |index| {
                    let element = Operand::element(&list, &list.items()[index]);
                    (Operand::Of(Value::Int(index as i64)), element)
                }))
            }
            Operand::Of(Value::Map(map)) => {
                // The entries are copied first, so a body that changes the map does not change the iteration.
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
                // A `uint64` above `i64::MAX` is reduced to `i64::MAX`, because no loop runs that long.
                let end = match value {
                    Value::Integer(integer) if integer.kind.is_unsigned() && integer.bits < 0 => i64::MAX,
                    Value::Integer(integer) => integer.bits,
                    Value::Int(end) => end,
                    _ => 0,
                };
                // The numbers have the integer type of the limit.
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
            // A single variable holds the element, not the index.
            1 => vec![element.clone()],
            _ => vec![index, element.clone()],
        };
        if pipe.assigns {
            for (name, value) in pipe.variables.iter().zip(values) {
                self.assign(name, value)?;
            }
        } else {
            // The pipeline has declared the variables, with the list as their value. Each iteration overwrites them.
            let first = self.variables.len() - values.len();
            for (variable, value) in self.variables[first..].iter_mut().zip(values) {
                variable.1 = value;
            }
        }
        Ok(())
    }

    fn walk_template(&mut self, dot: &Operand, invocation: &'a Invocation) -> Run<()> {
        self.locate(invocation.pos, invocation);
        let Some((name, nodes)) = self.source.trees.get_key_value(&invocation.name) else {
            let name = quote(invocation.name.as_bytes());
            return self.error(format_args!("template {name} not defined"));
        };
        let dot = match &invocation.pipe {
            Some(pipe) => self.evaluate_pipeline(dot, pipe)?,
            None => Operand::Missing,
        };
        // The called template has only the variable `$`, which is its data.
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name);
        self.walk(&dot, nodes)?;
        // After an error the rendering ends, so the state is restored only after a success.
        self.variables = variables;
        self.name = caller;
        Ok(())
    }

    /// Evaluates a pipeline, then declares or assigns its variables.
    pub(crate) fn evaluate_pipeline(&mut self, dot: &Operand, pipe: &'a Pipe) -> Run<Operand> {
        self.locate(pipe.pos, pipe);
        let mut last = None;
        for command in &pipe.commands {
            // The result of each command is the last argument of the next one.
            let value = self.evaluate_command(dot, command, last)?;
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
        // An inner variable hides outer variables of the same name.
        match self.variables.iter_mut().rev().find(|variable| variable.0 == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => self.error(format_args!("undefined variable: {name}")),
        }
    }

    /// Returns the value of a variable.
    pub(crate) fn variable(&self, name: &str) -> Run<Operand> {
        match self.variables.iter().rev().find(|variable| variable.0 == name) {
            Some(variable) => Ok(variable.1.clone()),
            None => self.error(format_args!("undefined variable: {name}")),
        }
    }
}
