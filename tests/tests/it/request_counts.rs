//! Checks the number of requests to a real registry. A recorder between the tool and the registry counts
//! them.

use oras_testkit::random;
use oras_testkit::recorder::Recorder;
use oras_testkit::registry::{Flavor, Process};

use crate::sandbox::{Sandbox, ours, texts};

/// Returns the method and path of each request since the last call, sorted, without digests and upload ids.
fn made(recorder: &Recorder) -> Vec<String> {
    let short = |target: &str| {
        let path = target.split('?').next().unwrap_or_default();
        let digest = path.split_once("sha256:").map(|(before, _)| format!("{before}sha256"));
        let digest = digest.unwrap_or_else(|| path.to_owned());
        digest.split_once("/uploads/").map_or(digest.clone(), |(before, _)| format!("{before}/uploads"))
    };
    let mut made: Vec<_> = recorder
        .take()
        .iter()
        .map(|request| format!("{} {}", request.method, short(&request.target)))
        .collect();
    made.sort();
    made
}

/// Returns our registry, and distribution if it is installed.
fn registries(test: &str) -> Vec<Process> {
    [Process::ours(&[])].into_iter().chain(Process::open(Flavor::Distribution, test)).collect()
}

#[test]
fn unchanged_copy_sends_one_request_per_side() {
    for registry in registries("unchanged_copy_sends_one_request_per_side") {
        let sandbox = Sandbox::new();
        let (from, to) = (Recorder::new(registry.port()), Recorder::new(registry.port()));
        sandbox.file("hi.txt", "hello world\n");
        sandbox.oras(&["push", &format!("{}/a:v1", from.host()), "hi.txt"]);
        let source = format!("{}/a:v1", from.host());
        let target = format!("{}/b:v1", to.host());
        let first = sandbox.oras(&["cp", &source, &target]);
        from.take();
        to.take();
        let second = sandbox.oras(&["cp", &source, &target]);
        assert_eq!(made(&from), ["HEAD /v2/a/manifests/v1"]);
        assert_eq!(made(&to), ["HEAD /v2/b/manifests/v1"]);
        let ends = |text: &str| text.lines().filter(|line| !line.starts_with("Cop")).count();
        assert_eq!(ends(&first), ends(&second), "{second}");

        // With several tags, the copy checks each of them. If any tag names other content, the copy writes
        // all of them and reads the manifest once.
        sandbox.oras(&["cp", &source, &format!("{target},v2,v3")]);
        assert_eq!(made(&from), ["GET /v2/a/manifests/v1"]);
        let requests = made(&to);
        assert!(requests.iter().all(|request| !request.contains("/blobs/")), "{requests:?}");
        sandbox.oras(&["cp", &source, &format!("{target},v2,v3")]);
        assert_eq!(made(&from), ["HEAD /v2/a/manifests/v1"]);
        assert_eq!(
            made(&to),
            ["HEAD /v2/b/manifests/v1", "HEAD /v2/b/manifests/v2", "HEAD /v2/b/manifests/v3"]
        );
    }
}

#[test]
fn copy_moves_tag_of_other_content() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let (from, to) = (Recorder::new(registry.port()), Recorder::new(registry.port()));
    for text in ["one\n", "two\n"] {
        sandbox.file("hi.txt", text);
        sandbox.oras(&["push", &format!("{}/a:v1", from.host()), "hi.txt"]);
        sandbox.oras(&["cp", &format!("{}/a:v1", from.host()), &format!("{}/b:v1", to.host())]);
        let digest = |name: &str| sandbox.oras(&["resolve", &format!("{}/{name}:v1", from.host())]);
        assert_eq!(digest("a"), digest("b"));
    }
}

#[test]
fn unchanged_push_sends_no_writes() {
    for registry in registries("unchanged_push_sends_no_writes") {
        let (recorder, sandbox) = (Recorder::new(registry.port()), Sandbox::new());
        sandbox.file("hi.txt", "hello world\n");
        let created = "org.opencontainers.image.created=2026-01-01T00:00:00Z";
        let push = |tag: &str| {
            sandbox.oras(&["push", &format!("{}/a:{tag}", recorder.host()), "hi.txt", "-a", created]);
            made(&recorder)
        };
        push("v1");
        assert_eq!(push("v1"), ["HEAD /v2/a/manifests/sha256", "HEAD /v2/a/manifests/v1"]);
        assert!(push("v2").contains(&"PUT /v2/a/manifests/v2".to_owned()));
    }
}

#[test]
fn pull_fetches_manifest_once() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let recorder = Recorder::new(registry.port());
    sandbox.file("hi.txt", "hello world\n");
    sandbox.file("bye.txt", "bye\n");
    let name = format!("{}/a:v1", recorder.host());
    sandbox.oras(&["push", &name, "hi.txt", "bye.txt"]);
    recorder.take();
    sandbox.oras(&["pull", &name, "-o", "out"]);
    assert_eq!(
        made(&recorder),
        ["GET /v2/a/blobs/sha256", "GET /v2/a/blobs/sha256", "GET /v2/a/manifests/v1"]
    );
}

