//! Checks the docs of the public API: each type and module says what it is and what it is for, and an example shows
//! each type.
//!
//! An example shows a type if its code names the type, or if it names a method, field or function of a shown type that
//! takes or returns the type. Examples in the docs of other crates do not count.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};
use xtask::process::Result;

/// The kinds of items in the JSON of rustdoc that are types for a reader.
const TYPES: [&str; 5] = ["struct", "enum", "union", "trait", "type_alias"];
/// The keys in the JSON of rustdoc whose arrays have the ids of members.
const MEMBERS: [&str; 5] = ["fields", "variants", "impls", "items", "tuple"];

/// Returns a line for each type or module with too few docs, and for each type that no example shows.
pub(crate) fn faults(json: &str) -> Result<Vec<String>> {
    let json: Value = serde_json::from_str(json)?;
    let index = json["index"].as_object().ok_or("the JSON of rustdoc has no index")?;
    let mut crate_docs =
        CrateDocs { index, pages: BTreeMap::new(), examples: Vec::new(), words: HashSet::new() };
    crate_docs.add_module(&json["root"].to_string(), "");
    crate_docs.add_examples();
    let shown = crate_docs.shown();
    let mut faults = Vec::new();
    for (id, path) in &crate_docs.pages {
        let item = &index[id];
        let path = if path.is_empty() { "the crate" } else { path };
        match kind(item) {
            "module" => {}
            kind if !TYPES.contains(&kind) => continue,
            _ if shown.contains(id) => {}
            _ => faults.push(format!("no example shows {path}")),
        }
        if sentences(item) < 2 {
            faults.push(format!("the docs of {path} lack a sentence that says what it is for"));
        }
    }
    faults.sort();
    Ok(faults)
}

/// The public items of one crate and the words of its examples.
struct CrateDocs<'a> {
    /// All items of the crate, by id.
    index: &'a Map<String, Value>,
    /// The path of each public item below the crate, by id; the shortest if there are several.
    pages: BTreeMap<String, String>,
    /// The words of each example.
    examples: Vec<HashSet<&'a str>>,
    /// The words of all examples.
    words: HashSet<&'a str>,
}

impl<'a> CrateDocs<'a> {
    fn add_module(&mut self, id: &str, path: &str) {
        self.pages.insert(id.to_owned(), path.to_owned());
        for id in ids(&self.index[id]["inner"]["module"]["items"]) {
            let Some(item) = self.index.get(&id) else { continue };
            let reexport = &item["inner"]["use"];
            // Items of other crates are not in the index.
            let id = if reexport.is_null() { id } else { reexport["id"].to_string() };
            let Some(target) = self.index.get(&id).filter(|target| target["crate_id"] == 0) else { continue };
            let name = reexport["name"].as_str().or(item["name"].as_str()).unwrap_or_default();
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
            if self.pages.get(&id).is_some_and(|known| known.len() <= path.len()) {
                continue;
            }
            if kind(target) == "module" {
                self.add_module(&id, &path);
            } else {
                self.pages.insert(id, path);
            }
        }
    }

    fn add_examples(&mut self) {
        let docs =
            self.index.values().filter(|item| item["crate_id"] == 0).filter_map(|item| item["docs"].as_str());
        // Every second part between two fences is code.
        self.examples = docs.flat_map(|docs| docs.split("```").skip(1).step_by(2).map(words)).collect();
        self.words = self.examples.iter().flatten().copied().collect();
    }

