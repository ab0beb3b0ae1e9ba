//! Points 2 and 3: links in archives, links in the output directory, and files swapped during the pull.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::Scripted;
use oras_testkit::tarball::{Header, Tarball};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::archive_fixture::{contained, harmless, holds, pull, pull_from, refused, says, taken};
use crate::case_sandbox::{Stage, check};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [symbolic(), hard(), in_the_way(), kept(), swapped()].into_iter().flatten().collect()
}

fn start() -> Tarball {
    Tarball::new().directory("d")
}

fn symbolic() -> Vec<Case> {
    vec![
        hostile(2, "link_leads_up", "A link to `../..` is refused.", |stage| {
            refused(stage, start().symlink("d/l", "../../outside"))
        }),
        hostile(2, "link_is_absolute", "A link to an absolute path elsewhere is refused.", |stage| {
            refused(stage, start().symlink("d/l", "/etc/passwd"))
        }),
        hostile(2, "link_as_parent", "A file below a link that leads out is not written.", |stage| {
            refused(stage, start().symlink("d/l", "../../outside").file("d/l/victim.txt", "evil"))
        }),
        hostile(
            2,
            "inner_link_as_parent",
            "A file below a link of the same archive is not written through it.",
            |stage| {
                let tar = start().directory("d/real").symlink("d/l", "real").file("d/l/x", "evil");
                harmless(stage, tar)?;
                check(!stage.path("out/d/real/x").exists(), || "writes through the link".to_owned())
            },
        ),
        hostile(
            2,
            "links_chained",
            "A chain of links, each fine by its text, that leads out together is refused.",
            |stage| {
                let tar = start().directory("d/x").directory("d/x/y").symlink("d/x/y/up", "../..");
                refused(
                    stage,
                    tar.symlink("d/x/y/out", "up/../../outside").file("d/x/y/out/victim.txt", "evil"),
                )
            },
        ),
        hostile(
            2,
            "links_chained_without_a_file",
            "Such a chain is refused even if nothing is written through it.",
            |stage| {
                let tar = start().directory("d/x").symlink("d/x/l", ".");
                refused(stage, tar.symlink("d/x/out", "l/l/../../../outside/victim.txt"))
            },
        ),
        hostile(
            2,
            "link_then_file",
            "A file of the name of an earlier link does not go through it.",
            |stage| {
                let target = stage.path("outside/victim.txt").display().to_string();
                harmless(stage, start().symlink("d/l", "../../outside/victim.txt").file("d/l", "evil"))?;
                harmless(stage, start().symlink("d/l", target).file("d/l", "evil"))
            },
        ),
        hostile(
            2,
            "link_then_directory",
            "A directory of the name of an earlier link changes no mode where that leads.",
            |stage| {
                let open = Header { mode: 0o777, ..Header::new(b'5', "d/l") };
                harmless(stage, start().symlink("d/l", "../../outside").header(&open))
            },
        ),
        hostile(
            2,
            "link_has_a_mode",
            "The mode and the time of a link are not set where it leads.",
            |stage| {
                let link =
                    Header { mode: 0o777, link: b"../../outside".to_vec(), ..Header::new(b'2', "d/l") };
                harmless(stage, start().header(&link))
            },
        ),
        hostile(
            2,
            "link_by_pax_target",
            "A target in a PAX record counts, whatever the header says.",
            |stage| {
                let tar = start().records(&[("linkpath", "../../outside")]).symlink("d/l", "harmless");
                refused(stage, tar)
            },
        ),
        hostile(
            2,
            "link_in_place_of_the_directory",
            "A link in place of the unpacked directory itself is refused.",
            |stage| refused(stage, Tarball::new().symlink("d", "../outside").file("d/victim.txt", "evil")),
        ),
    ]
}

