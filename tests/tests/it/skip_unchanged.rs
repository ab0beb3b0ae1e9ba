//! Existing content is neither downloaded nor uploaded again.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::peers;
use oras_testkit::random;
use oras_testkit::registry::Process;
use oras_testkit::scripted::Scripted;

use crate::sandbox::{Sandbox, ours, snapshot, texts};
use crate::serve::Served;

#[test]
fn second_pull_skips_blobs_and_prints_same_output() {
    let sandbox = Sandbox::new();
    let memory = MemoryRegistry::new();
    let large = vec![7; 5 << 20];
    memory.files("a", "v1", &[("small.txt", b"hello world\n"), ("below/large", &large)]);
    let server = Scripted::start(move |asked| memory.reply(asked));
    let source = format!("{}/a:v1", server.host());
    let blobs = || {
        let asked = server.asked().into_iter();
        asked.filter(|asked| asked.method == "GET" && asked.path.contains("/blobs/")).count()
    };
    let pull = || {
        let mut lines: Vec<_> = sandbox
            .oras(&["pull", "--plain-http", &source, "-o", "out"])
            .lines()
            .map(ToOwned::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let said = pull();
    let fetched = blobs();
    assert!(fetched >= 2, "{fetched}");
    assert_eq!(pull(), said);
    assert_eq!(blobs(), fetched);
    sandbox.file("out/small.txt", "hello wordl\n");
    pull();
    assert_eq!(blobs(), fetched + 1);
    assert_eq!(std::fs::read(sandbox.path("out/small.txt")).unwrap(), b"hello world\n");
    assert!(!sandbox.path("out/.oras-partial").exists());
}

#[test]
fn uploads_unchanged_directory_once() {
    let sandbox = Sandbox::new();
    // Larger than the content that the client buffers in memory before it sends a request.
    sandbox.file("d/large", random::bytes(1, 3 << 20));
    sandbox.file("d/below/small", "one");
    let served = Served::start(&sandbox, &["--memory"]);
    let uploads = || {
        let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
        log.lines().filter(|line| line.contains("method=POST")).count()
    };
    let push = |name: &str| {
        let before = uploads();
        let reference = format!("{}/{name}:v1", served.host());
        // The creation time is fixed, because a manifest with another time differs and causes further
        // requests.
        let created = "org.opencontainers.image.created=2026-01-01T00:00:00Z";
        let said = sandbox.oras(&["push", &reference, "d", "-a", created]);
        let manifest = sandbox.oras(&["manifest", "fetch", &reference]);
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        (said.contains("Exists"), uploads() - before, manifest["layers"].clone())
    };
    let (existed, first, layers) = push("a");
    assert!(!existed && first >= 2, "{first}");
    assert_eq!(push("a"), (true, 0, layers.clone()));
    // A repository that lacks the content receives it.
    assert_eq!(push("b"), (false, first, layers.clone()));
    // The changed file has the same length, and the times of its parent directories do not change.
    sandbox.file("d/below/small", "two");
    let (_, count, changed) = push("a");
    assert!(count >= 1 && changed != layers, "{count}");
    sandbox.oras(&["pull", "-o", "out", &format!("{}/a:v1", served.host())]);
    assert_eq!(snapshot(&sandbox.path("out/d")), snapshot(&sandbox.path("d")));
    // The old bytes with new times make a different archive.
    sandbox.file("d/below/small", "one");
    assert_ne!(push("a").2, changed);
}

/// The push hashes every file: the bytes change here although size and times do not.
#[test]
fn pushes_changed_bytes_with_unchanged_times() {
    let sandbox = Sandbox::new();
    for size in [2 << 20, 9 << 20] {
        let path = sandbox.file("f", vec![7; size]);
        let push = |tag: &str| {
            sandbox.oras(&["push", "--oci-layout", &format!("L:{tag}"), "f"]);
            let manifest = sandbox.oras(&["manifest", "fetch", "--oci-layout", &format!("L:{tag}")]);
            let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
            manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
        };
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let first = push("v1");
        assert_eq!(push("v1"), first);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut &file, b"new").unwrap();
        file.set_modified(modified).unwrap();
        let second = push("v1");
        assert_ne!(second, first);
        sandbox.oras(&["pull", "--oci-layout", "L:v1", "-o", "out"]);
        assert_eq!(std::fs::read(sandbox.path("out/f")).unwrap(), std::fs::read(&path).unwrap());
    }
}

/// A copy replaces a damaged blob of a layout. The damaged blob is never pulled or linked.
#[test]
fn replaces_corrupt_layout_blob() {
    let sandbox = Sandbox::new();
    sandbox.file("f", vec![7; 2 << 20]);
    sandbox.oras(&["push", "--oci-layout", "from:v1", "f"]);
    let copy = || sandbox.oras(&["cp", "--from-oci-layout", "from:v1", "--to-oci-layout", "to:v1"]);
    copy();
    let manifest: serde_json::Value =
        serde_json::from_str(&sandbox.oras(&["manifest", "fetch", "--oci-layout", "from:v1"])).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let blob = |layout: &str| sandbox.path(&format!("{layout}/blobs/{digest}"));
    let rot = |layout: &str| {
        let path = blob(layout);
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::remove_file(&path).unwrap();
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), &vec![8; 2 << 20]).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    rot("to");
    copy();
    assert!(std::fs::read(blob("to")).unwrap() == [7; 2 << 20]);
    rot("to");
    sandbox.oras(&["push", "--oci-layout", "to:v2", "f"]);
    assert!(std::fs::read(blob("to")).unwrap() == [7; 2 << 20]);
    rot("from");
    for args in [
        &["pull", "--oci-layout", "from:v1", "-o", "out"][..],
        &["cp", "--from-oci-layout", "from:v1", "--to-oci-layout", "other:v1"],
    ] {
        sandbox.fails(args);
    }
    assert!(!sandbox.path("out/f").exists() && !blob("other").exists());
}

