//! Point 8: malformed digests and digests that contain paths (CVE-2024-3727).

use oras_spec::{Algorithm, Digest};
use oras_testkit::files::write_file;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::fixtures::{Handmade, INDEX, LAYER, MANIFEST, descriptor, entry, holds, manifest, serve};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        hostile(8, "digest_is_a_path", "A digest with `..` is neither requested nor written.", |stage| {
            layer_refused(stage, "sha256:../../../../../../etc/passwd")
        }),
        hostile(8, "digest_has_a_slash", "A digest with a path in it is refused.", |stage| {
            layer_refused(stage, &format!("sha256:{}/x", "a".repeat(62)))
        }),
        hostile(8, "digest_algorithm_unknown", "A digest of an unknown algorithm is rejected.", |stage| {
            layer_refused(stage, "md5:4dea4f4d05fb9f5b6f8ec57a7a3b4d5e")
        }),
        hostile(8, "digest_upper_case", "A digest in upper case is refused.", |stage| {
            layer_refused(stage, &upper(&Digest::sha256(b"evil")))
        }),
        hostile(8, "digest_too_short", "A digest that is cut short is refused.", |stage| {
            layer_refused(stage, &Digest::sha256(b"evil").to_string()[..40])
        }),
        hostile(
            8,
            "digest_in_reference",
            "What is no digest in a reference is refused before anything is asked.",
            digest_in_reference,
        ),
        hostile(
            8,
            "digest_in_header",
            "What is no digest in `Docker-Content-Digest` is never shown nor used: content has its own, or is refused.",
            digest_in_header,
        ),
        hostile(
            8,
            "digest_in_layout_index",
            "A digest that leads out of a layout reads no file there.",
            digest_in_layout_index,
        ),
        hostile(
            8,
            "digest_in_layout_manifest",
            "A digest of a layer that leads out of a layout reads no file there.",
            digest_in_layout_manifest,
        ),
        hostile(
            8,
            "digest_in_referrers",
            "A referrer's digest that contains a path is never requested.",
            digest_in_referrers,
        ),
        honest(8, "digest_sha512", "Content by sha512 is pulled and copied.", digest_sha512),
    ]
}

fn upper(digest: &Digest) -> String {
    format!("sha256:{}", digest.encoded().to_uppercase())
}

/// Checks that neither `pull` nor `cp` accepts a layer with this digest, although the registry returns
/// content for every path.
fn layer_refused(stage: &Stage, digest: &str) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    memory.artifact("a", "v1", &descriptor(LAYER, digest, 4, "file"));
    let server =
        serve(memory, |asked, _| (!asked.path.contains("/manifests/")).then(|| Reply::new(200).body("evil")));
    let source = format!("{}/a:v1", server.host());
    stage.oras(&["pull", &source, "-o", "out"]).fails()?;
    stage.oras(&["cp", &source, "--to-oci-layout", "layout:v1"]).fails()?;
    let found: Vec<_> = server.lines().into_iter().filter(|line| line.contains("..")).collect();
    check(found.is_empty(), || format!("asks {found:?}"))?;
    let found = stage.files(&stage.path("out"));
    check(found.is_empty(), || format!("leaves {found:?}"))?;
    let spoilt: Vec<_> =
        stage.files(&stage.path("")).into_iter().filter(|name| !name.starts_with("layout/")).collect();
    check(spoilt.is_empty(), || format!("leaves {spoilt:?}"))
}

fn digest_in_reference(stage: &Stage) -> Result<(), String> {
    let server = Scripted::start(|_| Reply::new(200).body("evil"));
    let good = Digest::sha256(b"evil");
    let bad = [
        "sha256:../../x".to_owned(),
        format!("sha256:{}/../x", good.encoded()),
        "sha256:abc".to_owned(),
        upper(&good),
        format!("../{good}"),
        "sha256:".to_owned(),
    ];
    for digest in &bad {
        let reference = format!("{}/a@{digest}", server.host());
        for words in [&["pull"][..], &["manifest", "fetch"], &["blob", "fetch", "-o", "file"], &["resolve"]] {
            let words: Vec<&str> = words.iter().copied().chain([reference.as_str()]).collect();
            stage.oras(&words).fails()?;
        }
    }
    check(server.asked().is_empty(), || format!("asks {:?}", server.lines()))
}

