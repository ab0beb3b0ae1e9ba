//! `oras layout`: lists, checks and repairs layouts, and collects their garbage, also while writers are killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use oras_testkit::random::Random;
use oras_testkit::registry::Process;
use oras_testkit::repetitions::repetitions;
use serde_json::Value;

use crate::sandbox::{Sandbox, ours};

/// Runs `oras layout` and returns its exit status and standard output.
fn layout(sandbox: &Sandbox, args: &[&str]) -> (i32, String) {
    let args: Vec<_> = ["layout"].iter().chain(args).copied().collect();
    let output = sandbox.command(&ours(), &args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    let args: Vec<_> = args.iter().chain(&["--format", "json"]).copied().collect();
    serde_json::from_str(&layout(sandbox, &args).1).unwrap()
}

/// A layout with the tags `v1` and `v2`, and an SBOM of the first.
fn fill(sandbox: &Sandbox) {
    sandbox.file("hi.txt", "hello world\n");
    sandbox.file("big.bin", [1, 2, 3].repeat(50_000));
    sandbox.oras(&["push", "--oci-layout", "L:v1", "hi.txt", "big.bin"]);
    sandbox.oras(&["push", "--oci-layout", "L:v2", "hi.txt"]);
    sandbox.oras(&["attach", "--oci-layout", "L:v1", "--artifact-type", "application/spdx+json", "hi.txt"]);
}

/// Returns the blobs of a layout, the largest first.
fn blobs(layout: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.metadata().unwrap().len()));
    files
}

/// Changes one byte of a file.
fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[5] ^= 1;
    std::fs::remove_file(file).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(file).unwrap(), &bytes).unwrap();
}

#[test]
fn lists_and_measures_directories_and_archives() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let packed = std::process::Command::new("tar")
        .args(["-cf", "L.tar", "-C", "L", "."])
        .current_dir(sandbox.path(""))
        .status();
    assert!(packed.unwrap().success());
    for path in ["L", "L.tar"] {
        let listed = json(&sandbox, &["ls", path]);
        let tags: Vec<_> = listed["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["tag"].as_str().unwrap())
            .collect();
        assert_eq!(tags, ["v1", "v2"], "{listed}");
        assert_eq!(listed["entries"][0]["referrerKinds"]["SBOM (SPDX)"], 1);
        assert!(layout(&sandbox, &["ls", path]).1.contains("1 SBOM (SPDX)"));
        assert!(layout(&sandbox, &["ls", "--tree", path]).1.contains("└── refers: SBOM (SPDX)"));
        let usage = json(&sandbox, &["du", path]);
        assert!(usage["tags"][0]["uniqueBytes"].as_u64().unwrap() > 150_000, "{usage}");
        assert!(layout(&sandbox, &["du", "--sort", "size", path]).1.contains("Unreachable 0 B"));
        assert_eq!(layout(&sandbox, &["check", path]).0, 0);
    }
    for verb in ["gc", "repair"] {
        let output = sandbox.command(&ours(), &["layout", verb, "L.tar"]).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("extract it"));
    }
}

#[test]
fn check_and_repair_tell_their_result_by_exit_status() {
    let (sandbox, registry) = (Sandbox::new(), Process::ours(&[]));
    fill(&sandbox);
    let remote = format!("{}/app", registry.host());
    for tag in ["v1", "v2"] {
        sandbox.oras(&["cp", "-r", "--from-oci-layout", &format!("L:{tag}"), &format!("{remote}:{tag}")]);
    }
    assert_eq!(layout(&sandbox, &["check", "L", "."]).0, 0);
    assert_eq!(layout(&sandbox, &["check", "missing"]).0, 2);
    assert_eq!(layout(&sandbox, &["repair", "--from", &remote, "L"]).0, 0);
    let files = blobs(&sandbox.path("L"));
    flip(&files[0]);
    std::fs::remove_file(files.last().unwrap()).unwrap();
    let (status, text) = layout(&sandbox, &["check", "L"]);
    assert!(status == 1 && text.contains("missing  ") && text.contains("damaged  "), "{text}");
    let (status, text) = layout(&sandbox, &["repair", "L"]);
    assert!(status == 1 && text.contains("2 problems left"), "{text}");
    let (status, text) = layout(&sandbox, &["repair", "--from", &remote, "L"]);
    assert!(status == 7 && text.contains("L: repaired"), "{text}");
    assert_eq!(layout(&sandbox, &["check", "L"]).0, 0);
    // The registry names the tags of a lost index.
    std::fs::remove_file(sandbox.path("L/index.json")).unwrap();
    assert_eq!(layout(&sandbox, &["check", "L"]).0, 1);
    let repaired = json(&sandbox, &["repair", "--from", &remote, "L"]);
    assert_eq!(repaired["outcome"], "repaired", "{repaired}");
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "L"]), "v1\nv2\n");
    sandbox.oras(&["pull", "--oci-layout", "L:v1", "-o", "out"]);
}

