//! Point 7: descriptors with a wrong size or wrong embedded data.

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::random;
use oras_testkit::scripted::{Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};
use crate::fixtures::{Handmade, LAYER, descriptor, entry, holds, leaves, limited, serve};
use crate::security_case::{Case, honest, hostile};

/// Far less memory than a tool needs if it trusts the size, but enough to start either tool.
const MEMORY: &str = "ulimit -v 4000000";
const HUGE: u64 = 1 << 62;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        hostile(7, "size_below_the_body", "A blob longer than its descriptor says is no file.", |stage| {
            refused(stage, 3)
        }),
        hostile(7, "size_above_the_body", "A blob shorter than its descriptor says is no file.", |stage| {
            refused(stage, 5)
        }),
        hostile(7, "size_zero_with_a_body", "A blob that should be empty and isn't is no file.", |stage| {
            refused(stage, 0)
        }),
        hostile(7, "size_negative", "A negative size is refused.", |stage| refused(stage, -1)),
        hostile(7, "size_huge_pull", "A size of 2^62 takes no memory and no file.", |stage| {
            refused(stage, HUGE)
        }),
        hostile(7, "size_huge_cp", "A size of 2^62 takes no memory, and no tag is made.", |stage| {
            let server = lying(HUGE);
            limited(stage, MEMORY, &["cp", &name(&server), "--to-oci-layout", "layout:v1"]).fails()?;
            stage.oras(&["manifest", "fetch", "--oci-layout", "layout:v1"]).fails().map(drop)
        }),
        hostile(
            7,
            "size_huge_in_index",
            "A manifest of 2^62 bytes in an index takes no memory.",
            size_huge_in_index,
        ),
        hostile(
            7,
            "size_huge_blob_fetch",
            "A blob that is announced with 2^62 bytes takes no memory and no file.",
            size_huge_blob_fetch,
        ),
        hostile(
            7,
            "size_huge_in_layout",
            "A size of 2^62 in a layout's index takes no memory.",
            size_huge_in_layout,
        ),
        hostile(
            7,
            "embedded_data_is_a_lie",
            "Embedded data that does not match the digest is never written.",
            embedded_data_is_a_lie,
        ),
        honest(7, "size_exact", "A blob of 20 MB that has its size is written, in little memory.", |stage| {
            let content = random::bytes(7, 20_000_000);
            let memory = MemoryRegistry::new();
            memory.files("a", "v1", &[("big", &content)]);
            let server = serve(memory, |_, _| None);
            limited(stage, MEMORY, &["pull", &name(&server), "-o", "out"]).works()?;
            holds(&stage.path("out/big"), content)
        }),
        honest(7, "size_zero_of_nothing", "An empty file is pulled and copied.", |stage| {
            let memory = MemoryRegistry::new();
            memory.files("a", "v1", &[("empty", b"")]);
            let server = serve(memory, |_, _| None);
            stage.oras(&["pull", &name(&server), "-o", "out"]).works()?;
            holds(&stage.path("out/empty"), "")?;
            stage.oras(&["cp", &name(&server), "--to-oci-layout", "layout:v1"]).works()?;
            stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "again"]).works()?;
            holds(&stage.path("again/empty"), "")
        }),
    ]
}

fn name(server: &Scripted) -> String {
    format!("{}/a:v1", server.host())
}

/// Starts a registry with a layer of four bytes, whose descriptor has the given size.
fn lying(size: impl ToString) -> Scripted {
    let memory = MemoryRegistry::new();
    let digest = memory.blob("a", "evil");
    memory.artifact("a", "v1", &descriptor(LAYER, &digest.to_string(), size, "file"));
    serve(memory, |_, _| None)
}

fn refused(stage: &Stage, size: impl ToString) -> Result<(), String> {
    let server = lying(size);
    quick(&limited(stage, MEMORY, &["pull", &name(&server), "-o", "out"]))?;
    leaves(stage, &[])
}

/// Checks that the command failed quickly.
fn quick(said: &Said) -> Result<(), String> {
    said.fails()?;
    check(said.took.as_secs() < 10, || format!("took {:?}", said.took))
}

fn size_huge_in_index(stage: &Stage) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    let child = memory.files("a", "child", &[("file", b"content")]);
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(child, HUGE, "x"));
    memory.manifest("a", "v1", crate::fixtures::INDEX, index);
    let server = serve(memory, |_, _| None);
    quick(&limited(stage, MEMORY, &["cp", &name(&server), "--to-oci-layout", "layout:v1"]))
}

fn size_huge_blob_fetch(stage: &Stage) -> Result<(), String> {
    let digest = Digest::sha256(b"evil");
    let server =
        Scripted::start(move |_| Reply::new(200).header("content-length", HUGE).body("evil").cut_after(4));
    let reference = format!("{}/a@{digest}", server.host());
    limited(stage, MEMORY, &["blob", "fetch", &reference, "-o", "file"]).fails()?;
    leaves(stage, &[])
}

fn size_huge_in_layout(stage: &Stage) -> Result<(), String> {
    let layout = Handmade::new(stage, "layout");
    let (root, _) = layout.artifact("file", b"content");
    layout.index(&entry(root, HUGE, "v1"));
    quick(&limited(stage, MEMORY, &["pull", "--oci-layout", "layout:v1", "-o", "out"]))?;
    quick(&limited(stage, MEMORY, &["manifest", "fetch", "--oci-layout", "layout:v1"]))?;
    let found = stage.files(&stage.path("out"));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

fn embedded_data_is_a_lie(stage: &Stage) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    let digest = memory.blob("a", "good");
    let layer = format!(
        r#"{{"mediaType":"{LAYER}","digest":"{digest}","size":4,"data":"ZXZpbA==","annotations":{{"org.opencontainers.image.title":"file"}}}}"#
    );
    memory.artifact("a", "v1", &layer);
    let server = serve(memory, |_, _| None);
    stage.oras(&["pull", &name(&server), "-o", "out"]);
    match std::fs::read(stage.path("out/file")) {
        Ok(found) => check(found == b"good", || "writes the lie".to_owned()),
        Err(_) => Ok(()),
    }
}
