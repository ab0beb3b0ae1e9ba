//! `oras serve --proxy` with many concurrent clients, and with upstreams that fail, stall or send wrong
//! content.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::random;
use oras_testkit::recorder::Recorder;
use oras_testkit::registry::Flavor;
use oras_testkit::scripted::{Reply, Scripted};

use crate::raw_connection::Wire;
use crate::sandbox::Sandbox;
use crate::serve::Served;
use crate::serve_proxy::{Upstream, get};

const BIG: usize = 64 << 20;

/// Starts an upstream with a big blob in `team/app:big`. Returns the bytes and the path of the blob.
fn with_big_blob(test: &str) -> Option<(Upstream, Vec<u8>, String)> {
    let upstream = Upstream::new(Flavor::Distribution, test)?;
    let bytes = random::bytes(1, BIG);
    upstream.sandbox.file("big.bin", &bytes);
    upstream.push("big", &["big.bin"]);
    let path = format!("/v2/team/app/blobs/{}", Digest::sha256(&bytes));
    upstream.asked();
    Some((upstream, bytes, path))
}

/// Returns the number of started blob downloads. A download may also request ranges of its blob over more
/// connections, which do not count.
fn downloads(upstream: &Upstream) -> usize {
    let asked = upstream.recorder.take();
    let is_part = |line: &String| line.to_lowercase().starts_with("range:");
    let whole = asked.iter().filter(|asked| {
        asked.method == "GET" && asked.target.contains("/blobs/") && !asked.headers.iter().any(is_part)
    });
    whole.count()
}

/// Returns the files below a directory that do not belong to an empty repository.
fn kept(root: &Path) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = next.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => next.push(entry.path()),
                false => found.push(entry.file_name().into_string().unwrap()),
            }
        }
    }
    found.retain(|name| !matches!(name.as_str(), "oci-layout" | "index.json"));
    found.sort();
    found
}

#[test]
fn concurrent_requests_share_one_download() {
    let Some((upstream, bytes, path)) = with_big_blob("concurrent_requests_share_one_download") else {
        return;
    };
    for place in ["--memory", "root"] {
        let served = upstream.served(place);
        let together = Barrier::new(12);
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let mut wire = Wire::open(served.address()).unwrap();
                    together.wait();
                    let answer = wire.ask("GET", &path, "", b"").unwrap();
                    assert!(answer.status == 200 && answer.body == bytes, "{}", answer.head);
                });
            }
        });
        assert_eq!(downloads(&upstream), 1);
        get(&served, &path);
        assert_eq!(upstream.asked(), Vec::<String>::new());
    }
}

#[test]
fn download_continues_after_first_client_leaves() {
    let test = "download_continues_after_first_client_leaves";
    let Some((upstream, bytes, path)) = with_big_blob(test) else { return };
    let served = upstream.served("root");
    let mut stream = TcpStream::connect(served.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    drop(stream);
    let file = upstream.sandbox.path("root/team/app/blobs/sha256").join(Digest::sha256(&bytes).encoded());
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the blob is not kept");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(get(&served, &path).body, bytes);
    assert_eq!(downloads(&upstream), 1);
}

#[test]
fn range_of_uncached_blob_is_relayed_and_not_cached() {
    let test = "range_of_uncached_blob_is_relayed_and_not_cached";
    let Some((upstream, bytes, path)) = with_big_blob(test) else { return };
    let served = upstream.served("root");
    let part = |range: &str| {
        let mut wire = Wire::open(served.address()).unwrap();
        wire.ask("GET", &path, &format!("Range: bytes={range}\r\n"), b"").unwrap()
    };
    for _ in 0..2 {
        let answer = part("1000-1999");
        assert_eq!((answer.status, answer.header("content-range")), (206, "bytes 1000-1999/67108864"));
        assert_eq!(answer.body, &bytes[1000..2000]);
        assert_eq!(part("99999999-").status, 416);
    }
    assert_eq!(kept(&upstream.sandbox.path("root")), Vec::<String>::new());
    get(&served, &path);
    upstream.asked();
    assert_eq!(part("67108860-").body, &bytes[BIG - 4..]);
    assert_eq!(upstream.asked(), Vec::<String>::new());
}

/// Clients read a blob while the proxy downloads it, including clients that request it later. They get the
/// last piece only after the verification.
#[test]
fn streams_blob_while_downloading() {
    let memory = Arc::new(MemoryRegistry::new());
    let (good, blob) = (Arc::clone(&memory), memory.blob("team/app", "0123456789".repeat(3)));
    let upstream = Scripted::start(move |asked| {
        let reply = good.reply(asked);
        if asked.method == "GET" { reply.drip(Duration::from_millis(100)) } else { reply }
    });
    for place in ["--memory", "root"] {
        let sandbox = Sandbox::new();
        let served = Served::start(&sandbox, &["--proxy", &upstream.host(), place]);
        let path = format!("/v2/team/app/blobs/{blob}");
        let begun = Instant::now();
        let mut readers = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(served.address()).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n01") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                read.push(byte[0]);
            }
            readers.push(stream);
        }
        assert!(begun.elapsed() < Duration::from_millis(2500), "the blob came as a whole");
        for mut stream in readers {
            let mut rest = String::new();
            stream.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, &"0123456789".repeat(3)[2..]);
        }
    }
    let downloads =
        upstream.lines().into_iter().filter(|line| line.starts_with("GET ") && line.contains("/blobs/"));
    assert_eq!(downloads.count(), 2);
}

