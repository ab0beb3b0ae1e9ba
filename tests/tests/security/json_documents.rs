//! Points 10, 11 and 20: ambiguous documents, unannounced media types, and documents above the size limits.

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::fixtures::{INDEX, LAYER, MANIFEST, descriptor, holds, leaves, limited, manifest, serve};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = two_meanings();
    cases.extend(too_much());
    cases.extend(too_deep());
    cases
}

fn two_meanings() -> Vec<Case> {
    vec![
        hostile(
            10,
            "index_called_a_manifest",
            "An index that is served as a manifest is not taken for one (CVE-2021-41190).",
            |stage| ambiguous(stage, MANIFEST, INDEX),
        ),
        hostile(
            10,
            "manifest_called_an_index",
            "A manifest that is served as an index is not taken for one (CVE-2021-41190).",
            |stage| ambiguous(stage, INDEX, MANIFEST),
        ),
        hostile(
            10,
            "layers_and_manifests",
            "A document with both layers and manifests is refused, or has one meaning everywhere.",
            |stage| ambiguous(stage, MANIFEST, MANIFEST),
        ),
        honest(10, "content_type_with_parameter", "A parameter of the Content-Type does no harm.", |stage| {
            typed(stage, &format!("{MANIFEST}; charset=utf-8"))
        }),
        honest(
            10,
            "content_type_says_nothing",
            "Where the Content-Type is missing or that of any file, the manifest's own media type counts.",
            |stage| {
                typed(stage, "application/octet-stream")?;
                std::fs::remove_dir_all(stage.path("layout")).unwrap();
                typed(stage, "")
            },
        ),
        hostile(
            11,
            "get_differs_from_header",
            "A manifest that does not match its digest header is rejected.",
            |stage| announced(stage, &Digest::sha256(b"other").to_string(), ""),
        ),
        hostile(
            11,
            "head_size_differs_from_get",
            "A manifest longer than was announced is refused.",
            head_size_differs,
        ),
        hostile(
            11,
            "head_digest_differs_from_get",
            "A tag that moves between two requests gives no mixture of the two.",
            head_digest_differs,
        ),
        honest(
            11,
            "no_digest_header",
            "A registry that names no digest is read all the same.",
            no_digest_header,
        ),
    ]
}