fn hard() -> Vec<Case> {
    vec![
        hostile(
            2,
            "hard_link_relative",
            "A hard link is never looked up from the working directory.",
            |stage| refused(stage, start().hard_link("d/h", "outside/victim.txt").file("d/h", "evil")),
        ),
        hostile(2, "hard_link_leads_up", "A hard link to `..` is refused.", |stage| {
            refused(stage, start().hard_link("d/h", "d/../../outside/victim.txt"))
        }),
        hostile(2, "hard_link_absolute", "A hard link to an absolute path is refused.", |stage| {
            let target = stage.path("outside/victim.txt").display().to_string();
            refused(stage, start().hard_link("d/h", target))
        }),
        hostile(2, "hard_link_to_link", "A hard link to a link is refused.", |stage| {
            refused(stage, start().file("d/a", "a").symlink("d/l", "a").hard_link("d/h", "d/l"))
        }),
        hostile(2, "hard_link_through_link", "A hard link to a file below a link is refused.", |stage| {
            let tar = start().symlink("d/l", "../../outside").hard_link("d/h", "d/l/victim.txt");
            refused(stage, tar.file("d/h", "evil"))
        }),
        hostile(2, "hard_link_to_directory", "A hard link to a directory is refused.", |stage| {
            refused(stage, start().directory("d/x").hard_link("d/h", "d/x"))
        }),
    ]
}

fn in_the_way() -> Vec<Case> {
    vec![
        hostile(
            2,
            "directory_is_a_link_out",
            "A link where the directory goes is replaced or refused, not followed.",
            |stage| {
                std::fs::create_dir_all(stage.path("out")).unwrap();
                std::fs::create_dir_all(stage.path("outside")).unwrap();
                symlink("../outside", stage.path("out/d")).unwrap();
                let said = pull(stage, &start().file("d/victim.txt", "evil").done(), &[]);
                check(said.status.is_some(), || "hangs".to_owned())?;
                let victim = std::fs::read_to_string(stage.path("outside/victim.txt")).unwrap();
                check(victim == "untouched", || "writes through the link".to_owned())
            },
        ),
        hostile(
            2,
            "inner_directory_is_a_link_out",
            "A link in the directory that was there is not followed either.",
            |stage| {
                std::fs::create_dir_all(stage.path("out/d")).unwrap();
                std::fs::create_dir_all(stage.path("outside")).unwrap();
                symlink("../../outside", stage.path("out/d/sub")).unwrap();
                let said = pull(stage, &start().file("d/sub/victim.txt", "evil").done(), &[]);
                check(said.status.is_some(), || "hangs".to_owned())?;
                let victim = std::fs::read_to_string(stage.path("outside/victim.txt")).unwrap();
                check(victim == "untouched", || "writes through the link".to_owned())
            },
        ),
        honest(
            2,
            "output_is_a_link",
            "An output directory that is a link is where the user wants it.",
            |stage| {
                std::fs::create_dir_all(stage.path("real")).unwrap();
                symlink("real", stage.path("out")).unwrap();
                pull(stage, &start().file("d/a", "a").done(), &[]).works()?;
                let found = std::fs::read_to_string(stage.path("real/d/a")).unwrap_or_default();
                check(found == "a", || format!("real/d/a is {found:?}"))
            },
        ),
    ]
}