#[test]
fn gc_removes_tags_by_rules_and_tag_removes_them_by_name() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    sandbox.oras(&["layout", "tag", "L:v1", "old-1", "old-2"]);
    sandbox.oras(&["layout", "tag", "--rm", "L:old-1", "old-2"]);
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "L"]), "v1\nv2\n");
    let dry = json(&sandbox, &["gc", "--dry-run", "--keep", "v1", "--grace", "0", "L"]);
    assert_eq!((&dry["removedTags"][0]["tag"], &dry["blobs"]), (&Value::from("v2"), &Value::from(1)));
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "L"]), "v1\nv2\n");
    let done = json(&sandbox, &["gc", "--keep", "v1", "--grace", "0", "L"]);
    assert_eq!((&done["removedTags"], &done["blobs"]), (&dry["removedTags"], &dry["blobs"]));
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "L"]), "v1\n");
    // The SBOM stayed with its subject.
    assert!(sandbox.oras(&["discover", "--oci-layout", "L:v1"]).contains("spdx"));
    assert_eq!(layout(&sandbox, &["check", "L"]).0, 0);
    let output = sandbox.command(&ours(), &["layout", "gc", "--keep", "[", "L"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid glob"), "{output:?}");
}

/// Makes every blob and every quarantine a week old, so that the next collection acts on them.
fn age(layout: &Path) {
    let then = std::time::SystemTime::now() - Duration::from_secs(7 * 86_400);
    for file in blobs(layout) {
        // A writer or a collection may rename the file at this moment.
        if let Ok(file) = std::fs::File::open(file) {
            drop(file.set_times(std::fs::FileTimes::new().set_accessed(then).set_modified(then)));
        }
    }
    let quarantine = layout.join(".oras-quarantine");
    for (number, batch) in std::fs::read_dir(&quarantine).into_iter().flatten().flatten().enumerate() {
        let old = then.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - number as u64;
        drop(std::fs::rename(batch.path(), quarantine.join(old.to_string())));
    }
}

/// Twelve writers, a collection and a repair run at the same time, and all are killed at a random moment. Everything
/// that a push has reported stays, whatever the collection was doing.
///
/// `ORAS_TEST_ROUNDS=200 cargo test -p oras-tests --test it killed_writers` kills them two hundred times.
#[test]
fn killed_writers_and_collections_lose_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("same.bin", [7, 1].repeat(40_000));
    sandbox.oras(&["push", "--oci-layout", "L:base", "same.bin"]);
    let mut random = Random(20);
    let mut acknowledged = vec!["base".to_owned()];
    for round in 0..repetitions(6) {
        // Garbage that writers push again at the moment when it is collected.
        sandbox.oras(&["push", "--oci-layout", "L:garbage", "same.bin", "-a", &format!("n={}", round % 3)]);
        sandbox.oras(&["layout", "tag", "--rm", "L:garbage"]);
        age(&sandbox.path("L"));
        let run = |args: &[&str]| {
            let mut command = sandbox.command(&ours(), args);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut writers: Vec<_> = (0..12)
            .map(|number| {
                let tag = format!("r{round}-{number}");
                let annotation = format!("n={}", number % 3);
                let reference = format!("L:{tag}");
                (tag, run(&["push", "--oci-layout", &reference, "same.bin", "-a", &annotation]))
            })
            .collect();
        let gc = ["layout", "gc", "--untagged", "--grace", "1h", "L"];
        let mut others = vec![run(&gc), run(&["layout", "repair", "L"]), run(&gc)];
        std::thread::sleep(Duration::from_millis(random.below(120) as u64));
        for other in &mut others {
            drop(other.kill());
            other.wait().unwrap();
        }
        for (tag, writer) in &mut writers {
            // Half of the writers are killed, and the others must succeed.
            if random.below(2) == 0 {
                drop(writer.kill());
            }
            let status = writer.wait().unwrap();
            if status.success() {
                acknowledged.push(tag.clone());
            } else {
                assert_eq!(status.code(), None, "a writer failed without being killed");
            }
        }
        let (status, text) = layout(&sandbox, &["check", "L"]);
        assert_eq!(status, 0, "round {round}: {text}");
        let tags = sandbox.oras(&["repo", "tags", "--oci-layout", "L"]);
        for tag in &acknowledged {
            assert!(tags.lines().any(|listed| listed == tag), "round {round}: {tag} is lost");
        }
    }
    // All garbage is collected in the end: once into the quarantine, once out of it.
    for _ in 0..2 {
        age(&sandbox.path("L"));
        sandbox.oras(&["layout", "gc", "--untagged", "--grace", "1h", "L"]);
    }
    let usage = json(&sandbox, &["du", "L"]);
    assert_eq!(usage["unreachable"]["blobs"], 0, "{usage}");
    assert!(!sandbox.path("L/.oras-quarantine").exists());
    assert_eq!(layout(&sandbox, &["check", "L"]).0, 0);
    sandbox.oras(&["pull", "--oci-layout", "L:base", "-o", "out"]);
}
