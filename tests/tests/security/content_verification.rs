//! Point 9: content that does not match its digest, on every path, and the files that existed before.

use oras_spec::Digest;
use oras_testkit::files::write_file;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::random;
use oras_testkit::registry::Process;
use oras_testkit::scripted::{Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};
use crate::fixtures::{Handmade, MANIFEST, holds, leaves, serve};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        hostile(
            9,
            "wrong_blob_pull",
            "A pulled file matches its digest, or the earlier file stays.",
            |stage| {
                let server = spoilt();
                write_file(&stage.path("out/file"), "before");
                names_digest(&stage.oras(&["pull", &name(&server), "-o", "out"]))?;
                holds(&stage.path("out/file"), "before")?;
                leaves(stage, &["out/file"])
            },
        ),
        hostile(
            9,
            "wrong_blob_fetch",
            "A fetched blob matches its digest, or the earlier file stays.",
            |stage| {
                let server = spoilt();
                write_file(&stage.path("file"), "before");
                names_digest(&stage.oras(&["blob", "fetch", &blob(&server), "-o", "file"]))?;
                holds(&stage.path("file"), "before")?;
                leaves(stage, &["file"])
            },
        ),
        hostile(
            9,
            "wrong_blob_fetch_to_output",
            "A blob on standard output that does not match its digest is an error.",
            |stage| names_digest(&stage.oras(&["blob", "fetch", &blob(&spoilt()), "-o", "-"])),
        ),
        hostile(
            9,
            "wrong_manifest_fetch",
            "A manifest that does not match its digest is not printed.",
            |stage| {
                let (server, reference) = wrong_manifest();
                for words in [&["manifest", "fetch"][..], &["pull"], &["manifest", "fetch-config"]] {
                    let words: Vec<&str> = words.iter().copied().chain([reference.as_str()]).collect();
                    let said = stage.oras(&words);
                    said.fails()?;
                    check(!said.stdout.contains("evil"), || format!("shows {}", said.stdout))?;
                }
                drop(server);
                leaves(stage, &[])
            },
        ),
        hostile(9, "wrong_blob_cp_to_layout", "A copy of wrong content gets no tag.", |stage| {
            let server = spoilt();
            names_digest(&stage.oras(&["cp", &name(&server), "--to-oci-layout", "layout:v1"]))?;
            stage.oras(&["resolve", "--oci-layout", "layout:v1"]).fails()?;
            let digest = Digest::sha256(b"good");
            let place = stage.path("layout/blobs/sha256").join(digest.encoded());
            check(!place.exists(), || "keeps the wrong blob".to_owned())
        }),
    ];
    cases.extend(copied_content());
    cases
}

/// Returns the cases of copies and of repeated transfers.
fn copied_content() -> Vec<Case> {
    vec![
        hostile(9, "wrong_blob_cp_to_registry", "A copy of wrong content is not tagged there.", |stage| {
            let (server, registry) = (spoilt(), Process::ours(&[]));
            let target = format!("{}/b:v1", registry.host());
            stage.oras(&["cp", &name(&server), &target]).fails()?;
            stage.oras(&["resolve", &target]).fails().map(drop)
        }),
        hostile(9, "wrong_blob_backup", "A backup of wrong content leaves no archive.", |stage| {
            let server = spoilt();
            names_digest(&stage.oras(&["backup", "-o", "all.tar", &name(&server)]))?;
            leaves(stage, &[])
        }),
        hostile(9, "wrong_blob_restore", "Wrong content of a backup is not tagged.", |stage| {
            let (layout, _) = spoilt_layout(stage);
            let registry = Process::ours(&[]);
            let target = format!("{}/b:v1", registry.host());
            drop(layout);
            stage.oras(&["restore", "--input", "layout", &target]).fails()?;
            stage.oras(&["resolve", &target]).fails().map(drop)
        }),
        hostile(9, "wrong_blob_in_layout", "Wrong content of a layout is no file, nor copied.", |stage| {
            let (_layout, _) = spoilt_layout(stage);
            write_file(&stage.path("out/file"), "before");
            stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).fails()?;
            holds(&stage.path("out/file"), "before")?;
            stage.oras(&["cp", "--from-oci-layout", "layout:v1", "--to-oci-layout", "other:v1"]).fails()?;
            stage.oras(&["resolve", "--oci-layout", "other:v1"]).fails().map(drop)
        }),
        hostile(9, "wrong_manifest_in_layout", "A wrong manifest of a layout is not shown.", |stage| {
            let layout = Handmade::new(stage, "layout");
            let (root, _) = layout.artifact("file", b"good");
            let text = std::fs::read_to_string(layout.place(&root)).unwrap();
            write_file(&layout.place(&root), text.replace("a/b", "e/v"));
            let said = stage.oras(&["manifest", "fetch", "--oci-layout", "layout:v1"]);
            said.fails()?;
            check(said.stdout.is_empty(), || format!("shows {}", said.stdout))
        }),
        hostile(9, "wrong_rest_after_cut", "What is put together from two answers is checked.", |stage| {
            let server = cut(false);
            stage.oras(&["pull", &name(&server), "-o", "out"]).fails()?;
            leaves(stage, &[])
        }),
        honest(9, "right_rest_after_cut", "A download that breaks once is picked up.", |stage| {
            let server = cut(true);
            stage.oras(&["pull", &name(&server), "-o", "out"]).works()?;
            holds(&stage.path("out/file"), random::bytes(9, 200_000))
        }),
        honest(9, "right_content_everywhere", "Right content goes all these ways.", right_content),
    ]
}

