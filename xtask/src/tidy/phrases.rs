//! Checks that comments and docs contain no phrase that is hard to understand.
//!
//! Each phrase hides who acts or on what. The list contains only phrases without a legitimate use.

use super::Violation;
use super::file_sizes::without_tests;
use super::rust_source::{Comment, comments};
use xtask::files::{files_below, read_text};
use xtask::process::Result;
use xtask::workspace::Workspace;

/// The phrases, in lower case, and what to write instead.
const PHRASES: &[(&str, &str)] = &[
    ("whoever", "name the actor: the caller, the client, a reader"),
    ("nobody", "name the actor: no client, no other process"),
    ("anybody", "name the actor: any client, any user"),
    ("is told", "log, report, return or print, with its subject"),
    ("are told", "log, report, return or print, with its subject"),
    ("be told", "log, report, return or print, with its subject"),
    ("once more", "again; for requests: retry"),
    ("goes on with", "resume"),
    ("go on with", "resume"),
    ("going on with", "resume"),
    ("gone on with", "resume"),
    ("goes on where", "resume"),
    ("is let go", "drop, delete or close, with its subject"),
    ("is given up", "abandon, with its subject"),
    ("who is none", "unknown, invalid"),
    ("that is none", "invalid, missing"),
    ("which is none", "invalid, missing"),
    ("that are none", "invalid, missing"),
    ("what is there", "existing content"),
    ("what was there", "earlier content"),
    ("is looked at", "check, read or inspect, with its subject"),
    ("are looked at", "check, read or inspect, with its subject"),
    ("gets its name", "publish, rename"),
];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for package in &workspace.packages {
        let mut broken = Vec::new();
        for file in files_below(&package.dir.join("src"))? {
            let is_this_list = file.ends_with("tidy/phrases.rs");
            if file.extension().is_some_and(|extension| extension == "rs") && !is_this_list {
                let phrases = phrases_in(&read_text(&file)?).into_iter();
                broken.extend(phrases.map(|(line, what)| Violation::new(&file, line, what)));
            }
        }
        found.append(&mut broken);
    }
    Ok(found)
}

/// Returns the line and the description of each phrase in the comments of a file, tests aside.
fn phrases_in(text: &str) -> Vec<(usize, String)> {
    comments(&without_tests(text).join("\n")).iter().flat_map(phrases_in_comment).collect()
}

fn phrases_in_comment(comment: &Comment) -> Vec<(usize, String)> {
    let words: Vec<String> = comment.text.split(' ').map(plain).collect();
    let mut found = Vec::new();
    for (phrase, instead) in PHRASES {
        let wanted: Vec<&str> = phrase.split(' ').collect();
        for (at, window) in words.windows(wanted.len()).enumerate() {
            if window == wanted {
                found.push((comment.lines[at], format!("`{phrase}` in a comment: {instead}")));
            }
        }
    }
    found
}

/// Returns a word in lower case without the punctuation around it. `None` in backticks stays apart from "none".
fn plain(word: &str) -> String {
    word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '`').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_phrases_across_lines_and_case() {
        let text = "//! Front page.\n\n/// Returns a user who is\n/// none. Whoever, then.\nfn f() {} // it is told\n";
        let mut lines: Vec<_> = phrases_in(text);
        lines.sort();
        let lines: Vec<_> =
            lines.iter().map(|(line, what)| (*line, what.split('`').nth(1).unwrap())).collect();
        assert_eq!(lines, [(3, "who is none"), (4, "whoever"), (5, "is told")]);
    }

    #[test]
    fn accepts_plain_comments_code_strings_and_tests() {
        let text = "/// Returns `None` if the user is unknown: that is `None`.\nfn nobody() { f(\"whoever\") }\n\n\
                    #[cfg(test)]\nmod tests {\n    // Nobody is told once more.\n}\n";
        assert_eq!(phrases_in(text), []);
    }
}
