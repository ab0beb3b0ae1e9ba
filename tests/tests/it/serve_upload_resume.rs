//! Uploads that resume after `oras serve` was stopped or killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use oras_spec::Digest;
use oras_testkit::peers;

use crate::raw_connection::Wire;
use crate::sandbox::{Sandbox, ours};
use crate::serve::Served;
use crate::tcp_relay::Relay;

const NONE: [&Path; 0] = [];
const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

/// Returns the files of uploads in the layout. The layout may be absent.
fn uploads(sandbox: &Sandbox, layout: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sandbox.path(layout)).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".oras-")).collect()
}

/// Opens an upload and sends some bytes. Returns the location for the next request.
fn begin(wire: &mut Wire, bytes: &[u8]) -> String {
    let opened = wire.ask("POST", UPLOADS, "", b"").unwrap();
    let sent = wire.ask("PATCH", opened.header("location"), "", bytes).unwrap();
    assert_eq!(sent.status, 202, "{sent:?}");
    sent.header("location").to_owned()
}

#[test]
fn resumes_upload_after_server_stop_or_kill() {
    let sandbox = Sandbox::new();
    for signal in ["TERM", "KILL"] {
        let blob = bytes(if signal == "TERM" { 300_000 } else { 200_000 });
        let digest = Digest::sha256(&blob);
        let mut served = Served::start(&sandbox, &["root"]);
        let location = begin(&mut Wire::open(served.address()).unwrap(), &blob[..100_000]);
        served.signal(signal);
        served.ended();
        assert_eq!(uploads(&sandbox, "root/team/app").len(), 1);

        let mut read_only = Served::start(&sandbox, &["--read-only", "root"]);
        let mut wire = Wire::open(read_only.address()).unwrap();
        assert_eq!(wire.ask("GET", &location, "", b"").unwrap().status, 404);
        assert_eq!(wire.ask("PATCH", &location, "", b"x").unwrap().status, 405);
        read_only.signal("TERM");
        assert!(read_only.ended());

        let served = Served::start(&sandbox, &["root"]);
        let mut wire = Wire::open(served.address()).unwrap();
        let told = wire.ask("GET", &location, "", b"").unwrap();
        assert_eq!((told.status, told.header("range")), (204, "0-99999"));
        let elsewhere = location.replace("team/app", "team/other");
        assert_eq!(wire.ask("GET", &elsewhere, "", b"").unwrap().status, 404);
        assert_eq!(wire.ask("GET", &format!("{UPLOADS}..%2Findex.json"), "", b"").unwrap().status, 404);
        let late = wire.ask("PATCH", &location, "Content-Range: 100001-100001\r\n", b"x").unwrap();
        assert_eq!((late.status, late.header("range")), (416, "0-99999"));
        // The server did not read the body of the rejected request, so this uses a new connection.
        let mut wire = Wire::open(served.address()).unwrap();
        let range = "Content-Range: 100000-149999\r\n";
        let sent = wire.ask("PATCH", &location, range, &blob[100_000..150_000]).unwrap();
        assert_eq!((sent.status, sent.header("range")), (202, "0-149999"));
        let put = wire.ask("PUT", &format!("{location}?digest={digest}"), "", &blob[150_000..]).unwrap();
        assert_eq!(put.status, 201, "{put:?}");
        let stored = wire.ask("GET", &format!("/v2/team/app/blobs/{digest}"), "", b"").unwrap();
        assert!(stored.body == blob);
        assert_eq!(wire.ask("GET", &location, "", b"").unwrap().status, 404);
        assert_eq!(uploads(&sandbox, "root/team/app"), NONE);
    }
}

#[test]
fn resumed_upload_hashes_all_bytes() {
    let sandbox = Sandbox::new();
    let blob = bytes(100_000);
    for (digest, status) in [
        (Digest::sha256(&blob[..50_000]), 400),
        (Digest::sha256(&blob[50_000..]), 400),
        (Digest::of(oras_spec::Algorithm::Sha512, &blob), 201),
    ] {
        let mut served = Served::start(&sandbox, &["root"]);
        let location = begin(&mut Wire::open(served.address()).unwrap(), &blob[..50_000]);
        served.signal("KILL");
        served.ended();
        let served = Served::start(&sandbox, &["root"]);
        let mut wire = Wire::open(served.address()).unwrap();
        let put = wire.ask("PUT", &format!("{location}?digest={digest}"), "", &blob[50_000..]).unwrap();
        assert_eq!(put.status, status, "{put:?}");
        assert_eq!(wire.ask("GET", &location, "", b"").unwrap().status, 404);
        assert_eq!(uploads(&sandbox, "root/team/app"), NONE);
        assert_eq!(sandbox.path("root/team/app/oci-layout").exists(), status == 201);
    }
}