fn name(server: &Scripted) -> String {
    format!("{}/a:v1", server.host())
}

fn blob(server: &Scripted) -> String {
    format!("{}/a@{}", server.host(), Digest::sha256(b"good"))
}

/// Starts a registry that sends four wrong bytes for the file.
fn spoilt() -> Scripted {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[("file", b"good")]);
    let end = format!("/blobs/{}", Digest::sha256(b"good"));
    serve(memory, move |asked, _| {
        (asked.path.ends_with(&end) && asked.method == "GET").then(|| Reply::new(200).body("evil"))
    })
}

fn spoilt_layout(stage: &Stage) -> (Handmade, Digest) {
    let layout = Handmade::new(stage, "layout");
    let (_, file) = layout.artifact("file", b"good");
    write_file(&layout.place(&file), "evil");
    (layout, file)
}

/// Checks that the command failed and that its error names the wrong content.
fn names_digest(said: &Said) -> Result<(), String> {
    said.fails()?;
    let digest = Digest::sha256(b"good");
    check(said.stderr.contains(&digest.encoded()[..12]), || format!("doesn't say which: {}", said.stderr))
}

/// Starts a registry that returns a wrong manifest for every digest. Also returns the reference to request.
fn wrong_manifest() -> (Scripted, String) {
    let memory = MemoryRegistry::new();
    let digest = memory.artifact("a", "v1", "");
    let told = digest.to_string();
    let server = serve(memory, move |asked, memory| {
        let honest = crate::fixtures::manifest(r#""artifactType":"evil/x","#, "");
        if asked.method != "GET" || !asked.path.contains("/manifests/") {
            return Some(memory.reply(asked));
        }
        let reply = Reply::new(200).header("content-type", MANIFEST).header("docker-content-digest", &told);
        Some(reply.body(honest))
    });
    let reference = format!("{}/a@{digest}", server.host());
    (server, reference)
}

/// Starts a registry whose connection breaks once in the middle of the file. The rest is right or wrong.
fn cut(right: bool) -> Scripted {
    let (memory, content) = (MemoryRegistry::new(), random::bytes(9, 200_000));
    memory.files("a", "v1", &[("file", &content)]);
    let end = format!("/blobs/{}", Digest::sha256(&content));
    serve(memory, move |asked, memory| {
        if !asked.path.ends_with(&end) || asked.method != "GET" {
            return None;
        }
        let reply = memory.reply(asked);
        let Some(range) = asked.header("range") else { return Some(reply.cut_after(100_000)) };
        let start: usize = range.trim_start_matches("bytes=").split('-').next()?.parse().ok()?;
        let place = format!("bytes {start}-199999/200000");
        let wrong = vec![b'x'; 200_000 - start];
        let wrong = Reply::new(206).header("content-range", place).body(wrong);
        Some(if right { reply } else { wrong })
    })
}

fn right_content(stage: &Stage) -> Result<(), String> {
    let server = crate::fixtures::honest_server("file", b"good");
    let registry = Process::ours(&[]);
    let (source, target) = (name(&server), format!("{}/b:v1", registry.host()));
    stage.oras(&["cp", &source, &target]).works()?;
    stage.oras(&["backup", "-o", "all.tar", &target]).works()?;
    let other = format!("{}/c:v1", registry.host());
    stage.oras(&["restore", "--input", "all.tar", &other]).works()?;
    stage.oras(&["cp", &other, "--to-oci-layout", "layout:v1"]).works()?;
    stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).works()?;
    holds(&stage.path("out/file"), "good")?;
    stage.oras(&["blob", "fetch", &blob(&server), "-o", "blob"]).works()?;
    holds(&stage.path("blob"), "good")
}
