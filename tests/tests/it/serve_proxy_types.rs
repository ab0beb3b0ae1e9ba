//! `oras serve --proxy` relays manifests of any media type.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Reply, Scripted};

use crate::raw_connection::{Answer, Wire};
use crate::sandbox::Sandbox;
use crate::serve::Served;

/// Media types that the server does not know, and the bytes of manifests. The last manifests have no type or
/// a generic type.
const MANIFESTS: [(&str, &[u8]); 8] = [
    ("application/vnd.example.thing.v9+json", br#"{"schemaVersion":9,  "things":[1,2]}"#),
    ("application/vnd.oras.artifact.manifest.v1+json", br#"{"artifactType":"a/b","blobs":[]}"#),
    ("application/vnd.docker.distribution.manifest.v1+json", br#"{"schemaVersion":1,"name":"x"}"#),
    ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{\n   \"schemaVersion\": 1\n}"),
    ("text/html", b"<script>alert(1)</script>\n"),
    ("x/y", b"\x00\xff no JSON"),
    ("application/octet-stream", br#"{"schemaVersion":2,"layers":[]}"#),
    ("", br#"{"schemaVersion":2,"manifests":[]}"#),
];

fn ask(served: &Served, method: &str, path: &str) -> Answer {
    Wire::open(served.address()).unwrap().ask(method, path, "", b"").unwrap()
}

/// Starts an upstream with [`MANIFESTS`] under the tags `t0`, `t1` and so on. It fails every request while
/// the flag is set.
fn upstream() -> (Scripted, Arc<AtomicBool>, Vec<Digest>) {
    let (memory, is_away) = (MemoryRegistry::new(), Arc::new(AtomicBool::new(false)));
    let digests = MANIFESTS.iter().enumerate().map(|(number, (media_type, bytes))| {
        memory.manifest("team/app", &format!("t{number}"), media_type, *bytes)
    });
    let digests = digests.collect();
    memory.blob("team/app", "a blob");
    let away = Arc::clone(&is_away);
    let server = Scripted::start(move |asked| match away.load(Ordering::Relaxed) {
        true => Reply::new(503),
        false => memory.reply(asked),
    });
    (server, is_away, digests)
}

fn check(served: &Served, references: &[String], digests: &[Digest]) {
    for ((media_type, bytes), (reference, digest)) in MANIFESTS.iter().zip(references.iter().zip(digests)) {
        let path = format!("/v2/team/app/manifests/{reference}");
        for method in ["HEAD", "GET"] {
            let answer = ask(served, method, &path);
            assert_eq!(answer.status, 200, "{method} {path} {answer:?}");
            let expected = if media_type.is_empty() { "application/octet-stream" } else { media_type };
            assert_eq!(answer.header("content-type"), expected, "{method} {path}");
            assert_eq!(answer.header("docker-content-digest"), digest.to_string());
            assert_eq!(answer.header("content-length"), bytes.len().to_string());
            assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
            assert!(method == "HEAD" || answer.body == *bytes, "{path} {answer:?}");
        }
    }
}

#[test]
fn proxy_relays_manifests_of_unknown_types() {
    for place in ["--memory", "root"] {
        let (upstream, is_away, digests) = upstream();
        let sandbox = Sandbox::new();
        let served = Served::start(&sandbox, &["--proxy", &upstream.host(), place]);
        let tags: Vec<_> = (0..MANIFESTS.len()).map(|number| format!("t{number}")).collect();
        let by_digest: Vec<_> = digests.iter().map(ToString::to_string).collect();
        // First uncached, by digest and by tag. Then cached.
        check(&served, &by_digest, &digests);
        check(&served, &tags, &digests);
        check(&served, &by_digest, &digests);
        let blob = Digest::sha256(b"a blob");
        assert_eq!(ask(&served, "GET", &format!("/v2/team/app/blobs/{blob}")).body, b"a blob");
        assert_eq!(ask(&served, "GET", &format!("/v2/team/app/manifests/{blob}")).status, 404);
        is_away.store(true, Ordering::Relaxed);
        check(&served, &tags, &digests);
        check(&served, &by_digest, &digests);
        drop(served);
        if place == "root" {
            // The cache is an OCI layout, which keeps the types without the upstream.
            let served = Served::start(&sandbox, &["root"]);
            check(&served, &tags, &digests);
            check(&served, &by_digest[..6], &digests[..6]);
            assert_eq!(ask(&served, "GET", &format!("/v2/team/app/manifests/{blob}")).status, 404);
        }
    }
}

/// The server does not know which content such a manifest needs, so it rejects the push, as distribution
/// does.
#[test]
fn rejects_push_of_unknown_manifest_type() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["--memory"]);
    for media_type in ["Content-Type: application/vnd.example.thing.v9+json\r\n", ""] {
        let mut wire = Wire::open(served.address()).unwrap();
        let answer = wire.ask("PUT", "/v2/a/manifests/v1", media_type, b"{}").unwrap();
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(String::from_utf8_lossy(&answer.body).contains("MANIFEST_INVALID"), "{answer:?}");
    }
}
