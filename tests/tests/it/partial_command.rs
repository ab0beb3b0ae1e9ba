//! `oras partial` lists and deletes partial transfers, and uploads interrupted by Ctrl-C resume.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use oras_testkit::scripted::{Asked, Reply, Scripted};
use serde_json::Value;

use crate::download_resume::{DIGEST, SENT, killed, server};
use crate::sandbox::{Sandbox, ours};

/// The size of a blob that is large enough to be resumed.
const SIZE: usize = 9 << 20;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn lists_and_deletes_partial_downloads() {
    let (sandbox, server) = (Sandbox::new(), server());
    let source = format!("{}/a:v1", server.host());
    assert_eq!(sandbox.oras(&["partial", "ls"]), "");
    sandbox.file("deep/out/other", "mine");
    let partial = killed(&sandbox, &["pull", "--plain-http", &source, "-o", "deep/out"], "deep/out");
    let shown = format!("./deep/out/.oras-partial/{}", DIGEST.to_string().replace(':', "-"));
    let found = json(&sandbox.oras(&["partial", "ls", "--format", "json"]));
    assert_eq!(found["uploads"], json("[]"));
    let download = &found["downloads"][0];
    assert_eq!(download["path"], shown);
    assert_eq!(download["digest"], DIGEST.to_string());
    assert_eq!(download["size"], SENT);
    assert!(download["touched"].as_str().unwrap().ends_with('Z'), "{download}");

    // `clean` skips a partial file that is in use, and one that is not old enough.
    let lock = std::fs::File::open(partial.parent().unwrap()).unwrap();
    lock.try_lock().unwrap();
    assert_eq!(sandbox.oras(&["partial", "clean"]), "");
    drop(lock);
    assert_eq!(sandbox.oras(&["partial", "clean", "--older-than", "24h"]), "");
    assert_eq!(sandbox.oras(&["partial", "clean", "--dry-run"]).lines().count(), 1);
    assert!(partial.exists());
    let file = std::fs::File::options().write(true).open(&partial).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    let told = sandbox.oras(&["partial", "clean", "--older-than", "24h", "deep", "."]);
    assert_eq!(
        told.split_whitespace().collect::<Vec<_>>(),
        ["Removed", "download", "4", "MB", "1d", shown.trim_start_matches("./")]
    );
    assert!(!partial.parent().unwrap().exists());
    assert!(sandbox.fails(&["partial", "ls", "missing"]).contains("missing"));
}

/// Starts a registry that receives the first body completely, but never responds to it.
fn stuck() -> Scripted {
    stuck_unless(|_| false)
}

/// Like [`stuck`], and asks for a password if a request is `refused`.
fn stuck_unless(refused: fn(&Asked) -> bool) -> Scripted {
    let first = AtomicBool::new(true);
    Scripted::start(move |asked: &Asked| match asked.method.as_str() {
        _ if refused(asked) => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("Location", "/u0"),
        "DELETE" => Reply::new(204),
        "GET" => Reply::new(204).header("Range", format!("0-{}", SIZE - 1)),
        _ if first.swap(false, Ordering::SeqCst) => Reply::silent(),
        _ => Reply::new(201),
    })
}

fn count(server: &Scripted, method: &str) -> usize {
    server.asked().iter().filter(|asked| asked.method == method).count()
}

/// Pushes a blob until the registry has received it, then interrupts the push.
fn interrupted(sandbox: &Sandbox, server: &Scripted, words: &[&str]) {
    sandbox.file("big", vec![7; SIZE]);
    let mut command = sandbox.command(&ours(), words);
    command.env_remove("XDG_STATE_HOME").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while !server.asked().iter().any(|asked| asked.body.len() == SIZE) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", server.lines());
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new(Path::new("/bin/kill")).args(["-INT", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    assert!(!child.wait().unwrap().success());
    assert_eq!(count(server, "DELETE"), 0, "kept for the next run");
}

#[test]
fn resumes_upload_after_ctrl_c() {
    let (sandbox, server) = (Sandbox::new(), stuck());
    let name = format!("{}/a", server.host());
    let words = ["blob", "push", &name, "big"];
    interrupted(&sandbox, &server, &words);
    sandbox.oras(&words);
    let sent = server.asked().iter().filter(|asked| !asked.body.is_empty()).count();
    assert_eq!((sent, count(&server, "POST"), count(&server, "DELETE")), (1, 1, 0), "{:?}", server.lines());
    assert_eq!(sandbox.oras(&["partial", "ls"]), "");
}

#[test]
fn deletes_partial_uploads_at_registry() {
    for reachable in [true, false] {
        let (sandbox, server) = (Sandbox::new(), stuck());
        let name = format!("{}/a", server.host());
        interrupted(&sandbox, &server, &["blob", "push", &name, "big"]);
        let found = json(&sandbox.oras(&["partial", "ls", "--format", "json"]));
        let upload = &found["uploads"][0];
        assert_eq!(upload["registry"], format!("http://{}", server.host()));
        assert_eq!((&upload["repository"], &upload["blobSize"]), (&"a".into(), &SIZE.into()));
        assert_eq!(upload.get("cancelled"), None);
        let clean = ["partial", "clean", "--format", "json"];
        let elsewhere = ["--resolve", &format!("{}:127.0.0.1:1", server.host())];
        let words = if reachable { clean.to_vec() } else { [&clean[..], &elsewhere[..]].concat() };
        let removed = json(&sandbox.oras(&words));
        assert_eq!(removed["uploads"][0]["cancelled"], reachable);
        let deleted: Vec<_> = server.lines().into_iter().filter(|line| line.starts_with("DELETE")).collect();
        assert_eq!(deleted, if reachable { vec!["DELETE /u0"] } else { Vec::new() });
        assert_eq!(sandbox.oras(&["partial", "ls"]), "");
    }
}

#[test]
fn deletes_partial_uploads_with_the_credential_of_the_flags() {
    for (flags, is_cancelled) in [(&[][..], false), (&["-u", "user", "-p", "pass"], true)] {
        let server = stuck_unless(|asked| {
            asked.method == "DELETE" && asked.header("authorization") != Some("Basic dXNlcjpwYXNz")
        });
        let sandbox = Sandbox::new();
        interrupted(&sandbox, &server, &["blob", "push", &format!("{}/a", server.host()), "big"]);
        let clean = ["partial", "clean", "--format", "json"];
        let removed = json(&sandbox.oras(&[&clean[..], flags].concat()));
        assert_eq!(removed["uploads"][0]["cancelled"], is_cancelled, "{:?}", server.lines());
    }
}
