//! Points 1, 5 and 6: names in archives, decompression bombs, and archives that tools read differently.

use std::sync::Arc;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::random;
use oras_testkit::scripted::Scripted;
use oras_testkit::tarball::{Header, Tarball, directory_layer, gzip, record};

use crate::archive_fixture::{contained, harmless, holds, pull, pull_from, refused, says, serve, taken};
use crate::case_sandbox::check;
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [names(), bombs(), disagreeing(), broken(), odd()].into_iter().flatten().collect()
}

fn start() -> Tarball {
    Tarball::new().directory("d")
}

fn names() -> Vec<Case> {
    vec![
        hostile(1, "entry_leads_up", "An entry with `..` writes nothing outside.", |stage| {
            refused(stage, start().file("d/../../outside/victim.txt", "evil"))
        }),
        hostile(1, "entry_is_absolute", "An absolute entry writes nothing outside.", |stage| {
            let name = stage.path("outside/victim.txt").display().to_string();
            refused(stage, start().file(name, "evil"))
        }),
        hostile(1, "entry_beside_the_directory", "An entry beside its directory is refused.", |stage| {
            refused(stage, start().file("dd/evil", "evil"))
        }),
        hostile(
            1,
            "entry_leads_up_by_pax",
            "A path in a PAX record counts, whatever the header says.",
            |stage| {
                refused(stage, start().records(&[("path", "d/../../outside/victim.txt")]).file("d/a", "evil"))
            },
        ),
        hostile(
            1,
            "entry_leads_up_by_long_name",
            "A GNU long name counts, whatever the header says.",
            |stage| refused(stage, start().extension(b'L', "../outside/victim.txt\0").file("d/a", "evil")),
        ),
        hostile(1, "entry_without_a_name", "An entry without a name is refused.", |stage| {
            refused(stage, start().file("", "evil"))
        }),
        hostile(
            1,
            "name_with_nul_in_pax",
            "A PAX path with a NUL, which other tools cut there, is refused.",
            |stage| refused(stage, start().records(&[("path", "d/a\0/../../b")]).file("d/a", "evil")),
        ),
        hostile(1, "directory_leads_up", "A directory entry with `..` makes nothing outside.", |stage| {
            refused(stage, start().directory("d/../../made"))
        }),
        honest(
            1,
            "entries_that_differ_in_case",
            "Entries that differ only in case both arrive where the file system tells them apart.",
            |stage| {
                taken(stage, start().file("d/README", "1").file("d/Readme", "2"), &["d/README", "d/Readme"])?;
                says(stage, "d/README", "1")
            },
        ),
        honest(
            1,
            "entries_with_odd_names",
            "Backslashes, colons, dots at the end and spaces are ordinary in an entry.",
            |stage| {
                let names = ["d/ x", "d/...", "d/C:y", "d/a\\b", "d/end.", "d/nul"];
                let tar = names.iter().fold(start(), |tar, name| tar.file(name, *name));
                taken(stage, tar, &names)
            },
        ),
        honest(
            1,
            "entries_not_written_clean",
            "Names with `.` and double slashes are what they mean.",
            |stage| {
                let tar = Tarball::new()
                    .directory("./d/")
                    .directory("d/./x/")
                    .file("d//x/./a", "a")
                    .directory("d/x/y/");
                taken(stage, tar, &["d/x/a"])
            },
        ),
    ]
}

/// Returns an archive with `count` zeros in the file `d/zeros`.
fn zeros(count: usize) -> Vec<u8> {
    start().file("d/zeros", vec![0; count]).done()
}