#[test]
fn writes_many_tags_after_one_fetch() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let (from, to) = (Recorder::new(registry.port()), Recorder::new(registry.port()));
    let name = |tag: &str| format!("{}/m:{tag}", from.host());
    sandbox.file("hi.txt", "hello world\n");
    sandbox.oras(&["push", &name("amd64"), "hi.txt", "--artifact-platform", "linux/amd64"]);
    sandbox.oras(&["manifest", "index", "create", &name("v1"), "amd64"]);
    from.take();
    let target = format!("{}/n:a,b,c", to.host());
    sandbox.oras(&["cp", &name("v1"), &target, "--platform", "linux/amd64"]);
    let read = |request: &&String| request.starts_with("GET /v2/m/manifests/");
    assert_eq!(made(&from).iter().filter(read).count(), 2, "the index and the image, each once");
    let written = |request: &&String| request.starts_with("PUT /v2/n/manifests/");
    assert_eq!(made(&to).iter().filter(written).count(), 3);
}

#[test]
fn lists_referrers_once_and_not_at_source() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let (from, to) = (Recorder::new(registry.port()), Recorder::new(registry.port()));
    sandbox.file("hi.txt", "hello world\n");
    let name = format!("{}/a:v1", from.host());
    sandbox.oras(&["push", &name, "hi.txt"]);
    for number in 0..5 {
        sandbox.oras(&["attach", &name, "--artifact-type", "doc/x", "-a", &format!("n={number}")]);
    }
    from.take();
    sandbox.oras(&["cp", "-r", &name, &format!("{}/b:v1", to.host())]);
    let requests = made(&from);
    let count = |start: &str| requests.iter().filter(|request| request.starts_with(start)).count();
    // The root and its five referrers: each is listed once and read once.
    assert_eq!(count("GET /v2/a/referrers/"), 6, "{requests:?}");
    assert_eq!(count("GET /v2/a/manifests/"), 6, "{requests:?}");
    assert_eq!(count("HEAD "), 0, "{requests:?}");
    assert_eq!(made(&to).iter().filter(|request| request.starts_with("GET ")).count(), 0);
}

#[test]
fn concurrent_referrers_share_one_index_update() {
    let (source, target) = (Process::ours(&[]), Process::ours(&["--no-referrers"]));
    let (to, sandbox) = (Recorder::new(target.port()), Sandbox::new());
    sandbox.file("hi.txt", "hello world\n");
    let name = format!("{}/a:v1", source.host());
    sandbox.oras(&["push", &name, "hi.txt"]);
    for number in 0..40 {
        sandbox.oras(&["attach", &name, "--artifact-type", "doc/x", "-a", &format!("n={number}")]);
    }
    sandbox.oras(&["cp", "-r", &name, &format!("{}/b:v1", to.host())]);
    let written = |request: &&String| request.starts_with("PUT /v2/b/manifests/sha256-");
    let written = made(&to).iter().filter(written).count();
    assert!((1..=20).contains(&written), "{written} writes for 40 referrers");
    let tree = sandbox.oras(&["discover", &format!("{}/b:v1", to.host()), "--format", "json"]);
    assert_eq!(tree.matches("\"doc/x\"").count(), 40);
}

/// A directory is sent before its digest is known. If the registry already has the content, the upload is
/// cancelled.
#[test]
fn cancels_unneeded_upload() {
    for registry in registries("cancels_unneeded_upload") {
        let recorder = Recorder::new(registry.port());
        let sandbox = Sandbox::new();
        sandbox.file("d/noise", random::bytes(1, 12 << 20));
        let reference = format!("{}/r", recorder.host());
        let push = |tag: &str| {
            let mut command = sandbox.command(&ours(), &["push", &format!("{reference}:{tag}"), "d"]);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            texts(&output).0
        };
        push("v1");
        let deleted = |made: Vec<String>| made.iter().filter(|line| line.starts_with("DELETE")).count();
        assert_eq!(deleted(made(&recorder)), 0);
        // If an earlier artifact contains the directory, the push hashes the directory first and uploads
        // nothing.
        for tag in ["v1", "v2"] {
            let said = push(tag);
            assert!(said.contains("Exists"), "{said}");
            assert_eq!(deleted(made(&recorder)), 0);
        }
        // Without such an artifact, the push uploads the directory before it detects that the registry has
        // it.
        sandbox.file("other", "other");
        for tag in ["v1", "v2"] {
            sandbox.oras(&["push", &format!("{reference}:{tag}"), "other"]);
        }
        made(&recorder);
        let said = push("v3");
        assert!(said.contains("Exists"), "{said}");
        let made = made(&recorder);
        assert!(made.contains(&"DELETE /v2/r/blobs/uploads".to_owned()), "{made:?}");
    }
}
