//! `oras serve` with clients that reset their connection after they sent a request.

use std::fs::File;
use std::time::{Duration, Instant};

use oras_spec::Digest;

use crate::raw_connection::Wire;
use crate::sandbox::Sandbox;
use crate::serve::Served;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path("serve.log")).unwrap()
}

/// Waits until the log has a line that contains all `parts`.
fn wait_for_line(sandbox: &Sandbox, parts: &[&str]) {
    let begun = Instant::now();
    while !log(sandbox).lines().any(|line| parts.iter().all(|part| line.contains(part))) {
        assert!(begun.elapsed() < Duration::from_secs(20), "no line with {parts:?} in {}", log(sandbox));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn finishes_and_logs_writes_of_disconnected_clients() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["root"]);
    let ask = |method: &str, path: &str, headers: &str, body: &[u8]| {
        Wire::open(served.address()).unwrap().ask(method, path, headers, body).unwrap()
    };
    let typed = format!("Content-Type: {INDEX}\r\n");
    let manifest = |name: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"a":"{name}"}}}}"#
        )
    };
    for tag in ["first", "second"] {
        assert_eq!(
            ask("PUT", &format!("/v2/a/manifests/{tag}"), &typed, manifest(tag).as_bytes()).status,
            201
        );
    }
    let by_digest = format!("/v2/a/manifests/{}", Digest::sha256(manifest("second").as_bytes()));
    let third = manifest("third");
    for (method, path, body, status, found) in [
        ("PUT", "/v2/a/manifests/third", third.as_bytes(), "status=201", 200),
        ("DELETE", "/v2/a/manifests/first", b"", "status=202", 404),
        ("DELETE", &by_digest, b"", "status=202", 404),
    ] {
        // This lock prevents the server from writing the index.
        let lock = File::open(sandbox.path("root/a/oci-layout")).unwrap();
        lock.lock().unwrap();
        let mut wire = Wire::open(served.address()).unwrap();
        wire.begin(method, path, &typed, body.len()).unwrap();
        wire.write(body).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        wire.reset();
        std::thread::sleep(Duration::from_millis(200));
        let request = format!("method={method} path={path} ");
        assert!(!log(&sandbox).contains(&request), "{}", log(&sandbox));
        lock.unlock().unwrap();
        wait_for_line(&sandbox, &[&request, status, "client_left=true"]);
        assert_eq!(ask("GET", path, "", b"").status, found, "{method} {path}");
    }
}

/// The user `ann` with the password `right`. Computing the hash takes a tenth of a second.
const HTPASSWD: &str = "ann:$2b$11$abcdefghijklmnopqrstuuD06ya1Nw2W31Tn1jG5w4.7wnwI3cNXm\n";

fn threads(served: &Served) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", served.id())).unwrap().count()
}

/// Returns the header with a name and a password.
fn basic(credentials: &str) -> String {
    use base64::Engine as _;
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(credentials))
}

#[test]
fn counts_wrong_passwords_of_disconnected_clients() {
    let sandbox = Sandbox::new();
    sandbox.file("users", HTPASSWD);
    for path in ["/v2/", "/token?service=oras", "/v2/a/manifests/v1"] {
        let served = Served::start(&sandbox, &["--htpasswd", "users", "--memory"]);
        let before = log(&sandbox).matches("failed login").count();
        let mut most = 0;
        let begun = Instant::now();
        // These are more requests than a client may send. Each client disconnects before the response.
        for number in 0..200 {
            let mut wire = Wire::open(served.address()).unwrap();
            let method = if path.contains("manifests") { "PUT" } else { "GET" };
            wire.begin(method, path, &basic(&format!("ann:wrong{number}")), 0).unwrap();
            std::thread::sleep(Duration::from_millis(5));
            wire.reset();
            most = most.max(threads(&served));
        }
        assert!(most < 20, "{path}: {most} threads");
        // Another client can log in, and does not wait long.
        let mut other = Wire::open_from(served.address(), [127, 0, 0, 2].into()).unwrap();
        assert_eq!(other.ask("GET", "/v2/", &basic("ann:right"), b"").unwrap().status, 200);
        assert!(begun.elapsed() < Duration::from_secs(15), "{path} took {:?}", begun.elapsed());
        assert!(log(&sandbox).matches("failed login").count() > before, "{path}: nothing is logged");
        // The hashed passwords were counted. Above the limit, the client gets 429.
        let mut wire = Wire::open(served.address()).unwrap();
        let mut refused = 401;
        for number in 0..40 {
            refused = wire.ask("GET", path, &basic(&format!("ann:more{number}")), b"").unwrap().status;
            if refused == 429 {
                break;
            }
        }
        assert_eq!(refused, 429, "{path}");
    }
}

/// The server finishes a commit although its client has disconnected. The commit does not block other
/// requests.
#[test]
fn commits_uploads_of_disconnected_clients() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["root"]);
    let mut digests = Vec::new();
    for number in 0..20_u8 {
        let blob = vec![number; 1 << 20];
        let digest = Digest::sha256(&blob);
        let mut wire = Wire::open(served.address()).unwrap();
        let location =
            wire.ask("POST", "/v2/a/blobs/uploads/", "", b"").unwrap().header("location").to_owned();
        assert_eq!(wire.ask("PATCH", &location, "", &blob).unwrap().status, 202);
        wire.begin("PUT", &format!("{location}?digest={digest}"), "", 0).unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(number % 4)));
        wire.reset();
        digests.push((location, digest));
    }
    let mut wire = Wire::open(served.address()).unwrap();
    assert_eq!(wire.ask("GET", "/v2/", "", b"").unwrap().status, 200);
    let begun = Instant::now();
    for (location, digest) in &digests {
        // If the reset arrived before the request, the upload is still open. Otherwise the blob is committed.
        loop {
            let blob = wire.ask("HEAD", &format!("/v2/a/blobs/{digest}"), "", b"").unwrap().status;
            let upload = wire.ask("GET", location, "", b"").unwrap().status;
            if (blob == 200) != (upload == 204) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{digest}: blob {blob}, upload {upload}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let log = log(&sandbox);
    for line in log.lines().filter(|line| line.contains("method=PUT")) {
        assert!(line.contains("status=201"), "{line}");
    }
}
