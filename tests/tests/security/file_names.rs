//! Points 1 and 32: names that lead outside the output directory.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::Scripted;
use oras_testkit::tarball::{Tarball, gzip};

use crate::archive_fixture::{self, pull_from};
use crate::case_sandbox::{Stage, check};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [leading_out(), in_the_way(), ordinary(), of_windows()].into_iter().flatten().collect()
}

fn leading_out() -> Vec<Case> {
    vec![
        hostile(
            1,
            "title_leads_up",
            "A title with `..` writes nothing outside the output directory.",
            |stage| outside(stage, "../evil.txt"),
        ),
        hostile(
            1,
            "title_leads_up_later",
            "A title that goes down first and then up is refused too.",
            |stage| outside(stage, "a/../../evil.txt"),
        ),
        hostile(1, "title_is_the_parent", "`..` is no file.", |stage| outside(stage, "..")),
        hostile(1, "title_is_the_output", "`.` is no file.", |stage| outside(stage, ".")),
        hostile(
            1,
            "title_is_absolute",
            "An absolute title writes nothing outside the output directory.",
            |stage| outside(stage, &stage.path("evil.txt").display().to_string()),
        ),
        hostile(
            1,
            "title_has_nul",
            "A title with a NUL, which the system would cut there, is refused.",
            |stage| outside(stage, "a\0b"),
        ),
        hostile(
            1,
            "title_of_a_directory_leads_up",
            "A directory whose title has `..` is not unpacked outside.",
            |stage| {
                let tar = Tarball::new().file("../outside/victim.txt", "evil").done();
                stage.file("outside/victim.txt", "untouched");
                pull_from(stage, &archive_fixture::serve("../outside", &gzip(&tar), &tar), &[]).fails()?;
                let found = std::fs::read_to_string(stage.path("outside/victim.txt")).unwrap();
                check(found == "untouched", || format!("the victim is {found:?}"))
            },
        ),
        honest(
            1,
            "title_leads_up_if_allowed",
            "With `--allow-path-traversal` a title with `..` is written where it leads.",
            |stage| {
                let server = serve(&[("../beside.txt", b"good")]);
                let reference = format!("{}/a:v1", server.host());
                stage.oras(&["pull", &reference, "-o", "out", "--allow-path-traversal"]).works()?;
                check(stage.path("beside.txt").is_file(), || "is not there".to_owned())
            },
        ),
        honest(
            1,
            "directory_leads_up_if_allowed",
            "So is a directory that was pushed from beside.",
            |stage| {
                let tar = Tarball::new().directory("../d").file("../d/a", "a").symlink("../d/l", "a").done();
                let server = archive_fixture::serve("../d", &gzip(&tar), &tar);
                pull_from(stage, &server, &["--allow-path-traversal"]).works()?;
                check(stage.path("d/l").is_file(), || "is not there".to_owned())
            },
        ),
        honest(
            1,
            "directory_is_absolute_if_allowed",
            "So is a directory that was pushed by its absolute path.",
            |stage| {
                let title = stage.path("d").display().to_string();
                let tar = Tarball::new().directory(&title).file(format!("{title}/a"), "a").done();
                let server = archive_fixture::serve(&title, &gzip(&tar), &tar);
                pull_from(stage, &server, &["--allow-path-traversal"]).works()?;
                check(stage.path("d/a").is_file(), || "is not there".to_owned())
            },
        ),
    ]
}

fn in_the_way() -> Vec<Case> {
    vec![
        hostile(
            1,
            "title_through_a_link_out",
            "A title below a link that leads out of the output directory is refused.",
            |stage| {
                stage.file("outside/victim.txt", "untouched");
                std::fs::create_dir_all(stage.path("out")).unwrap();
                symlink("../outside", stage.path("out/l")).unwrap();
                let server = serve(&[("l/victim.txt", b"evil")]);
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).fails()?;
                let found = std::fs::read_to_string(stage.path("outside/victim.txt")).unwrap();
                check(found == "untouched", || format!("the victim is {found:?}"))
            },
        ),
        hostile(1, "title_is_a_link_out", "A file of the name of a link does not go through it.", |stage| {
            stage.file("outside/victim.txt", "untouched");
            std::fs::create_dir_all(stage.path("out")).unwrap();
            symlink("../outside/victim.txt", stage.path("out/l")).unwrap();
            let server = serve(&[("l", b"evil")]);
            stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]);
            let found = std::fs::read_to_string(stage.path("outside/victim.txt")).unwrap();
            check(found == "untouched", || format!("the victim is {found:?}"))
        }),
        hostile(1, "title_below_a_file", "A title below what is a file replaces no file.", |stage| {
            stage.file("out/a", "untouched");
            let server = serve(&[("a/b", b"evil")]);
            stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).fails()?;
            archive_fixture::says(stage, "a", "untouched")
        }),
        honest(
            1,
            "title_through_a_link_inside",
            "A link within the output directory may be gone through.",
            |stage| {
                std::fs::create_dir_all(stage.path("out/real")).unwrap();
                symlink("real", stage.path("out/l")).unwrap();
                let server = serve(&[("l/a", b"good")]);
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).works()?;
                archive_fixture::says(stage, "real/a", "good")
            },
        ),
        honest(
            1,
            "push_of_here",
            "An artifact pushed as `.` is unpacked into the output directory and keeps other files.",
            |stage| {
                let tar = Tarball::new().directory(".").directory("x").file("x/a", "a").done();
                stage.file("out/x/b", "b");
                pull_from(stage, &archive_fixture::serve(".", &gzip(&tar), &tar), &[]).works()?;
                archive_fixture::holds(stage, &["x/a", "x/b"])
            },
        ),
    ]
}

