//! Failures have a clear message and status 1, and lose no files.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use oras_testkit::registry::{Flavor, Options, Process};

use crate::sandbox::{Sandbox, ours, snapshot};

#[test]
fn corrupt_blob_leaves_output_unchanged() {
    let sandbox = Sandbox::new();
    sandbox.file("good.txt", "good\n");
    sandbox.file("bad.txt", "bad as it should be\n");
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "good.txt", "bad.txt", "--concurrency", "1"]);
    let blobs = sandbox.path("layout/blobs/sha256");
    let blob = std::fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
    let blob =
        blob.into_iter().find(|path| std::fs::read(path).unwrap() == b"bad as it should be\n").unwrap();
    std::fs::set_permissions(&blob, PermissionsExt::from_mode(0o644)).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(&blob).unwrap(), b"bad as it shouldn't\n").unwrap();

    sandbox.file("out/good.txt", "old good\n");
    sandbox.file("out/bad.txt", "old bad\n");
    let before = snapshot(&sandbox.path("out"));
    let error = sandbox.fails(&["pull", "--oci-layout", "layout:v1", "-o", "out"]);
    assert!(error.contains("bad.txt") && error.contains("mismatched digest"), "{error}");
    assert_eq!(snapshot(&sandbox.path("out")), before);

    let error = sandbox.fails(&["cp", "--from-oci-layout", "layout:v1", "--to-oci-layout", "copy:v1"]);
    assert!(error.starts_with("Error from source oci-layout for \"layout:v1\":"), "{error}");
    let digest = blob.file_name().unwrap().to_str().unwrap();
    sandbox.file("kept.txt", "kept\n");
    sandbox.fails(&["blob", "fetch", "--oci-layout", &format!("layout@sha256:{digest}"), "-o", "kept.txt"]);
    assert_eq!(std::fs::read(sandbox.path("kept.txt")).unwrap(), b"kept\n");

    // A registry rejects the content too, and the tag is not written.
    let registry = Process::ours(&[]);
    let target = format!("{}/x:v1", registry.host());
    sandbox.fails(&["cp", "--from-oci-layout", "layout:v1", &target]);
    assert!(sandbox.fails(&["resolve", &target]).contains("not found"));
}

#[test]
fn reports_wrong_password() {
    let options = Options { password: true, ..Options::default() };
    let Some(registry) = Process::start(Flavor::Distribution, &options, "reports_wrong_password") else {
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello world\n");
    let host = registry.host();
    let reference = format!("{host}/x:v1");
    let error = sandbox.fails(&["push", &reference, "hi.txt"]);
    assert!(error.contains("basic credential not found") && error.contains("config.json"), "{error}");
    let error = sandbox.fails(&["login", &host, "-u", "user", "-p", "wrong"]);
    assert!(error.contains("Error response from registry: unauthorized: authentication required"), "{error}");
    assert!(sandbox.oras(&["login", &host, "-u", "user", "-p", "pass"]).contains("Login Succeeded"));
    sandbox.oras(&["push", &reference, "hi.txt"]);
    sandbox.oras(&["logout", &host]);
    assert!(sandbox.fails(&["pull", &reference]).contains("basic credential not found"));
}

#[test]
fn full_disk_loses_no_files() {
    let sandbox = Sandbox::new();
    let disk = sandbox.path("disk");
    std::fs::create_dir_all(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        oras_testkit::peers::skipped("mount", "full_disk_loses_no_files");
        return;
    }
    sandbox.file("big.bin", vec![7; 4 << 20]);
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "big.bin"]);
    sandbox.file("disk/big.bin", "old\n");
    sandbox.file("small.txt", "small\n");
    sandbox.oras(&["push", "--oci-layout", "disk/layout:v1", "small.txt"]);
    let pull = sandbox.run(&ours(), &["pull", "--oci-layout", "layout:v1", "-o", "disk"]);
    let push = sandbox.run(&ours(), &["push", "--oci-layout", "disk/layout:v2", "big.bin"]);
    let kept = std::fs::read(disk.join("big.bin")).unwrap();
    let tags = sandbox.run(&ours(), &["repo", "tags", "--oci-layout", "disk/layout"]);
    drop(std::process::Command::new("umount").arg(&disk).output());
    for output in [&pull, &push] {
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("No space left on device"), "{error}");
    }
    assert_eq!(kept, b"old\n");
    assert_eq!(String::from_utf8_lossy(&tags.stdout), "v1\n");
}

#[test]
fn kill_at_any_point_keeps_earlier_files() {
    let sandbox = Sandbox::new();
    sandbox.file("big.bin", vec![7; 24 << 20]);
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "big.bin"]);
    sandbox.file("out/big.bin", "old\n");
    for round in 0..12 {
        let wait = Duration::from_millis(3 + round * 17);
        let target = format!("target:r{round}");
        for words in [
            &["pull", "--oci-layout", "layout:v1", "-o", "out"][..],
            &["push", "--oci-layout", &target, "big.bin"],
        ] {
            let mut child =
                sandbox.command(&ours(), words).stdout(std::process::Stdio::null()).spawn().unwrap();
            std::thread::sleep(wait);
            drop(child.kill());
            child.wait().unwrap();
        }
        let found = std::fs::read(sandbox.path("out/big.bin")).unwrap();
        assert!(found == b"old\n" || found.len() == 24 << 20, "{} bytes in round {round}", found.len());
        if sandbox.path("target").join("oci-layout").exists() {
            for tag in sandbox.oras(&["repo", "tags", "--oci-layout", "target"]).lines() {
                sandbox.oras(&["pull", "--oci-layout", &format!("target:{tag}"), "-o", "check"]);
            }
        }
    }
    sandbox.oras(&["push", "--oci-layout", "target:last", "big.bin"]);
    sandbox.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]);
    assert_eq!(std::fs::metadata(sandbox.path("out/big.bin")).unwrap().len(), 24 << 20);
}

#[test]
fn reports_unwritable_target() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello world\n");
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "hi.txt"]);
    let error = sandbox.fails(&["pull", "--oci-layout", "layout:v1", "-o", "hi.txt"]);
    assert!(error.contains("not a directory"), "{error}");
    assert_eq!(std::fs::read(sandbox.path("hi.txt")).unwrap(), b"hello world\n");
    let error = sandbox.fails(&["push", "--oci-layout", "hi.txt:v1", "hi.txt"]);
    assert!(error.contains("hi.txt"), "{error}");
    let error = sandbox.fails(&["cp", "--from-oci-layout", "layout:nope", "--to-oci-layout", "new:v1"]);
    assert!(error.starts_with("Error from source oci-layout for \"layout:nope\":"), "{error}");
    assert!(!sandbox.path("new").exists());
}
