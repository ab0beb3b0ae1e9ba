//! Generates `docs/troubleshooting.md` from the cases and the errors that they show.

use std::fmt::Write;
use std::path::Path;

use crate::error_case::{Case, Theme};

/// A case, and what it shows: `None` if the machine lacks something.
pub(crate) struct Shown<'a> {
    pub(crate) case: &'a Case,
    pub(crate) error: Option<String>,
}

/// Compares the page with the errors, or writes it.
pub(crate) fn check(shown: &[Shown<'_>], write: bool) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/troubleshooting.md");
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let page = page(shown, &stored);
    if write {
        return std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, page.as_bytes()))
            .map_err(|error| error.to_string());
    }
    if stored == page {
        return Ok(());
    }
    let mut lines = stored.lines().zip(page.lines());
    Err(match lines.find(|(stored, found)| stored != found) {
        Some((stored, found)) => format!("it says {stored:?}, found {found:?}: run `cargo xtask gen`"),
        None => "a part is missing: run `cargo xtask gen`".to_owned(),
    })
}

fn page(shown: &[Shown<'_>], stored: &str) -> String {
    let mut page = format!(
        "# Troubleshooting\n\n\
         Made by `cargo xtask gen` from tests, which run each of these {} commands and compare its error. A line `Hint:` \
         at the end of an error names the next thing to type or to check. It is on standard error, after the lines that \
         the Go `oras` prints.\n",
        shown.len()
    );
    for (theme, heading) in Theme::ALL {
        write!(page, "\n## {heading}\n").unwrap();
        for shown in shown.iter().filter(|shown| shown.case.theme == theme) {
            let title = shown.case.title;
            let section = match &shown.error {
                Some(error) => {
                    format!("\n### {title}\n\n```console\n{error}\n```\n\n{}\n", shown.case.remedy)
                }
                // This machine cannot run the case, so its section stays as it is.
                None => stored_section(stored, title).unwrap_or_default(),
            };
            page.push_str(&section);
        }
    }
    page
}

/// Returns the section with this title.
fn stored_section(page: &str, title: &str) -> Option<String> {
    let heading = format!("\n### {title}\n");
    let start = page.find(&heading)?;
    let rest = &page[start + heading.len()..];
    let end = ["\n### ", "\n## "].iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len());
    Some(format!("{heading}{}", &rest[..end]))
}