fn bombs() -> Vec<Case> {
    vec![
        hostile(5, "more_bytes_than_allowed", "`--max-unpack-size` ends an archive that unpacks to more, and leaves nothing.", |stage| {
            let said = pull(stage, &zeros(3 << 20), &["--max-unpack-size", "2000000"]);
            said.fails_with("2000000 bytes")?.fails_with("--max-unpack-size")?;
            contained(stage)?;
            holds(stage, &[])
        })
        .ours_only(),
        hostile(5, "more_times_its_size_than_allowed", "`--max-unpack-ratio` ends an archive of more than 64 MiB that unpacks to too many times its size.", |stage| {
            let said = pull(stage, &zeros(80 << 20), &["--max-unpack-ratio", "100"]);
            said.fails_with("100 times")?.fails_with("--max-unpack-ratio")?;
            contained(stage)?;
            holds(stage, &[])
        })
        .ours_only(),
        honest(5, "hundred_megabytes_of_zeros", "A hundred megabytes of zeros, a thousand times what is downloaded, are taken by default.", |stage| {
            pull(stage, &zeros(100_000_000), &[]).works()?;
            let length = stage.path("out/d/zeros").metadata().map_or(0, |metadata| metadata.len());
            check(length == 100_000_000, || format!("{length} bytes"))
        }),
        honest(5, "small_and_well_compressed", "A limit on the ratio does not count for a few megabytes.", |stage| {
            pull(stage, &zeros(1 << 20), &["--max-unpack-ratio", "10"]).works().map(drop)
        })
        .ours_only(),
        hostile(5, "empty_gzip_members_without_end", "A file of empty gzip members without end is refused in time.", |stage| {
            let packed = gzip(b"").repeat(400_000);
            let said = pull_from(stage, &serve("d", &packed, b"x"), &[]);
            said.fails()?;
            check(said.took.as_secs() < 20, || format!("takes {:?}", said.took))
        }),
        honest(5, "many_gzip_members", "A layer of thousands of gzip members is read to its end.", |stage| {
            let tar = start().file("d/a", "0123456789".repeat(20_000)).file("d/b", "b").done();
            let packed: Vec<u8> = tar.chunks(50).flat_map(gzip).collect();
            pull_from(stage, &serve("d", &packed, &tar), &[]).works()?;
            holds(stage, &["d/a", "d/b"])?;
            says(stage, "d/a", &"0123456789".repeat(20_000))
        }),
    ]
}

fn disagreeing() -> Vec<Case> {
    vec![
        hostile(
            6,
            "pax_size_hides_an_entry",
            "A size in a PAX record counts: a header inside of the content is content (CVE-2025-62518).",
            |stage| {
                let inner = Tarball::new().file("d/evil", "evil").open_end();
                let size = inner.len().to_string();
                let tar = start().records(&[("size", &size)]).header(&Header::new(b'0', "d/a")).raw(&inner);
                taken(stage, tar.file("d/b", "b"), &["d/a", "d/b"])
            },
        ),
        hostile(6, "archive_in_an_archive", "An archive that is a file of an archive is a file.", |stage| {
            let inner = Tarball::new().file("d/evil", "evil").file("../outside/victim.txt", "evil").done();
            taken(stage, start().file("d/inner.tar", inner), &["d/inner.tar"])
        }),
        hostile(
            6,
            "global_pax_header_renames",
            "A global PAX header that names entries is not obeyed by some tools only: nothing gets that name.",
            |stage| {
                let tar = start().extension(b'g', record("path", "d/../../outside/victim.txt"));
                harmless(stage, tar.file("d/a", "evil"))
            },
        ),
        hostile(6, "two_pax_headers", "Two PAX headers for one entry write nothing outside.", |stage| {
            let tar = start().records(&[("path", "d/good")]).records(&[("path", "../outside/victim.txt")]);
            refused(stage, tar.file("d/a", "evil"))
        }),
        hostile(6, "malformed_pax_record", "A malformed PAX record is refused, not skipped.", |stage| {
            for content in ["9 path=a", "999 path=d/b\n", "path=d/b\n", "-1 path=d/b\n", "14 size=-5123\n"] {
                refused(stage, start().extension(b'x', content).file("d/a", "a"))?;
            }
            Ok(())
        }),
        hostile(6, "entries_after_the_end", "What follows the end marker is not read as entries.", |stage| {
            let tar = start().file("d/a", "a").raw([0; 1024]).file("d/evil", "evil").done();
            pull(stage, &tar, &[]);
            contained(stage)?;
            check(!stage.path("out/d/evil").exists(), || "unpacks what follows the end".to_owned())
        }),
        honest(
            6,
            "size_by_pax_alone",
            "A size that only the PAX record tells, as for files of more than 8 GiB, is read.",
            |stage| {
                let tar = start()
                    .records(&[("size", "5")])
                    .header(&Header::new(b'0', "d/a"))
                    .raw("hello")
                    .raw([0; 507]);
                taken(stage, tar.file("d/b", "b"), &["d/a", "d/b"])?;
                says(stage, "d/a", "hello")
            },
        ),
        honest(6, "entry_comes_twice", "Of two entries of one name the later one counts.", |stage| {
            taken(stage, start().file("d/a", "first, and longer").file("d/a", "second"), &["d/a"])?;
            says(stage, "d/a", "second")
        }),
    ]
}

