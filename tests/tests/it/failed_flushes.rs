//! Tests a disk that fails to store written bytes: strace injects `EIO` into the system calls that flush. A
//! command that needs durable bytes then fails and names the file.

use std::path::Path;

use oras_spec::{Descriptor, Digest, ImageManifest, MediaType};

use crate::raw_connection::Wire;
use crate::refused_system_calls::{faulty_at, strace, traced};
use crate::sandbox::{Sandbox, ours, snapshot, texts};
use crate::serve::Served;
use crate::serve_exhausted_system::Traced;

const FLUSHES: [&str; 3] = ["fsync:error=EIO", "fdatasync:error=EIO", "sync_file_range:error=EIO"];

#[test]
fn writing_a_layout_fails_with_each_flush() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "writing_a_layout_fails_with_each_flush") else { return };
    let registry = Served::start(&sandbox, &["--memory"]);
    let remote = format!("{}/a:v1", registry.host());
    // A small file, one that `cp` resumes from a partial file, and one that is flushed in the background.
    for (call, length) in [("fsync", 8), ("fsync", 5 << 20), ("fdatasync", 33 << 20)] {
        sandbox.file("f", vec![7; length]);
        sandbox.oras(&["push", &remote, "f"]);
        let push = ["push", "--oci-layout", "layout:v1", "f"];
        let copy = ["cp", &remote, "--to-oci-layout", "layout:v1"];
        for words in [push, copy] {
            let failed = fail_each(&sandbox, &strace, call, &words);
            assert!(failed > 0, "{call} of {length}");
        }
    }
}

/// Runs the command with a failing first flush of each thread, then with a failing second flush, and so on.
/// Returns how often the command failed.
fn fail_each(sandbox: &Sandbox, strace: &Path, call: &str, words: &[&str]) -> usize {
    for number in 1..=20 {
        drop(std::fs::remove_dir_all(sandbox.path("layout")));
        let fault = format!("{call}:error=EIO:when={number}");
        let (output, trace) = traced(sandbox, strace, &[&fault], words).unwrap();
        let told = texts(&output).1;
        let case = format!("{fault} {words:?}: {told}");
        if !trace.contains("INJECTED") {
            assert!(output.status.success(), "{case}");
            return number - 1;
        }
        assert_eq!(output.status.code(), Some(1), "{case}");
        let named =
            told.split_once("failed to flush ").and_then(|(_, rest)| rest.split_once(": Input/output error"));
        let (named, _) = named.unwrap_or_else(|| panic!("{case}"));
        // The first flush is that of the parent directory of the new layout.
        assert!(named.contains("layout") || named == ".", "{case}");
        // A later run would treat the bytes of a partial file as durable, so the file must not exist.
        assert!(!named.contains("/.oras-") || !sandbox.path(named).exists(), "{case}");
        sandbox.oras(words);
        sandbox.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]);
    }
    panic!("{call} {words:?}: more than 20 flushes of one thread");
}

#[test]
fn failed_flush_publishes_no_name() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "failed_flush_publishes_no_name") else { return };
    sandbox.file("f", "content\n");
    sandbox.oras(&["push", "--oci-layout", "from:v1", "f"]);
    let registry = Served::start(&sandbox, &["--memory"]);
    let remote = format!("{}/a:v1", registry.host());
    sandbox.oras(&["push", &remote, "f"]);
    let before = snapshot(&sandbox.path("from"));
    let lines: [(&[&str], &str); 6] = [
        (&["push", "--oci-layout", "to:v1", "f"], "to"),
        (&["cp", "--from-oci-layout", "from:v1", "--to-oci-layout", "to:v1"], "to"),
        (&["tag", "--oci-layout", "from:v1", "v2"], "failed to write from/index.json: "),
        (&["backup", "-o", "to/b.tar", &remote], "to"),
        (&["backup", "-o", "to", &remote], "to"),
        (&["manifest", "fetch", "--oci-layout", "from:v1", "-o", "to/m.json"], "failed to write to/m.json: "),
    ];
    for (line, place) in lines {
        drop(std::fs::remove_dir_all(sandbox.path("to")));
        std::fs::create_dir(sandbox.path("to")).unwrap();
        let (output, trace) = traced(&sandbox, &strace, &FLUSHES, line).unwrap();
        let told = texts(&output).1;
        assert_eq!(output.status.code(), Some(1), "{line:?}: {told}");
        assert!(trace.contains("INJECTED"), "{line:?}: {told}");
        assert!(told.contains("failed to flush ") && told.contains(place), "{line:?}: {told}");
        assert_eq!(snapshot(&sandbox.path("from")), before, "{line:?}");
        for name in ["index.json", "b.tar", "m.json"] {
            assert!(!sandbox.path("to").join(name).exists(), "{line:?}: {name}");
        }
    }
}

