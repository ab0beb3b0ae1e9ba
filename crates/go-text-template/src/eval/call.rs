//! The arguments of a function call.

use crate::datetime::time::Time;
use crate::eval::context::Context;
use crate::eval::operand::Operand;
use crate::strings::text::Text;
use crate::values::value::{Map, Value};

/// The arguments of a call. The executor has checked them against the signature.
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

    /// Returns the arguments from `index` on.
    pub(crate) fn rest(&self, index: usize) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.args.get(index..).unwrap_or_default().iter().map(Operand::value)
    }

    // The executor has checked the types, so the defaults that these methods return for other types are never used.

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

    /// Returns a map. `None` is Go's nil map.
    pub(crate) fn map(&self, index: usize) -> Option<&Map> {
        if let Value::Map(map) = self.any(index) { Some(map) } else { None }
    }

    pub(crate) fn time(&self, index: usize) -> Time {
        if let Value::Time(time) = self.any(index) { time.clone() } else { Time::ZERO }
    }
}
