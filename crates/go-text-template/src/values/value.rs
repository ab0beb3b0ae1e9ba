//! The values of templates.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::datetime::time::Time;
use crate::strings::text::Text;
use crate::values::version::Version;

/// A value of a template: JSON-like data, or one of the other types that functions return.
///
/// A JSON number becomes [`Value::Float`], as in Go, which decodes it into `any`.
///
/// A template can store the results of functions in a [`Map`] of the program:
///
/// ```
/// use go_text_template::{Integer, List, Map, Template, Text, Time, Value, Version};
///
/// # fn main() -> Result<(), go_text_template::Error> {
/// let map = Map::new();
/// map.insert("names", Value::List(List::new(vec!["web".into(), "db".into()])));
/// let text = r#"
/// {{- $_ := set . "built" now}}
/// {{- $_ = set . "version" (semver "1.2.3")}}
/// {{- $_ = set . "byte" (index "a" 0)}}
/// {{- join "," .names}}"#;
/// assert_eq!(Template::parse("output", text)?.render_to_string(&map.clone().into())?, "web,db");
///
/// for (key, value) in map.entries() {
///     let key: Text = key;
///     match value {
///         Value::Time(Time { .. }) => assert_eq!(key, Text::from("built")),
///         Value::Version(Version { .. }) => assert_eq!(key, Text::from("version")),
///         Value::Integer(Integer { .. }) => assert_eq!(key, Text::from("byte")),
///         Value::List(names) => assert_eq!(names.items().len(), 2),
///         _ => unreachable!("other types"),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// `nil`, or `null` in JSON.
    #[default]
    Nil,
    /// A `bool`.
    Bool(bool),
    /// An `int`.
    Int(i64),
    /// A `float64`.
    Float(f64),
    /// A `string`.
    String(Text),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// An integer of a type other than `int`.
    Integer(Integer),
    /// A `time.Time`.
    Time(Time),
    /// A `*semver.Version`.
    Version(Version),
}

/// An integer of a Go type other than `int`, such as a byte of a string. Only functions return such integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer {
    pub(crate) kind: IntegerKind,
    /// The bits of the number, which are those of a `u64` if the type is unsigned.
    pub(crate) bits: i64,
}

/// The integer types other than `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntegerKind {
    Int64,
    Uint8,
    Uint64,
    Month,
    Weekday,
}

impl IntegerKind {
    /// Returns true for unsigned types.
    pub(crate) fn is_unsigned(self) -> bool {
        matches!(self, Self::Uint8 | Self::Uint64)
    }
}

/// A slice. Programs pass lists as data. Its elements never change, and clones share them.
#[derive(Clone, Debug)]
pub struct List(Arc<ListInner>);

#[derive(Debug)]
struct ListInner {
    element: Element,
    /// True for Go's nil slice, which is empty and becomes `null` in JSON.
    is_nil: bool,
    items: Vec<Value>,
}

/// The element type of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Any,
    String,
    Int,
    AnyList,
}

/// A map with string keys in ascending order. It is the usual data of a template. Clones share the entries, as in Go.
#[derive(Clone, Debug)]
pub struct Map(Arc<MapInner>);

#[derive(Debug)]
struct MapInner {
    /// Whether the values have the type `string` rather than `any`.
    has_strings: bool,
    entries: Mutex<BTreeMap<Text, Value>>,
}

impl Value {
    pub(crate) fn int64(number: i64) -> Self {
        Self::Integer(Integer { kind: IntegerKind::Int64, bits: number })
    }

    pub(crate) fn text(text: impl Into<Text>) -> Self {
        Self::String(text.into())
    }

    pub(crate) fn strings<T: Into<Text>>(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(Self::text).collect();
        Self::List(List::typed(Element::String, items))
    }

