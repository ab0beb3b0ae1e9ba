//! A value together with how Go would hold it, on which messages and a few rules depend.

use crate::value::{Element, List, Map, Value};

/// What an expression yields.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// Nothing at all, such as a missing key: Go's zero `reflect.Value`.
    Missing,
    /// A value whose static type is `interface {}`: an element of a list or map, or the result of a function.
    Interface(Value),
    /// A value whose static type is its own.
    Of(Value),
}

static NIL: Value = Value::Nil;

impl Operand {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing => "<nil>",
            Self::Interface(_) => "interface {}",
            Self::Of(value) => value.type_name(),
        }
    }

    /// The value as a function with a parameter of type `any` sees it.
    pub(crate) fn value(&self) -> &Value {
        match self {
            Self::Missing => &NIL,
            Self::Interface(value) | Self::Of(value) => value,
        }
    }

    /// The value inside of the interface; a nil interface has none.
    pub(crate) fn unwrapped(self) -> Self {
        match self {
            Self::Interface(Value::Nil) => Self::Missing,
            Self::Interface(value) => Self::Of(value),
            other => other,
        }
    }

    /// The nil interface, as opposed to nothing at all.
    pub(crate) fn is_nil_interface(&self) -> bool {
        matches!(self, Self::Interface(Value::Nil))
    }

    /// An element of a list.
    pub(crate) fn element(list: &List, item: &Value) -> Self {
        match list.element() {
            Element::Any => Self::Interface(item.clone()),
            _ => Self::Of(item.clone()),
        }
    }

    /// A value of a map.
    pub(crate) fn entry(map: &Map, value: Value) -> Self {
        if map.has_strings() { Self::Of(value) } else { Self::Interface(value) }
    }
}