/// Changes the bytes of a file, but not its size or modification time.
fn rot(path: &std::path::Path) {
    let modified = std::fs::metadata(path).unwrap().modified().unwrap();
    let bytes: Vec<u8> = std::fs::read(path).unwrap().iter().map(|byte| byte ^ 1).collect();
    std::fs::remove_file(path).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), &bytes).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

#[test]
fn replaces_corrupt_pulled_and_cached_files() {
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    sandbox.file("f", vec![7; 2 << 20]);
    sandbox.file("d/g", vec![9; 1 << 20]);
    let reference = format!("{}/a:v1", registry.host());
    sandbox.oras(&["push", &reference, "f", "d"]);
    let pull = || {
        let mut command = sandbox.command(&ours(), &["pull", &reference, "-o", "out"]);
        let output = command.env("ORAS_CACHE", sandbox.path("cache")).output().unwrap();
        assert!(output.status.success(), "{:?}", texts(&output));
        assert!(std::fs::read(sandbox.path("out/f")).unwrap() == [7; 2 << 20]);
        assert!(std::fs::read(sandbox.path("out/d/g")).unwrap() == [9; 1 << 20]);
    };
    pull();
    for name in ["f", "d/g"] {
        rot(&sandbox.path("out").join(name));
    }
    pull();
    for blob in std::fs::read_dir(sandbox.path("cache/blobs/sha256")).unwrap() {
        rot(&blob.unwrap().path());
    }
    std::fs::remove_dir_all(sandbox.path("out")).unwrap();
    pull();
}

#[test]
fn pushes_changes_written_through_mmap() {
    let sandbox = Sandbox::new();
    let Some(python) = peers::system_or_skip("python3", "pushes_changes_written_through_mmap") else {
        return;
    };
    sandbox.file("f", vec![0; 2 << 20]);
    let script = "import mmap, sys\n\
        f = open('f', 'r+b'); m = mmap.mmap(f.fileno(), 0)\n\
        for word in (b'one', b'two'):\n\
        \x20   m[0:3] = word; print('stored', flush=True); sys.stdin.readline()\n";
    let mut command = sandbox.command(&python, &["-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut input = child.stdin.take().unwrap();
    for word in ["one", "two"] {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "stored\n");
        sandbox.oras(&["push", "--oci-layout", "layout:v1", "f"]);
        sandbox.oras(&["pull", "--oci-layout", "layout:v1", "-o", word]);
        let pulled = std::fs::read(sandbox.path(word).join("f")).unwrap();
        assert_eq!(&pulled[..3], word.as_bytes());
        // The page is still dirty, so the next write to memory does not change the times of the file.
        std::io::Write::write_all(&mut input, b"\n").unwrap();
    }
    drop(input);
    child.wait().unwrap();
}
