//! Backup and restore, also between our tool and the Go tool, and cleanup after failures.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use oras_testkit::peers;
use oras_testkit::registry::{Flavor, Process};

use crate::sandbox::{Sandbox, ours, registries, texts, without_hint};

const SBOM: &str = "application/vnd.test.sbom";

/// Pushes a manifest with the tags `v1` and `v1b` and a referrer that has a referrer, a manifest `v2` that
/// shares a layer with it, and an index `all` of both with a referrer.
fn fill(sandbox: &Sandbox, registry: &Process) -> String {
    let repository = format!("{}/source", registry.host());
    sandbox.file("hi.txt", "hi\n");
    sandbox.file("hello.txt", "hello\n");
    sandbox.file("sbom.txt", "sbom\n");
    sandbox.file("big.bin", vec![7; 3 << 20]);
    let v1 = format!("{repository}:v1");
    sandbox.oras(&["push", &format!("{v1},v1b"), "hi.txt"]);
    sandbox.oras(&["push", &format!("{repository}:v2"), "hi.txt", "hello.txt", "big.bin"]);
    let said = sandbox.oras(&["attach", &v1, "--artifact-type", SBOM, "sbom.txt", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let referrer = said["reference"].as_str().unwrap();
    sandbox.oras(&["attach", referrer, "--artifact-type", "application/vnd.test.signature", "hello.txt"]);
    repository
}

/// Returns the tags of a repository, and the referrers of each tag.
fn contents(sandbox: &Sandbox, repository: &str) -> String {
    let mut all = sandbox.oras(&["repo", "tags", repository, "--exclude-digest-tags"]);
    for tag in ["v1", "v1b", "v2"] {
        let found = sandbox.oras(&["discover", &format!("{repository}:{tag}"), "--format", "json"]);
        all += &found.replace(repository, "REPOSITORY");
    }
    all
}

/// Returns our tool, and the Go tool if it is installed.
fn tools(test: &str) -> Vec<PathBuf> {
    std::iter::once(ours()).chain(peers::find_or_skip(peers::ORAS, test)).collect()
}

#[test]
fn restores_backups_across_both_tools() {
    let test = "restores_backups_across_both_tools";
    let sandbox = Sandbox::new();
    for (flavor, registry) in registries(test) {
        let source = fill(&sandbox, &registry);
        let expected = contents(&sandbox, &source);
        for (writer, backup) in tools(test).iter().enumerate() {
            for output in ["layout", "archive.tar"] {
                let output = format!("{output}-{writer}");
                let output = if output.starts_with('a') { format!("{output}.TAR") } else { output };
                drop(std::fs::remove_dir_all(sandbox.path(&output)));
                let words = ["backup", "-o", &output, "--include-referrers", &format!("{source}:v1,v1b,v2")];
                let said = sandbox.ok(backup, &words);
                assert!(said.contains("Pulled tag v1b with 2 referrer(s)\n"), "{flavor}: {said}");
                assert!(said.contains("Pulled tag v2 with 0 referrer(s)\n"), "{flavor}: {said}");
                for (reader, restore) in tools(test).iter().enumerate() {
                    let name = output.to_ascii_lowercase().replace('.', "-");
                    let target = format!("{}/{name}-{reader}", registry.host());
                    let said = sandbox.ok(restore, &["restore", "--input", &output, &target]);
                    assert!(said.contains("Pushed tag v1 with 2 referrer(s)\n"), "{flavor}: {said}");
                    assert_eq!(contents(&sandbox, &target), expected, "{flavor} {output} {reader}");
                    let out = format!("out-{name}-{reader}");
                    sandbox.oras(&["pull", &format!("{target}:v2"), "-o", &out]);
                    let big = std::fs::read(sandbox.path(&format!("{out}/big.bin"))).unwrap();
                    assert!(big == vec![7; 3 << 20], "{flavor} {output}");
                }
            }
        }
    }
}

#[test]
fn backup_prints_same_output_as_go_tool() {
    let test = "backup_prints_same_output_as_go_tool";
    let Some(go) = peers::find_or_skip(peers::ORAS, test) else { return };
    let Some(registry) = Process::open(Flavor::Distribution, test) else { return };
    let sandbox = Sandbox::new();
    let source = fill(&sandbox, &registry);
    sandbox.file("notes.txt", "notes\n");
    std::fs::create_dir(sandbox.path("dir.tar")).unwrap();
    sandbox.oras(&["backup", "-o", "made.tar", "--include-referrers", &format!("{source}:v1,v1b")]);
    let (host, source) = (registry.host(), source.as_str());
    let of = |rest: &str| format!("{source}{rest}");
    let target = |name: &str| format!("{host}/{name}");
    let backup = |reference: String| {
        vec!["backup".into(), "--concurrency=1".into(), "-o".into(), "b.tar".into(), reference]
    };
    let restore = |input: &str, reference: String| {
        vec!["restore".into(), "--concurrency=1".into(), "--input".into(), input.into(), reference]
    };
    let words: Vec<Vec<String>> = vec![
        backup(of(":v1")),
        backup(of(":v2")),
        [backup(of(":v1")), vec!["--include-referrers".into()]].concat(),
        backup(of(":nope")),
        backup(target("nope")),
        backup(of(":v1@sha256:aa")),
        backup(of(":v1,,v2")),
        backup(of(":v1,-bad")),
        backup("source".into()),
        backup(String::new()),
        backup("localhost:1/x:v1".into()),
        vec!["backup".into(), of(":v1")],
        vec!["backup".into(), "-o".into(), "dir.tar".into(), of(":v1")],
        vec!["backup".into(), "-o".into(), "no/x.tar".into(), of(":v1")],
        vec!["backup".into(), "--output=".into(), of(":v1")],
        vec!["backup".into(), "-o".into(), "b.tar".into()],
        restore("made.tar", target("NAME:v1")),
        restore("made.tar", target("NAME:v1")),
        [restore("made.tar", target("NAME-x:v1b")), vec!["--exclude-referrers".into()]].concat(),
        [restore("made.tar", target("NAME-x:v1b")), vec!["--exclude-referrers".into()]].concat(),
        [restore("made.tar", target("NAME")), vec!["--dry-run".into()]].concat(),
        restore("nope", target("NAME")),
        restore("notes.txt", target("NAME")),
        restore("", target("NAME")),
        restore("/dev/null", target("NAME")),
        [restore("made.tar", "localhost:1/x:v1".into()), vec!["--exclude-referrers".into()]].concat(),
        restore("made.tar", target("NAME@sha256:aa")),
        vec!["restore".into(), target("NAME")],
    ];
    for words in words {
        let said = |program: &Path, name: &str| {
            let words: Vec<_> = words.iter().map(|word| word.replace("NAME", name)).collect();
            let output = sandbox.run(program, &words.iter().map(String::as_str).collect::<Vec<_>>());
            let (out, err) = texts(&output);
            // The durations differ. Our tool checks for each referrer and for the subject. The Go tool checks
            // only for the last referrer, and fails to tag if the registry has this referrer but not its
            // subject.
            let out = out.replace(name, "NAME");
            let lines = out.lines().filter(|line| !line.starts_with("Exists    "));
            let mut lines: Vec<_> = lines.map(without_duration).collect();
            lines.sort();
            (lines, without_hint(&err).replace(name, "NAME"), output.status.code())
        };
        assert_eq!(said(&ours(), "ours"), said(&go, "gos"), "{words:?}");
    }
}

fn without_duration(line: &str) -> String {
    match line.rsplit_once(" in ") {
        Some((start, _)) if line.starts_with("Success") => start.to_owned(),
        _ => line.to_owned(),
    }
}

#[test]
fn backup_and_restore_print_json_reports_and_dry_runs() {
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    let source = fill(&sandbox, &registry);
    let said = sandbox.oras(&["backup", "-o", "x.tar", "--dry-run", "--include-referrers", &source]);
    let expected = format!(
        "Found 3 tag(s) in {source}: v1, v1b, v2\n\
         Dry run: would pull tag v1 with 2 referrer(s)\n\
         Dry run: would pull tag v1b with 2 referrer(s)\n\
         Dry run: would pull tag v2 with 0 referrer(s)\n\
         Dry run complete: 3 tag(s) would be backed up from \"{source}\" to \"x.tar\" (no data written)\n"
    );
    assert_eq!(said, expected);
    assert!(!sandbox.path("x.tar").exists());
    let report = |words: &[&str]| -> serde_json::Value {
        serde_json::from_str(&sandbox.oras(&[words, &["--format", "json"]].concat())).unwrap()
    };
    let backup = report(&["backup", "-o", "x.tar", "--include-referrers", &source]);
    let size = std::fs::metadata(sandbox.path("x.tar")).unwrap().len();
    assert_eq!((backup["archiveSize"].as_u64(), backup["dryRun"].as_bool()), (Some(size), Some(false)));
    let target = format!("{}/target", registry.host());
    let rehearsed = report(&["restore", "--input", "x.tar", "--dry-run", &target]);
    assert!(sandbox.fails(&["resolve", &format!("{target}:v1")]).contains("not found"));
    let restored = report(&["restore", "--input", "x.tar", &target]);
    assert_eq!(restored["artifacts"], rehearsed["artifacts"]);
    for (report, repository) in [(&backup, &source), (&restored, &target)] {
        assert_eq!(report["repository"].as_str(), Some(repository.as_str()));
        let digest = sandbox.oras(&["resolve", &format!("{repository}:v1")]);
        assert_eq!(report["artifacts"][0]["reference"], format!("{repository}@{}", digest.trim()));
        let referrers: Vec<_> =
            (0..3).map(|n| report["artifacts"][n]["referrers"].as_u64().unwrap()).collect();
        assert_eq!(referrers, [2, 2, 0]);
    }
    // A second run writes the same bytes.
    sandbox.oras(&["backup", "-o", "y.tar", "--include-referrers", "--concurrency", "1", &source]);
    sandbox.oras(&["backup", "-o", "z.tar", "--include-referrers", "--concurrency", "1", &source]);
    let bytes = |name| std::fs::read(sandbox.path(name)).unwrap();
    assert!(bytes("y.tar") == bytes("z.tar"));
}

/// Returns the names in the working directory.
fn names(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.work()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn failed_backup_leaves_no_files() {
    let test = "failed_backup_leaves_no_files";
    let Some(process) = Process::open(Flavor::Distribution, test) else { return };
    let storage = process.storage();
    let registry = process;
    let sandbox = Sandbox::new();
    let source = fill(&sandbox, &registry);
    sandbox.file("old.tar", "old\n");
    let before = names(&sandbox);
    // The registry sends bytes that do not match the digest: of a small blob, then of a large one.
    for (content, other) in [(b"hello\n".to_vec(), b"hullo\n".to_vec()), (vec![7; 3 << 20], vec![8; 3 << 20])]
    {
        let path = find(&storage, &content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let spoil = |bytes: &[u8]| {
            std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), bytes).unwrap()
        };
        spoil(&other);
        for output in ["new.tar", "old.tar"] {
            let error = sandbox.fails(&["backup", "-o", output, &format!("{source}:v2")]);
            assert!(error.starts_with("Error: failed to back up tag \"v2\" from "), "{error}");
            assert!(error.contains("mismatched digest"), "{error}");
            assert_eq!(names(&sandbox), before);
        }
        sandbox.fails(&["backup", "-o", "layout", &source]);
        assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "layout"]), "");
        std::fs::remove_dir_all(sandbox.path("layout")).unwrap();
        spoil(&content);
    }
    assert_eq!(std::fs::read(sandbox.path("old.tar")).unwrap(), b"old\n");
    // If an archive is damaged, the restore does not write the tag.
    sandbox.oras(&["backup", "-o", "old.tar", &source]);
    let mut bytes = std::fs::read(sandbox.path("old.tar")).unwrap();
    let at = bytes.windows(6).position(|window| window == b"hello\n").unwrap();
    bytes[at] = b'j';
    sandbox.file("damaged.tar", &bytes);
    let target = format!("{}/damaged", registry.host());
    let error = sandbox.fails(&["restore", "--input", "damaged.tar", &target]);
    assert!(error.starts_with("Error response from registry: digest invalid: "), "{error}");
    assert!(sandbox.fails(&["resolve", &format!("{target}:v1")]).contains("not found"));
    sandbox.file("cut.tar", &bytes[..bytes.len() / 2]);
    let error = sandbox.fails(&["restore", "--input", "cut.tar", &target]);
    assert!(error.contains("\"cut.tar\" does not look like a tar archive: unexpected EOF"), "{error}");
}

