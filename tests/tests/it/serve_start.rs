//! What `oras serve` says when it starts, and its log of requests: short for people on a terminal, logfmt elsewhere.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};
use oras_testkit::registry::HTPASSWD;
use regex::Regex;

use crate::sandbox::{Sandbox, ours};
use crate::serve::Served;

/// The width of the terminal.
const COLUMNS: u16 = 72;

/// Runs a server with a terminal as its standard error until `act` returns. Returns the lines on the terminal with the
/// real port replaced by 5000.
fn shown_on_terminal(sandbox: &Sandbox, words: &[&str], act: impl FnOnce(&str)) -> Vec<String> {
    let size = Winsize { ws_row: 40, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let mut command = sandbox.command(&ours(), &[&["serve"], words].concat());
    command.env("TERM", "xterm-256color").stdout(Stdio::piped()).stderr(Stdio::from(pty.slave));
    let mut child = command.spawn().unwrap();
    // The command holds the terminal open, so it is dropped.
    drop(command);
    let mut terminal = File::from(pty.master);
    let reader = std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        // Reading from a closed terminal returns an error.
        while let Ok(count @ 1..) = terminal.read(&mut buffer) {
            text.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(text).unwrap()
    });
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
    act(address);
    let process = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    let port = address.rsplit_once(':').unwrap().1;
    let text = reader.join().unwrap().replace(&format!(":{port}"), ":5000");
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn terminal_shows_summary_and_short_lines() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    let name = "team/name-of-some-length";
    let lines = shown_on_terminal(&sandbox, &["--addr", "127.0.0.1:0", "root"], |address| {
        sandbox.oras(&["push", "--plain-http", &format!("{address}/{name}:v1"), "hi.txt"]);
    });
    let summary = [
        "Address: http://127.0.0.1:5000",
        "Storage: OCI layouts in root",
        "Writers: everyone on this machine",
        "Page:    http://127.0.0.1:5000/",
    ];
    assert_eq!(lines[..4], summary);
    let request = Regex::new(
        r"^\d\d:\d\d:\d\dZ (GET|HEAD|POST|PUT|PATCH) +(200|201|202|404) +\d+ B +\d+(µs|ms|s) 127\.0\.0\.1 /v2/\S*$",
    )
    .unwrap();
    let (last, requests) = lines[4..].split_last().unwrap();
    assert!(requests.len() > 3, "{lines:?}");
    for line in requests {
        assert!(request.is_match(line) && line.chars().count() <= usize::from(COLUMNS), "{lines:?}");
    }
    assert!(requests.iter().any(|line| line.contains("PUT    201") && line.ends_with("/v1")), "{lines:?}");
    assert!(last.ends_with("Z stopped address=127.0.0.1:5000"), "{lines:?}");
}

#[test]
fn summary_names_storage_and_writers() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    sandbox.file("users", HTPASSWD);
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "hi.txt"]);
    sandbox.ok(Path::new("tar"), &["-cf", "copy.tar", "-C", "layout", "."]);
    for (words, expected) in [
        (
            &["--memory-size", "1G", "--no-page"][..],
            [
                "memory, at most 1.0 GiB, lost when the server ends",
                "everyone on this machine",
                "none (--no-page)",
            ],
        ),
        (
            &["--htpasswd", "users", "layout"],
            ["OCI layout layout", "the users in users", "http://127.0.0.1:5000/"],
        ),
        (
            &["--public-url", "https://registry.example", "copy.tar"],
            ["archive copy.tar", "nobody, because an archive is only read", "https://registry.example/"],
        ),
        (&["--read-only", "layout"], ["OCI layout layout", "nobody (--read-only)", "http://127.0.0.1:5000/"]),
        (
            &["--proxy", "ghcr.io", "cache"],
            [
                "cache of ghcr.io in cache",
                "nobody, because a proxy accepts no pushes",
                "http://127.0.0.1:5000/",
            ],
        ),
    ] {
        let lines = shown_on_terminal(&sandbox, &[&["--addr", "127.0.0.1:0"], words].concat(), |_| ());
        let [storage, writers, page] = expected;
        let expected = [
            "Address: http://127.0.0.1:5000".to_owned(),
            format!("Storage: {storage}"),
            format!("Writers: {writers}"),
            format!("Page:    {page}"),
        ];
        assert_eq!(lines[..4], expected);
    }
}

#[test]
fn log_file_has_structured_lines_only() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    let mut served = Served::start(&sandbox, &["root"]);
    sandbox.oras(&["push", &format!("{}/team/app:v1", served.host()), "hi.txt"]);
    served.signal("TERM");
    assert!(served.ended());
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    let line = Regex::new(r#"^time=\S+Z level=info( \w+=("[^"]*"|\S+))+$"#).unwrap();
    assert!(log.lines().all(|text| line.is_match(text)), "{log}");
    let address = served.address();
    let serving = format!(
        "msg=serving url=http://{address} storage=\"OCI layouts in root\" writers=\"everyone on this machine\" page=http://{address}/"
    );
    assert!(log.lines().next().is_some_and(|line| line.ends_with(&serving)), "{log}");
    assert!(log.contains(&format!("msg=listening address={address} tls=false")), "{log}");
    assert!(
        log.contains("method=PUT path=/v2/team/app/manifests/v1 status=201 bytes=0 duration_us="),
        "{log}"
    );
}
