//! `--jq`: evaluates an expression of the jq language over a JSON document.
//!
//! The interpreter recurses on the native stack and limits neither time nor memory, so only [`child`](super::child)
//! calls this module, in a separate process.

use std::io::{self, Write};

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::{Val, read};

type Compiled = Filter<data::JustLut<Val>>;

/// Fails if `text` is not an expression of the jq language.
pub(crate) fn check(text: &str) -> Result<(), String> {
    compile(text).map(drop)
}

/// Evaluates `text` over a JSON document and writes each result in a line. Strings are written without quotes.
///
/// Results before an error are written too.
pub(crate) fn run(text: &str, document: &[u8], out: &mut dyn Write) -> Result<(), String> {
    let filter = compile(text)?;
    let failed = |error: &dyn std::fmt::Display| format!("--jq {text:?}: {error}");
    let input = read::parse_single(document).map_err(|error| failed(&error))?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    for result in filter.id.run((context, input)).map(unwrap_valr) {
        write_line(&result.map_err(|error| failed(&error))?, out).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn write_line(value: &Val, out: &mut dyn Write) -> io::Result<()> {
    match value {
        // Scripts use strings without quotes, as from `jq --raw-output`.
        Val::TStr(string) => out.write_all(String::from_utf8_lossy(string).as_bytes())?,
        other => write!(out, "{other}")?,
    }
    out.write_all(b"\n")
}

/// Compiles an expression.
fn compile(text: &str) -> Result<Compiled, String> {
    let failed = || format!("--jq {text:?}: not an expression of the jq language");
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules =
        Loader::new(definitions).load(&arena, File { code: text, path: () }).map_err(|_| failed())?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
        let names: Vec<_> =
            errors.iter().flat_map(|(_, errors)| errors).map(|(name, _)| name.to_string()).collect();
        format!("{}\nunknown: {}", failed(), names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(text: &str, document: &[u8]) -> Result<String, String> {
        let mut out = Vec::new();
        run(text, document, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn writes_each_result_in_a_line() {
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
            assert_eq!(results(expression, document).unwrap(), expected, "{expression}");
        }
        assert!(check(".files[").is_err());
        assert!(check("nonsense").unwrap_err().contains("nonsense"));
        assert!(results(".files.path", document).is_err());
    }
}