fn too_much() -> Vec<Case> {
    vec![
        hostile(
            20,
            "manifest_of_5_mib",
            "A manifest above the limit is refused before it is read.",
            |stage| {
                let members = format!(r#""annotations":{{"a":"{}"}},"#, "x".repeat(5 << 20));
                document(stage, manifest(&members, "")).map(drop)
            },
        ),
        hostile(20, "json_invalid_utf8", "A title that is not valid UTF-8 creates no file.", |stage| {
            let memory = MemoryRegistry::new();
            let digest = memory.blob("a", "evil");
            let text = manifest("", &descriptor(LAYER, &digest.to_string(), 4, "TITLE"));
            let place = text.find("TITLE").unwrap();
            let mut bytes = text.into_bytes();
            bytes[place] = 0xff;
            memory.blob("a", "{}");
            memory.manifest("a", "v1", MANIFEST, bytes);
            let server = serve(memory, |_, _| None);
            let said = stage.oras(&["pull", &name(&server), "-o", "out"]);
            check(matches!(said.status, Some(0 | 1)), || format!("ends with {:?}", said.status))?;
            use std::os::unix::ffi::OsStrExt;
            let raw: Vec<_> = std::fs::read_dir(stage.path("out")).into_iter().flatten().flatten().collect();
            check(raw.iter().all(|entry| !entry.file_name().as_bytes().contains(&0xff)), || {
                "writes it".to_owned()
            })
        }),
        hostile(20, "json_trailing_data", "A document with more behind it is refused.", |stage| {
            let text = manifest("", "");
            document(stage, format!("{text}{text}")).map(drop)
        }),
        hostile(20, "json_duplicate_keys", "A name given twice is refused or has one meaning.", |stage| {
            let memory = MemoryRegistry::new();
            let one = memory.layer("a", "one", b"one");
            let two = memory.layer("a", "two", b"two");
            memory.blob("a", "{}");
            let text = manifest("", &one).replacen('{', &format!(r#"{{"layers":[{two}],"#), 1);
            memory.manifest("a", "v1", MANIFEST, text);
            one_meaning(stage, &serve(memory, |_, _| None))
        }),
        honest(20, "manifest_below_4_mib", "A manifest of 19,000 layers is copied.", |stage| {
            let memory = MemoryRegistry::new();
            let digest = memory.blob("a", "layer").to_string();
            let layers: Vec<_> =
                (0..19_000).map(|number| descriptor(LAYER, &digest, 5, &format!("{number}"))).collect();
            memory.blob("a", "{}");
            let text = manifest("", &layers.join(","));
            assert!((3 << 20..4 << 20).contains(&text.len()), "{}", text.len());
            let root = memory.manifest("a", "v1", MANIFEST, text.clone());
            let server = serve(memory, |_, _| None);
            stage.oras(&["cp", &name(&server), "--to-oci-layout", "layout:v1"]).works()?;
            holds(&stage.path("layout/blobs/sha256").join(root.encoded()), text)
        }),
        honest(20, "unknown_fields_are_kept", "Unknown fields of a manifest are copied.", |stage| {
            let text = manifest(r#" "x-y" : [ 1.50, {"b":null,"a":"\u00e9<"} ],"#, "");
            let server = serve(stocked(&text), |_, _| None);
            stage.oras(&["cp", &name(&server), "--to-oci-layout", "layout:v1"]).works()?;
            holds(&stage.path("layout/blobs/sha256").join(Digest::sha256(text.as_bytes()).encoded()), &text)?;
            let said = stage.oras(&["manifest", "fetch", &name(&server)]);
            check(said.works()?.stdout == text, || format!("shows {}", said.stdout))
        }),
    ]
}

fn too_deep() -> Vec<Case> {
    vec![
        hostile(20, "json_depth", "JSON of 10,000 levels crashes nothing.", |stage| {
            let members = format!(r#""deep":{}{},"#, "[".repeat(10_000), "]".repeat(10_000));
            let server = serve(stocked(&manifest(&members, "")), |_, _| None);
            for words in [
                &["pull", &name(&server), "-o", "out"][..],
                &["cp", &name(&server), "--to-oci-layout", "layout:v1"],
                &["manifest", "fetch", "--pretty", &name(&server)],
                &["discover", &name(&server), "--format", "json"],
            ] {
                let said = limited(stage, "ulimit -v 4000000", words);
                check(matches!(said.status, Some(0 | 1)), || format!("{words:?}: {:?}", said.status))?;
            }
            Ok(())
        }),
        hostile(
            20,
            "json_depth_everywhere",
            "JSON of 100,000 levels crashes nothing, wherever a registry says it.",
            |stage| {
                let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
                depth_everywhere(stage, &deep)
            },
        ),
        honest(
            20,
            "json_depth_of_people",
            "JSON of 100 levels in an annotation's neighbour is read.",
            |stage| {
                let members = format!(r#""deep":{}{},"#, "[".repeat(100), "]".repeat(100));
                let server = serve(stocked(&manifest(&members, "")), |_, _| None);
                stage.oras(&["pull", &name(&server), "-o", "out"]).works().map(drop)
            },
        ),
    ]
}

fn name(server: &Scripted) -> String {
    format!("{}/a:v1", server.host())
}

fn stocked(text: &str) -> MemoryRegistry {
    let memory = MemoryRegistry::new();
    memory.blob("a", "{}");
    memory.manifest("a", "v1", MANIFEST, text);
    memory
}

/// Checks that the document is neither pulled, nor shown, nor copied.
fn document(stage: &Stage, text: String) -> Result<Scripted, String> {
    let server = serve(stocked(&text), |_, _| None);
    stage.oras(&["pull", &name(&server), "-o", "out"]).fails()?;
    leaves(stage, &[])?;
    stage.oras(&["cp", &name(&server), "--to-oci-layout", "layout:v1"]).fails()?;
    stage.oras(&["resolve", "--oci-layout", "layout:v1"]).fails()?;
    Ok(server)
}

/// Checks a document with layers and manifests. The Content-Type is `told`, and the media type in the
/// document is `own`.
fn ambiguous(stage: &Stage, told: &str, own: &str) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    let layer = memory.layer("a", "from-layers", b"layers");
    let child = manifest("", &memory.layer("a", "from-manifests", b"manifests"));
    let digest = memory.manifest("a", "child", MANIFEST, child.clone());
    let entry = format!(r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{}}}"#, child.len());
    let text = manifest("", &layer).replacen(MANIFEST, own, 1).replacen(
        '{',
        &format!(r#"{{"manifests":[{entry}],"#),
        1,
    );
    memory.blob("a", "{}");
    memory.manifest("a", "v1", told, text);
    one_meaning(stage, &serve(memory, |_, _| None))
}

/// Checks that a pull from the registry and a pull from a copy give the same file, or that the document is
/// rejected.
fn one_meaning(stage: &Stage, server: &Scripted) -> Result<(), String> {
    let pulled = stage.oras(&["pull", &name(server), "-o", "out"]);
    let copied = stage.oras(&["cp", &name(server), "--to-oci-layout", "layout:v1"]);
    if pulled.status == Some(1) && copied.status == Some(1) {
        return leaves_no_file(stage);
    }
    pulled.works()?;
    copied.works()?;
    stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "again"]).works()?;
    let (first, second) = (stage.files(&stage.path("out")), stage.files(&stage.path("again")));
    check(first == second, || format!("{first:?} from the registry, {second:?} from the copy"))?;
    check(first.len() == 1, || format!("is taken for both: {first:?}"))?;
    // Only the media type inside of the document is covered by its digest.
    let said = stage.oras(&["manifest", "fetch", "--descriptor", &name(server)]);
    let text = stage.oras(&["manifest", "fetch", &name(server)]);
    let own =
        if text.stdout.contains(&format!(r#""mediaType":"{INDEX}","config""#)) { INDEX } else { MANIFEST };
    check(said.stdout.contains(own), || format!("is called {}", said.stdout))
}

fn leaves_no_file(stage: &Stage) -> Result<(), String> {
    let found = stage.files(&stage.path("out"));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

/// Checks a pull from a registry that serves an artifact with this Content-Type.
fn typed(stage: &Stage, content_type: &str) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    let layer = memory.layer("a", "file", b"content");
    memory.blob("a", "{}");
    memory.manifest("a", "v1", content_type, manifest("", &layer));
    let server = serve(memory, |_, _| None);
    stage.oras(&["pull", &name(&server), "-o", "out"]).works()?;
    holds(&stage.path("out/file"), "content")?;
    stage.oras(&["cp", &name(&server), "--to-oci-layout", "layout:v1"]).works()?;
    let index = std::fs::read_to_string(stage.path("layout/index.json")).unwrap();
    check(index.contains(&format!("\"{MANIFEST}\"")), || format!("writes {index}"))
}

/// Checks that a manifest is rejected whose headers have this digest and length.
fn announced(stage: &Stage, digest: &str, length: &str) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[("file", b"content")]);
    let (digest, length) = (digest.to_owned(), length.to_owned());
    let server = serve(memory, move |asked, _| {
        let text = manifest("", "");
        let reply = Reply::new(200).header("content-type", MANIFEST).header("docker-content-digest", &digest);
        let reply = if length.is_empty() { reply } else { reply.header("content-length", &length) };
        is_manifest(asked).then(|| reply.body(text))
    });
    stage.oras(&["pull", &name(&server), "-o", "out"]).fails()?;
    let said = stage.oras(&["manifest", "fetch", &name(&server)]);
    said.fails()?;
    check(said.stdout.is_empty(), || format!("shows {}", said.stdout))?;
    leaves(stage, &[])
}

fn is_manifest(asked: &Asked) -> bool {
    asked.path.contains("/manifests/")
}

fn head_size_differs(stage: &Stage) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[("file", b"content")]);
    let server = serve(memory, |asked, memory| {
        (is_manifest(asked) && asked.method == "HEAD").then(|| {
            let digest = Digest::sha256(b"x");
            drop(memory.reply(asked));
            Reply::new(200)
                .header("content-type", MANIFEST)
                .header("docker-content-digest", digest)
                .header("content-length", 1)
        })
    });
    // A tool that sends HEAD first must not trust its length and digest. A tool that sends only GET gets the
    // right content.
    let said = stage.oras(&["pull", &name(&server), "-o", "out"]);
    if said.status == Some(0) { holds(&stage.path("out/file"), "content") } else { leaves(stage, &[]) }
}

fn head_digest_differs(stage: &Stage) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    let old = memory.files("a", "old", &[("old", b"old")]);
    memory.files("a", "v1", &[("new", b"new")]);
    let server = serve(memory, move |asked, memory| {
        (is_manifest(asked) && asked.method == "HEAD").then(|| {
            let asked = Asked { path: format!("/v2/a/manifests/{old}"), ..asked.clone() };
            memory.reply(&asked)
        })
    });
    let said = stage.oras(&["cp", &name(&server), "--to-oci-layout", "layout:v1"]);
    if said.status == Some(1) {
        return Ok(());
    }
    said.works()?;
    stage.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]).works()?;
    let found = stage.files(&stage.path("out"));
    check(found == ["new"] || found == ["old"], || format!("has {found:?}"))?;
    let digest = stage.oras(&["resolve", "--oci-layout", "layout:v1"]).stdout;
    check(said.stdout.contains(digest.trim()), || format!("says {}, tags {digest}", said.stdout))
}

