//! Point 30: layouts from untrusted sources.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use oras_spec::Digest;
use oras_testkit::files::write_file;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::registry::Process;
use oras_testkit::scripted::Scripted;

use crate::case_sandbox::{Said, Stage, check};
use crate::fixtures::{Handmade, LAYER, MARKER, descriptor, entry, holds, limited, manifest, serve};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = blobs();
    cases.extend(documents());
    cases.extend(archives());
    cases.extend(twins());
    cases
}

fn blobs() -> Vec<Case> {
    vec![
        hostile(
            30,
            "blob_is_a_link_out",
            "A blob that is a link to a file outside is never sent to a registry.",
            |stage| {
                let layout = linking(stage, 13);
                let server = receiving();
                let name = format!("{}/a:v1", server.host());
                stage.oras(&["cp", "--from-oci-layout", "layout:v1", &name]).fails()?;
                stage.oras(&["restore", "--input", "layout", &name]).fails()?;
                drop(layout);
                nothing_sent(&server)
            },
        ),
        hostile(
            30,
            "blob_is_a_link_out_pull",
            "A blob that is a link to a file outside is neither pulled nor shown.",
            |stage| {
                let layout = linking(stage, 13);
                stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).fails()?;
                let digest = Digest::sha256(b"nobody's").to_string();
                let blob = format!("layout@{digest}");
                let said = stage.oras(&["blob", "fetch", "--oci-layout", &blob, "-o", "-"]);
                drop(layout);
                check(said.status != Some(0), || "succeeds".to_owned())?;
                let found = stage.files(&stage.path("out"));
                check(found.is_empty(), || format!("leaves {found:?}"))
            },
        ),
        hostile(30, "blob_is_a_pipe", "A blob that is a pipe is not waited for.", |stage| {
            let (layout, file) = sound(stage);
            std::fs::remove_file(layout.place(&file)).unwrap();
            let made = std::process::Command::new("mkfifo").arg(layout.place(&file)).status();
            assert!(made.unwrap().success());
            quick(&soon(stage, &["pull", "--oci-layout", "layout:v1", "-o", "out"]))
        }),
        hostile(30, "blob_is_a_directory", "A blob that is a directory is said to be none.", |stage| {
            let (layout, file) = sound(stage);
            std::fs::remove_file(layout.place(&file)).unwrap();
            std::fs::create_dir(layout.place(&file)).unwrap();
            quick(&stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]))
        }),
        hostile(30, "blob_is_a_device", "A blob that is a device without end is not read.", |stage| {
            let (layout, file) = sound(stage);
            std::fs::remove_file(layout.place(&file)).unwrap();
            symlink("/dev/zero", layout.place(&file)).unwrap();
            quick(&soon(stage, &["pull", "--oci-layout", "layout:v1", "-o", "out"]))
        }),
    ]
}

fn documents() -> Vec<Case> {
    vec![
        hostile(30, "index_is_huge", "An index of 2 GiB is refused without being read.", |stage| {
            let (layout, _) = sound(stage);
            let file = std::fs::File::options().write(true).open(layout.path.join("index.json")).unwrap();
            file.set_len(2 << 30).unwrap();
            quick(&limited(stage, "ulimit -v 1500000", &["pull", "--oci-layout", "layout:v1", "-o", "out"]))
        }),
        hostile(30, "index_is_deep", "An index of 100,000 levels overflows no stack.", |stage| {
            let (layout, _) = sound(stage);
            let text = format!(
                r#"{{"schemaVersion":2,"x":{}{},"manifests":[]}}"#,
                "[".repeat(100_000),
                "]".repeat(100_000)
            );
            layout.put("index.json", text);
            quick(&stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]))
        }),
        hostile(30, "index_is_no_json", "An index that is not JSON is reported as malformed.", |stage| {
            let (layout, _) = sound(stage);
            for text in ["", "{", "[]", r#"{"manifests":7}"#, "\u{0}\u{0}"] {
                layout.put("index.json", text);
                quick(&stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]))?;
            }
            Ok(())
        }),
        hostile(30, "index_is_kept", "A push doesn't write over an index that it can't read.", |stage| {
            let (layout, _) = sound(stage);
            layout.put("index.json", "{ precious");
            stage.file("file", "content");
            stage.oras(&["push", "--oci-layout", "layout:v2", "file"]).fails()?;
            holds(&layout.path.join("index.json"), "{ precious")
        }),
        hostile(30, "layout_version_is_foreign", "A layout of another version is refused.", |stage| {
            let (layout, _) = sound(stage);
            for text in [r#"{"imageLayoutVersion":"2.0.0"}"#, "{}", "", "nonsense"] {
                layout.put("oci-layout", text);
                quick(&stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]))?;
                stage.file("file", "content");
                quick(&stage.oras(&["push", "--oci-layout", "layout:v2", "file"]))?;
            }
            Ok(())
        }),
        hostile(
            30,
            "directory_is_no_layout",
            "A copy into a directory of other things harms none of them.",
            |stage| {
                stage.file("mine/oci-layout/note", "mine");
                stage.file("mine/index.json/note", "mine");
                let server = crate::fixtures::honest_server("file", b"content");
                let name = format!("{}/a:v1", server.host());
                stage.oras(&["cp", &name, "--to-oci-layout", "mine:v1"]).fails()?;
                holds(&stage.path("mine/oci-layout/note"), "mine")?;
                holds(&stage.path("mine/index.json/note"), "mine")
            },
        ),
    ]
}

