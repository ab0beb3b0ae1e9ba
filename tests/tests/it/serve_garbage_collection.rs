//! `oras serve` collects garbage while clients push, delete and push again.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oras_spec::Digest;
use oras_testkit::random::Random;
use oras_testkit::repetitions::repetitions;

use crate::raw_connection::Wire;
use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const CLIENTS: u64 = 4;
/// The number of different blobs, which the manifests of all clients share.
const BLOBS: usize = 60;
const PATIENCE: Duration = Duration::from_secs(60);

fn shared_blob(number: usize) -> Vec<u8> {
    let mut blob = format!("blob {number} ").into_bytes();
    blob.resize(blob.len() + number * 40, b'x');
    blob
}

fn described(blob: &[u8]) -> String {
    format!(
        r#"{{"mediaType":"application/octet-stream","digest":"{}","size":{}}}"#,
        Digest::sha256(blob),
        blob.len()
    )
}

/// Pushes a blob as clients do: checks whether it exists, and uploads a missing blob in one of three ways.
fn bring(wire: &mut Wire, repository: &str, blob: &[u8], way: usize) -> std::io::Result<()> {
    let digest = Digest::sha256(blob);
    if wire.ask("HEAD", &format!("/v2/{repository}/blobs/{digest}"), "", b"")?.status == 200 {
        return Ok(());
    }
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let answer = match way % 3 {
        0 => wire.ask("POST", &format!("{uploads}?digest={digest}"), "", blob)?,
        1 => {
            let opened = wire.ask("POST", &format!("{uploads}?mount={digest}"), "", b"")?;
            if opened.status == 201 {
                return Ok(());
            }
            wire.ask("PUT", &format!("{}?digest={digest}", opened.header("location")), "", blob)?
        }
        _ => {
            let opened = wire.ask("POST", &uploads, "", b"")?;
            let half = blob.len() / 2;
            let sent = wire.ask("PATCH", opened.header("location"), "", &blob[..half])?;
            wire.ask("PUT", &format!("{}?digest={digest}", sent.header("location")), "", &blob[half..])?
        }
    };
    assert_eq!(answer.status, 201, "{answer:?}");
    Ok(())
}

/// The results of the clients.
#[derive(Default)]
pub(crate) struct Done {
    /// The paths of manifests that were acknowledged and not deleted.
    pub(crate) live: BTreeSet<String>,
    /// The number of pushes that clients repeated, because the server had deleted a blob before the manifest
    /// was pushed.
    again: usize,
}

/// Pushes manifests of shared blobs until `is_over` returns true or the connection ends. If `deletes` is set,
/// also deletes some of these manifests.
pub(crate) fn storm(
    address: &str,
    (seed, deletes): (u64, bool),
    is_over: impl Fn() -> bool,
    done: &Mutex<Done>,
) -> std::io::Result<()> {
    let mut numbers = Random(seed);
    let mut wire = Wire::open(address)?;
    let mut mine = Vec::new();
    for number in 0.. {
        if is_over() {
            break;
        }
        let repository = format!("team/app{}", numbers.below(2));
        let blobs: Vec<_> = (0..3).map(|_| shared_blob(numbers.below(BLOBS))).collect();
        let layers: Vec<_> = blobs.iter().map(|blob| described(blob)).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{},"layers":[{}],"annotations":{{"n":"{seed}-{number}"}}}}"#,
            layers[0],
            layers[1..].join(",")
        );
        let digest = Digest::sha256(manifest.as_bytes());
        let by_digest = format!("/v2/{repository}/manifests/{digest}");
        loop {
            for blob in &blobs {
                bring(&mut wire, &repository, blob, numbers.below(3))?;
            }
            let typed = format!("Content-Type: {IMAGE}\r\n");
            let path = format!("/v2/{repository}/manifests/t{seed}-{number}");
            let answer = wire.ask("PUT", &path, &typed, manifest.as_bytes())?;
            if answer.status == 201 {
                break;
            }
            // A blob was older than the delay and was deleted. The server reports this, and the client
            // repeats the push.
            let text = String::from_utf8_lossy(&answer.body);
            assert!(answer.status == 404 && text.contains("MANIFEST_BLOB_UNKNOWN"), "{answer:?} {text}");
            done.lock().unwrap().again += 1;
            if is_over() {
                return Ok(());
            }
        }
        done.lock().unwrap().live.insert(by_digest.clone());
        mine.push(by_digest);
        while deletes && mine.len() > 20 || (deletes && !mine.is_empty() && numbers.below(3) == 0) {
            let path = mine.swap_remove(numbers.below(mine.len()));
            // If the server is killed during the request, the manifest may or may not exist.
            done.lock().unwrap().live.remove(&path);
            let deleted = wire.ask("DELETE", &path, "", b"")?;
            assert_eq!(deleted.status, 202, "{deleted:?}");
        }
    }
    Ok(())
}