#[test]
fn pull_does_not_flush() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "pull_does_not_flush") else { return };
    sandbox.file("f", vec![7; 33 << 20]);
    sandbox.file("d/g", "more\n");
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "f", "d"]);
    // A pull does not flush files of the user, because they can be pulled again. If it flushed, it would fail
    // here.
    let words = ["pull", "--oci-layout", "layout:v1", "-o", "out"];
    let (output, trace) = traced(&sandbox, &strace, &FLUSHES, &words).unwrap();
    assert!(output.status.success() && !trace.contains("INJECTED"), "{}\n{trace}", texts(&output).1);
    assert_eq!(std::fs::read(sandbox.path("out/f")).unwrap(), vec![7; 33 << 20]);
    assert_eq!(std::fs::read(sandbox.path("out/d/g")).unwrap(), b"more\n");
}

#[test]
fn new_directories_are_flushed_into_their_parents() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "new_directories_are_flushed_into_their_parents") else { return };
    sandbox.file("f", "content\n");
    let words = ["blob", "push", "--oci-layout", "new/layout", "f"];
    let mut command = sandbox.command(&strace, &["-f", "-y", "-e", "trace=fsync,mkdir", "-o"]);
    let trace = sandbox.path("../trace");
    assert!(command.arg(&trace).arg(ours()).args(words).output().unwrap().status.success());
    let trace = std::fs::read_to_string(trace).unwrap();
    let work = sandbox.work().canonicalize().unwrap();
    for (created, parent) in [
        ("new", ""),
        ("new/layout", "new"),
        ("new/layout/blobs", "new/layout"),
        ("new/layout/blobs/sha256", "new/layout/blobs"),
    ] {
        let parent = work.join(parent).display().to_string();
        let parent = format!("<{}>)", parent.trim_end_matches('/'));
        let mut lines = trace.lines();
        let made = lines.any(|line| line.contains(&format!("mkdir(\"{created}\"")));
        assert!(
            made && lines.any(|line| line.contains("fsync(") && line.contains(&parent)),
            "{created}: {trace}"
        );
    }
    // A directory that cannot be opened is skipped.
    let faults = [("openat:error=EACCES", true), ("fsync:error=EINVAL", true), ("fsync:error=EIO", false)];
    for (fault, succeeds) in faults {
        std::fs::remove_dir_all(sandbox.path("new/layout/blobs/sha256")).unwrap();
        let output = faulty_at(&sandbox, &strace, "new/layout/blobs", fault, &words);
        let told = texts(&output).1;
        assert_eq!(output.status.success(), succeeds, "{fault}: {told}");
        assert_eq!(told.contains("failed to flush new/layout/blobs:"), !succeeds, "{fault}: {told}");
    }
}

/// Starts a server with a fault in its system calls.
fn served(sandbox: &Sandbox, strace: &Path, fault: &str) -> Traced {
    let call = fault.split(':').next().unwrap();
    let mut command = sandbox.command(strace, &["-f", "--seccomp-bpf", "-o"]);
    command.arg(sandbox.path("../trace"));
    command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={fault}")]);
    command.arg(ours()).args(["serve", "--addr", "127.0.0.1:0", "root"]);
    Traced(Served::launch(sandbox, command))
}

fn statuses(wire: &mut Wire, steps: &[(&str, &str, &[u8])]) -> Vec<u16> {
    let header = format!("Content-Type: {}\r\n", MediaType::IMAGE_MANIFEST);
    steps.iter().map(|(method, path, body)| wire.ask(method, path, &header, body).unwrap().status).collect()
}

