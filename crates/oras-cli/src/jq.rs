//! `--jq`: the JSON of a result, through an expression of the jq language.

use std::fmt::Write as _;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter as Compiled, Vars, data, unwrap_valr};
use jaq_json::{Val, read};

use crate::error::Failure;

/// An expression that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(String);

impl Filter {
    /// Reads an expression, so that a wrong one fails before anything is done.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        compile(text)?;
        Ok(Self(text.to_owned()))
    }

    /// What the expression makes of a JSON document: a line for each result, texts without their quotes.
    pub(crate) fn run(&self, document: &[u8]) -> Result<String, Failure> {
        let filter = compile(&self.0)?;
        let failed = |error: &dyn std::fmt::Display| Failure::new(format!("--jq {:?}: {error}", self.0));
        let input = read::parse_single(document).map_err(|error| failed(&error))?;
        let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
        let mut text = String::new();
        for result in filter.id.run((context, input)).map(unwrap_valr) {
            match result.map_err(|error| failed(&error))? {
                Val::TStr(string) => text.push_str(&String::from_utf8_lossy(&string)),
                // Writing to a String cannot fail.
                other => drop(write!(text, "{other}")),
            }
            text.push('\n');
        }
        Ok(text)
    }
}

fn compile(text: &str) -> Result<Compiled<data::JustLut<Val>>, Failure> {
    let failed = || Failure::new(format!("--jq {text:?}: not an expression of the jq language"));
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules =
        Loader::new(definitions).load(&arena, File { code: text, path: () }).map_err(|_| failed())?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
        let names: Vec<_> =
            errors.iter().flat_map(|(_, errors)| errors).map(|(name, _)| name.to_string()).collect();
        failed().advise(format!("unknown: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_lines() {
        let document = br#"{"files":[{"path":"a","size":1},{"path":"b","size":1073741824}],"x":null}"#;
        for (expression, expected) in [
            (".files[].path", "a\nb\n"),
            (".files[1]", "{\"path\":\"b\",\"size\":1073741824}\n"),
            (".files | length", "2\n"),
            (".x", "null\n"),
            ("empty", ""),
            ("[.files[].size] | add", "1073741825\n"),
            (".files[] | \"\\(.path)=\\(.size)\"", "a=1\nb=1073741824\n"),
        ] {
            assert_eq!(Filter::parse(expression).unwrap().run(document).unwrap(), expected, "{expression}");
        }
        assert!(Filter::parse(".files[").is_err());
        assert!(Filter::parse("nonsense").unwrap_err().to_string().contains("nonsense"));
        assert!(Filter::parse(".files.path").unwrap().run(document).is_err());
    }
}
