//! Features that the Go tool does not have.

use std::io::Write as _;
use std::process::{Output, Stdio};

use oras_testkit::recorder::Recorder;
use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, ours, texts};

/// Runs our tool with the given standard input and additional environment variables.
fn run(sandbox: &Sandbox, words: &[&str], stdin: &str, env: &[(&str, &str)]) -> Output {
    let mut command = sandbox.command(&ours(), words);
    command.envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Starts a registry with a small artifact `v1`, which has the files `a.json` and `docs/x.md`.
fn stage() -> (Process, Sandbox, String) {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("a.json", "{\"a\":1}\n");
    sandbox.file("docs/x.md", "doc\n");
    let name = format!("{}/x", registry.host());
    let words = ["push", &format!("{name}:v1"), "a.json:application/json", "docs/x.md"];
    sandbox.oras(&words);
    (registry, sandbox, name)
}

#[test]
fn pull_writes_single_file_to_stdout() {
    let (_registry, sandbox, name) = stage();
    let v1 = format!("{name}:v1");
    for words in [["--include", "*.json"], ["--exclude", "docs/**"], ["--media-type", "application/json"]] {
        let line = [&["pull", &v1, "-o", "-"][..], &words].concat();
        assert_eq!(sandbox.oras(&line), "{\"a\":1}\n", "{words:?}");
    }
    assert!(sandbox.fails(&["pull", &v1, "-o", "-"]).contains("[a.json, docs/x.md]"));
    assert!(sandbox.fails(&["pull", &v1, "-o", "-", "--include", "z"]).contains("no file"));
    sandbox.oras(&["pull", &v1, "-o", "out", "--include", "docs/*"]);
    assert!(sandbox.path("out/docs/x.md").exists() && !sandbox.path("out/a.json").exists());
    assert!(sandbox.fails(&["pull", &v1, "--include", "["]).contains("invalid glob"));
}

#[test]
fn push_reads_files_from_list_and_stdin() {
    let (_registry, sandbox, name) = stage();
    let (listed, piped) = (format!("{name}:listed"), format!("{name}:piped"));
    sandbox.file("list", "a.json:application/json\n\ndocs/x.md\n");
    sandbox.oras(&["push", &listed, "--files-from", "list"]);
    sandbox.oras(&["pull", &listed, "-o", "listed"]);
    assert!(sandbox.path("listed/docs/x.md").exists());
    let output = run(&sandbox, &["push", &piped, "--stdin-file", "in.txt:text/plain"], "piped\n", &[]);
    assert!(output.status.success(), "{:?}", texts(&output));
    assert_eq!(sandbox.oras(&["pull", &piped, "-o", "-", "--media-type", "text/plain"]), "piped\n");
    let both = ["push", &piped, "--stdin-file", "x", "--files-from", "-"];
    assert!(sandbox.fails(&both).contains("cannot both read standard input"));
}

#[test]
fn dry_runs_change_nothing() {
    let (registry, sandbox, name) = stage();
    let (v1, copy) = (format!("{name}:v1"), format!("{}/copy:v1", registry.host()));
    sandbox.file("new.txt", "new\n");
    let push = sandbox.oras(&["push", &format!("{name}:v2"), "new.txt", "--dry-run"]);
    assert!(push.contains("Would upload") && push.contains("Dry run: would push"), "{push}");
    let attach = ["attach", &v1, "new.txt", "--artifact-type", "a/b", "--dry-run"];
    assert!(sandbox.oras(&attach).contains("Dry run: would attach to"));
    assert!(sandbox.oras(&["cp", &v1, &copy, "--dry-run"]).contains("Dry run: would copy"));
    assert!(sandbox.oras(&["manifest", "delete", &v1, "--dry-run"]).contains("Dry run: would delete"));
    sandbox.oras(&["cp", &v1, "--to-oci-layout", "layout:v1", "--dry-run"]);
    assert!(!sandbox.path("layout").exists());
    assert_eq!(sandbox.oras(&["repo", "tags", &name]), "v1\n");
    assert!(sandbox.fails(&["repo", "tags", &copy]).contains("not found"));
    assert!(sandbox.oras(&["discover", &v1, "--format", "json"]).contains("\"referrers\": []"));
}

#[test]
fn prints_json_and_applies_jq() {
    let (registry, sandbox, name) = stage();
    let (v1, copy) = (format!("{name}:v1"), format!("{}/copy:v1,v2", registry.host()));
    let digest = sandbox.oras(&["resolve", &v1]);
    for words in [
        &["resolve", &v1][..],
        &["tag", &v1, "t1"],
        &["cp", &v1, &copy],
        &["manifest", "fetch", &v1],
        &["discover", &v1],
        &["manifest", "push", &name, "m.json"],
    ] {
        sandbox.file("m.json", sandbox.oras(&["manifest", "fetch", &v1]));
        let line = [words, &["--format", "json", "--jq", ".digest"]].concat();
        assert_eq!(sandbox.oras(&line), digest, "{words:?}");
    }
    let config = sandbox.oras(&["manifest", "fetch-config", &v1, "--format", "json", "--jq", ".digest"]);
    let blob = format!("{name}@{}", config.trim());
    assert_eq!(sandbox.oras(&["blob", "fetch", &blob, "--format", "json", "--jq", ".digest"]), config);
    assert_eq!(
        sandbox.oras(&["blob", "fetch", &blob, "-o", "c", "--format", "json", "--jq", ".size"]),
        "2\n"
    );
    assert_eq!(std::fs::read(sandbox.path("c")).unwrap(), b"{}");
    for words in [&["blob", "fetch", &blob][..], &["manifest", "fetch-config", &v1]] {
        let fails = |flag: &[&str]| sandbox.fails(&[words, flag, &["--format", "json"]].concat());
        assert!(fails(&["-o", "-"]).contains("`--output -` cannot be used with `--format json`"));
        assert!(fails(&["--descriptor"]).contains("--format, --descriptor cannot be used at the same time"));
    }
    let files = sandbox.oras(&["pull", &v1, "-o", "out", "--format", "json", "--jq", "[.files[].size]"]);
    assert_eq!(files, "[8,4]\n");
    assert!(sandbox.fails(&["discover", &v1, "--jq", ".x["]).contains("--jq \".x[\""));
    let login = ["login", &registry.host(), "-u", "me", "-p", "secret", "--format", "json"];
    let login = sandbox.oras(&login);
    assert!(login.contains("\"username\": \"me\"") && !login.contains("secret"), "{login}");
}

#[test]
fn filters_sorts_and_resolves_tags() {
    let (_registry, sandbox, name) = stage();
    let v1 = format!("{name}:v1");
    sandbox.oras(&["tag", &v1, "v1.10", "v1.9", "v1.9-rc.1", "latest"]);
    let tags = sandbox.oras(&["repo", "tags", &name, "--filter", "v1.*", "--sort", "version"]);
    assert_eq!(tags, "v1.9-rc.1\nv1.9\nv1.10\n");
    let digest = sandbox.oras(&["resolve", &v1]);
    let with_digests = sandbox.oras(&["repo", "tags", &name, "--filter", "latest", "--digests"]);
    assert_eq!(with_digests, format!("latest {digest}"));
    let json = ["repo", "tags", &name, "--digests", "--format", "json", "--jq", ".digests.latest"];
    assert_eq!(sandbox.oras(&json), digest);
}

#[test]
fn detailed_exit_codes_distinguish_failures() {
    let (registry, sandbox, name) = stage();
    let absent = format!("{name}:absent");
    let v1 = format!("{name}:v1");
    for (words, code) in [
        (&["pull", &absent][..], 3),
        (&["pull", "nonsense"], 2),
        (&["pull", "localhost:1/x:v1"], 75),
        (&["pull", &v1, "--nope"], 2),
        (&["resolve", &v1], 0),
    ] {
        let with = run(&sandbox, words, "", &[("ORAS_EXIT_CODES", "1")]);
        assert_eq!(with.status.code(), Some(code), "{words:?} {:?}", texts(&with));
        let without = run(&sandbox, words, "", &[]);
        assert_eq!(without.status.code(), Some(code.min(1)), "{words:?}");
    }
    drop(registry);
}

#[test]
fn detailed_exit_codes_cover_denied_corrupt_and_existing() {
    let (registry, sandbox, name) = stage();
    let v1 = format!("{name}:v1");
    let code = |words: &[&str]| {
        let output = run(&sandbox, words, "", &[("ORAS_EXIT_CODES", "1")]);
        (output.status.code(), texts(&output).1)
    };
    // 4: a registry that requires a login (401), and one that denies access (403).
    let gateway = Recorder::new(registry.port());
    let behind = format!("{}/{}", gateway.host(), v1.split_once('/').unwrap().1);
    for (status, fault) in [(401, "status=401,Www-Authenticate:_Basic_realm=x"), (403, "status=403")] {
        gateway.inject(format!("GET /manifests/ {fault} x1").parse().unwrap());
        let (code, error) = code(&["pull", &behind]);
        assert_eq!(code, Some(4), "{status}: {error}");
    }
    // 5: a blob that does not match its digest, of the same size and longer; an invalid manifest.
    sandbox.oras(&["cp", &v1, "--to-oci-layout", "L:v1"]);
    let manifest: serde_json::Value =
        serde_json::from_str(&sandbox.oras(&["manifest", "fetch", &v1])).unwrap();
    let layer = &manifest["layers"][0];
    let digest = layer["digest"].as_str().unwrap();
    let blob = format!("L/blobs/{}", digest.replace(':', "/"));
    let size = usize::try_from(layer["size"].as_u64().unwrap()).unwrap();
    for length in [size, size + 1] {
        std::fs::remove_file(sandbox.path(&blob)).unwrap();
        sandbox.file(&blob, "x".repeat(length));
        let (code, error) = code(&["pull", "--oci-layout", "L:v1", "-o", "damaged"]);
        assert_eq!(code, Some(5), "{length} bytes: {error}");
    }
    sandbox.file("L/index.json", "{");
    assert_eq!(code(&["resolve", "--oci-layout", "L:v1"]).0, Some(5));
    // 6: an existing file that `--keep-old-files` protects.
    sandbox.oras(&["pull", &v1, "-o", "out"]);
    let title = layer["annotations"]["org.opencontainers.image.title"].as_str().unwrap();
    sandbox.file(&format!("out/{title}"), "mine");
    let (code, error) = code(&["pull", &v1, "-o", "out", "--keep-old-files"]);
    assert_eq!(code, Some(6), "{error}");
}

#[test]
fn progress_follows_requested_format() {
    let (registry, sandbox, name) = stage();
    let v1 = format!("{name}:v1");
    let copy = format!("{}/copy", registry.host());
    let output = run(&sandbox, &["pull", &v1, "-o", "out", "--progress", "json"], "", &[]);
    let (out, err) = texts(&output);
    assert!(out.contains("Pulled [registry]"), "{out}");
    let events: Vec<serde_json::Value> =
        err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let finished = |event: &&serde_json::Value| event["event"] == "finished" && event["title"] == "a.json";
    assert_eq!(events.iter().filter(finished).count(), 1, "{err}");
    let quiet = run(&sandbox, &["cp", &v1, &copy, "--progress", "none"], "", &[]);
    assert!(texts(&quiet).0.starts_with("Copied [registry]"), "{:?}", texts(&quiet));
    assert!(sandbox.fails(&["pull", &v1, "--progress", "loud"]).contains("unknown progress: loud"));
}
