//! One client uses as many resources as it can. `oras serve` must still serve other clients.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use oras_spec::Digest;

use crate::raw_connection::{Answer, Wire};
use crate::sandbox::{Sandbox, ours};
use crate::serve::Served;

const UPLOADS: &str = "/v2/team/app/blobs/uploads/";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The maximum time in which a client must get a response.
const PROMPT: Duration = Duration::from_secs(10);

/// The address of another client, which differs from 127.0.0.1.
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Returns the number of open descriptors of the server.
fn descriptors(served: &Served) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", served.id())).unwrap().count()
}

fn index(size: usize) -> String {
    let filler = "x".repeat(size);
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"a":"{filler}"}}}}"#)
}

/// Pushes a blob in chunks and a large manifest from another address, and pulls both. Each request must get a
/// prompt response.
fn works_for_others(served: &Served) {
    let mut wire = Wire::open_from(served.address(), OTHER).unwrap();
    let mut ask = |method: &str, path: &str, headers: &str, body: &[u8]| -> Answer {
        let begun = Instant::now();
        let answer = wire.ask(method, path, headers, body).unwrap();
        assert!(answer.status < 300, "{method} {path} {answer:?}");
        assert!(begun.elapsed() < PROMPT, "{method} {path} took {:?}", begun.elapsed());
        answer
    };
    let blob = vec![7; 500_000];
    let location = ask("POST", UPLOADS, "", b"").header("location").to_owned();
    ask("PATCH", &location, "", &blob);
    let digest = Digest::sha256(&blob);
    ask("PUT", &format!("{location}?digest={digest}"), "", b"");
    let manifest = index(1 << 20);
    let path = "/v2/team/app/manifests/other";
    ask("PUT", path, &format!("Content-Type: {INDEX}\r\n"), manifest.as_bytes());
    assert!(ask("GET", path, "", b"").body == manifest.as_bytes());
    assert!(ask("GET", &format!("/v2/team/app/blobs/{digest}"), "", b"").body == blob);
}

#[test]
fn idle_uploads_hold_no_descriptors() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["root"]);
    let mut wire = Wire::open(served.address()).unwrap();
    let open = |wire: &mut Wire| {
        let opened = wire.ask("POST", UPLOADS, "", b"").unwrap();
        let sent = wire.ask("PATCH", opened.header("location"), "", b"hello ").unwrap();
        assert_eq!(sent.status, 202, "{sent:?}");
        sent.header("location").to_owned()
    };
    let first = open(&mut wire);
    let before = descriptors(&served);
    let mut locations: Vec<_> = (0..200).map(|_| open(&mut wire)).collect();
    locations.push(first);
    // An upload whose client disconnects becomes idle, too.
    let mut broken = Wire::open(served.address()).unwrap();
    broken.begin("PATCH", &locations[0], "", 100).unwrap();
    broken.write(b"there ").unwrap();
    let range = |wire: &mut Wire, location: &str| {
        wire.ask("GET", location, "", b"").unwrap().header("range").to_owned()
    };
    while range(&mut wire, &locations[0]) != "0-11" {
        std::thread::sleep(Duration::from_millis(20));
    }
    broken.reset();
    let begun = Instant::now();
    while descriptors(&served) > before + 2 {
        assert!(begun.elapsed() < PROMPT, "{} descriptors, {before} before", descriptors(&served));
        std::thread::sleep(Duration::from_millis(20));
    }
    for (number, location) in locations.iter().enumerate() {
        let content: &[u8] = if number == 0 { b"hello there world" } else { b"hello world" };
        let path = format!("{location}?digest={}", Digest::sha256(content));
        let put = wire.ask("PUT", &path, "", b"world").unwrap();
        assert_eq!(put.status, 201, "{put:?}");
    }
}

#[test]
fn many_open_uploads_do_not_block_other_clients() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["root"]);
    let mut wire = Wire::open(served.address()).unwrap();
    let mut last = 202;
    for _ in 0..1100 {
        last = wire.ask("POST", UPLOADS, "", b"").unwrap().status;
    }
    assert_eq!(last, 429, "there is a limit");
    works_for_others(&served);
}

#[test]
fn slow_manifests_do_not_block_other_clients() {
    let sandbox = Sandbox::new();
    for place in ["--memory", "root"] {
        let served = Served::start(&sandbox, &[place]);
        let drip = |sent: usize| {
            let mut wire = Wire::open(served.address()).unwrap();
            let typed = format!("Content-Type: {INDEX}\r\n");
            wire.begin("PUT", "/v2/team/app/manifests/drip", &typed, 4 << 20).unwrap();
            // The server may close this connection to make room, so an error is ignored.
            drop(wire.write(&vec![b' '; sent]));
            wire
        };
        let mut held: Vec<_> = (0..16).map(|_| drip(100_000)).collect();
        works_for_others(&served);
        // These requests use nearly all of the memory for manifests. A further request would wait.
        held.extend((0..7).map(|_| drip((4 << 20) - 1)));
        held.push(drip(2_500_000));
        works_for_others(&served);
    }
}

#[test]
fn slow_bodies_and_reads_do_not_block_other_clients() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["--max-connections", "60", "root"]);
    let mut wire = Wire::open(served.address()).unwrap();
    let blob = vec![1; 8 << 20];
    let digest = Digest::sha256(&blob);
    let stored = wire.ask("POST", &format!("{UPLOADS}?digest={digest}"), "", &blob).unwrap();
    assert_eq!(stored.status, 201);
    let mut held = Vec::new();
    for number in 0..59 {
        let location = wire.ask("POST", UPLOADS, "", b"").unwrap().header("location").to_owned();
        let mut drip = Wire::open(served.address()).unwrap();
        match number % 2 {
            0 => drip.begin("PATCH", &location, "", 1000).unwrap(),
            _ => drip.begin("GET", &format!("/v2/team/app/blobs/{digest}"), "", 0).unwrap(),
        }
        held.push(drip);
    }
    for drip in held.iter_mut().step_by(2) {
        drip.write(b"x").unwrap();
    }
    works_for_others(&served);
}

#[test]
fn raises_limit_of_open_files() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(std::path::Path::new("/bin/sh"), &[]);
    command.arg("-c").arg(r#"ulimit -Sn 100 && exec "$0" serve --addr 127.0.0.1:0 root"#).arg(ours());
    let served = Served::launch(&sandbox, command);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] > 100, "{line}");
}
