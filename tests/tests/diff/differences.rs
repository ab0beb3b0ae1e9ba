//! Reads the intended differences and their reasons from `tests/diff/differences.txt`.

use std::collections::BTreeSet;

use crate::comparison::Verdict;
use crate::scene_file::directory;

/// A difference between the tools.
#[derive(Clone, Debug, Default)]
pub(crate) struct Difference {
    pub(crate) id: String,
    /// `better`, `words`, `more` or `kept`.
    pub(crate) kind: String,
    /// A sentence that describes the difference.
    pub(crate) what: String,
    /// The reason.
    pub(crate) why: String,
}

/// All differences, in the order of the file.
#[derive(Debug)]
pub(crate) struct Differences(pub(crate) Vec<Difference>);

impl Differences {
    /// Reads the file: `= id`, then `kind:`, `what:` and `why:`. Indented lines continue a value.
    pub(crate) fn load() -> Self {
        let text = std::fs::read_to_string(directory().join("differences.txt")).unwrap();
        let mut all: Vec<Difference> = Vec::new();
        let mut field = String::new();
        for (place, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(id) = line.strip_prefix("= ") {
                all.push(Difference { id: id.trim().to_owned(), ..Difference::default() });
                continue;
            }
            let last = all.last_mut().unwrap_or_else(|| panic!("differences.txt:{}: no id yet", place + 1));
            let text = match line.strip_prefix("  ") {
                Some(more) => format!(" {}", more.trim()),
                None => {
                    let (name, text) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
                    name.clone_into(&mut field);
                    text.to_owned()
                }
            };
            match field.as_str() {
                "kind" => last.kind += &text,
                "what" => last.what += &text,
                "why" => last.why += &text,
                other => panic!("differences.txt:{}: {other} is no field", place + 1),
            }
        }
        Self(all)
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.0.iter().any(|difference| difference.id == id)
    }

    /// Returns how many differences the cases show.
    pub(crate) fn used_by(&self, verdicts: &[Verdict]) -> usize {
        verdicts.iter().filter_map(|verdict| verdict.difference.clone()).collect::<BTreeSet<_>>().len()
    }
}
