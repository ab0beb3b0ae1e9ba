//! `diff`: registries, layouts and archives, exit statuses, text, and terminals.

use oras_testkit::recorder::Recorder;
use oras_testkit::registry::Process;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, ours, registries, texts};
use crate::terminal::{Screen, run_on_terminal};

/// Runs `diff`, which must exit with `status`. Returns its standard output and error.
fn diff(sandbox: &Sandbox, words: &[&str], status: i32) -> (String, String) {
    let output = sandbox.run(&ours(), &[&["diff"], words].concat());
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(status), "{words:?}: {out}\n{err}");
    (out, err)
}

/// Pushes two versions of an artifact: a changed, an added, a removed and an equal file.
fn push_versions(sandbox: &Sandbox, repository: &str) -> [String; 2] {
    sandbox.file("same.txt", "same\n");
    sandbox.file("old.txt", "old\n");
    sandbox.file("new.txt", "new\n");
    sandbox.file("data.bin", [0, 1]);
    sandbox.file("readme.md", "# Title\n\none\ntwo\n");
    let versions = ["v1", "v2"].map(|tag| format!("{repository}:{tag}"));
    let common = ["readme.md:text/markdown", "data.bin", "same.txt", "--artifact-type", "a/b"];
    let created = ["-a", "org.opencontainers.image.created=2026-01-01T00:00:00Z"];
    sandbox.oras(&[&["push", &versions[0], "old.txt", "-a", "k=1"], &common[..], &created].concat());
    sandbox.file("readme.md", "# Title\n\none\nthree\n");
    sandbox.file("data.bin", [0, 2]);
    sandbox.oras(&[&["push", &versions[1], "new.txt", "-a", "k=2"], &common[..], &created].concat());
    versions
}

#[test]
fn compares_artifacts_in_registries() {
    for (name, registry) in registries("compares_artifacts_in_registries") {
        let sandbox = Sandbox::new();
        let [v1, v2] = push_versions(&sandbox, &format!("{}/diff", registry.host()));
        let (text, err) = diff(&sandbox, &[&v1, &v2], 1);
        assert_eq!(err, "", "{name}");
        for shown in ["- k: 1", "+ k: 2", "- old.txt", "+ new.txt", "~ readme.md", "~ data.bin"] {
            assert!(text.contains(shown), "{name}: {shown}: {text}");
        }
        assert!(!text.contains("same.txt") && !text.contains("created"), "{name}: {text}");
        let (text, _) = diff(&sandbox, &["--content", &v1, &v2], 1);
        assert!(text.contains("@@ -1,4 +1,4 @@\n # Title\n \n one\n-two\n+three\n"), "{name}: {text}");
        assert!(text.contains("binary content differs"), "{name}: {text}");
        let (text, _) = diff(&sandbox, &[&v1, &v1], 0);
        assert!(text.starts_with("No differences: sha256:"), "{name}: {text}");

        let (text, _) = diff(&sandbox, &["--format", "json", "--content", &v1, &v2], 1);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["equal"], false, "{name}");
        let changes: Vec<_> = report["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| json!([file["name"], file["change"]]))
            .collect();
        let expected =
            [["old.txt", "removed"], ["readme.md", "changed"], ["data.bin", "changed"], ["new.txt", "added"]];
        assert_eq!(json!(changes), json!(expected), "{name}: {report}");
        assert_eq!(report["files"][2]["content"], "binary", "{name}: {report}");
        assert!(report["files"][1]["unified"].as_str().unwrap().ends_with("-two\n+three\n"), "{name}");
        assert_eq!(
            report["annotations"][0],
            json!({"name": "k", "change": "changed", "from": "1", "to": "2"})
        );
    }
}

#[test]
fn compares_registry_with_layout_and_archive() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let repository = format!("{}/diff", registry.host());
    let [v1, v2] = push_versions(&sandbox, &repository);
    sandbox.oras(&["backup", "-o", "L", &repository]);
    sandbox.oras(&["backup", "-o", "L.tar", &repository]);
    for layout in ["L", "L.tar"] {
        let local = format!("{layout}:v1");
        diff(&sandbox, &[&v1, "--to-oci-layout", &local], 0);
        diff(&sandbox, &["--from-oci-layout", &local, &v1], 0);
        diff(&sandbox, &["--from-oci-layout", &local, &v2], 1);
        diff(&sandbox, &["--from-oci-layout", &local, "--to-oci-layout", "L:v2"], 1);
        diff(&sandbox, &["--from-oci-layout-path", layout, "v1", "--to-oci-layout-path", "L", "v1"], 0);
    }
}

