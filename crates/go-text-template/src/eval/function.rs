//! Functions of templates: signatures and bodies.

use crate::eval::call::Call;
use crate::eval::operand::Operand;
use crate::values::value::Value;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Any,
    /// Go's `reflect.Value`, which accepts every operand, [`Operand::Missing`] included.
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
    /// Returns Go's name of the type.
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

    /// Returns true if the constant `nil` may be passed.
    pub(crate) fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Reflect | Self::Dict | Self::Version)
    }

    /// Returns true if a value whose static type is not an interface may be passed.
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

/// A function of templates: its name, signature and body.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Additional names of the function.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) params: &'static [Type],
    /// The type of further arguments, if the function accepts any number of them.
    pub(crate) variadic: Option<Type>,
    /// Whether the declared type of the result is `interface {}`.
    pub(crate) returns_any: bool,
    pub(crate) body: Body,
}

/// The message of Go's panic when a function dereferences nil.
pub(crate) const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

/// The result of a function. The error is a message without the position in the template.
pub(crate) type Answer = Result<Value, String>;

/// The body of a function.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    Plain(fn(&Call<'_>) -> Answer),
    /// A function that determines the static type of its result itself.
    Reflect(fn(&Call<'_>) -> Result<Operand, String>),
    /// `and`: the executor evaluates arguments up to the first false one.
    And,
    /// `or`: the executor evaluates arguments up to the first true one.
    Or,
    /// `call`, which always fails. The executor creates the error, because its message contains the argument's text.
    Call,
}

/// Declares a function whose result has a static type other than `interface {}`.
pub(crate) const fn function(
    name: &'static str,
    params: &'static [Type],
    body: fn(&Call<'_>) -> Answer,
) -> Function {
    Function { name, aliases: &[], params, variadic: None, returns_any: false, body: Body::Plain(body) }
}

impl Function {
    /// Declares a function that takes at least one argument of any kind.
    pub(crate) const fn reflective(name: &'static str, body: Body) -> Self {
        let params = &[Type::Reflect];
        Self { name, aliases: &[], params, variadic: Some(Type::Reflect), returns_any: false, body }
    }

    /// Accepts any number of further arguments of a type.
    pub(crate) const fn variadic(mut self, rest: Type) -> Self {
        self.variadic = Some(rest);
        self
    }

    /// Adds names to the function. Sprig has a second function `mustX` for most functions that can fail, and
    /// often both report the same errors.
    pub(crate) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Declares the type of the result as `interface {}`.
    pub(crate) const fn returns_any(mut self) -> Self {
        self.returns_any = true;
        self
    }
}