#[test]
fn cancelled_upload_leaves_no_files() {
    let sandbox = Sandbox::new();
    let mut served = Served::start(&sandbox, &["root"]);
    let mut wire = Wire::open(served.address()).unwrap();
    let location = begin(&mut wire, b"hello");
    assert!(sandbox.path("root/team/app").is_dir());
    assert_eq!(wire.ask("GET", "/v2/_catalog", "", b"").unwrap().body, br#"{"repositories":[]}"#);
    assert_eq!(wire.ask("DELETE", &location, "", b"").unwrap().status, 204);
    assert_eq!(wire.ask("DELETE", &location, "", b"").unwrap().status, 404);
    assert!(!sandbox.path("root/team").exists() && sandbox.path("root").is_dir());

    // Cancels an upload during a write. The writing client gets 404.
    let location = begin(&mut wire, b"hello");
    wire.begin("PATCH", &location, "", 100).unwrap();
    wire.write(b"some").unwrap();
    let mut other = Wire::open(served.address()).unwrap();
    assert_eq!(other.ask("DELETE", &location, "", b"").unwrap().status, 204);
    assert_eq!(wire.answer("PATCH").unwrap().status, 404);
    assert!(!sandbox.path("root/team").exists());

    // Cancels an upload of an earlier run.
    let location = begin(&mut other, b"hello");
    served.signal("KILL");
    served.ended();
    let served = Served::start(&sandbox, &["root"]);
    let mut wire = Wire::open(served.address()).unwrap();
    assert_eq!(wire.ask("DELETE", &location, "", b"").unwrap().status, 204);
    assert_eq!(wire.ask("GET", &location, "", b"").unwrap().status, 404);
    assert!(!sandbox.path("root/team/app").exists());

    // An upload with a wrong digest.
    let wrong = format!("{UPLOADS}?digest={}", Digest::sha256(b"other"));
    assert_eq!(wire.ask("POST", &wrong, "", b"hello").unwrap().status, 400);
    assert!(!sandbox.path("root/team/app").exists());
}

/// Waits until `length` bytes of the upload are on the disk.
fn wait_for(sandbox: &Sandbox, layout: &str, length: u64) {
    let begun = Instant::now();
    let written =
        || uploads(sandbox, layout).iter().map(|path| path.metadata().map_or(0, |found| found.len())).sum();
    loop {
        let written: u64 = written();
        if written >= length {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{written} bytes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const SIZE: u64 = 24 << 20;
/// The number of bytes that the relay forwards before the server or the client is killed.
const FIRST: u64 = 14 << 20;
/// The maximum size of request heads, manifests, and bytes in transit.
const SLACK: u64 = 6 << 20;

#[test]
fn our_client_resumes_with_missing_bytes_only() {
    let sandbox = Sandbox::new();
    sandbox.file("big", bytes(usize::try_from(SIZE).unwrap()));
    for (client_dies, signal) in [(false, "KILL"), (true, "KILL"), (true, "TERM")] {
        let layout = format!("root/big-{client_dies}-{}", signal.to_lowercase());
        let mut served = Served::start(&sandbox, &["root"]);
        let relay = Relay::start(served.address());
        let reference = format!("{}/{}:v1", relay.host(), layout.strip_prefix("root/").unwrap());
        relay.hold_after(FIRST);
        let words = ["push", &reference, "big"];
        let mut push =
            sandbox.command(&ours(), &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for(&sandbox, &layout, FIRST - SLACK / 2);
        if client_dies {
            push.kill().unwrap();
        }
        // The bytes that the relay holds back must not reach a server.
        relay.leads_to("127.0.0.1:1");
        served.signal(signal);
        relay.release();
        served.ended();
        let before = relay.sent();
        let served = Served::start(&sandbox, &["root"]);
        relay.leads_to(served.address());
        assert_eq!(push.wait().unwrap().success(), !client_dies);
        if client_dies {
            sandbox.oras(&words);
        }
        let sent = relay.sent() - before;
        assert!(sent < SIZE - FIRST + SLACK, "{sent} bytes were sent ({client_dies}, {signal})");
        sandbox.oras(&["pull", "-o", "out", &reference]);
        assert!(std::fs::read(sandbox.path("out/big")).unwrap() == bytes(usize::try_from(SIZE).unwrap()));
        assert_eq!(uploads(&sandbox, &layout), NONE);
    }
}

/// Clients that do not resume uploads push again after a restart. Then all content exists.
#[test]
fn other_clients_push_again_after_restart() {
    let test = "other_clients_push_again_after_restart";
    let sandbox = Sandbox::new();
    sandbox.file("big", bytes(usize::try_from(SIZE).unwrap()));
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "big"]);
    let source = sandbox.path("layout").display().to_string();
    for (tool, words) in
        [(peers::ORAS, &["cp", "--from-oci-layout", "layout:v1"][..]), (peers::CRANE, &["push", &source])]
    {
        let Some(program) = peers::find_or_skip(tool, test) else { continue };
        let layout = format!("root/{}", tool.0);
        let mut served = Served::start(&sandbox, &["root"]);
        let relay = Relay::start(served.address());
        let reference = format!("{}/{}:v1", relay.host(), tool.0);
        relay.hold_after(FIRST);
        let words = [words, &[&reference]].concat();
        let mut push =
            sandbox.command(&program, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for(&sandbox, &layout, FIRST - SLACK / 2);
        served.signal("KILL");
        relay.release();
        served.ended();
        let served = Served::start(&sandbox, &["root"]);
        relay.leads_to(served.address());
        if !push.wait().unwrap().success() {
            sandbox.ok(&program, &words);
        }
        assert_eq!(
            sandbox.oras(&["resolve", &reference]),
            sandbox.oras(&["resolve", "--oci-layout", "layout:v1"])
        );
        sandbox.oras(&["pull", "-o", "out", &reference]);
        assert!(std::fs::read(sandbox.path("out/big")).unwrap() == bytes(usize::try_from(SIZE).unwrap()));
    }
}