fn broken() -> Vec<Case> {
    vec![
        hostile(
            6,
            "size_beyond_everything",
            "A size of nearly 2^63 is refused before anything is allocated.",
            |stage| {
                let mut header = Header::new(b'0', "d/a").to_bytes();
                header[124..136].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
                refused(stage, start().raw(sealed(header)).raw([b'x'; 512]))
            },
        ),
        hostile(6, "negative_size", "A negative size is refused.", |stage| {
            let mut header = Header::new(b'0', "d/a").to_bytes();
            header[124..136].fill(0xff);
            refused(stage, start().raw(sealed(header)))
        }),
        hostile(6, "wrong_header_checksum", "A header with the wrong checksum is refused.", |stage| {
            let mut header = Header::new(b'0', "d/a").to_bytes();
            header[0] = b'e';
            refused(stage, start().raw(header))
        }),
        hostile(6, "archive_cut_short", "An archive that ends within a file is refused.", |stage| {
            let tar = start().file("d/a", [b'x'; 2000]).open_end();
            let said = pull(stage, &tar[..tar.len() - 600], &[]);
            contained(stage)?;
            said.fails().map(drop)
        }),
        hostile(6, "gzip_cut_short", "A gzip stream that ends early is refused.", |stage| {
            let tar = start().file("d/a", random::bytes(1, 100_000)).done();
            let packed = gzip(&tar);
            pull_from(stage, &serve("d", &packed[..packed.len() / 2], &tar), &[]).fails().map(drop)
        }),
        hostile(6, "no_archive_at_all", "Noise in place of an archive is refused.", |stage| {
            pull_from(stage, &serve("d", &gzip(&random::bytes(1, 5000)), &random::bytes(1, 5000)), &[])
                .fails()?;
            pull_from(stage, &serve("d", &random::bytes(1, 5000), &random::bytes(1, 5000)), &[])
                .fails()
                .map(drop)
        }),
        hostile(
            6,
            "wrong_content_digest",
            "An archive that does not match its annotation is rejected, and earlier files stay.",
            |stage| {
                let (good, evil) = (start().file("d/a", "good").done(), start().file("d/a", "evil").done());
                pull_from(stage, &serve("d", &gzip(&good), &good), &[]).works()?;
                pull_from(stage, &serve("d", &gzip(&evil), &good), &[]).fails_with("digest")?;
                says(stage, "d/a", "good")
            },
        ),
        hostile(
            3,
            "second_layer_is_broken",
            "Where the second directory is broken, nothing of the first is published.",
            |stage| {
                let (good, bad) =
                    (Tarball::new().file("one/a", "a").done(), Tarball::new().file("../b", "b").done());
                let memory = Arc::new(MemoryRegistry::new());
                let layer = |title: &str, tar: &[u8]| {
                    memory.blob("a", gzip(tar));
                    directory_layer(title, &gzip(tar), tar)
                };
                memory.artifact("a", "v1", &[layer("one", &good), layer("two", &bad)].join(","));
                let server = Scripted::start(move |asked| memory.reply(asked));
                pull_from(stage, &server, &["--concurrency", "1"]).fails()?;
                holds(stage, &[])
            },
        ),
    ]
}

fn odd() -> Vec<Case> {
    vec![
        honest(6, "archive_without_end", "An archive without an end marker is read to its end.", |stage| {
            pull(stage, &start().file("d/a", "a").open_end(), &[]).works()?;
            holds(stage, &["d/a"])
        }),
        honest(6, "archive_of_long_ago", "Headers from before POSIX, without a magic, are read.", |stage| {
            let mut header = Header { size: 1, ..Header::new(0, "d/a") }.to_bytes();
            header[257..265].fill(0);
            let content = [&b"a"[..], &[0; 511]].concat();
            taken(stage, start().raw(sealed(header)).raw(content), &["d/a"])
        }),
        honest(6, "comment_of_git", "The global header of `git archive` is no entry.", |stage| {
            let tar = Tarball::new().extension(b'g', record("comment", &"c0ffee".repeat(6)));
            taken(stage, tar.directory("d").file("d/a", "a"), &["d/a"])
        }),
        honest(
            6,
            "archive_padded_to_a_record",
            "Zeros behind the end marker, as tar writes to fill a record, are fine.",
            |stage| {
                let tar = start().file("d/a", "a").raw([0; 9 * 1024]).done();
                pull_from(stage, &serve("d", &gzip(&tar), &tar), &[]);
                let told = &tar[..tar.len() - 9 * 1024];
                pull_from(stage, &serve("d", &gzip(&tar), told), &[]).works()?;
                holds(stage, &["d/a"])
            },
        ),
    ]
}

/// Returns the header with a corrected checksum.
fn sealed(mut header: [u8; 512]) -> [u8; 512] {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
