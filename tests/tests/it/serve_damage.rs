//! `oras serve` with damaged content on disk.

use std::path::{Path, PathBuf};

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::Scripted;

use crate::raw_connection::{Answer, Wire};
use crate::sandbox::Sandbox;
use crate::serve::Served;

const LARGE: usize = 3 << 20;

fn content(size: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(size).collect()
}

/// Returns damaged variants of the content `right`.
fn damaged(right: &[u8]) -> Vec<Vec<u8>> {
    let flipped = |at: usize| {
        let mut bytes = right.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let longer = [right, b"x"].concat();
    vec![flipped(0), flipped(right.len() - 1), right[..right.len() / 2].to_vec(), longer, Vec::new()]
}

fn replace(path: &Path, bytes: &[u8]) {
    oras_fs::replace(path, bytes, 0o644).unwrap();
}

fn blob_file(sandbox: &Sandbox, bytes: &[u8]) -> PathBuf {
    sandbox.path("root/team/app/blobs/sha256").join(Digest::sha256(bytes).encoded())
}

fn ask(served: &Served, headers: &str, path: &str) -> std::io::Result<Answer> {
    Wire::open(served.address())?.ask("GET", path, headers, b"")
}

/// Asserts that a response is a failure or is cut.
fn refused(served: &Served, headers: &str, path: &str) {
    if let Ok(answer) = ask(served, headers, path) {
        // An empty file has no range.
        let has_no_range = answer.status == 416 && !headers.is_empty();
        assert!(answer.status == 500 || has_no_range, "{path} {headers} {}", answer.head);
    }
}

#[test]
fn damaged_blobs_never_yield_complete_responses() {
    let sandbox = Sandbox::new();
    let (small, large) = (content(1000), content(LARGE));
    sandbox.file("small", &small);
    sandbox.file("large", &large);
    let served = Served::start(&sandbox, &["root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["push", &reference, "small", "large"]);
    for right in [&small, &large] {
        let (file, path) =
            (blob_file(&sandbox, right), format!("/v2/team/app/blobs/{}", Digest::sha256(right)));
        for wrong in damaged(right) {
            replace(&file, &wrong);
            refused(&served, "", &path);
            refused(&served, "Range: bytes=0-\r\n", &path);
        }
        replace(&file, right);
        let whole = ask(&served, "", &path).unwrap();
        assert!(whole.status == 200 && whole.body == *right);
        let part = ask(&served, "Range: bytes=10-19\r\n", &path).unwrap();
        assert_eq!((part.status, &part.body[..]), (206, &right[10..20]));
    }
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(log.contains("stored content is damaged"), "{log}");
    assert!(log.contains("content could not be sent to its end"), "{log}");
}

#[test]
fn damaged_manifests_never_yield_complete_responses() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["root"]);
    for size in [10, 200_000] {
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{{"a":"{}"}}}}"#,
            "x".repeat(size)
        );
        let mut wire = Wire::open(served.address()).unwrap();
        let headers = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
        let path = "/v2/team/app/manifests/v1";
        assert_eq!(wire.ask("PUT", path, headers, manifest.as_bytes()).unwrap().status, 201);
        for wrong in damaged(manifest.as_bytes()) {
            replace(&blob_file(&sandbox, manifest.as_bytes()), &wrong);
            refused(&served, "", path);
        }
        replace(&blob_file(&sandbox, manifest.as_bytes()), manifest.as_bytes());
        assert_eq!(ask(&served, "", path).unwrap().body, manifest.as_bytes());
    }
}

#[test]
fn damaged_archive_blobs_never_yield_complete_responses() {
    let sandbox = Sandbox::new();
    let large = content(LARGE);
    sandbox.file("large", &large);
    let served = Served::start(&sandbox, &["root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["push", &reference, "large"]);
    sandbox.oras(&["backup", "--output", "app.tar", &reference]);
    let mut archive = std::fs::read(sandbox.path("app.tar")).unwrap();
    let at = archive.windows(1024).position(|piece| *piece == large[..1024]).unwrap();
    archive[at + LARGE - 1] ^= 1;
    replace(&sandbox.path("app.tar"), &archive);
    let served = Served::start(&sandbox, &["--repository", "team/app", "app.tar"]);
    let path = format!("/v2/team/app/blobs/{}", Digest::sha256(&large));
    assert!(ask(&served, "", &path).is_err(), "it came to its end");
}

#[test]
fn proxy_refetches_damaged_blobs() {
    let (small, large) = (content(1000), content(LARGE));
    let memory = MemoryRegistry::new();
    for bytes in [&small, &large] {
        memory.blob("team/app", bytes.clone());
    }
    let upstream = Scripted::start(move |asked| memory.reply(asked));
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["--proxy", &upstream.host(), "root"]);
    for right in [&small, &large] {
        let path = format!("/v2/team/app/blobs/{}", Digest::sha256(right));
        assert_eq!(ask(&served, "", &path).unwrap().body, *right);
        for wrong in damaged(right) {
            replace(&blob_file(&sandbox, right), &wrong);
            match ask(&served, "", &path) {
                Ok(answer) => assert!(answer.status == 200 && answer.body == *right, "{}", answer.head),
                Err(_) => assert_eq!(right.len(), LARGE, "a small blob is verified before it is sent"),
            }
            assert_eq!(ask(&served, "", &path).unwrap().body, *right);
            assert_eq!(std::fs::read(blob_file(&sandbox, right)).unwrap(), *right);
        }
    }
}
