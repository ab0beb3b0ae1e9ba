//! Point 4, and the counts of point 5: types, modes and number of archive entries.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use oras_testkit::tarball::{Header, Tarball, directory_layer};

use crate::archive_fixture::{contained, harmless, holds, mode, pull, refused, says, taken};
use crate::case_sandbox::{Stage, check};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [kinds(), modes(), masses()].into_iter().flatten().collect()
}

fn start() -> Tarball {
    Tarball::new().directory("d")
}

fn kinds() -> Vec<Case> {
    vec![
        hostile(4, "device_in_archive", "No device is made.", |stage| {
            special(stage, &[Header::new(b'3', "d/null"), Header::new(b'4', "d/disk")])
        }),
        hostile(4, "pipe_in_archive", "No pipe is made.", |stage| {
            special(stage, &[Header::new(b'6', "d/pipe")])
        }),
        hostile(4, "unknown_entry", "An entry of an unknown type creates no file.", |stage| {
            special(stage, &[Header::new(b'Z', "d/unknown")])
        }),
        honest(4, "files_beside_devices", "The files beside a device arrive.", |stage| {
            let tar = start().header(&Header::new(b'3', "d/null")).file("d/a", "a");
            taken(stage, tar, &["d/a"])
        }),
        honest(
            4,
            "extended_attributes",
            "Attributes in PAX records are left out, the file arrives.",
            |stage| {
                let records =
                    [("SCHILY.xattr.user.note", "hi"), ("SCHILY.xattr.security.capability", "\u{1}")];
                taken(stage, start().records(&records).file("d/a", "a"), &["d/a"])?;
                says(stage, "d/a", "a")
            },
        ),
        hostile(4, "owner_in_archive", "Files belong to who pulls, whatever the archive says.", |stage| {
            let records = [("uid", "4321"), ("gid", "4321"), ("uname", "daemon")];
            taken(stage, start().records(&records).file("d/a", "a"), &["d/a"])?;
            let (file, home) =
                (stage.path("out/d/a").metadata().unwrap(), stage.home("").metadata().unwrap());
            check(file.uid() == home.uid(), || format!("belongs to {}", file.uid()))
        }),
    ]
}

/// The entries must have no effect: they are rejected or skipped.
fn special(stage: &Stage, entries: &[Header]) -> Result<(), String> {
    let tar = entries.iter().fold(start(), Tarball::header).file("d/a", "a");
    harmless(stage, tar)?;
    for name in stage.files(&stage.path("out")) {
        let kind = stage.path("out").join(&name).symlink_metadata().unwrap().file_type();
        let special = kind.is_char_device() || kind.is_block_device() || kind.is_fifo();
        check(!special && name == "d/a", || format!("makes {name}"))?;
    }
    Ok(())
}

fn has_modes(stage: &Stage, expected: &[(&str, u32)]) -> Result<(), String> {
    let wrong = expected.iter().find(|(name, bits)| mode(stage, name) != *bits);
    wrong.map_or(Ok(()), |(name, _)| Err(format!("{name} has mode {:o}", mode(stage, name))))
}

fn with_mode(flag: u8, name: &str, mode: u32) -> Header {
    Header { mode, ..Header::new(flag, name) }
}

fn modes() -> Vec<Case> {
    vec![
        hostile(4, "set_user_id", "No file gets the set-user-ID or set-group-ID bit.", |stage| {
            let tar = start().entry(&with_mode(b'0', "d/a", 0o6755), "x");
            taken(stage, tar, &["d/a"])?;
            has_modes(stage, &[("d/a", 0o755)])
        }),
        hostile(4, "set_bits_of_directory", "No directory gets the set-group-ID or sticky bit.", |stage| {
            taken(stage, start().header(&with_mode(b'5', "d/x", 0o7755)), &[])?;
            has_modes(stage, &[("d/x", 0o755)])
        }),
        hostile(4, "writable_for_all", "The umask holds for what an archive brings.", |stage| {
            let tar =
                start().entry(&with_mode(b'0', "d/a", 0o666), "x").header(&with_mode(b'5', "d/x", 0o777));
            taken(stage, tar, &["d/a"])?;
            has_modes(stage, &[("d/a", 0o644), ("d/x", 0o755)])
        }),
        honest(
            4,
            "private_and_executable",
            "Files and directories keep what the umask leaves of their modes.",
            |stage| {
                let tar = start()
                    .header(&with_mode(b'5', "d/x", 0o750))
                    .entry(&with_mode(b'0', "d/x/run", 0o700), "x");
                taken(stage, tar.entry(&with_mode(b'0', "d/key", 0o400), "k"), &["d/key", "d/x/run"])?;
                has_modes(stage, &[("d/x", 0o750), ("d/x/run", 0o700), ("d/key", 0o400)])
            },
        ),
        honest(
            4,
            "read_only_directory_in_archive",
            "A directory that may not be written to arrives, though it has to be moved.",
            |stage| {
                // An empty directory, because the Go tool can write into such a directory only as root.
                taken(stage, start().header(&with_mode(b'5', "d/x", 0o555)), &[])?;
                has_modes(stage, &[("d/x", 0o555)])
            },
        ),
        honest(4, "modes_on_request", "`--preserve-permissions` keeps all bits.", |stage| {
            let tar =
                start().entry(&with_mode(b'0', "d/a", 0o4777), "x").header(&with_mode(b'5', "d/x", 0o1777));
            pull(stage, &tar.done(), &["--preserve-permissions"]).works()?;
            has_modes(stage, &[("d/a", 0o4777), ("d/x", 0o1777)])
        })
        .ours_only(),
    ]
}

