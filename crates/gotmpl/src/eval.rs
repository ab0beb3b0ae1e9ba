//! Evaluates commands: fields, variables, constants and calls of functions.

use crate::call::{Body, Call, Function, Type};
use crate::exec::{At, Exec, Run};
use crate::functions;
use crate::limits::MAX_TOTAL;
use crate::methods;
use crate::node::{Command, Expr, ExprKind};
use crate::number::Number;
use crate::operand::Operand;
use crate::value::Value;

/// The arguments that follow the first word of a command, and what the pipeline passes in addition.
struct Arguments<'a> {
    words: &'a [Expr],
    last: Option<Operand>,
}

impl Arguments<'_> {
    const NONE: Self = Self { words: &[], last: None };

    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.last.is_none()
    }

    fn len(&self) -> usize {
        self.words.len() + usize::from(self.last.is_some())
    }
}

impl<'a> Exec<'a, '_> {
    /// Evaluates a command; `last` is what the pipeline yielded before.
    pub(crate) fn command(
        &mut self,
        dot: &Operand,
        command: &'a Command,
        last: Option<Operand>,
    ) -> Run<Operand> {
        let first = &command.words[0];
        let arguments = Arguments { words: &command.words[1..], last };
        match &first.kind {
            ExprKind::Field(fields) => {
                self.at(At::Expr(first));
                return self.fields(dot, dot.clone(), (first, fields), arguments);
            }
            ExprKind::Chain(head, fields) => {
                self.at(At::Expr(first));
                let head = self.chain_head(dot, head)?;
                return self.fields(dot, head, (first, fields), arguments);
            }
            ExprKind::Variable(name, fields) => {
                self.at(At::Expr(first));
                let value = self.variable(name)?;
                if fields.is_empty() {
                    self.refuse_arguments(first, &arguments)?;
                    return Ok(value);
                }
                return self.fields(dot, value, (first, fields), arguments);
            }
            ExprKind::Function(name) => {
                self.at(At::Expr(first));
                return self.named_call(dot, name, At::Command(command), arguments);
            }
            ExprKind::Pipe(pipe) => {
                self.refuse_arguments(first, &arguments)?;
                return self.deeper(|exec| exec.pipeline(dot, pipe));
            }
            _ => {}
        }
        self.at(At::Expr(first));
        self.refuse_arguments(first, &arguments)?;
        match &first.kind {
            ExprKind::Nil => self.error("nil is not a command"),
            _ => self.constant(dot, first),
        }
    }

    fn refuse_arguments(&self, first: &Expr, arguments: &Arguments<'_>) -> Run<()> {
        if arguments.is_empty() {
            return Ok(());
        }
        let shown = first.to_string();
        self.error(format_args!("can't give argument to non-function {shown}"))
    }

    /// The value before the fields of a chain.
    fn chain_head(&mut self, dot: &Operand, head: &'a Expr) -> Run<Operand> {
        self.at(At::Expr(head));
        match &head.kind {
            ExprKind::Pipe(pipe) => self.deeper(|exec| exec.pipeline(dot, pipe)),
            ExprKind::Function(name) => self.named_call(dot, name, At::Expr(head), Arguments::NONE),
            _ => self.constant(dot, head),
        }
    }

    /// A constant, or the dot, where no type is demanded.
    fn constant(&mut self, dot: &Operand, expr: &'a Expr) -> Run<Operand> {
        self.at(At::Expr(expr));
        Ok(match &expr.kind {
            ExprKind::Bool(truth) => Operand::Of(Value::Bool(*truth)),
            ExprKind::Dot => dot.clone(),
            ExprKind::Number(number) => Operand::Of(self.ideal_constant(number)?),
            ExprKind::String(text, _) => Operand::Of(Value::String(text.clone())),
            _ => Operand::Missing,
        })
    }

    fn ideal_constant(&self, number: &Number) -> Run<Value> {
        match number {
            Number { float: Some(float), .. } if number.looks_like_float() => Ok(Value::Float(*float)),
            Number { int: Some(int), .. } => Ok(Value::Int(*int)),
            _ => self.error(format_args!("{} overflows int", number.text)),
        }
    }

    /// Follows the fields of a node one by one; only the last may be a method with arguments.
    fn fields(
        &mut self,
        dot: &Operand,
        mut receiver: Operand,
        (node, fields): (&'a Expr, &'a [String]),
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        let Some((last, others)) = fields.split_last() else {
            return Ok(receiver);
        };
        for field in others {
            receiver = self.field(dot, receiver, (node, field), Arguments::NONE)?;
        }
        self.field(dot, receiver, (node, last), arguments)
    }

    fn field(
        &mut self,
        dot: &Operand,
        receiver: Operand,
        (node, name): (&'a Expr, &str),
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        if matches!(receiver, Operand::Missing) {
            return Ok(Operand::Missing);
        }
        let type_name = receiver.type_name();
        if receiver.is_nil_interface() {
            return self.error(format_args!("nil pointer evaluating {type_name}.{name}"));
        }
        if let Some(method) = methods::find(receiver.value(), name) {
            let receiver = Operand::Of(receiver.value().clone());
            return self.invoke(dot, method, Some(receiver), At::Expr(node), arguments);
        }
        let Value::Map(map) = receiver.value() else {
            return self.error(format_args!("can't evaluate field {name} in type {type_name}"));
        };
        if !arguments.is_empty() {
            return self.error(format_args!("{name} is not a method but has arguments"));
        }
        Ok(map.get(name.as_bytes()).map_or(Operand::Missing, |value| Operand::entry(map, value)))
    }

    fn named_call(
        &mut self,
        dot: &Operand,
        name: &str,
        node: At<'a>,
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        match functions::find(name) {
            Some(function) => self.invoke(dot, function, None, node, arguments),
            None => self.error(format_args!("{name:?} is not a defined function")),
        }
    }

    /// Calls a function, or a method of a receiver.
    fn invoke(
        &mut self,
        dot: &Operand,
        function: &Function,
        receiver: Option<Operand>,
        node: At<'a>,
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        let receivers = usize::from(receiver.is_some());
        let params = &function.params[receivers..];
        self.check_count(function, params.len(), &arguments)?;
        let truth = match function.body {
            Body::And => Some(false),
            Body::Or => Some(true),
            _ => None,
        };
        if let Some(deciding) = truth {
            return self.short_circuit(dot, deciding, arguments);
        }
        let param = |index: usize| params.get(index).copied().or(function.variadic).unwrap_or(Type::Any);
        let callee = arguments.words.first();
        let mut args: Vec<Operand> = receiver.into_iter().collect();
        for (index, word) in arguments.words.iter().enumerate() {
            args.push(self.argument(dot, param(index), word)?);
        }
        if let Some(last) = arguments.last {
            args.push(self.validate(last, param(arguments.words.len()))?);
        }
        let call = Call { args, context: self.source.context };
        let answer = match function.body {
            Body::Plain(body) => body(&call).map(|value| {
                if function.returns_any { Operand::Interface(value) } else { Operand::Of(value) }
            }),
            Body::Reflect(body) => body(&call),
            Body::And | Body::Or => Ok(Operand::Missing),
            Body::Call => Err(no_function(callee, call.operand(0))),
        };
        let answer = answer.and_then(|operand| self.account(operand));
        answer.or_else(|error| {
            self.at(node);
            self.error(format_args!("error calling {}: {error}", function.name))
        })
    }

    fn check_count(&self, function: &Function, params: usize, arguments: &Arguments<'_>) -> Run<()> {
        let name = function.name;
        if function.variadic.is_some() {
            if arguments.len() < params {
                // Go counts without what the pipeline passes here.
                let got = arguments.words.len();
                return self.error(format_args!(
                    "wrong number of args for {name}: want at least {params} got {got}"
                ));
            }
        } else if arguments.len() != params {
            let got = arguments.len();
            return self.error(format_args!("wrong number of args for {name}: want {params} got {got}"));
        }
        Ok(())
    }

    /// `and` and `or`: the first argument that decides, or the last.
    fn short_circuit(&mut self, dot: &Operand, deciding: bool, arguments: Arguments<'a>) -> Run<Operand> {
        let mut value = Operand::Missing;
        for word in arguments.words {
            value = self.argument(dot, Type::Reflect, word)?;
            if value.value().is_true() == deciding {
                return Ok(value);
            }
        }
        Ok(arguments.last.unwrap_or(value))
    }

    /// Adds a result to what the rendering has made so far.
    fn account(&mut self, operand: Operand) -> Result<Operand, String> {
        self.total += match operand.value() {
            Value::String(text) => text.len(),
            Value::List(list) => std::mem::size_of_val(list.items()),
            _ => 0,
        };
        if self.total > MAX_TOTAL {
            return Err(format!("the results of all functions are longer than {MAX_TOTAL} bytes"));
        }
        Ok(operand)
    }

    /// Evaluates an argument for a parameter.
    fn argument(&mut self, dot: &Operand, param: Type, expr: &'a Expr) -> Run<Operand> {
        self.at(At::Expr(expr));
        let operand = match &expr.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Nil if !param.can_be_nil() => {
                return self.error(format_args!("cannot assign nil to {}", param.name()));
            }
            ExprKind::Nil => Operand::Missing,
            ExprKind::Field(fields) => self.fields(dot, dot.clone(), (expr, fields), Arguments::NONE)?,
            ExprKind::Variable(name, fields) => {
                let value = self.variable(name)?;
                self.fields(dot, value, (expr, fields), Arguments::NONE)?
            }
            ExprKind::Pipe(pipe) => self.deeper(|exec| exec.pipeline(dot, pipe))?,
            ExprKind::Function(name) => self.named_call(dot, name, At::Expr(expr), Arguments::NONE)?,
            ExprKind::Chain(head, fields) => {
                let head = self.chain_head(dot, head)?;
                self.fields(dot, head, (expr, fields), Arguments::NONE)?
            }
            ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(..) => {
                return self.typed_constant(dot, param, expr);
            }
        };
        self.validate(operand, param)
    }

    fn typed_constant(&mut self, dot: &Operand, param: Type, expr: &'a Expr) -> Run<Operand> {
        let value = match (param, &expr.kind) {
            (Type::Any | Type::Reflect, _) => return self.constant(dot, expr),
            (Type::Bool, ExprKind::Bool(truth)) => Some(Value::Bool(*truth)),
            (Type::Str, ExprKind::String(text, _)) => Some(Value::String(text.clone())),
            (Type::Int, ExprKind::Number(number)) => number.int.map(Value::Int),
            (Type::Float, ExprKind::Number(number)) => number.float.map(Value::Float),
            _ => None,
        };
        if let Some(value) = value {
            return Ok(Operand::Of(value));
        }
        let wanted = match param {
            Type::Int => "integer",
            Type::Float => "float",
            Type::Bool | Type::Str => param.name(),
            _ => {
                let param = param.name();
                return self.error(format_args!("can't handle {expr} for arg of type {param}"));
            }
        };
        self.error(format_args!("expected {wanted}; found {expr}"))
    }

    /// Checks that a value may be passed as a parameter.
    fn validate(&self, operand: Operand, param: Type) -> Run<Operand> {
        let wanted = param.name();
        match operand {
            operand if param == Type::Reflect => Ok(operand),
            Operand::Missing if param == Type::Any => Ok(Operand::Interface(Value::Nil)),
            Operand::Missing if param.can_be_nil() => Ok(Operand::Missing),
            Operand::Missing => self.error(format_args!("invalid value; expected {wanted}")),
            Operand::Interface(_) if param == Type::Any => Ok(operand),
            Operand::Interface(Value::Nil) => {
                self.error(format_args!("wrong type for value; expected {wanted}; got interface {{}}"))
            }
            Operand::Interface(value) | Operand::Of(value) if param.accepts(&value) => Ok(Operand::Of(value)),
            Operand::Interface(value) | Operand::Of(value) => {
                let got = value.type_name();
                self.error(format_args!("wrong type for value; expected {wanted}; got {got}"))
            }
        }
    }
}

/// Why `call` fails: there are no functions among the data.
fn no_function(callee: Option<&Expr>, argument: &Operand) -> String {
    match argument.value() {
        Value::Nil => "call of nil".to_owned(),
        value => {
            let type_name = value.type_name();
            let name = callee.map_or_else(|| crate::printer::show_reflect(value), Expr::to_string);
            format!("non-function {name} of type {type_name}")
        }
    }
}