fn ordinary() -> Vec<Case> {
    vec![
        honest(
            1,
            "title_has_directories",
            "A title with directories is written below the output directory.",
            |stage| inside(stage, "a/b/c.txt"),
        ),
        honest(1, "title_has_dots", "A name with two dots in it is a name like any other.", |stage| {
            inside(stage, "a..b")
        }),
        honest(1, "title_is_dots", "`...` is a name like any other.", |stage| inside(stage, "...")),
        honest(1, "title_is_hidden", "A name that begins with a dot is a name like any other.", |stage| {
            inside(stage, ".config/x")
        }),
        honest(
            1,
            "title_is_long_and_foreign",
            "A long title in many scripts is kept letter by letter.",
            |stage| inside(stage, &format!("{}/résumé-файл-ファイル", ["größe"; 30].join("/"))),
        ),
        honest(
            1,
            "titles_that_differ_in_case",
            "Titles that differ only in case both arrive where the file system tells them apart.",
            |stage| {
                let server = serve(&[("README", b"1"), ("Readme", b"2")]);
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).works()?;
                archive_fixture::says(stage, "README", "1")?;
                archive_fixture::says(stage, "Readme", "2")
            },
        ),
        honest(
            1,
            "title_of_a_directory_ends_in_a_slash",
            "A slash at the end of a directory's title changes nothing.",
            |stage| {
                let tar = Tarball::new().directory("d").file("d/a", "a").done();
                pull_from(stage, &archive_fixture::serve("d/", &gzip(&tar), &tar), &[]).works()?;
                archive_fixture::holds(stage, &["d/a"])
            },
        ),
    ]
}

/// Only the honest uses are here. Unit tests beside the rule check on every system how Windows treats these
/// names.
fn of_windows() -> Vec<Case> {
    vec![
        honest(
            32,
            "title_is_a_device_of_windows",
            "Elsewhere than on Windows, its devices are ordinary names.",
            |stage| inside(stage, "aux/NUL.txt"),
        ),
        honest(32, "title_has_a_colon", "Elsewhere, a colon names no stream and no drive.", |stage| {
            inside(stage, "C:a:stream")
        }),
        honest(32, "title_has_backslashes", "Elsewhere, a backslash is a letter.", |stage| {
            inside(stage, "\\\\server\\share\\..\\x")
        }),
        honest(
            32,
            "title_ends_in_a_dot",
            "Elsewhere, a dot or a space at the end is part of the name.",
            |stage| {
                inside(stage, "a.")?;
                std::fs::remove_dir_all(stage.path("out")).unwrap();
                inside(stage, "a ")
            },
        ),
    ]
}

fn serve(files: &[(&str, &[u8])]) -> Scripted {
    let memory = Arc::new(MemoryRegistry::new());
    memory.files("a", "v1", files);
    Scripted::start(move |asked| memory.reply(asked))
}

/// Checks that a pull of a file with this title fails, and leaves no file inside or outside of the output
/// directory.
fn outside(stage: &Stage, title: &str) -> Result<(), String> {
    let server = serve(&[(title, b"evil")]);
    stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).fails()?;
    let found = stage.files(&stage.path(""));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

/// Checks that a pull of a file with this title creates the file.
fn inside(stage: &Stage, title: &str) -> Result<(), String> {
    let server = serve(&[(title, b"good")]);
    stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).works()?;
    let found = stage.files(&stage.path("out"));
    check(found == [title], || format!("leaves {found:?}"))
}