fn archives() -> Vec<Case> {
    vec![
        hostile(
            30,
            "archive_entries_lead_out",
            "Entries of an archive with `..` or links write nothing.",
            |stage| {
                let (root, content) = artifact();
                let mut entries = content;
                entries.push(("../evil".into(), b"evil".to_vec()));
                entries.push((stage.path("evil").display().to_string(), b"evil".to_vec()));
                tar(stage, "all.tar", &entries);
                drop(root);
                stage.oras(&["pull", "--oci-layout", "all.tar:v1", "-o", "out"]);
                let found: Vec<_> =
                    stage.files(stage.root()).into_iter().filter(|name| name.ends_with("evil")).collect();
                check(found.is_empty(), || format!("leaves {found:?}"))
            },
        ),
        hostile(
            30,
            "archive_with_two_indexes",
            "An archive with two indexes is refused or has one meaning.",
            |stage| {
                let (_, mut entries) = artifact();
                let (other, more) = artifact_of("other", b"other");
                entries.extend(more.into_iter().filter(|(name, _)| name.starts_with("blobs/")));
                entries.push(("index.json".into(), index(&other)));
                tar(stage, "all.tar", &entries);
                one_meaning(stage, &["file", "other"])
            },
        ),
        hostile(
            30,
            "archive_with_a_blob_twice",
            "Of a blob that is there twice none but the right one counts.",
            |stage| {
                let (_, mut entries) = artifact();
                let digest = Digest::sha256(b"content");
                entries.push((format!("blobs/sha256/{}", digest.encoded()), b"wrong!!".to_vec()));
                tar(stage, "all.tar", &entries);
                let said = stage.oras(&["pull", "--oci-layout", "all.tar:v1", "-o", "out"]);
                if said.status == Some(0) { holds(&stage.path("out/file"), "content") } else { empty(stage) }
            },
        ),
        hostile(30, "archive_is_cut", "An archive that ends too early is refused.", |stage| {
            let (_, entries) = artifact();
            tar(stage, "all.tar", &entries);
            let bytes = std::fs::read(stage.path("all.tar")).unwrap();
            for length in [100, 600, 1024, 1500] {
                write_file(&stage.path("all.tar"), &bytes[..length]);
                quick(&stage.oras(&["pull", "--oci-layout", "all.tar:v1", "-o", "out"]))?;
            }
            empty(stage)
        }),
        hostile(
            30,
            "archive_blob_is_a_link",
            "A blob of an archive that is a link reads no file.",
            |stage| {
                write_file(&stage.path("secret"), "secret-content");
                let text = manifest(
                    r#""artifactType":"a/b","#,
                    &descriptor(LAYER, &Digest::sha256(b"nobody's").to_string(), 14, "file"),
                );
                let root = Digest::sha256(text.as_bytes());
                let tree = stage.path("tree");
                write_file(&tree.join("oci-layout"), MARKER);
                write_file(&tree.join("index.json"), index(&(root.clone(), text.len())));
                write_file(&tree.join("blobs/sha256").join(root.encoded()), &text);
                write_file(&tree.join("blobs/sha256").join(Digest::sha256(b"{}").encoded()), "{}");
                let link = tree.join("blobs/sha256").join(Digest::sha256(b"nobody's").encoded());
                symlink(stage.path("secret"), link).unwrap();
                let made = std::process::Command::new("tar")
                    .args(["cf", "all.tar", "-C", "tree", "oci-layout", "index.json", "blobs"])
                    .current_dir(stage.path(""))
                    .status();
                assert!(made.unwrap().success());
                let server = receiving();
                let name = format!("{}/a:v1", server.host());
                stage.oras(&["cp", "--from-oci-layout", "all.tar:v1", &name]).fails()?;
                stage.oras(&["restore", "--input", "all.tar", &name]).fails()?;
                stage.oras(&["pull", "--oci-layout", "all.tar:v1", "-o", "out"]).fails()?;
                nothing_sent(&server)?;
                empty(stage)
            },
        ),
    ]
}