/// Checks that every manifest exists, with every blob that it lists.
pub(crate) fn check_complete(address: &str, manifests: &BTreeSet<String>) {
    let mut wire = Wire::open(address).unwrap();
    for path in manifests {
        let answer = wire.ask("GET", path, "", b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.head);
        assert!(path.ends_with(&Digest::sha256(&answer.body).to_string()), "{path}");
        let manifest: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let repository = path.split_once("/manifests/").unwrap().0;
        for node in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
            let digest = node["digest"].as_str().unwrap();
            let blob = wire.ask("GET", &format!("{repository}/blobs/{digest}"), "", b"").unwrap();
            assert_eq!(blob.status, 200, "{path} needs {digest}");
            assert_eq!(Digest::sha256(&blob.body).to_string(), digest);
        }
    }
}

fn blobs(sandbox: &Sandbox) -> usize {
    let count = |name: &str| {
        let blobs = std::fs::read_dir(sandbox.path(&format!("root/team/{name}/blobs/sha256")));
        blobs.map_or(0, Iterator::count)
    };
    count("app0") + count("app1")
}

#[test]
fn keeps_acknowledged_content_and_deletes_garbage() {
    // The first delay ends before most clients have pushed their manifests, the second does not.
    for (delay, untagged) in [("300ms", &["--gc-untagged"][..]), ("2s", &[])] {
        let sandbox = Sandbox::new();
        let words = [&["--gc-interval", "150ms", "--gc-delay", delay, "root"], untagged].concat();
        let served = Served::start(&sandbox, &words);
        let (address, done) = (served.address(), Mutex::new(Done::default()));
        let (begun, is_over) = (Instant::now(), AtomicBool::new(false));
        let length = Duration::from_secs(2 * repetitions(1) as u64);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (done, is_over) = (&done, &is_over);
                scope.spawn(move || {
                    storm(address, (client + 1, true), || is_over.load(Ordering::SeqCst), done).unwrap();
                });
            }
            let (mut before, mut removed) = (0, 0);
            // On a busy machine, it takes longer until enough blobs were deleted.
            let is_little = |removed| removed < 3 || done.lock().unwrap().live.len() < 5;
            while begun.elapsed() < length || (is_little(removed) && begun.elapsed() < PATIENCE) {
                let now = blobs(&sandbox);
                removed += usize::from(now < before);
                before = now;
                std::thread::sleep(Duration::from_millis(20));
            }
            is_over.store(true, Ordering::SeqCst);
            assert!(!is_little(removed), "{removed} times less, {} began anew", done.lock().unwrap().again);
        });
        let live = done.into_inner().unwrap().live;
        check_complete(address, &live);
        let mut wire = Wire::open(address).unwrap();
        for path in &live {
            assert_eq!(wire.ask("DELETE", path, "", b"").unwrap().status, 202);
        }
        let begun = Instant::now();
        while blobs(&sandbox) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} blobs are left", blobs(&sandbox));
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
        let told: Vec<_> = log.lines().filter(|line| line.contains("garbage")).collect();
        assert!(!told.is_empty() && told.iter().all(|line| line.contains("was removed")), "{told:#?}");
    }
}

#[test]
fn keeps_untagged_manifests_by_default() {
    for untagged in [false, true] {
        let sandbox = Sandbox::new();
        sandbox.tree();
        let mut words = vec!["--gc-interval", "20ms", "--gc-delay", "2s", "root"];
        words.extend(untagged.then_some("--gc-untagged"));
        let served = Served::start(&sandbox, &words);
        let reference = format!("{}/a:v1", served.host());
        sandbox.oras(&["push", &reference, "hi.txt"]);
        let digest = sandbox.oras(&["resolve", &reference]).trim().to_owned();
        sandbox.oras(&["attach", "--artifact-type", "a/b", &reference, "--annotation", "a=b"]);
        std::thread::sleep(Duration::from_millis(2500));
        assert!(sandbox.oras(&["discover", &reference]).contains("a/b"));
        sandbox.oras(&["untag", &reference]);
        // A request for the manifest would count as a use and keep it, so the test checks the file.
        let manifest = sandbox.path("root/a/blobs").join(digest.replace(':', "/"));
        let begun = Instant::now();
        let patience = if untagged { PATIENCE } else { Duration::from_secs(3) };
        while manifest.exists() && begun.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        let by_digest = format!("{}/a@{digest}", served.host());
        assert_eq!(sandbox.run(&ours(), &["pull", "-o", "out", &by_digest]).status.success(), !untagged);
    }
}

#[test]
fn rejects_contradictory_flags() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.oras(&["push", "--oci-layout", "l:v1", "hi.txt"]);
    sandbox.file("l.tar", "an archive");
    for (words, said) in [
        (&["--gc-interval", "1h"][..], "needs a directory"),
        (&["--gc-interval", "1h", "--read-only", "l"], "needs a directory"),
        (&["--gc-interval", "1h", "l.tar"], "is only read"),
        (&["--gc-interval", "0s", "l"], "more than nothing"),
        (&["--gc-interval", "soon", "l"], "invalid duration"),
        (&["--gc-delay", "1h", "l"], "need `--gc-interval`"),
        (&["--gc-untagged", "l"], "need `--gc-interval`"),
    ] {
        let output = sandbox.run(&ours(), &[&["serve", "--addr", "127.0.0.1:0"], words].concat());
        assert!(!output.status.success() && texts(&output).1.contains(said), "{words:?} {output:?}");
    }
}
