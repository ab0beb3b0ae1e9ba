//! Evaluates commands: fields, variables, constants and function calls.

use crate::eval::call::Call;
use crate::eval::executor::{Executor, Location, Run};
use crate::eval::function::{Body, Function, Type};
use crate::eval::methods;
use crate::eval::operand::Operand;
use crate::function_table;
use crate::limits::MAX_TOTAL;
use crate::parse::node::{Command, Expr, ExprKind};
use crate::values::number::Number;
use crate::values::value::Value;

/// The unevaluated arguments of a command.
struct Arguments<'a> {
    /// The node that messages about the call show.
    node: Location<'a>,
    words: &'a [Expr],
    /// The result of the previous command of the pipeline.
    last: Option<Operand>,
}

impl<'a> Arguments<'a> {
    fn none(node: &'a Expr) -> Self {
        Self { node: Location { pos: node.pos, node }, words: &[], last: None }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.words.len() + usize::from(self.last.is_some())
    }
}

impl<'a> Executor<'a, '_> {
    /// Evaluates a command. `last` is the result of the previous command of the pipeline.
    pub(crate) fn evaluate_command(
        &mut self,
        dot: &Operand,
        command: &'a Command,
        last: Option<Operand>,
    ) -> Run<Operand> {
        let first = &command.words[0];
        // Go evaluates a parenthesis at the position of the pipeline around it.
        if !matches!(first.kind, ExprKind::Pipe(_)) {
            self.locate(first.pos, first);
        }
        let mut arguments = Arguments { words: &command.words[1..], last, ..Arguments::none(first) };
        if matches!(first.kind, ExprKind::Function(_)) {
            // A message about a call shows the complete command. All other messages show only the first word.
            arguments.node = Location { pos: command.pos, node: command };
        }
        self.evaluate_operand(dot, first, arguments)
    }

    /// Evaluates an operand where no parameter determines the type.
    fn evaluate_operand(&mut self, dot: &Operand, expr: &'a Expr, arguments: Arguments<'a>) -> Run<Operand> {
        let refuse = |exec: &Self| exec.error(format_args!("can't give argument to non-function {expr}"));
        match &expr.kind {
            ExprKind::Field(fields) => self.evaluate_fields(dot, dot.clone(), fields, arguments),
            ExprKind::Chain(head, fields) => {
                self.locate(head.pos, &**head);
                let head = self.evaluate_operand(dot, head, Arguments::none(head))?;
                self.evaluate_fields(dot, head, fields, arguments)
            }
            ExprKind::Variable(name, fields) => {
                let value = self.variable(name)?;
                if fields.is_empty() && !arguments.is_empty() {
                    return refuse(self);
                }
                self.evaluate_fields(dot, value, fields, arguments)
            }
            ExprKind::Function(name) => self.call_by_name(dot, name, arguments),
            _ if !arguments.is_empty() => refuse(self),
            // A parenthesis recurses on the native stack, so it counts as a level.
            ExprKind::Pipe(pipe) => self.descend(|exec| exec.evaluate_pipeline(dot, pipe)),
            ExprKind::Nil => self.error("nil is not a command"),
            ExprKind::Dot => Ok(dot.clone()),
            ExprKind::Bool(truth) => Ok(Operand::Of(Value::Bool(*truth))),
            ExprKind::Number(number) => self.ideal_constant(number).map(Operand::Of),
            ExprKind::String(text, _) => Ok(Operand::Of(Value::String(text.clone()))),
        }
    }

    fn ideal_constant(&self, number: &Number) -> Run<Value> {
        match number {
            // `1.0` stays a float here although an integer can represent it, as in Go.
            Number { float: Some(float), .. } if number.looks_like_float() => Ok(Value::Float(*float)),
            Number { int: Some(int), .. } => Ok(Value::Int(*int)),
            _ => self.error(format_args!("{} overflows int", number.text)),
        }
    }

    /// Evaluates a chain of fields. Only the last one may be a method with arguments.
    fn evaluate_fields(
        &mut self,
        dot: &Operand,
        mut receiver: Operand,
        fields: &'a [String],
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        let Some((last, others)) = fields.split_last() else {
            return Ok(receiver);
        };
        for field in others {
            let none = Arguments { words: &[], last: None, ..arguments };
            receiver = self.evaluate_field(dot, receiver, field, none)?;
        }
        self.evaluate_field(dot, receiver, last, arguments)
    }

    fn evaluate_field(
        &mut self,
        dot: &Operand,
        receiver: Operand,
        name: &str,
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        // A field of a missing value is missing, too. So `{{.a.b}}` prints `<no value>` if `.a` does not exist.
        if matches!(receiver, Operand::Missing) {
            return Ok(Operand::Missing);
        }
        let type_name = receiver.type_name();
        if receiver.is_nil_interface() {
            return self.error(format_args!("nil pointer evaluating {type_name}.{name}"));
        }
        // Methods take precedence over keys, as in Go.
        if let Some(method) = methods::find(receiver.value(), name) {
            let receiver = Operand::Of(receiver.value().clone());
            return self.invoke(dot, method, Some(receiver), arguments);
        }
        let Value::Map(map) = receiver.value() else {
            return self.error(format_args!("can't evaluate field {name} in type {type_name}"));
        };
        if !arguments.is_empty() {
            return self.error(format_args!("{name} is not a method but has arguments"));
        }
        Ok(map.get(name.as_bytes()).map_or(Operand::Missing, |value| Operand::entry(map, value)))
    }

    fn call_by_name(&mut self, dot: &Operand, name: &str, arguments: Arguments<'a>) -> Run<Operand> {
        match function_table::find(name) {
            Some(function) => self.invoke(dot, function, None, arguments),
            None => self.error(format_args!("{name:?} is not a defined function")),
        }
    }

    /// Calls a function, or a method if there is a receiver.
    fn invoke(
        &mut self,
        dot: &Operand,
        function: &Function,
        receiver: Option<Operand>,
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        let receivers = usize::from(receiver.is_some());
        // The first parameter of a method is the receiver, which messages do not count.
        let params = &function.params[receivers..];
        self.check_count(function, params.len(), &arguments)?;
        // `and` and `or` evaluate only the arguments that they need, so their arguments are not evaluated up front.
        let truth = match function.body {
            Body::And => Some(false),
            Body::Or => Some(true),
            _ => None,
        };
        if let Some(deciding) = truth {
            return self.evaluate_short_circuit(dot, deciding, arguments);
        }
        let param = |index: usize| params.get(index).copied().or(function.variadic).unwrap_or(Type::Any);
        let callee = arguments.words.first();
        let mut args: Vec<Operand> = receiver.into_iter().collect();
        for (index, word) in arguments.words.iter().enumerate() {
            args.push(self.evaluate_argument(dot, param(index), word)?);
        }
        if let Some(last) = arguments.last {
            args.push(self.validate(last, param(arguments.words.len()))?);
        }
        let call = Call { args, context: &self.source.context };
        let answer = match function.body {
            Body::Plain(body) => body(&call).map(|value| {
                if function.returns_any { Operand::Interface(value) } else { Operand::Of(value) }
            }),
            Body::Reflect(body) => body(&call),
            // These functions were evaluated above.
            Body::And | Body::Or => Ok(Operand::Missing),
            Body::Call => Err(no_function(callee, call.operand(0))),
        };
        // Every result is counted, whether or not the template keeps it, so a loop cannot allocate without limit.
        let answer = answer.and_then(|operand| self.account(operand));
        answer.or_else(|error| {
            let Location { pos, node } = arguments.node;
            self.locate(pos, node);
            self.error(format_args!("error calling {}: {error}", function.name))
        })
    }

    fn check_count(&self, function: &Function, params: usize, arguments: &Arguments<'_>) -> Run<()> {
        let name = function.name;
        if function.variadic.is_some() {
            if arguments.len() < params {
                // Go's message does not count the argument from the pipeline.
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

    /// Evaluates `and` or `or`: returns the first argument whose truth is `deciding`, or else the last argument.
    fn evaluate_short_circuit(
        &mut self,
        dot: &Operand,
        deciding: bool,
        arguments: Arguments<'a>,
    ) -> Run<Operand> {
        let mut value = Operand::Missing;
        for word in arguments.words {
            value = self.evaluate_argument(dot, Type::Reflect, word)?;
            if value.value().is_true() == deciding {
                return Ok(value);
            }
        }
        // The result of the pipeline is the last argument, so it is used if no other argument decides.
        Ok(arguments.last.unwrap_or(value))
    }

    /// Adds the size of a result to the total of the rendering. Fails above [`MAX_TOTAL`].
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
    fn evaluate_argument(&mut self, dot: &Operand, param: Type, expr: &'a Expr) -> Run<Operand> {
        self.locate(expr.pos, expr);
        let operand = match &expr.kind {
            // Go rejects `nil` for parameters of basic types before it evaluates further arguments.
            ExprKind::Nil if !param.can_be_nil() => {
                return self.error(format_args!("cannot assign nil to {}", param.name()));
            }
            ExprKind::Nil => Operand::Missing,
            ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(..) => {
                return self.typed_constant(dot, param, expr);
            }
            _ => self.evaluate_operand(dot, expr, Arguments::none(expr))?,
        };
        self.validate(operand, param)
    }

    fn typed_constant(&mut self, dot: &Operand, param: Type, expr: &'a Expr) -> Run<Operand> {
        let value = match (param, &expr.kind) {
            // A constant has the type of the parameter: `1` is a float for a parameter of type `float64`.
            (Type::Any | Type::Reflect, _) => return self.evaluate_operand(dot, expr, Arguments::none(expr)),
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

    /// Checks that an operand may be passed for a parameter.
    fn validate(&self, operand: Operand, param: Type) -> Run<Operand> {
        let wanted = param.name();
        match operand {
            // The order of these rules is that of Go's `validateType`, because the first one that fails sets the
            // message.
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

/// Returns the message of `call`, which always fails because the data contains no functions.
fn no_function(callee: Option<&Expr>, argument: &Operand) -> String {
    match argument.value() {
        Value::Nil => "call of nil".to_owned(),
        value => {
            let type_name = value.type_name();
            let name = callee.map_or_else(|| crate::print::printer::show_reflect(value), Expr::to_string);
            format!("non-function {name} of type {type_name}")
        }
    }
}
