//! Compares the rendering of every case with Go's.

use std::collections::BTreeSet;

use go_text_template::Template;

use crate::cases::{self, Case};
use crate::oracle::{self, Outcome};

#[test]
fn renders_as_go() {
    let cases = cases::all();
    let Some(expected) = oracle::ask(&cases, "renders_as_go") else {
        return;
    };
    let mut failures = Vec::new();
    let mut equal = 0;
    for (case, expected) in cases.iter().zip(&expected) {
        let actual = render(case);
        equal += usize::from(actual == *expected);
        if !agrees(case, &actual, expected) {
            let show = |outcome: &Outcome| {
                format!("{:?} {}", String::from_utf8_lossy(&outcome.output), outcome.error)
            };
            let (go, own) = (show(expected), show(&actual));
            failures.push(format!("{}: {}\n  go:  {go}\n  own: {own}", case.place, case.template));
        }
    }
    println!("{} cases, {equal} equal in output and error text", cases.len());
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn cases_are_unique() {
    let mut seen = BTreeSet::new();
    for case in cases::all() {
        let key = format!("{} with {}", case.template, case.data);
        assert!(seen.insert(key), "{}: {}", case.place, case.template);
    }
}

fn render(case: &Case) -> Outcome {
    let mut output = Vec::new();
    let result = Template::parse("format output", &case.template)
        .and_then(|template| template.render(&(&case.data).into(), &mut output));
    let error = result.err().map(|error| error.to_string()).unwrap_or_default();
    Outcome { output, error }
}

fn agrees(case: &Case, actual: &Outcome, expected: &Outcome) -> bool {
    if case.differs.is_none() || expected.error.is_empty() || actual.error.is_empty() {
        return actual == expected;
    }
    assert_ne!(actual.error, expected.error, "{}: nothing differs", case.place);
    actual.output == expected.output && place(&actual.error) == place(&expected.error)
}

/// Returns the start `template: name:line:column` of a message, or without the column if there is none.
fn place(error: &str) -> String {
    let parts: Vec<&str> = error.splitn(5, ':').collect();
    let has_column = parts.get(3).is_some_and(|column| column.parse::<usize>().is_ok());
    parts[..if has_column { 4 } else { 3.min(parts.len()) }].join(":")
}