/// Returns the file below `directory` with this content.
fn find(directory: &Path, content: &[u8]) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries.into_iter().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return find(&path, content);
        }
        let same = entry.metadata().unwrap().len() == content.len() as u64;
        (same && std::fs::read(&path).unwrap() == content).then_some(path)
    })
}

#[test]
fn backup_leaves_other_directories_untouched() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.file("plain/mine.txt", "mine\n");
    for (input, extra) in [("empty", "--dry-run=false"), ("plain", "--dry-run")] {
        let error = sandbox.fails(&["restore", "--input", input, extra, "localhost:1/x"]);
        assert!(error.contains("no tags found in OCI layout"), "{error}");
        assert!(error.contains("it is not an OCI image layout, as it has no oci-layout file"), "{error}");
    }
    assert_eq!(std::fs::read_dir(sandbox.path("empty")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(sandbox.path("plain")).unwrap().count(), 1);
    sandbox.file("x.tar.gz", [0x1f, 0x8b, 8, 0, 0]);
    for words in [
        &["restore", "--input", "x.tar.gz", "localhost:1/x"][..],
        &["resolve", "--oci-layout", "x.tar.gz:v1"],
    ] {
        assert!(sandbox.fails(words).contains("compressed with gzip"));
    }
}

#[test]
fn kill_or_interrupt_leaves_no_archive() {
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    sandbox.file("big.bin", vec![7; 48 << 20]);
    let source = format!("{}/big:v1", registry.host());
    sandbox.oras(&["push", &source, "big.bin"]);
    sandbox.file("x.tar", "old\n");
    for round in 0..6 {
        let mut child = sandbox
            .command(&ours(), &["backup", "-o", "x.tar", &source])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(10 + 40 * round));
        let signal = if round % 2 == 0 { "-INT" } else { "-KILL" };
        drop(std::process::Command::new("kill").args([signal, &child.id().to_string()]).output());
        let status = child.wait().unwrap();
        let found = std::fs::read(sandbox.path("x.tar")).unwrap();
        assert!(found == b"old\n" || status.success() || found.len() > 48 << 20, "{} bytes", found.len());
        if found == b"old\n" && round % 2 == 0 {
            let left = names(&sandbox);
            let left: Vec<_> = left.iter().filter(|name| name.starts_with(".oras-")).collect();
            assert!(left.len() as u64 <= round / 2, "an interrupt left {left:?}");
        }
        sandbox.file("x.tar", "old\n");
    }
}

#[test]
fn memory_use_is_independent_of_content_size() {
    const SIZE: usize = 160 << 20;
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    sandbox.file("big.bin", vec![7; SIZE]);
    sandbox.file("big2.bin", vec![8; SIZE / 2]);
    let source = format!("{}/big", registry.host());
    sandbox.oras(&["push", &format!("{source}:v1"), "big.bin"]);
    sandbox.oras(&["push", &format!("{source}:v2"), "big2.bin"]);
    let target = format!("{}/big2", registry.host());
    for words in [["backup", "-o", "x.tar", &source], ["restore", "--input", "x.tar", &target]] {
        let mut child = sandbox.command(&ours(), &words).stdout(Stdio::null()).spawn().unwrap();
        let mut peak = 0;
        let status = loop {
            let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(peak);
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        assert!(status.success());
        assert!(peak > 0 && peak < 64 << 10, "{words:?}: {peak} KiB");
    }
}