#[test]
fn broken_download_is_cut_and_not_cached() {
    let test = "broken_download_is_cut_and_not_cached";
    let Some((upstream, bytes, path)) = with_big_blob(test) else { return };
    let served = upstream.served("root");
    upstream.recorder.inject("GET /blobs/ cut=20000000 x1".parse().unwrap());
    upstream.recorder.inject("GET /blobs/ status=503".parse().unwrap());
    let mut wire = Wire::open(served.address()).unwrap();
    wire.begin("GET", &path, "", 0).unwrap();
    assert_eq!(wire.answer("GET").unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    let reads = get(&served, &path);
    assert_eq!(reads.status, 502, "{reads:?}");
    assert_eq!(kept(&upstream.sandbox.path("root")), Vec::<String>::new());
    drop(served);
    // The same cache, with a working upstream.
    let served = Served::start(&upstream.sandbox, &["--proxy", &upstream.registry.host(), "root"]);
    assert_eq!(get(&served, &path).body, bytes);
}

#[test]
fn resumes_broken_upstream_transfer() {
    let test = "resumes_broken_upstream_transfer";
    let Some((upstream, bytes, path)) = with_big_blob(test) else { return };
    let served = upstream.served("root");
    upstream.recorder.inject("GET /blobs/ cut=20000000 x2".parse().unwrap());
    assert_eq!(get(&served, &path).body, bytes);
    assert_eq!(kept(&upstream.sandbox.path("root")), [Digest::sha256(&bytes).encoded()]);
}

/// If an upstream sends wrong content, no client gets a complete response.
#[test]
fn wrong_bytes_never_yield_complete_response() {
    let test = "wrong_bytes_never_yield_complete_response";
    let Some((upstream, _, big)) = with_big_blob(test) else { return };
    let small = format!("/v2/team/app/blobs/{}", Digest::sha256(b"hello world\n"));
    let manifest = "/v2/team/app/manifests/v1";
    let digest = upstream.digest("v1");
    for place in ["--memory", "root"] {
        let liar = Recorder::new(upstream.registry.port());
        let served = Served::start(&upstream.sandbox, &["--proxy", &liar.host(), place]);
        liar.inject("GET /blobs/ flip".parse().unwrap());
        for path in [&big, &small, &big, &small] {
            let mut wire = Wire::open(served.address()).unwrap();
            wire.begin("GET", path, "", 0).unwrap();
            // The proxy may detect wrong small content before it sends the response.
            assert!(wire.answer("GET").map_or(true, |answer| answer.status == 502), "{path}");
        }
        for fault in ["flip", "body={}", "body="] {
            liar.inject(format!("GET /manifests/ {fault} x2").parse().unwrap());
            let wrong = get(&served, manifest);
            assert_eq!(wrong.status, 502, "{fault} {wrong:?}");
        }
        liar.inject("GET /manifests/ flip x2".parse().unwrap());
        assert_eq!(get(&served, &format!("/v2/team/app/manifests/{digest}")).status, 502);
        assert_eq!(kept(&upstream.sandbox.path("root")), Vec::<String>::new());
        // The proxy does not trust a HEAD response with another digest. It uses the GET response.
        let other = Digest::sha256(b"x");
        let fault = format!("HEAD /manifests/ header=Docker-Content-Digest:_{other} x1");
        liar.inject(fault.parse().unwrap());
        assert_eq!(get(&served, manifest).header("docker-content-digest"), digest);
        // A correct response after that is used.
        drop(served);
        let served = upstream.served(place);
        assert_eq!(get(&served, &small).body, b"hello world\n");
        assert_eq!(get(&served, manifest).header("docker-content-digest"), digest);
    }
}

/// An upstream counts as unreachable if it fails or sends no response. An upstream that rejects a request is
/// reachable.
#[test]
fn serves_stale_content_only_if_upstream_is_unreachable() {
    let test = "serves_stale_content_only_if_upstream_is_unreachable";
    let Some((upstream, ..)) = with_big_blob(test) else { return };
    let served = upstream.served("root");
    let path = "/v2/team/app/manifests/v1";
    let digest = get(&served, path).header("docker-content-digest").to_owned();
    for (fault, tries, status) in
        [("503", 3, 200), ("500", 3, 200), ("429", 3, 200), ("401", 2, 403), ("403", 2, 403), ("404", 1, 404)]
    {
        upstream.recorder.inject(
            // The proxy repeats a rejected HEAD as GET.
            format!("* /manifests/ status={fault} x{tries}").parse().unwrap(),
        );
        let answer = get(&served, path);
        assert_eq!(answer.status, status, "{fault} {answer:?}");
        if status == 200 {
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert!(answer.header("warning").contains("v1, as seen last"), "{answer:?}");
        }
    }
    // Clients do not wait long for an upstream that sends no response.
    let silent = Scripted::start(|_| Reply::silent());
    drop(served);
    get(&upstream.served("root"), path);
    let served = Served::start(&upstream.sandbox, &["--proxy", &silent.host(), "root"]);
    let begun = Instant::now();
    assert_eq!(get(&served, path).header("docker-content-digest"), digest);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let begun = Instant::now();
    assert_eq!(get(&served, path).header("docker-content-digest"), digest);
    assert!(begun.elapsed() < Duration::from_secs(2), "everybody waits");
}

/// If the cache is not writable, the proxy relays content without caching, and still detects wrong bytes.
#[test]
fn relays_content_that_cannot_be_cached() {
    let test = "relays_content_that_cannot_be_cached";
    let Some((upstream, bytes, big)) = with_big_blob(test) else { return };
    let small = format!("/v2/team/app/blobs/{}", Digest::sha256(b"hello world\n"));
    upstream.sandbox.file("root/team", "no directory");
    let served = upstream.served("root");
    let out = format!("{}/team/app:v1", served.host());
    upstream.sandbox.oras(&["pull", "-o", "out", &out]);
    assert_eq!(get(&served, &big).body, bytes);
    assert_eq!(get(&served, &small).body, b"hello world\n");
    for path in [&big, &small] {
        // The proxy abandons the download that it cannot cache, and relays a second one. So the fault applies
        // to both.
        upstream.recorder.inject("GET /blobs/ flip x2".parse().unwrap());
        let mut wire = Wire::open(served.address()).unwrap();
        wire.begin("GET", path, "", 0).unwrap();
        // The proxy may detect wrong small content before it sends the response.
        assert!(wire.answer("GET").map_or(true, |answer| answer.status == 502), "{path}");
    }
    let log = std::fs::read_to_string(upstream.sandbox.path("serve.log")).unwrap();
    assert!(log.contains("a blob can't be cached"), "{log}");
}