fn no_digest_header(stage: &Stage) -> Result<(), String> {
    let memory = MemoryRegistry::new();
    let root = memory.files("a", "v1", &[("file", b"content")]);
    let server = serve(memory, |asked, memory| {
        is_manifest(asked).then(|| memory.reply(asked).without("docker-content-digest"))
    });
    stage.oras(&["pull", &name(&server), "-o", "out"]).works()?;
    holds(&stage.path("out/file"), "content")?;
    let said = stage.oras(&["resolve", &name(&server)]);
    check(said.works()?.stdout.trim() == root.to_string(), || format!("says {}", said.stdout))
}

/// Runs commands against a registry that answers `text` to every request for a document of one kind.
fn depth_everywhere(stage: &Stage, text: &str) -> Result<(), String> {
    let config = Digest::sha256(text.as_bytes());
    for place in
        ["/manifests/", "/tags/", "/_catalog", "/referrers/", "/blobs/", "/uploads/", "/v2/", "/token"]
    {
        let body = text.to_owned();
        let server = serve(stocked(&manifest("", "")), move |asked, _| {
            let status = if place == "/uploads/" { 400 } else { 200 };
            let media_type = if place == "/manifests/" { MANIFEST } else { "application/json" };
            let reply = Reply::new(status).header("Content-Type", media_type).body(body.clone());
            match place {
                // The token server is named by a challenge.
                "/token" if asked.path.starts_with("/token") => Some(reply),
                "/token" => {
                    let host = asked.header("host").unwrap_or_default();
                    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                    Some(Reply::new(401).header("WWW-Authenticate", &challenge).body(body.clone()))
                }
                _ => asked.path.contains(place).then_some(reply),
            }
        });
        let name = name(&server);
        let host = server.host();
        let blob = format!("{}@{config}", name.rsplit_once(':').map_or("", |(repository, _)| repository));
        stage.file("new", text);
        for words in [
            &["pull", &name, "-o", "out"][..],
            &["cp", "-r", &name, "--to-oci-layout", "layout:v1"],
            &["manifest", "fetch", "--pretty", &name],
            &["manifest", "fetch-config", "--pretty", &name],
            &["manifest", "fetch", &name, "--format", "go-template={{.}}"],
            &["manifest", "fetch", &name, "--jq", ".content|tostring"],
            &["discover", &name, "--format", "json"],
            &["repo", "tags", name.rsplit_once(':').map_or("", |(repository, _)| repository)],
            &["repo", "ls", &host],
            &["blob", "fetch", &blob, "-o", "blob"],
            &["push", &name, "new", "--disable-path-validation"],
            &["attach", &name, "new", "--artifact-type", "a/b"],
            &["resolve", "--platform", "linux/amd64", &name],
            &["login", &host, "-u", "a", "-p", "b"],
        ] {
            let said = limited(stage, "ulimit -v 8000000", words);
            check(matches!(said.status, Some(0 | 1)), || format!("{place} {words:?}: {:?}", said.status))?;
            check(!said.text().contains("panicked"), || format!("{place} {words:?}: {}", said.text()))?;
        }
    }
    Ok(())
}
