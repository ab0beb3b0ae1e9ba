//! Functions of templates: what they are declared as and what they are called with.

use crate::context::Context;
use crate::operand::Operand;
use crate::text::Text;
use crate::time::Time;
use crate::value::{Map, Value};

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Any,
    /// Go's `reflect.Value`: takes everything, even nothing.
    Reflect,
    Bool,
    Int,
    Float,
    Str,
    Dict,
    Time,
    Version,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float64",
            Self::Str => "string",
            Self::Dict => "map[string]interface {}",
            Self::Time => "time.Time",
            Self::Version => "*semver.Version",
        }
    }

    /// Whether the constant `nil` may be passed.
    pub(crate) fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Reflect | Self::Dict | Self::Version)
    }

    /// Whether a value of a static type that is its own may be passed.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Any | Self::Reflect => true,
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Int => matches!(value, Value::Int(_)),
            Self::Float => matches!(value, Value::Float(_)),
            Self::Str => matches!(value, Value::String(_)),
            Self::Dict => matches!(value, Value::Map(map) if !map.has_strings()),
            Self::Time => matches!(value, Value::Time(_)),
            Self::Version => matches!(value, Value::Version(_)),
        }
    }
}

/// A function: its signature and its body.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Type],
    /// The type of any number of further arguments.
    pub(crate) variadic: Option<Type>,
    /// The declared result is `interface {}`.
    pub(crate) returns_any: bool,
    pub(crate) body: Body,
}

/// The result of a function; an error is a message without context.
pub(crate) type Answer = Result<Value, String>;

#[derive(Clone, Copy)]
pub(crate) enum Body {
    Plain(fn(&Call<'_>) -> Answer),
    /// Decides itself how its result is held.
    Reflect(fn(&Call<'_>) -> Result<Operand, String>),
    /// `and`: the executor evaluates arguments until one is false.
    And,
    /// `or`: the executor evaluates arguments until one is true.
    Or,
    /// `call`: the executor knows what its argument looks like.
    Call,
}

/// Declares a function with a result of a type of its own.
pub(crate) const fn function(
    name: &'static str,
    params: &'static [Type],
    body: fn(&Call<'_>) -> Answer,
) -> Function {
    Function { name, params, variadic: None, returns_any: false, body: Body::Plain(body) }
}

impl Function {
    /// It also takes any number of further arguments.
    pub(crate) const fn variadic(mut self, rest: Type) -> Self {
        self.variadic = Some(rest);
        self
    }

    /// Its result is declared as `interface {}`.
    pub(crate) const fn returns_any(mut self) -> Self {
        self.returns_any = true;
        self
    }
}

/// The arguments of a call, which fit the signature.
pub(crate) struct Call<'a> {
    pub(crate) args: Vec<Operand>,
    pub(crate) context: &'a Context,
}

impl Call<'_> {
    pub(crate) fn len(&self) -> usize {
        self.args.len()
    }

    pub(crate) fn operand(&self, index: usize) -> &Operand {
        self.args.get(index).unwrap_or(&Operand::Missing)
    }

    pub(crate) fn any(&self, index: usize) -> &Value {
        self.operand(index).value()
    }

    /// The arguments from an index on.
    pub(crate) fn rest(&self, index: usize) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.args.get(index..).unwrap_or_default().iter().map(Operand::value)
    }

    // The executor has checked the types: what the following yield otherwise is never seen.

    pub(crate) fn str(&self, index: usize) -> &[u8] {
        if let Value::String(text) = self.any(index) { text } else { b"" }
    }

    pub(crate) fn text(&self, index: usize) -> Text {
        if let Value::String(text) = self.any(index) { text.clone() } else { Text::from("") }
    }

    pub(crate) fn int(&self, index: usize) -> i64 {
        if let Value::Int(number) = self.any(index) { *number } else { 0 }
    }

    pub(crate) fn bool(&self, index: usize) -> bool {
        matches!(self.any(index), Value::Bool(true))
    }

    /// A map; `None` is Go's nil map.
    pub(crate) fn map(&self, index: usize) -> Option<&Map> {
        if let Value::Map(map) = self.any(index) { Some(map) } else { None }
    }

    pub(crate) fn time(&self, index: usize) -> Time {
        if let Value::Time(time) = self.any(index) { time.clone() } else { Time::ZERO }
    }
}
