//! Points 1 and 32: names that lead elsewhere.

use std::sync::Arc;

use oras_testkit::scripted::Scripted;
use oras_testkit::shelf::Shelf;

use crate::case::{Case, honest, hostile};
use crate::stage::{Stage, check};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        hostile(
            1,
            "title_leads_up",
            "A title with `..` writes nothing outside the output directory.",
            |stage| outside(stage, "../evil.txt"),
        ),
        hostile(
            1,
            "title_is_absolute",
            "An absolute title writes nothing outside the output directory.",
            |stage| outside(stage, &stage.path("evil.txt").display().to_string()),
        ),
        honest(
            1,
            "title_has_directories",
            "A title with directories is written below the output directory.",
            |stage| inside(stage, "a/b/c.txt"),
        ),
        honest(1, "title_has_dots", "A name with two dots in it is a name like any other.", |stage| {
            inside(stage, "a..b")
        }),
    ]
}

fn serve(files: &[(&str, &[u8])]) -> Scripted {
    let shelf = Arc::new(Shelf::new());
    shelf.files("a", "v1", files);
    Scripted::start(move |asked| shelf.reply(asked))
}

/// Pulls one file of that title, which must be refused; nothing may be outside the output directory or left in it.
fn outside(stage: &Stage, title: &str) -> Result<(), String> {
    let server = serve(&[(title, b"evil")]);
    stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).fails()?;
    let found = stage.files(&stage.path(""));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

/// Pulls one file of that title, which must be there.
fn inside(stage: &Stage, title: &str) -> Result<(), String> {
    let server = serve(&[(title, b"good")]);
    stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).works()?;
    let found = stage.files(&stage.path("out"));
    check(found == [title], || format!("leaves {found:?}"))
}
