//! Checks that every source file is short and begins with its purpose.

use std::path::Path;

use super::Violation;
use xtask::files::{files_below, read_text};
use xtask::process::Result;
use xtask::workspace::Workspace;

/// The most lines of code in a file.
const HARD_LIMIT: usize = 600;
/// The number of lines of code above which a note suggests a split.
const SOFT_LIMIT: usize = 400;

/// Returns the broken rules, and a note for each file above the soft limit.
pub(super) fn check(workspace: &Workspace) -> Result<(Vec<Violation>, Vec<Violation>)> {
    let (mut broken, mut notes) = (Vec::new(), Vec::new());
    for package in &workspace.packages {
        for file in files_below(&package.dir.join("src"))? {
            if file.extension().is_some_and(|extension| extension == "rs") {
                let text = read_text(&file)?;
                broken.extend(front_docs(&file, &text));
                let lines = code_lines(&text);
                let list = if lines > HARD_LIMIT { &mut broken } else { &mut notes };
                if lines > SOFT_LIMIT {
                    let what = format!(
                        "{lines} lines of code, {SOFT_LIMIT} is the aim, {HARD_LIMIT} the limit: split it by what it does"
                    );
                    list.push(Violation::new(&file, 1, what));
                }
            }
        }
    }
    Ok((broken, notes))
}

fn front_docs(file: &Path, text: &str) -> Option<Violation> {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let documented = first.is_some_and(|line| line.starts_with("//!"));
    (!documented)
        .then(|| Violation::new(file, 1, "no module docs: begin the file with `//!` and its purpose"))
}

/// Returns the number of lines that are neither blank nor comment, without a trailing module of tests.
fn code_lines(text: &str) -> usize {
    let mut in_comment = false;
    let mut count = 0;
    for line in without_tests(text).into_iter().map(str::trim) {
        if in_comment || line.starts_with("/*") {
            in_comment = !line.contains("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            count += 1;
        }
    }
    count
}

/// Returns the lines before `#[cfg(test)] mod tests { … }`, if that module ends the file.
pub(super) fn without_tests(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let starts_tests = |index: usize| {
        let mut after = lines[index + 1..].iter().skip_while(|line| line.starts_with("#["));
        lines[index] == "#[cfg(test)]"
            && after.next().is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let Some(start) = (0..lines.len()).find(|index| starts_tests(*index)) else { return lines };
    let end = (start..lines.len()).find(|index| lines[*index] == "}").unwrap_or(lines.len());
    let trailing = lines.iter().skip(end + 1).all(|line| line.trim().is_empty());
    if trailing { lines[..start].to_vec() } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_code_lines_only() {
        let text = "//! Docs.\n\nuse a;\n/* a\n  long\n comment */\n// note\nfn f() {\n    g(); // said\n}\n";
        assert_eq!(code_lines(text), 4);
    }

    #[test]
    fn ignores_trailing_test_module_only() {
        let tests = "#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
        assert_eq!(code_lines(&format!("fn f() {{}}\n\n{tests}")), 1);
        assert_eq!(code_lines(&format!("{tests}fn f() {{}}\n")), 5);
        assert_eq!(code_lines("fn f() {}\n#[cfg(test)]\nmod tests;\n"), 3);
    }

    #[test]
    fn requires_module_docs() {
        assert!(front_docs(Path::new("a.rs"), "\n//! Purpose.\n").is_none());
        assert_eq!(front_docs(Path::new("a.rs"), "use b;\n").unwrap().line, 1);
        assert!(front_docs(Path::new("a.rs"), "").is_some());
    }
}
