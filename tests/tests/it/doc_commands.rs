//! Reads the code blocks of the project's documentation, whose commands the tests run.

use std::path::Path;

/// Returns the code blocks in `language` below the heading `## heading` of a page, in order.
///
/// `page` is relative to the top of the work tree.
pub(crate) fn code_blocks(page: &str, heading: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    section.split(&fence).skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}
