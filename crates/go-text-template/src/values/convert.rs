//! Conversions from Rust types and from JSON to values.

use crate::strings::text::Text;
use crate::values::value::{List, Map, Value};

impl From<serde_json::Value> for Value {
    /// Converts JSON as Go decodes it into `any`: every number becomes a float.
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(truth) => Self::Bool(truth),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::String(text.into()),
            serde_json::Value::Array(items) => items.into_iter().collect(),
            serde_json::Value::Object(entries) => entries.into_iter().collect(),
        }
    }
}

impl From<&serde_json::Value> for Value {
    /// Converts JSON as Go decodes it into `any`: every number becomes a float.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Array(items) => items.iter().collect(),
            serde_json::Value::Object(entries) => entries.iter().map(|(k, v)| (k.as_str(), v)).collect(),
            // A clone of a scalar is cheap. Lists and maps are converted without a clone of the whole document.
            scalar => scalar.clone().into(),
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::String(text)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(List::new(items.into_iter().map(Into::into).collect()))
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::Map(entries.into_iter().collect())
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::of_any(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}
