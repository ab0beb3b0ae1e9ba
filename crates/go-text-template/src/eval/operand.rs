//! Values with the static type that they have in Go.

use crate::values::value::{Element, List, Map, Value};

/// The result of an expression. Go's messages and some of its rules depend on the static type of a value.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// No value, such as that of a missing key: Go's zero `reflect.Value`.
    Missing,
    /// A value whose static type is `interface {}`: an element of a list or map, or the result of a function.
    Interface(Value),
    /// A value whose static type is its dynamic type.
    Of(Value),
}

// `Operand::value` returns a reference, so nil needs a place in memory.
static NIL: Value = Value::Nil;

impl Operand {
    /// Returns the name of the static type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing => "<nil>",
            Self::Interface(_) => "interface {}",
            Self::Of(value) => value.type_name(),
        }
    }

    /// Returns the value that a parameter of type `any` receives. [`Operand::Missing`] becomes nil.
    pub(crate) fn value(&self) -> &Value {
        match self {
            Self::Missing => &NIL,
            Self::Interface(value) | Self::Of(value) => value,
        }
    }

    /// Returns the value inside of an interface. A nil interface becomes [`Operand::Missing`].
    pub(crate) fn unwrapped(self) -> Self {
        match self {
            Self::Interface(Value::Nil) => Self::Missing,
            Self::Interface(value) => Self::Of(value),
            other => other,
        }
    }

    /// Returns true for a nil interface, and false for [`Operand::Missing`].
    pub(crate) fn is_nil_interface(&self) -> bool {
        matches!(self, Self::Interface(Value::Nil))
    }

    /// Makes the operand for an element of a list.
    pub(crate) fn element(list: &List, item: &Value) -> Self {
        match list.element() {
            // Only elements of type `any` are held by an interface.
            Element::Any => Self::Interface(item.clone()),
            _ => Self::Of(item.clone()),
        }
    }

    /// Makes the operand for a value of a map.
    pub(crate) fn entry(map: &Map, value: Value) -> Self {
        if map.has_strings() { Self::Of(value) } else { Self::Interface(value) }
    }
}
