//! Conventions that scripts rely on: closed pipes, exit statuses, versions, and names checked before any request.

use std::process::{Command, Stdio};

use oras_testkit::registry::Process;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::sandbox::{Sandbox, ours, texts};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

/// Starts a registry that returns one manifest for every name, accepts every write, and lists valid and
/// invalid tags.
fn credulous() -> Scripted {
    Scripted::start(|asked: &Asked| {
        let reply = match asked.method.as_str() {
            "GET" | "HEAD" if asked.path.contains("/tags/list") => {
                return Reply::new(200).body(r#"{"name":"r","tags":["v1","a:b","-x","h/r:v2","v2"]}"#);
            }
            "GET" | "HEAD" if asked.path.contains("/blobs/") => Reply::new(200).body("{}"),
            "GET" | "HEAD" if asked.path.contains("/manifests/") => Reply::new(200).body(MANIFEST),
            _ => return Reply::new(201),
        };
        reply.header("content-type", "application/vnd.oci.image.manifest.v1+json")
    })
}

#[test]
fn rejects_invalid_tags_before_any_request() {
    let server = credulous();
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    sandbox.file("m.json", MANIFEST);
    sandbox.oras(&["push", "--oci-layout", "L:v1", "hi.txt"]);
    sandbox.oras(&["tag", "--oci-layout", "L:v1", "a:b"]);
    let repository = format!("localhost:{}/r", server.port());
    let with = |name: &str| format!("{repository}:{name}");
    let digest_like = format!("{repository}@a:b");
    for bad in ["a:b", "sha256:abc", "-x", "a b", "a/b"] {
        let (full, extra) = (with(bad), with(&format!("v1,{bad}")));
        for line in [
            &["tag", &with("v1"), "--", bad][..],
            &["tag", &with("v1"), "v2", "--", bad],
            &["push", &full, "hi.txt"],
            &["push", &extra, "hi.txt"],
            &["manifest", "push", &full, "m.json"],
            &["manifest", "push", &extra, "m.json"],
            &["manifest", "index", "create", &full, "v1"],
            &["manifest", "index", "create", &extra, "v1"],
            &["manifest", "index", "update", &with("v1"), "--add", "v2", "--tag", bad],
            &["cp", "--from-oci-layout", "L:v1", &full],
            &["cp", "--from-oci-layout", "L:v1", &extra],
            &["restore", "--input", "L", &full],
            &["attach", &full, "--artifact-type", "a/b", "-a", "k=v"],
            &["annotate", &full, "-a", "k=v"],
            &["untag", &full],
            &["backup", "-o", "B", &full],
            &["resolve", &full],
        ] {
            let error = sandbox.fails(line);
            assert!(error.contains("invalid"), "{line:?}: {error}");
            assert_eq!(server.asked().len(), 0, "{line:?}");
        }
    }
    for line in [
        &["attach", &digest_like, "--artifact-type", "a/b", "-a", "k=v"][..],
        &["cp", "--from-oci-layout", "L:v1", &digest_like],
        &["untag", &digest_like],
    ] {
        assert!(sandbox.fails(line).contains("unsupported digest algorithm"), "{line:?}");
        assert_eq!(server.asked().len(), 0, "{line:?}");
    }
    for dry in [&[][..], &["--dry-run"]] {
        let error = sandbox.fails(&[&["restore", "--input", "L", &repository], dry].concat());
        assert!(error.contains(r#"invalid digest "a:b""#), "{error}");
        assert_eq!(server.asked().len(), 0, "{error}");
    }
}

#[test]
fn backup_skips_invalid_tags_with_a_warning() {
    let server = credulous();
    let sandbox = Sandbox::new();
    let output = sandbox.run(&ours(), &["backup", "-o", "B", &format!("localhost:{}/r", server.port())]);
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}{err}");
    for tag in ["a:b", "-x", "h/r:v2"] {
        assert!(err.contains(&format!(r#"skipped invalid tag "{tag}""#)), "{err}");
    }
    assert!(out.contains("Successfully backed up 2 tag(s)"), "{out}");
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "B"]), "v1\nv2\n");
}

#[test]
fn accepts_full_reference_as_tag_of_same_repository() {
    let registry = Process::ours(&[]);
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    let reference = |name: &str| format!("{}/{name}", registry.host());
    sandbox.oras(&["push", &reference("r:v1"), "hi.txt"]);
    let out = sandbox.oras(&["tag", &reference("r:v1"), &reference("r:v2")]);
    assert!(out.ends_with(&format!("Tagged {}\n", reference("r:v2"))), "{out}");
    let error = sandbox.fails(&["tag", &reference("r:v1"), &reference("other:v2")]);
    assert!(error.contains("mismatch between received"), "{error}");
    assert_eq!(sandbox.oras(&["repo", "tags", &reference("r")]), "v1\nv2\n");
}

#[test]
fn accepts_digest_tags_of_known_algorithms_only() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    sandbox.oras(&["push", "--oci-layout", "L:1.0-rc1,v1-alpine,linux-amd64,sha256-abc", "hi.txt"]);
    sandbox.oras(&["tag", "--oci-layout", "L:1.0-rc1", &format!("sha256-{}", "a".repeat(64))]);
    let listed = sandbox.oras(&["repo", "tags", "--exclude-digest-tags", "--oci-layout", "L"]);
    let mut listed: Vec<_> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed, ["1.0-rc1", "linux-amd64", "sha256-abc", "v1-alpine"]);
}