fn masses() -> Vec<Case> {
    vec![
        hostile(
            5,
            "more_entries_than_allowed",
            "`--max-unpack-entries` ends an archive of too many entries, and leaves nothing.",
            |stage| {
                let tar = (0..1001).fold(Tarball::new(), |tar, at| tar.file(format!("d/{at}"), ""));
                let said = pull(stage, &tar.done(), &["--max-unpack-entries", "1000"]);
                said.fails_with("1000 entries")?.fails_with("--max-unpack-entries")?;
                contained(stage)?;
                holds(stage, &[])
            },
        )
        .ours_only(),
        honest(5, "as_many_entries_as_allowed", "As many entries as the limit says are taken.", |stage| {
            let tar = (0..1000).fold(Tarball::new(), |tar, at| tar.file(format!("d/{at}"), ""));
            pull(stage, &tar.done(), &["--max-unpack-entries", "1000"]).works().map(drop)
        })
        .ours_only(),
        honest(5, "ten_thousand_small_files", "Ten thousand small files arrive.", |stage| {
            let parents = (0..100).fold(start(), |tar, at| tar.directory(format!("d/{at}")));
            let tar =
                (0..10_000).fold(parents, |tar, at| tar.file(format!("d/{}/{at}", at % 100), at.to_string()));
            pull(stage, &tar.done(), &[]).works()?;
            let count = stage.files(&stage.path("out")).len();
            check(count == 10_000, || format!("{count} files"))?;
            says(stage, "d/34/1234", "1234")
        }),
        honest(
            5,
            "parents_not_in_archive",
            "Directories that the archive has no entry for are made.",
            |stage| taken(stage, start().file("d/x/y/a", "a"), &["d/x/y/a"]),
        ),
        hostile(5, "name_of_a_mebibyte", "A name of megabytes is refused.", |stage| {
            refused(stage, start().extension(b'L', format!("d/{}", "x".repeat(2 << 20))).file("d/a", "a"))
        }),
        hostile(
            5,
            "pax_header_of_megabytes",
            "A PAX header of megabytes is refused, not kept in memory.",
            |stage| {
                let long = "x".repeat(32 << 20);
                refused(stage, start().records(&[("comment", &long)]).file("d/a", "a"))
            },
        ),
        honest(5, "long_path", "A long path with letters of many scripts arrives.", |stage| {
            let parents = (1..=12).map(|depth| format!("d/{}", ["größe"; 12][..depth].join("/")));
            let name = format!("d/{}/файл-ファイル", ["größe"; 12].join("/"));
            {
                let tar =
                    parents.fold(start(), |tar, path| tar.records(&[("path", &path)]).directory("d/short"));
                taken(stage, tar.records(&[("path", &name)]).file("d/short", "a"), &[&name])
            }
        }),
        honest(5, "long_name_of_gnu", "A long name as GNU tar writes it arrives.", |stage| {
            let name = format!("d/{}", "n".repeat(200));
            taken(stage, start().extension(b'L', format!("{name}\0")).file("d/short", "a"), &[&name])
        }),
        honest(
            5,
            "descriptor_as_we_write_it",
            "What a push writes is what the cases here are written like.",
            |stage| {
                stage.file("d/a", "a");
                stage.oras(&["push", "--oci-layout", "l:v1", "d"]).works()?;
                let manifest = stage.oras(&["manifest", "fetch", "--oci-layout", "l:v1"]);
                let shape = directory_layer("d", b"", b"");
                let keys =
                    ["io.deis.oras.content.unpack\":\"true", "io.deis.oras.content.digest\":\"sha256:"];
                let both = |key: &str| manifest.stdout.contains(key) && shape.contains(key);
                check(keys.iter().all(|key| both(key)), || manifest.stdout.clone())
            },
        ),
    ]
}