    /// Returns the ids of the items that an example shows.
    fn shown(&self) -> BTreeSet<String> {
        // A name such as `Copy` is common, so an item of a module counts only beside the name of the module.
        let is_named = |path: &str| {
            self.examples.iter().any(|example| path.rsplit("::").take(2).all(|name| example.contains(name)))
        };
        let named = self.pages.iter().filter(|(_, path)| is_named(path));
        let mut unvisited: Vec<String> = named.map(|(id, _)| id.clone()).collect();
        let mut shown = BTreeSet::new();
        while let Some(id) = unvisited.pop() {
            if shown.insert(id.clone()) {
                let item = &self.index[&id];
                match kind(item) {
                    "module" => {}
                    "struct" | "enum" | "union" | "trait" => self.add_members(item, &mut unvisited),
                    _ => mentioned(&item["inner"], &mut unvisited),
                }
                unvisited.retain(|id| self.pages.contains_key(id));
            }
        }
        shown
    }

    /// Adds the ids in the signatures of the members of `item` that an example names.
    fn add_members(&self, item: &Value, found: &mut Vec<String>) {
        let mut members = Vec::new();
        walk(&item["inner"], &mut |object| {
            MEMBERS.iter().filter_map(|key| object.get(*key)).for_each(|array| members.extend(ids(array)));
        });
        for member in members.iter().filter_map(|id| self.index.get(id)) {
            let name = member["name"].as_str().unwrap_or_default();
            let implementation = &member["inner"]["impl"];
            if implementation["is_synthetic"] == true || !implementation["blanket_impl"].is_null() {
                continue;
            }
            // The fields of a tuple have numbers as names, and no example names them.
            if self.words.contains(name) || name.parse::<u8>().is_ok() {
                mentioned(&member["inner"], found);
                self.add_members(member, found);
            } else if !implementation.is_null() {
                self.add_members(member, found);
            }
        }
    }
}

fn kind(item: &Value) -> &str {
    item["inner"].as_object().and_then(|inner| inner.keys().next()).map_or("", String::as_str)
}

/// Returns the ids in an array.
fn ids(array: &Value) -> impl Iterator<Item = String> {
    array.as_array().into_iter().flatten().filter(|id| id.is_u64()).map(ToString::to_string)
}

/// Adds the ids of the items whose paths a signature has.
fn mentioned(signature: &Value, found: &mut Vec<String>) {
    walk(signature, &mut |object| {
        if let (Some(_), Some(id)) = (object.get("path"), object.get("id")) {
            found.push(id.to_string());
        }
    });
}

fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|value| walk(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

fn words(text: &str) -> HashSet<&str> {
    text.split(|char: char| char != '_' && !char.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

/// Returns the number of sentences outside of examples.
fn sentences(item: &Value) -> usize {
    let docs = item["docs"].as_str().unwrap_or_default();
    let prose = docs.split("```").step_by(2);
    let ends =
        |text: &str| text.split_whitespace().filter(|word| word.ends_with(['.', ':', '!', '?'])).count();
    prose.map(ends).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_types_without_example_and_docs_without_purpose() {
        let json = serde_json::json!({"root": 0, "index": {
            "0": {"crate_id": 0, "docs": "A crate. For tests:\n```\nOne::make();\n```", "inner": {"module": {"items": [1, 2, 5]}}},
            "1": {"crate_id": 0, "name": "One", "docs": "One. For examples.", "inner": {"struct": {"impls": [3]}}},
            "2": {"crate_id": 0, "name": "Two", "docs": "Two.", "inner": {"enum": {"variants": []}}},
            "3": {"crate_id": 0, "name": null, "docs": null, "inner": {"impl": {"items": [4], "blanket_impl": null}}},
            "4": {"crate_id": 0, "name": "make", "docs": "Makes.", "inner": {"function": {"sig":
                {"output": {"resolved_path": {"path": "Three", "id": 6}}}}}},
            "5": {"crate_id": 0, "name": null, "docs": null, "inner": {"use": {"name": "Three", "id": 6}}},
            "6": {"crate_id": 0, "name": "Three", "docs": "Three. By a method.", "inner": {"struct": {"impls": []}}},
        }});
        let expected = ["no example shows Two", "the docs of Two lack a sentence that says what it is for"];
        assert_eq!(faults(&json.to_string()).unwrap(), expected);
    }
}