fn digest_in_header(stage: &Stage) -> Result<(), String> {
    for digest in ["sha256:../../evil", "evil", "sha256:ABCD", "md5:4dea4f4d05fb9f5b6f8ec57a7a3b4d5e"] {
        let memory = MemoryRegistry::new();
        memory.files("a", "v1", &[("file", b"content")]);
        let server =
            serve(memory, move |asked, _| asked.path.contains("/manifests/v1").then(|| told_with(digest)));
        let source = format!("{}/a:v1", server.host());
        let said = stage.oras(&["resolve", &source]);
        // If the header has a digest that cannot be verified, the tool prints the computed digest or nothing.
        let own = Digest::sha256(manifest("", "").as_bytes()).to_string();
        check(said.stdout.is_empty() || said.stdout.trim() == own, || format!("shows {}", said.stdout))?;
        stage.oras(&["pull", &source, "-o", "out"]);
    }
    let found = stage.files(&stage.path(""));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

/// Returns a response with a manifest and this digest header.
fn told_with(digest: &str) -> Reply {
    let text = manifest("", "");
    Reply::new(200).header("content-type", MANIFEST).header("docker-content-digest", digest).body(text)
}

fn digest_in_layout_index(stage: &Stage) -> Result<(), String> {
    let text = manifest("", "");
    write_file(&stage.path("secret"), &text);
    let layout = Handmade::new(stage, "layout");
    layout.blob("{}");
    layout.index(&entry("sha256:../../../secret", text.len(), "v1"));
    for words in [
        &["manifest", "fetch", "--oci-layout", "layout:v1"][..],
        &["pull", "--oci-layout", "layout:v1", "-o", "out"],
        &["cp", "--from-oci-layout", "layout:v1", "--to-oci-layout", "other:v1"],
    ] {
        let said = stage.oras(words);
        said.fails()?;
        check(!said.stdout.contains("schemaVersion"), || format!("shows {}", said.stdout))?;
    }
    Ok(())
}

fn digest_in_layout_manifest(stage: &Stage) -> Result<(), String> {
    write_file(&stage.path("secret"), "secret");
    let layout = Handmade::new(stage, "layout");
    layout.blob("{}");
    let text = manifest(r#""artifactType":"a/b","#, &descriptor(LAYER, "sha256:../../../secret", 6, "file"));
    let root = layout.blob(&text);
    layout.index(&entry(root, text.len(), "v1"));
    stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).fails()?;
    stage.oras(&["cp", "--from-oci-layout", "layout:v1", "--to-oci-layout", "other:v1"]).fails()?;
    let found = stage.files(&stage.path("out"));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

fn digest_in_referrers(stage: &Stage) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[("file", b"content")]);
    let entry = format!(
        r#"{{"mediaType":"{MANIFEST}","digest":"sha256:../../../b/manifests/v1","size":7,"artifactType":"x/y"}}"#
    );
    let server = serve(memory, move |asked, _| {
        let list = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#);
        asked.path.contains("/referrers/").then(|| Reply::new(200).header("content-type", INDEX).body(list))
    });
    let source = format!("{}/a:v1", server.host());
    stage.oras(&["discover", &source]);
    stage.oras(&["cp", "-r", &source, "--to-oci-layout", "layout:v1"]);
    let found: Vec<_> =
        server.lines().into_iter().filter(|line| line.contains("..") || line.contains("/v2/b/")).collect();
    check(found.is_empty(), || format!("asks {found:?}"))
}

fn digest_sha512(stage: &Stage) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    let digest = Digest::of(Algorithm::Sha512, b"content");
    memory.artifact("a", "v1", &descriptor(LAYER, &digest.to_string(), 7, "file"));
    let end = format!("/blobs/{digest}");
    let server =
        serve(memory, move |asked, _| asked.path.ends_with(&end).then(|| Reply::new(200).body("content")));
    let source = format!("{}/a:v1", server.host());
    stage.oras(&["pull", &source, "-o", "out"]).works()?;
    holds(&stage.path("out/file"), "content")?;
    stage.oras(&["cp", &source, "--to-oci-layout", "layout:v1"]).works()?;
    holds(&stage.path("layout/blobs/sha512").join(digest.encoded()), "content")?;
    stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "again"]).works()?;
    holds(&stage.path("again/file"), "content")
}