#[test]
fn closed_pipe_ends_commands_silently() {
    use std::os::unix::process::ExitStatusExt;

    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    sandbox.oras(&["push", "--oci-layout", "L:v1,v2", "hi.txt"]);
    for line in [
        &["repo", "tags", "--oci-layout", "L"][..],
        &["version"],
        &["--version"],
        &["push", "--help"],
        &["resolve", "--oci-layout", "L:v1"],
        &["manifest", "fetch", "--oci-layout", "L:v1"],
        &["discover", "--oci-layout", "L:v1", "--format", "json"],
        &["push", "--oci-layout", "L:v3", "hi.txt"],
        &["tag", "--oci-layout", "L:v1", "v4"],
        &["cp", "--from-oci-layout", "L:v1", "--to-oci-layout", "M:v1"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sandbox.command(&ours(), line).stdout(writer).output().unwrap();
        let (_, err) = texts(&output);
        assert_eq!((output.status.signal(), err.as_str()), (Some(13), ""), "{line:?}");
    }
    let script = "set -o pipefail; \"$0\" repo tags --oci-layout L | true; echo ${PIPESTATUS[0]}";
    let mut shell = Command::new("/bin/bash");
    let oras = ours();
    let output = shell.args(["-c", &script.replace("| true", "| (exec 0<&-; sleep 0.2)")]).arg(oras);
    let output = output.current_dir(sandbox.work()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(texts(&output), ("141\n".to_owned(), String::new()));
}

#[test]
fn prints_version_for_usual_flags() {
    let sandbox = Sandbox::new();
    let version = sandbox.oras(&["version"]);
    assert_eq!(sandbox.oras(&["--version"]), version);
    assert_eq!(sandbox.oras(&["-V"]), version);
    assert!(sandbox.fails(&["tag", "--version"]).contains("unknown flag: --version"));
}

#[test]
fn names_unreadable_files_in_errors() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    sandbox.file("bad.json", "{");
    std::fs::create_dir_all(sandbox.path("dir")).unwrap();
    sandbox.oras(&["push", "--oci-layout", "L:v1", "hi.txt"]);
    let push = ["push", "--oci-layout", "L:v9", "hi.txt"];
    let codes = |line: &[&str]| {
        let output = sandbox.command(&ours(), line).env("ORAS_EXIT_CODES", "1").output().unwrap();
        (output.status.code(), texts(&output).1)
    };
    for (flag, path, code, words) in [
        ("--annotation-file", "nosuch", 74, "no such file or directory"),
        ("--annotation-file", "dir", 74, "is a directory"),
        ("--annotation-file", "bad.json", 2, "invalid annotation json file"),
        ("--files-from", "nosuch", 74, "no such file or directory"),
        ("--files-from", "dir", 74, "is a directory"),
        ("--config", "nosuch", 74, "no such file or directory"),
        ("--export-manifest", "nosuch/m.json", 74, "no such file or directory"),
    ] {
        let (status, error) = codes(&[&push[..], &[flag, path]].concat());
        assert!(error.contains(words), "{flag} {path}: {error}");
        assert!(
            !error.contains("(os error") && (code == 2 || !error.contains("malformed")),
            "{flag} {path}: {error}"
        );
        assert_eq!(status, Some(code), "{flag} {path}: {error}");
    }
    for (line, code) in [
        (&["push", "--oci-layout", "L:v9", "nosuch"][..], 74),
        (&["attach", "--oci-layout", "L:v1", "--artifact-type", "a/b", "nosuch"], 74),
        (&["manifest", "push", "--oci-layout", "L:v9", "nosuch"], 74),
        (&["blob", "push", "--oci-layout", "L", "nosuch"], 74),
        (&["restore", "--input", "nosuch", "localhost:1/r"], 74),
        (&["resolve", "localhost:1/r:v1", "--ca-file", "nosuch"], 74),
        (&["resolve", "--oci-layout", "L:nosuch"], 3),
        (&["resolve", "localhost:1/r:v1"], 75),
        (&["resolve", "--nosuch"], 2),
        (&["resolve", "localhost:1/r:a:b"], 2),
    ] {
        let (status, error) = codes(line);
        assert_eq!(status, Some(code), "{line:?}: {error}");
        assert!(!error.contains("(os error"), "{line:?}: {error}");
    }
}

#[test]
fn restore_dry_run_matches_real_run() {
    let registry = Process::ours(&[]);
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    sandbox.file("bye.txt", "bye\n");
    sandbox.oras(&["push", "--oci-layout", "L:v1", "hi.txt"]);
    let repository = format!("{}/r", registry.host());
    sandbox.oras(&["push", &format!("{repository}:v1"), "bye.txt"]);
    let moved = sandbox.oras(&["resolve", &format!("{repository}:v1")]);
    let restore = ["restore", "--input", "L", &repository];
    let dry = [&restore[..], &["--dry-run"]].concat();

    let (out, err) = texts(&sandbox.run(&ours(), &dry));
    assert!(out.contains("would push tag v1"), "{out}{err}");
    assert!(err.contains(&format!("tag v1 names {} and would be replaced", moved.trim())), "{err}");
    assert_eq!(sandbox.oras(&["resolve", &format!("{repository}:v1")]), moved);

    let layer = oras_spec::Digest::sha256(b"hello\n");
    let blob = sandbox.path(&format!("L/blobs/sha256/{}", layer.encoded()));
    let bytes = std::fs::read(&blob).unwrap();
    std::fs::remove_file(&blob).unwrap();
    let (dry_error, error) = (sandbox.fails(&dry), sandbox.fails(&restore));
    for error in [dry_error, error] {
        assert!(error.contains(&layer.to_string()) && error.contains("not found"), "{error}");
    }

    // The layout may lack content that the registry has.
    sandbox.file("layer", bytes);
    sandbox.oras(&["blob", "push", &repository, "layer"]);
    sandbox.oras(&dry);
    sandbox.oras(&restore);
}
