//! `oras serve` that is killed under load, or told to stop: what it acknowledged is there, and nothing is half there.
//!
//! `ORAS_TEST_ROUNDS=100 cargo test --workspace --test it serve_crash` kills it a hundred times.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use oras_spec::Digest;
use oras_testkit::numbers::Numbers;
use oras_testkit::rounds::rounds;

use crate::sandbox::Sandbox;
use crate::serve::Served;
use crate::serve_wire::Wire;

/// Clients that push at the same time.
const CLIENTS: usize = 4;
/// A round ends after so many milliseconds at most.
const LONGEST: usize = 150;
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What was answered with 201: a path, and the digest of what it names.
type Acknowledged = Mutex<Vec<(String, Digest)>>;

/// Pushes blobs and manifests until the connection ends.
fn push(address: &str, client: usize, round: usize, acknowledged: &Acknowledged) -> std::io::Result<()> {
    let mut numbers = Numbers((round * CLIENTS + client + 1) as u64);
    let mut wire = Wire::open(address)?;
    let repository = format!("team/app{}", client % 2);
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    for number in 0.. {
        let size = if number % 4 == 3 { 1 << 20 } else { numbers.below(1 << 15) };
        let mut blob = format!("{round} {client} {number} ").into_bytes();
        blob.resize(blob.len() + size, b'x');
        let digest = Digest::sha256(&blob);
        let answer = if number % 2 == 0 {
            wire.ask("POST", &format!("{uploads}?digest={digest}"), "", &blob)?
        } else {
            let opened = wire.ask("POST", &uploads, "", b"")?;
            let half = blob.len() / 2;
            let sent = wire.ask("PATCH", opened.header("location"), "", &blob[..half])?;
            wire.ask("PUT", &format!("{}?digest={digest}", sent.header("location")), "", &blob[half..])?
        };
        assert_eq!(answer.status, 201, "{answer:?}");
        acknowledged.lock().unwrap().push((format!("/v2/{repository}/blobs/{digest}"), digest.clone()));
        let layer = format!(
            r#"{{"mediaType":"application/octet-stream","digest":"{digest}","size":{}}}"#,
            blob.len()
        );
        let manifest =
            format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{layer},"layers":[{layer}]}}"#);
        let path = format!("/v2/{repository}/manifests/t{round}-{client}-{number}");
        let typed = format!("Content-Type: {IMAGE}\r\n");
        let answer = wire.ask("PUT", &path, &typed, manifest.as_bytes())?;
        assert_eq!(answer.status, 201, "{answer:?}");
        acknowledged.lock().unwrap().push((path, Digest::sha256(manifest.as_bytes())));
    }
    Ok(())
}

/// Everything that was acknowledged is served.
fn verify(address: &str, acknowledged: &[(String, Digest)]) {
    let mut wire = Wire::open(address).unwrap();
    for (path, digest) in acknowledged {
        let answer = wire.ask("GET", path, "", b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.head);
        assert_eq!(Digest::sha256(&answer.body), *digest, "{path}");
    }
}

/// Every file that is named as a blob is one, and every manifest that the index lists is there.
fn check_layouts(root: &Path) {
    // Killed early, the server has made nothing.
    for repository in std::fs::read_dir(root.join("team")).into_iter().flatten() {
        let layout: PathBuf = repository.unwrap().path();
        let blobs = layout.join("blobs/sha256");
        for blob in std::fs::read_dir(&blobs).into_iter().flatten() {
            let blob = blob.unwrap();
            let found = Digest::sha256(&std::fs::read(blob.path()).unwrap());
            assert_eq!(found.encoded(), blob.file_name().to_str().unwrap());
        }
        let Ok(index) = std::fs::read(layout.join("index.json")) else { continue };
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        for manifest in index["manifests"].as_array().unwrap() {
            let digest = manifest["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            assert!(blobs.join(digest).is_file(), "{manifest}");
        }
    }
}

#[test]
fn a_killed_server_has_all_that_it_acknowledged() {
    let sandbox = Sandbox::new();
    let (mut all, mut last) = (Vec::new(), Vec::new());
    let mut numbers = Numbers(7);
    for round in 0..rounds(5) {
        let mut served = Served::start(&sandbox, &["root"]);
        verify(served.address(), &last);
        all.append(&mut last);
        let acknowledged = Acknowledged::default();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (address, acknowledged) = (served.address().to_owned(), &acknowledged);
                    scope.spawn(move || push(&address, client, round, acknowledged))
                })
                .collect();
            // Every other round is killed when the load is on, the others whenever it comes.
            while round % 2 == 0 && acknowledged.lock().unwrap().is_empty() {
                assert!(clients.iter().any(|client| !client.is_finished()), "somebody pushes");
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(numbers.below(LONGEST) as u64));
            served.signal("KILL");
            for client in clients {
                assert!(client.join().unwrap().is_err(), "a client pushes until its connection ends");
            }
        });
        assert!(!served.ended());
        check_layouts(&sandbox.path("root"));
        last = acknowledged.into_inner().unwrap();
    }
    all.append(&mut last);
    let served = Served::start(&sandbox, &["root"]);
    verify(served.address(), &all);
    assert!(!all.is_empty(), "something was acknowledged");
}

#[test]
fn a_server_that_is_told_to_stop_finishes_its_uploads() {
    let sandbox = Sandbox::new();
    for (place, signal) in [("root", "TERM"), ("--memory", "INT")] {
        let mut served = Served::start(&sandbox, &[place]);
        let blob = vec![b'x'; 100_000];
        let digest = Digest::sha256(&blob);
        let mut wire = Wire::open(served.address()).unwrap();
        let path = format!("/v2/a/blobs/uploads/?digest={digest}");
        wire.begin("POST", &path, "", blob.len()).unwrap();
        wire.write(&blob[..50_000]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        served.signal(signal);
        std::thread::sleep(Duration::from_millis(100));
        assert!(Wire::open(served.address()).is_err(), "no more connections");
        wire.write(&blob[50_000..]).unwrap();
        assert_eq!(wire.answer("POST").unwrap().status, 201);
        assert!(served.ended());
        if place == "root" {
            let again = Served::start(&sandbox, &[place]);
            verify(again.address(), &[(format!("/v2/a/blobs/{digest}"), digest)]);
        }
    }
}