fn twins() -> Vec<Case> {
    vec![
        honest(30, "layout_without_manifests", "An empty layout is one, and can be filled.", |stage| {
            let layout = Handmade::new(stage, "layout");
            layout.index("");
            stage.oras(&["repo", "tags", "--oci-layout", "layout"]).works()?;
            stage.file("file", "content");
            stage.oras(&["push", "--oci-layout", "layout:v1", "file"]).works()?;
            stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).works()?;
            holds(&stage.path("out/file"), "content")
        }),
        honest(
            30,
            "unknown_fields_of_an_index",
            "Unknown fields of an index are kept when a tag is added.",
            |stage| {
                let (layout, _) = sound(stage);
                let path = layout.path.join("index.json");
                let text = std::fs::read_to_string(&path).unwrap();
                let annotated = text.replacen('{', r#"{"annotations":{"mine":"yes"},"#, 1);
                write_file(&path, annotated);
                stage.oras(&["tag", "--oci-layout", "layout:v1", "v2"]).works()?;
                let text = std::fs::read_to_string(&path).unwrap();
                check(text.contains("\"mine\"") && text.contains("\"v2\""), || format!("holds {text}"))
            },
        ),
        honest(
            30,
            "blobs_that_are_read_only",
            "A push into a layout whose blobs are read-only works.",
            |stage| {
                let (layout, file) = sound(stage);
                std::fs::set_permissions(layout.place(&file), PermissionsExt::from_mode(0o444)).unwrap();
                stage.file("file", "content");
                stage.oras(&["push", "--oci-layout", "layout:v2", "file"]).works()?;
                stage.oras(&["pull", "--oci-layout", "layout:v2", "-o", "out"]).works()?;
                holds(&stage.path("out/file"), "content")
            },
        ),
        honest(30, "layout_is_a_link", "A layout behind a link is one, to read and to write.", |stage| {
            let (_layout, _) = sound(stage);
            symlink("layout", stage.path("link")).unwrap();
            stage.file("file2", "more");
            stage.oras(&["push", "--oci-layout", "link:v2", "file2"]).works()?;
            stage.oras(&["pull", "--oci-layout", "layout:v2", "-o", "out"]).works()?;
            stage.oras(&["pull", "--oci-layout", "link:v1", "-o", "out"]).works()?;
            holds(&stage.path("out/file"), "content")
        }),
        honest(
            30,
            "blobs_that_are_hard_links",
            "Blobs that are hard links to another layout's are read.",
            |stage| {
                let (layout, file) = sound(stage);
                std::fs::rename(layout.place(&file), stage.path("elsewhere")).unwrap();
                std::fs::hard_link(stage.path("elsewhere"), layout.place(&file)).unwrap();
                stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).works()?;
                holds(&stage.path("out/file"), "content")
            },
        ),
        honest(
            30,
            "blobs_linked_within",
            "A blob that is a link to another of the same layout is read.",
            |stage| {
                let (layout, file) = sound(stage);
                let other = layout.path.join("blobs/shared");
                std::fs::rename(layout.place(&file), &other).unwrap();
                symlink("../shared", layout.place(&file)).unwrap();
                stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).works()?;
                let registry = Process::ours(&[]);
                let name = format!("{}/a:v1", registry.host());
                stage.oras(&["cp", "--from-oci-layout", "layout:v1", &name]).works()?;
                holds(&stage.path("out/file"), "content")
            },
        ),
        honest(30, "archive_by_tar", "An archive that tar made of a layout is read.", |stage| {
            let (_layout, _) = sound(stage);
            let made = std::process::Command::new("tar")
                .args(["cf", "all.tar", "-C", "layout", "."])
                .current_dir(stage.path(""))
                .status();
            assert!(made.unwrap().success());
            stage.oras(&["pull", "--oci-layout", "all.tar:v1", "-o", "out"]).works()?;
            holds(&stage.path("out/file"), "content")
        }),
    ]
}