fn kept() -> Vec<Case> {
    vec![
        honest(2, "links_inside", "Links to siblings, up and down within the directory are kept.", |stage| {
            let tar = start().directory("d/x").file("d/x/a", "a").symlink("d/x/b", "a");
            let tar = tar.symlink("d/up", "x/../x/a").symlink("d/x/to-top", "..").symlink("d/dir", "x");
            taken(stage, tar, &["d/dir", "d/up", "d/x/a", "d/x/b", "d/x/to-top"])?;
            says(stage, "d/dir/b", "a")
        }),
        honest(2, "link_dangles", "A dangling link is kept.", |stage| {
            taken(stage, start().symlink("d/l", "not/there"), &["d/l"])
        }),
        honest(2, "link_comes_first", "A link may come before what it leads to.", |stage| {
            taken(stage, start().symlink("d/l", "a").file("d/a", "late"), &["d/a", "d/l"])?;
            says(stage, "d/l", "late")
        }),
        honest(2, "link_is_replaced", "A later entry takes the place of a link.", |stage| {
            let tar = start().file("d/a", "a").symlink("d/l", "a").file("d/l", "new");
            taken(stage, tar, &["d/a", "d/l"])?;
            says(stage, "d/a", "a")?;
            says(stage, "d/l", "new")
        }),
        honest(
            2,
            "link_is_absolute_but_inside",
            "An absolute link back into the directory is kept.",
            |stage| {
                let target = stage.path("out/d/a").display().to_string();
                taken(stage, start().file("d/a", "a").symlink("d/l", target), &["d/a", "d/l"])?;
                says(stage, "d/l", "a")
            },
        ),
        honest(2, "hard_link_inside", "A hard link within the directory shares the file.", |stage| {
            taken(
                stage,
                start().directory("d/x").file("d/a", "a").hard_link("d/x/h", "d/a"),
                &["d/a", "d/x/h"],
            )?;
            says(stage, "d/x/h", "a")
        }),
        honest(
            2,
            "image_with_absolute_links",
            "The tree of an image, with absolute links in it, can be had by `--allow-path-traversal`.",
            |stage| {
                let tar = start()
                    .directory("d/etc")
                    .file("d/etc/os-release", "x")
                    .symlink("d/etc/mtab", "/proc/mounts");
                let tar = tar.symlink("d/lib64", "/usr/lib64").directory("d/usr").directory("d/usr/lib64");
                pull(stage, &tar.done(), &["--allow-path-traversal"]).works()?;
                holds(stage, &["d/etc/mtab", "d/etc/os-release", "d/lib64"])?;
                let target = stage.path("out/d/lib64").read_link().unwrap();
                check(target.as_os_str() == "/usr/lib64", || format!("lib64 leads to {target:?}"))
            },
        ),
    ]
}

fn swapped() -> Vec<Case> {
    vec![
        hostile(
            3,
            "directory_swapped_for_a_link",
            "Swapping an output directory for a link during pulls writes nothing outside.",
            race,
        ),
        honest(
            3,
            "pulled_again_and_again",
            "Pulls into one directory, one after the other, replace each other's files.",
            |stage| {
                for text in ["one", "two", "three"] {
                    pull(stage, &start().file("d/a", text).done(), &[]).works()?;
                    says(stage, "d/a", text)?;
                }
                contained(stage)
            },
        ),
    ]
}

fn race(stage: &Stage) -> Result<(), String> {
    let tar = start().directory("d/sub").file("d/sub/evil", "evil").done();
    std::fs::create_dir_all(stage.path("out/d/sub")).unwrap();
    std::fs::create_dir_all(stage.path("outside")).unwrap();
    let (here, there) = (stage.path("out/d/sub"), stage.path("out/d/link"));
    symlink("../../outside", &there).unwrap();
    let memory = Arc::new(MemoryRegistry::new());
    memory.files("a", "v1", &[("d/sub/evil", b"evil")]);
    let files = Scripted::start(move |asked| memory.reply(asked));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // A pull may replace the link, so it is created again.
                if !here.is_symlink() && !there.is_symlink() {
                    drop(std::fs::remove_dir_all(&there));
                    drop(symlink("../../outside", &there));
                }
                // The exchange is atomic, so both paths always exist. It may fail, because the pull also
                // renames files.
                let _ = renameat_with(CWD, &here, CWD, &there, RenameFlags::EXCHANGE);
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        // A tool that looks up a path twice fails only in some rounds. This number of rounds is enough for
        // the same result in every run.
        let rounds = if stage.is_go { 200 } else { 15 };
        for _ in (0..rounds).take_while(|_| !stage.path("outside/evil").exists()) {
            // The pulls may succeed or fail, depending on the timing.
            pull(stage, &tar, &[]);
            pull_from(stage, &files, &[]);
        }
        over.store(true, Ordering::Relaxed);
    });
    let found = stage.files(&stage.path("outside"));
    check(found == ["victim.txt"], || format!("writes {found:?} outside"))
}
