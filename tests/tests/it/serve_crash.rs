//! Kills or stops `oras serve` under load. All acknowledged content must exist, and no partial content may be
//! visible.
//!
//! `ORAS_TEST_ROUNDS=100 cargo test --workspace --test it serve_crash` kills the server a hundred times.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use oras_spec::Digest;
use oras_testkit::random::Random;
use oras_testkit::repetitions::repetitions;

use crate::raw_connection::Wire;
use crate::sandbox::Sandbox;
use crate::serve::Served;
use crate::serve_garbage_collection::{Done, check_complete, storm};

/// The number of clients that push at the same time.
const CLIENTS: usize = 4;
/// The maximum length of a round in milliseconds.
const LONGEST: usize = 150;
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The writes that the server acknowledged with 201: the path, and the digest of its content.
type Acknowledged = Mutex<Vec<(String, Digest)>>;

/// Pushes blobs and manifests until the connection ends.
fn push(address: &str, client: usize, round: usize, acknowledged: &Acknowledged) -> std::io::Result<()> {
    let mut numbers = Random((round * CLIENTS + client + 1) as u64);
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

/// Checks that the server returns all acknowledged content.
fn verify(address: &str, acknowledged: &[(String, Digest)]) {
    let mut wire = Wire::open(address).unwrap();
    for (path, digest) in acknowledged {
        let answer = wire.ask("GET", path, "", b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.head);
        assert_eq!(Digest::sha256(&answer.body), *digest, "{path}");
    }
}

/// Checks that every blob file matches its name, and that every manifest in the index exists.
fn check_layouts(root: &Path) {
    // A server that was killed early has not created the directory.
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
fn killed_server_keeps_acknowledged_content() {
    let sandbox = Sandbox::new();
    let (mut all, mut last) = (Vec::new(), Vec::new());
    let mut numbers = Random(7);
    for round in 0..repetitions(5) {
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
            // In every second round, the server is killed only after it has acknowledged content. In the
            // other rounds, it is killed at a random time.
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

/// The number of parts of a blob whose upload continues over several runs of the server.
const PARTS: usize = 8;

/// Sends a blob in parts to the server that runs at that time. The server must report at least the
/// acknowledged length.
struct LongUpload {
    blob: Vec<u8>,
    location: String,
    acknowledged: usize,
    /// Whether the last request, which commits the blob, was sent.
    closed: bool,
}

impl LongUpload {
    fn begin(address: &str, number: usize) -> Self {
        let mut blob = format!("long {number} ").into_bytes();
        blob.resize(blob.len() + (200 << 10), b'y');
        let opened =
            Wire::open(address).unwrap().ask("POST", "/v2/team/long/blobs/uploads/", "", b"").unwrap();
        Self { blob, location: opened.header("location").to_owned(), acknowledged: 0, closed: false }
    }

    /// Queries the received length, and sends parts until the connection ends. Returns true if the blob is
    /// stored.
    fn go_on(&mut self, address: &str) -> bool {
        let Ok(mut wire) = Wire::open(address) else { return false };
        let digest = Digest::sha256(&self.blob);
        let Ok(told) = wire.ask("GET", &self.location, "", b"") else { return false };
        if told.status == 404 {
            // The response to the last request was lost. No manifest needs the blob, so garbage collection
            // may have deleted it.
            assert!(self.closed, "the upload is lost");
            let stored = wire.ask("GET", &format!("/v2/team/long/blobs/{digest}"), "", b"");
            return stored.is_ok_and(|stored| stored.status == 404 || stored.body == self.blob);
        }
        let last: usize = told.header("range").strip_prefix("0-").unwrap().parse().unwrap();
        let mut offset = if last == 0 { 0 } else { last + 1 };
        assert!(told.status == 204 && offset >= self.acknowledged, "{told:?} {}", self.acknowledged);
        while offset < self.blob.len() {
            let end = self.blob.len().min(offset + self.blob.len() / PARTS);
            let range = format!("Content-Range: {offset}-{}\r\n", end - 1);
            let Ok(sent) = wire.ask("PATCH", &self.location, &range, &self.blob[offset..end]) else {
                return false;
            };
            assert_eq!(sent.status, 202, "{sent:?}");
            (offset, self.acknowledged) = (end, end);
            std::thread::sleep(Duration::from_millis(5));
        }
        self.closed = true;
        let Ok(put) = wire.ask("PUT", &format!("{}?digest={digest}", self.location), "", b"") else {
            return false;
        };
        assert_eq!(put.status, 201, "{put:?}");
        true
    }
}

/// The server runs garbage collection all the time. Clients delete manifests, and uploads continue over
/// several runs of the server.
#[test]
fn server_killed_during_garbage_collection_loses_nothing() {
    let sandbox = Sandbox::new();
    let words = ["--gc-interval", "10ms", "--gc-delay", "300ms", "--gc-untagged", "root"];
    let done = Mutex::new(Done::default());
    let mut numbers = Random(11);
    let (mut uploads, mut long) = (0, None);
    for round in 0..repetitions(5) {
        let mut served = Served::start(&sandbox, &words);
        let address = served.address().to_owned();
        check_complete(&address, &done.lock().unwrap().live);
        let upload = long.get_or_insert_with(|| LongUpload::begin(&address, uploads));
        let is_whole = std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (address, done) = (&address, &done);
                let seed = (round * CLIENTS + client + 1) as u64;
                scope.spawn(move || drop(storm(address, (seed, true), || false, done)));
            }
            let upload = scope.spawn(|| upload.go_on(&address));
            std::thread::sleep(Duration::from_millis(numbers.below(6 * LONGEST) as u64));
            served.signal("KILL");
            upload.join().unwrap()
        });
        if is_whole {
            (uploads, long) = (uploads + 1, None);
        }
        assert!(!served.ended());
        check_layouts(&sandbox.path("root"));
    }
    let served = Served::start(&sandbox, &words);
    if let Some(mut upload) = long {
        assert!(upload.go_on(served.address()));
    }
    let done = done.into_inner().unwrap();
    check_complete(served.address(), &done.live);
    assert!(!done.live.is_empty(), "something was acknowledged");
}

#[test]
fn graceful_stop_finishes_uploads() {
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
