//! Renders random templates, which must not panic.

use go_text_template::Template;
use serde_json::json;

use crate::cases;

/// A pseudo-random generator that returns the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The texts that are inserted into templates.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "(",
    ")",
    "|",
    " ",
    ".",
    "$",
    "$x",
    "\"",
    "`",
    "'",
    ":=",
    "=",
    ",",
    "{{end}}",
    "{{else}}",
    "{{if .a}}",
    "{{range .l}}",
    "{{with .m}}",
    "{{break}}",
    "{{define \"T\"}}",
    "{{template \"T\" .}}",
    "nil",
    "-1",
    "1.5",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "0x1p-1074",
    "é",
    "\n",
    "\\",
    "%",
    "/*",
    "*/",
    "*",
    "[",
    "]",
    "{2}",
    "^",
    "(?i)",
    " now ",
    " 'a' ",
    "\u{0}",
    "\u{feff}",
    "😀",
];

#[test]
fn mutated_templates_do_not_panic() {
    let cases = cases::all();
    let data =
        json!({"a": "x", "n": 5, "l": [1, "b", null, {"k": []}], "m": {"x": {"y": 1}}, "nil": null}).into();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..6000 {
        let mut text: Vec<char> = random.pick(&cases).template.chars().take(300).collect();
        for _ in 0..=random.below(4) {
            let at = random.below(text.len() + 1);
            match random.below(3) {
                0 => {
                    text.splice(at..at, random.pick(PIECES).chars());
                }
                1 => {
                    let end = (at + random.below(5)).min(text.len());
                    text.drain(at..end);
                }
                _ => {
                    let other = random.pick(&cases).template.chars();
                    text.truncate(at);
                    text.extend(other.skip(at).take(100));
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(template) = Template::parse("t", &text) {
            // The test only checks that rendering does not panic.
            let _ = template.render(&data, &mut std::io::sink());
        }
    }
}

const ARGUMENTS: &[&str] = &[
    "1",
    "0",
    "-1",
    "2.5",
    "\"abc\"",
    "\"\"",
    "nil",
    "true",
    ".nil",
    ".missing",
    ".n",
    ".a",
    ".l",
    ".m",
    "(list)",
    "(dict)",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "(float64 \"nan\")",
    "(float64 \"inf\")",
    "(int64 -9223372036854775808)",
    "\"é\"",
    "\"\\xff\"",
    "(b64dec \"/w==\")",
    "(until 3)",
    "(split \",\" \"a,b\")",
    "(semver \"1.2.3\")",
    "(toDate \"2006\" \"2020\")",
    "now",
    "(index \"a\" 0)",
    "100000",
    "-100000",
    "\"%\"",
    "\"*\"",
    "(chunk 2 (list 1 2 3))",
    "(repeat 70000 \"a\")",
    "65536",
    "\"2006-01-02T15:04:05Z07:00\"",
];

#[test]
fn functions_do_not_panic() {
    let data =
        json!({"a": "x", "n": 5, "l": [1, "b", null, {"k": []}], "m": {"x": {"y": 1}}, "nil": null}).into();
    let mut names: Vec<String> = cases::all()
        .iter()
        .flat_map(|case| {
            case.template.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|word| {
            Template::parse("t", &format!("{{{{{word}}}}}")).is_ok() && word.parse::<f64>().is_err()
        })
        .collect();
    names.sort();
    names.dedup();
    assert!(names.len() > 180, "{}", names.len());
    let mut random = Random(42);
    for name in &names {
        for _ in 0..60 {
            let arguments: Vec<&str> = (0..random.below(5)).map(|_| *random.pick(ARGUMENTS)).collect();
            let text = format!("{{{{{name} {}}}}}", arguments.join(" "));
            if let Ok(template) = Template::parse("t", &text) {
                let _ = template.render(&data, &mut std::io::sink());
            }
        }
    }
}
