//! `oras serve`: limits for clients, and metrics and probes for operators.

use std::time::Duration;

use oras_testkit::peers;

use crate::raw_connection::{Answer, Wire};
use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

fn get(served: &Served, path: &str) -> Answer {
    Wire::open(served.address()).unwrap().ask("GET", path, "", b"").unwrap()
}

#[test]
fn reports_readiness_by_storage_directory() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["root"]);
    assert_eq!(get(&served, "/readyz").status, 200);
    std::fs::rename(sandbox.path("root"), sandbox.path("away")).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    let refused = get(&served, "/readyz");
    assert_eq!(refused.status, 503);
    // Only the log may contain the path of the directory.
    assert!(!String::from_utf8_lossy(&refused.body).contains("root"));
    assert_eq!(get(&served, "/healthz").status, 200);
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(log.contains("the store can't be used") && log.contains("root"), "{log}");
    std::fs::rename(sandbox.path("away"), sandbox.path("root")).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(get(&served, "/readyz").status, 200);
    assert_eq!(std::fs::read_dir(sandbox.path("root")).unwrap().count(), 0, "it leaves nothing");
}

#[test]
fn counts_client_requests_in_metrics() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    let served = Served::start(&sandbox, &["root"]);
    sandbox.oras(&["push", &format!("{}/a:v1", served.host()), "hi.txt", "d"]);
    let text = String::from_utf8(get(&served, "/metrics").body).unwrap();
    for series in [
        "oras_requests_total{endpoint=\"manifest\",method=\"PUT\",status=\"2xx\"} 1",
        "oras_request_duration_seconds_count{endpoint=\"upload\"}",
        "oras_received_bytes_total",
    ] {
        assert!(text.contains(series), "{series} in {text}");
    }
}

/// Every client respects the chunk size that the server announces.
#[test]
fn clients_respect_minimum_chunk_length() {
    let test = "clients_respect_minimum_chunk_length";
    let sandbox = Sandbox::new();
    let content: Vec<u8> =
        (0..3_000_000_u32).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
    oras_fs::replace(&sandbox.path("big"), &content, 0o666).unwrap();
    let served = Served::start(&sandbox, &["--min-chunk-size", "1M", "root"]);
    let mut clients = vec![ours()];
    clients.extend(peers::find_or_skip(peers::ORAS, test));
    for (number, oras) in clients.iter().enumerate() {
        let reference = format!("{}/a{number}:v1", served.host());
        sandbox.ok(oras, &["push", "--plain-http", &reference, "big"]);
        sandbox.ok(oras, &["pull", "--plain-http", "-o", &format!("out{number}"), &reference]);
        assert_eq!(std::fs::read(sandbox.path(&format!("out{number}/big"))).unwrap(), content);
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        // An empty server, so that regctl cannot mount the blob.
        let other = Served::start(&sandbox, &["--min-chunk-size", "1M", "--memory"]);
        for host in [served.host(), other.host()] {
            let sizes = ["--blob-chunk", "100000", "--blob-max", "200000"];
            let words = ["registry", "set", "--tls", "disabled", "--skip-check", &host];
            sandbox.ok(&regctl, &[&words[..], &sizes].concat());
        }
        let source = format!("{}/a0:v1", served.host());
        sandbox.ok(&regctl, &["image", "copy", &source, "ocidir://layout:v1"]);
        sandbox.ok(&regctl, &["image", "copy", "ocidir://layout:v1", &format!("{}/regctl:v1", other.host())]);
        let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
        assert!(log.contains("method=PATCH path=/v2/regctl/") && !log.contains("status=416"), "{log}");
    }
}

#[test]
fn limits_connections_by_descriptor_limit() {
    let sandbox = Sandbox::new();
    for (count, said) in
        [("0", "must be at least 1"), ("-1", "must be at least 1"), ("2000000000", "at most")]
    {
        let output = sandbox.run(&ours(), &["serve", "--addr", "127.0.0.1:0", "--max-connections", count]);
        assert_eq!(output.status.code(), Some(1), "{count}");
        assert!(texts(&output).1.contains(said), "{count} {output:?}");
    }
    drop(Served::start(&sandbox, &["--max-connections", "10"]));
}