#[test]
fn reads_only_manifests_by_default() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let versions = push_versions(&sandbox, &format!("{}/diff", registry.host()));
    let recorder = Recorder::new(registry.port());
    let [v1, v2] = versions.map(|version| version.replace(&registry.host(), &recorder.host()));
    diff(&sandbox, &[&v1, &v2], 1);
    let made = recorder.take();
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made.iter().all(|request| request.method == "GET" && request.target.contains("/manifests/")));
    let (text, _) = diff(&sandbox, &["--content", "--max-content-size", "10", &v1, &v2], 1);
    assert!(text.contains("larger than --max-content-size"), "{text}");
}

#[test]
fn failures_have_their_own_status() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let [v1, v2] = push_versions(&sandbox, &format!("{}/diff", registry.host()));
    let missing = v2.replace(":v2", ":none");
    let (_, err) = diff(&sandbox, &[&v1, &missing], 2);
    assert!(err.contains(":none\"") && err.contains("not found"), "{err}");
    assert_eq!(err.lines().next().map(|line| line.starts_with("Error from registry")), Some(true), "{err}");
    diff(&sandbox, &[&v1], 2);
    diff(&sandbox, &[&v1, &v2, "--no-such-flag"], 2);
    diff(&sandbox, &[&v1, "--to-oci-layout", "nothing:v1"], 2);
    // With the detailed statuses, no failure has the status of a difference.
    for (words, status) in [([&v1, &missing], 3), ([&v1, &v2], 1), ([&v1, &v1], 0)] {
        let mut command = sandbox.command(&ours(), &["diff", words[0], words[1]]);
        assert_eq!(command.env("ORAS_EXIT_CODES", "1").status().unwrap().code(), Some(status), "{words:?}");
    }
}

#[test]
fn compares_platforms_of_indexes() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let repository = format!("{}/index", registry.host());
    for (platform, text) in [("linux/amd64", "1"), ("linux/arm64", "2"), ("linux/s390x", "3")] {
        sandbox.file("hi.txt", text);
        let tag = format!("{repository}:{}", platform.replace('/', "-"));
        sandbox.oras(&["push", &tag, "hi.txt", "--artifact-platform", platform, "--artifact-type", "a/b"]);
    }
    let (one, two) = (format!("{repository}:one"), format!("{repository}:two"));
    sandbox.oras(&["manifest", "index", "create", &one, "linux-amd64", "linux-arm64"]);
    sandbox.oras(&["manifest", "index", "create", &two, "linux-amd64", "linux-s390x"]);
    let (text, _) = diff(&sandbox, &[&one, &two], 1);
    assert!(text.contains("- linux/arm64") && text.contains("+ linux/s390x"), "{text}");
    assert!(!text.contains("linux/amd64"), "{text}");
    diff(&sandbox, &["--platform", "linux/amd64", &one, &two], 0);
}

#[test]
fn hides_control_characters_and_fits_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "one\n");
    let nasty = format!("k=\u{1b}[2J\u{202e}{}", "long ".repeat(60));
    sandbox.oras(&["push", "--oci-layout", "L:v1", "hi.txt"]);
    sandbox.file("hi.txt", "two\u{1b}[2J\n");
    sandbox.oras(&["push", "--oci-layout", "L:v2", "hi.txt", "-a", &nasty]);
    let words = ["diff", "--content", "--from-oci-layout", "L:v1", "--to-oci-layout", "L:v2"];
    let (text, _) = diff(&sandbox, &words[1..], 1);
    assert!(text.contains("+two\u{1b}[2J\n"), "content in a pipe is unchanged: {text:?}");
    assert!(!text.contains("k: \u{1b}"), "{text:?}");
    for columns in [60, 80, 120] {
        let shown = run_on_terminal(&sandbox, &words, Screen::All, columns, true);
        assert_eq!(shown.status.code(), Some(1));
        assert!(!shown.stdout.contains('\u{1b}') && !shown.stdout.contains('\u{202e}'), "{:?}", shown.stdout);
        let widest = shown.stdout.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{columns}: {}", shown.stdout);
    }
    let shown = run_on_terminal(&sandbox, &words, Screen::All, 80, false).stdout;
    assert!(shown.contains("\u{1b}[32m+two") && !shown.contains("\u{1b}[2J"), "{shown:?}");
}