    /// Returns the name of the Go type, as `%T` prints it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::List(list) => match list.element() {
                Element::Any => "[]interface {}",
                Element::String => "[]string",
                Element::Int => "[]int",
                Element::AnyList => "[][]interface {}",
            },
            Self::Map(map) if map.has_strings() => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Integer(integer) => match integer.kind {
                IntegerKind::Int64 => "int64",
                IntegerKind::Uint8 => "uint8",
                IntegerKind::Uint64 => "uint64",
                IntegerKind::Month => "time.Month",
                IntegerKind::Weekday => "time.Weekday",
            },
            Self::Time(_) => "time.Time",
            Self::Version(_) => "*semver.Version",
        }
    }

    /// Returns Go's name of the kind, as in `reflect.Kind`.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Integer(Integer { kind: IntegerKind::Month | IntegerKind::Weekday, .. }) => "int",
            Self::Time(_) => "struct",
            Self::Version(_) => "ptr",
            other => other.type_name(),
        }
    }

    /// Returns true if `if`, `and`, `or` and `not` treat the value as true: it is neither zero nor empty.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::List(list) => !list.items().is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Integer(integer) => integer.bits != 0,
            // A struct and a pointer are true, even the zero time.
            Self::Time(_) | Self::Version(_) => true,
        }
    }
}

impl List {
    /// Makes a slice of `any`.
    pub fn new(items: Vec<Value>) -> Self {
        Self::typed(Element::Any, items)
    }

    pub(crate) fn typed(element: Element, items: Vec<Value>) -> Self {
        Self(Arc::new(ListInner { element, is_nil: false, items }))
    }

    pub(crate) fn nil(element: Element) -> Self {
        Self(Arc::new(ListInner { element, is_nil: true, items: Vec::new() }))
    }

    /// Returns the elements in order.
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    pub(crate) fn element(&self) -> Element {
        self.0.element
    }

    pub(crate) fn is_nil(&self) -> bool {
        self.0.is_nil
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Map {
    /// Makes an empty map of `any`.
    pub fn new() -> Self {
        Self::with(false, BTreeMap::new())
    }

    pub(crate) fn of_strings(entries: BTreeMap<Text, Value>) -> Self {
        Self::with(true, entries)
    }

    pub(crate) fn of_any(entries: BTreeMap<Text, Value>) -> Self {
        Self::with(false, entries)
    }

    fn with(has_strings: bool, entries: BTreeMap<Text, Value>) -> Self {
        Self(Arc::new(MapInner { has_strings, entries: Mutex::new(entries) }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Text, Value>> {
        // No method locks a second map while it holds the lock, so maps that contain each other cannot deadlock.
        self.0.entries.lock()
    }

    /// Sets the value of a key.
    pub fn insert(&self, key: impl Into<Text>, value: impl Into<Value>) {
        // The old value is dropped after the lock is released, because its drop may lock maps.
        let old = self.lock().insert(key.into(), value.into());
        drop(old);
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.lock().get(key).cloned()
    }

    /// Removes a key.
    pub fn remove(&self, key: &[u8]) {
        let old = self.lock().remove(key);
        drop(old);
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns true if the map has no entries.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Returns a copy of the entries in the order of the keys.
    pub fn entries(&self) -> Vec<(Text, Value)> {
        self.lock().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(crate) fn has_strings(&self) -> bool {
        self.0.has_strings
    }

    /// Returns true if both maps share their entries.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

// A loop in a template can nest values without limit. A derived drop recurses once per level and would overflow the
// stack.
impl Drop for ListInner {
    fn drop(&mut self) {
        dismantle(mem::take(&mut self.items));
    }
}

impl Drop for MapInner {
    fn drop(&mut self) {
        dismantle(mem::take(self.entries.get_mut()).into_values().collect());
    }
}

/// Drops values without recursion.
fn dismantle(mut stack: Vec<Value>) {
    while let Some(value) = stack.pop() {
        match value {
            Value::List(list) => {
                // If another clone still uses the elements, they are not dropped.
                if let Some(mut inner) = Arc::into_inner(list.0) {
                    stack.append(&mut inner.items);
                }
            }
            Value::Map(map) => {
                if let Some(mut inner) = Arc::into_inner(map.0) {
                    stack.extend(mem::take(inner.entries.get_mut()).into_values());
                }
            }
            _ => {}
        }
    }
}