fn sound(stage: &Stage) -> (Handmade, Digest) {
    let layout = Handmade::new(stage, "layout");
    let (_, file) = layout.artifact("file", b"content");
    (layout, file)
}

/// Creates a layout with a blob of this size, which is a link to a secret file.
fn linking(stage: &Stage, size: usize) -> Handmade {
    write_file(&stage.path("secret"), "secret-bytes!");
    let layout = Handmade::new(stage, "layout");
    layout.blob("{}");
    let digest = Digest::sha256(b"nobody's");
    let text = manifest(r#""artifactType":"a/b","#, &descriptor(LAYER, &digest.to_string(), size, "file"));
    let root = layout.blob(&text);
    layout.index(&entry(root, text.len(), "v1"));
    symlink(stage.path("secret"), layout.place(&digest)).unwrap();
    layout
}

fn receiving() -> Scripted {
    serve(MemoryRegistry::new(), |_, _| None)
}

fn nothing_sent(server: &Scripted) -> Result<(), String> {
    let found = server.asked().iter().any(|asked| asked.text().contains("secret"));
    check(!found, || "sends the file".to_owned())
}

fn empty(stage: &Stage) -> Result<(), String> {
    let found = stage.files(&stage.path("out"));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

/// Runs the tool for at most five seconds.
fn soon(stage: &Stage, words: &[&str]) -> Said {
    let mut command = stage.command(Path::new("/usr/bin/timeout"), &["5"]);
    command.arg(stage.tool()).args(words);
    stage.run(command, b"")
}

fn quick(said: &Said) -> Result<(), String> {
    said.fails()?;
    check(said.took.as_secs() < 5, || format!("takes {:?}", said.took))
}

type Root = (Digest, usize);
type Entries = Vec<(String, Vec<u8>)>;

fn artifact() -> (Root, Entries) {
    artifact_of("file", b"content")
}

/// Returns the files of a layout with one artifact, in the order of an archive.
fn artifact_of(title: &str, content: &[u8]) -> (Root, Entries) {
    let file = Digest::sha256(content);
    let text =
        manifest(r#""artifactType":"a/b","#, &descriptor(LAYER, &file.to_string(), content.len(), title));
    let root = (Digest::sha256(text.as_bytes()), text.len());
    let blob = |bytes: &[u8]| (format!("blobs/sha256/{}", Digest::sha256(bytes).encoded()), bytes.to_vec());
    let entries = vec![
        ("oci-layout".to_owned(), MARKER.as_bytes().to_vec()),
        ("index.json".to_owned(), index(&root)),
        blob(b"{}"),
        blob(content),
        blob(text.as_bytes()),
    ];
    (root, entries)
}

fn index((digest, size): &Root) -> Vec<u8> {
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(digest, size, "v1")).into_bytes()
}

/// Writes a tar archive of regular files. The names may be invalid.
fn tar(stage: &Stage, name: &str, entries: &[(String, Vec<u8>)]) {
    let mut bytes = Vec::new();
    for (path, content) in entries {
        let mut header = [0_u8; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    stage.file(name, bytes);
}

/// Checks that `pull` and `cp` read the same one of these files from the archive, or that both reject the
/// archive.
fn one_meaning(stage: &Stage, files: &[&str]) -> Result<(), String> {
    let pulled = stage.oras(&["pull", "--oci-layout", "all.tar:v1", "-o", "out"]);
    let copied = stage.oras(&["cp", "--from-oci-layout", "all.tar:v1", "--to-oci-layout", "copy:v1"]);
    if pulled.status == Some(1) && copied.status == Some(1) {
        return empty(stage);
    }
    pulled.works()?;
    copied.works()?;
    stage.oras(&["pull", "--oci-layout", "copy:v1", "-o", "again"]).works()?;
    let (first, second) = (stage.files(&stage.path("out")), stage.files(&stage.path("again")));
    check(first == second && first.len() == 1 && files.contains(&first[0].as_str()), || {
        format!("{first:?} and {second:?}")
    })
}