#[test]
fn server_answers_500_to_a_failed_flush() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "server_answers_500_to_a_failed_flush") else { return };
    let config = b"{}";
    let digest = Digest::sha256(config);
    let node = Descriptor::of(MediaType::new("test/config"), config);
    let manifest = ImageManifest::new(node, Vec::new()).to_bytes();
    let blob = format!("/v2/a/blobs/uploads/?digest={digest}");
    let stored = format!("/v2/a/blobs/{digest}");
    let push: [(&str, &str, &[u8]); 2] = [("POST", &blob, config), ("PUT", "/v2/a/manifests/v1", &manifest)];
    let mut failed = 0;
    for number in 1..=12 {
        drop(std::fs::remove_dir_all(sandbox.path("root")));
        std::fs::create_dir(sandbox.path("root")).unwrap();
        drop(std::fs::remove_file(sandbox.path("serve.log")));
        let server = served(&sandbox, &strace, &format!("fsync:error=EIO:when={number}+"));
        let mut wire = Wire::open(server.0.address()).unwrap();
        let answers = statuses(&mut wire, &push);
        drop((wire, server));
        let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
        if answers == [201, 201] {
            assert!(!log.contains("level=error"), "{number}: {log}");
            break;
        }
        failed += 1;
        // After a failed flush of a directory, the blob may already have its final name. So the server may
        // accept or reject the manifest.
        assert!(answers.contains(&500), "{number}: {answers:?} {log}");
        assert!(log.contains("failed to flush") && log.contains("root"), "{number}: {log}");
        // Acknowledged content exists. A manifest without acknowledgement has no tag, unless only the flush
        // after the rename failed.
        let server = Served::start(&sandbox, &["root"]);
        let mut wire = Wire::open(server.address()).unwrap();
        let found = statuses(&mut wire, &[("GET", &stored, b""), ("GET", "/v2/a/manifests/v1", b"")]);
        for (answer, found) in answers.iter().zip(&found) {
            assert!(*answer != 201 || *found == 200, "{number}: {answers:?} {found:?}");
        }
        assert_eq!(statuses(&mut wire, &push), [201, 201], "{number}");
    }
    assert!(failed >= 3, "{failed}");
    for error in ["EINVAL", "EOPNOTSUPP"] {
        drop(std::fs::remove_dir_all(sandbox.path("root")));
        std::fs::create_dir(sandbox.path("root")).unwrap();
        let server = served(&sandbox, &strace, &format!("fsync:error={error}"));
        let answers = statuses(&mut Wire::open(server.0.address()).unwrap(), &push);
        assert_eq!(answers, [201, 201], "{error}");
    }
}

#[test]
fn upload_with_a_failed_background_flush_cannot_be_resumed() {
    let sandbox = Sandbox::new();
    let test = "upload_with_a_failed_background_flush_cannot_be_resumed";
    let Some(strace) = strace(&sandbox, test) else { return };
    std::fs::create_dir(sandbox.path("root")).unwrap();
    let server = served(&sandbox, &strace, "fdatasync:error=EIO:when=1");
    let mut wire = Wire::open(server.0.address()).unwrap();
    let opened = wire.ask("POST", "/v2/a/blobs/uploads/", "", b"").unwrap();
    let location = opened.header("location").to_owned();
    let bytes = vec![7; 33 << 20];
    // The flush begins during this request and may fail after it.
    let sent = wire.ask("PATCH", &location, "", &bytes).unwrap();
    assert_eq!(sent.status, 202, "{sent:?}");
    assert_eq!(wire.ask("PATCH", &location, "", &bytes[..9]).unwrap().status, 500);
    assert_eq!(wire.ask("GET", &location, "", b"").unwrap().status, 404);
    let mut whole = bytes.clone();
    whole.extend_from_slice(&bytes[..9]);
    for content in [&bytes, &whole] {
        let close = format!("{location}?digest={}", Digest::sha256(content));
        assert_eq!(wire.ask("PUT", &close, "", b"").unwrap().status, 404);
    }
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(log.contains("failed to flush") && log.contains(".oras-upload-"), "{log}");
}
