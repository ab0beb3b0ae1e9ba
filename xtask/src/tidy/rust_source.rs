//! Reads Rust source as text: the files that a crate's modules are in, code without comments and tests, and comments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::orphan_files::declared;

/// Returns the files that `root` compiles outside tests, by module path. The root's path is empty.
pub(super) fn module_files(root: &Path) -> BTreeMap<Vec<String>, PathBuf> {
    let mut files = BTreeMap::from([(Vec::new(), root.to_path_buf())]);
    let mut pending = vec![(Vec::<String>::new(), root.to_path_buf())];
    while let Some((path, file)) = pending.pop() {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let owns_dir = file == root || file.ends_with("mod.rs");
        for module in declared(&text).into_iter().filter(|module| !module.is_test) {
            let child = module.candidates(&file, owns_dir).into_iter().find(|child| child.is_file());
            if let Some(child) = child {
                let path = [path.as_slice(), &[module.name]].concat();
                files.insert(path.clone(), child.clone());
                pending.push((path, child));
            }
        }
    }
    files
}

/// A piece of source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Code(&'a str),
    /// A string or character literal, with its quotes.
    Literal(&'a str),
    /// A comment, doc comments included, with its slashes.
    Comment(&'a str),
}

/// Splits source text into code, literals and comments.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let (mut rest, mut code) = (text, 0);
    while code < rest.len() {
        let here = &rest[code..];
        let is_word = rest[..code].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let piece = if here.starts_with("//") {
            let end = here.find('\n').unwrap_or(here.len());
            Some((end, Piece::Comment(&here[..end])))
        } else if here.starts_with("/*") {
            let end = here.find("*/").map_or(here.len(), |end| end + 2);
            Some((end, Piece::Comment(&here[..end])))
        } else {
            literal_length(here, is_word).map(|end| (end, Piece::Literal(&here[..end])))
        };
        match piece {
            Some((length, piece)) => {
                found.push(Piece::Code(&rest[..code]));
                found.push(piece);
                rest = &here[length..];
                code = 0;
            }
            None => code += here.chars().next().map_or(1, char::len_utf8),
        }
    }
    found.push(Piece::Code(rest));
    found
}

/// Returns the length of the literal that `text` begins with. `is_word` says that a word continues at this point.
fn literal_length(text: &str, is_word: bool) -> Option<usize> {
    if let Some(raw) = text.strip_prefix('r').filter(|_| !is_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(body.find(&close).map_or(text.len(), |end| text.len() - body.len() + end + close.len()));
    }
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            // `'a` without a closing quote is a lifetime.
            _ if quote == '\'' && at > 1 && !text.starts_with("'\\") => return None,
            _ => {}
        }
    }
    (quote == '"').then_some(text.len())
}

/// Returns the code of a file without comments, literals, and items under `#[cfg(test)]`.
pub(super) fn code(text: &str) -> String {
    let mut code = String::new();
    for piece in pieces(text) {
        code.push_str(match piece {
            Piece::Code(code) => code,
            Piece::Literal(_) => "\"\"",
            Piece::Comment(_) => "",
        });
    }
    let mut found = String::new();
    let mut rest = code.as_str();
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        found.push_str(before);
        rest = &item[item_length(item)..];
    }
    found + rest
}

/// Returns the length of the item that `code` begins with: up to its `;`, or the end of its braces.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// A comment, of one or more lines, or a doc comment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comment {
    /// The text without slashes, on one line.
    pub(super) text: String,
    /// The number of the line on which each word of [`text`](Self::text) is.
    pub(super) lines: Vec<usize>,
}

/// Returns the comments of a file. Those on consecutive lines are one comment.
pub(super) fn comments(text: &str) -> Vec<Comment> {
    let mut found: Vec<Comment> = Vec::new();
    let (mut line, mut last_line) = (1, 0);
    for piece in pieces(text) {
        let (Piece::Code(text) | Piece::Literal(text) | Piece::Comment(text)) = piece;
        if let Piece::Comment(_) = piece {
            let continues = last_line + 1 == line && !found.is_empty();
            if !continues {
                found.push(Comment { text: String::new(), lines: Vec::new() });
            }
            let comment = found.last_mut().expect("a comment was pushed");
            for (offset, part) in text.lines().enumerate() {
                for word in part.trim_start_matches(['/', '!', '*', ' ']).split_whitespace() {
                    comment.text += if comment.text.is_empty() { "" } else { " " };
                    comment.text += word;
                    comment.lines.push(line + offset);
                }
            }
            last_line = line + text.matches('\n').count();
        }
        line += text.matches('\n').count();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_no_comments_literals_or_tests() {
        let text = "use a; // use b\nfn f<'x>(c: char) -> &'x str { if c == '\"' { r#\"use \"c\"\"# } else { \"//\" } }\n\
                    #[cfg(test)]\nuse d;\n#[cfg(test)]\n#[path = \"x\"]\nmod tests { fn g() { {} } }\nuse e;\n";
        let code = code(text);
        assert!(code.contains("use a;") && code.contains("use e;"), "{code}");
        for absent in ["use b", "use \"c", "use d", "fn g", "//"] {
            assert!(!code.contains(absent), "{absent}: {code}");
        }
    }

    #[test]
    fn consecutive_comment_lines_are_one_comment() {
        let text =
            "//! Front\n//! page.\n\nfn f() {\n    // One\n    // two.\n    g(\"// no\"); // Three.\n}\n";
        let found = comments(text);
        let texts: Vec<_> = found.iter().map(|comment| comment.text.as_str()).collect();
        assert_eq!(texts, ["Front page.", "One two. Three."]);
        assert_eq!(found[1].lines, [5, 6, 7]);
    }
}
