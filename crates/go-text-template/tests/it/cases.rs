//! Reads the tables of `tests/cases`.
//!
//! Every line is a template, in which `↵` is a line feed, with three exceptions. `# …` is a comment. `data: …` is the
//! JSON data of the templates below it. `differs: …` is the reason why the error text of the next template differs
//! from Go's: the test then compares only the start of the text, up to the position in the template.

use std::path::Path;

use serde_json::Value;

/// A template with its data.
pub(crate) struct Case {
    /// The file and the line.
    pub(crate) place: String,
    pub(crate) template: String,
    pub(crate) data: Value,
    /// The reason why the error text may differ from Go's.
    pub(crate) differs: Option<String>,
}

/// Reads all cases of all files.
pub(crate) fn all() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = directory
        .read_dir()
        .expect("there are cases")
        .map(|entry| entry.expect("an entry can be read").path())
        .collect();
    paths.sort();
    paths.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let name = path.file_name().expect("a table has a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a table can be read");
    let mut data = Value::Null;
    let mut differs = None;
    let mut cases = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(json) = line.strip_prefix("data: ") {
            data = serde_json::from_str(json).unwrap_or_else(|error| panic!("{place}: {error}"));
        } else if let Some(reason) = line.strip_prefix("differs: ") {
            differs = Some(reason.to_owned());
        } else {
            let template = line.replace('↵', "\n");
            cases.push(Case { place, template, data: data.clone(), differs: differs.take() });
        }
    }
    cases
}
