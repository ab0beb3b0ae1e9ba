//! Interoperability with the real tools, for reading and writing.

use oras_testkit::peers;

use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, ours, registries, snapshot};

const CREATED: &str = "org.opencontainers.image.created=2026-01-01T00:00:00Z";

#[test]
fn push_creates_same_manifest_digest_as_go_tool() {
    let Some(go) = peers::find_or_skip(peers::ORAS, "push_creates_same_manifest_digest_as_go_tool") else {
        return;
    };
    let registry = Process::ours(&[]);
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.file("config.json", "{\"x\":1}");
    let cases: [&[&str]; 8] = [
        &["hi.txt", "small/1.txt"],
        &[
            "hi.txt:text/plain",
            "d/a.txt:application/vnd.x+json",
            "--artifact-type",
            "application/vnd.example+type",
        ],
        &[],
        &["hi.txt", "-a", "a=<b>&c", "-a", "z=\u{e9}\u{2028}"],
        &["hi.txt", "--config", "config.json:application/vnd.me.config"],
        &[
            "hi.txt",
            "--config",
            "config.json:application/vnd.me.config",
            "--artifact-type",
            "a/b",
            "--image-spec",
            "v1.1",
        ],
        &["hi.txt", "--image-spec", "v1.0"],
        &["hi.txt", "--artifact-platform", "linux/arm/v7:10.0"],
    ];
    for (number, case) in cases.iter().enumerate() {
        let mut digests = Vec::new();
        for (name, program) in [("go", &go), ("ours", &ours())] {
            let reference = format!("{}/{name}:v{number}", registry.host());
            let mut arguments = vec!["push", reference.as_str(), "-a", CREATED];
            arguments.extend(*case);
            let text = sandbox.ok(program, &arguments);
            digests.push(text.lines().last().unwrap().to_owned());
        }
        assert_eq!(digests[0], digests[1], "{case:?}");
    }
}

#[test]
fn reads_artifacts_of_go_tool() {
    let Some(go) = peers::find_or_skip(peers::ORAS, "reads_artifacts_of_go_tool") else { return };
    for (name, registry) in registries("reads_artifacts_of_go_tool") {
        let sandbox = Sandbox::new();
        sandbox.tree();
        let reference = format!("{}/x:v1", registry.host());
        sandbox.ok(&go, &["push", &reference, "hi.txt", "d"]);
        sandbox.ok(&go, &["attach", &reference, "hi.txt", "--artifact-type", "a/b"]);
        sandbox.ok(&go, &["cp", "-r", &reference, "--to-oci-layout", "layout:v1"]);
        let local = ["--oci-layout", "layout:v1"];
        for source in [&[reference.as_str()][..], &local[..]] {
            let output = format!("out{}", source.len());
            sandbox.oras(&[&["pull", "-o", &output], source].concat());
            assert_eq!(snapshot(&sandbox.path(&output).join("d")), snapshot(&sandbox.path("d")), "{name}");
            assert!(sandbox.oras(&[&["discover"], source].concat()).contains("a/b"), "{name}");
        }
        sandbox.oras(&["cp", "-r", "--from-oci-layout", "layout:v1", "--to-oci-layout", "copy:v1"]);
        assert!(sandbox.ok(&go, &["discover", "--oci-layout", "copy:v1"]).contains("a/b"), "{name}");
    }
}

#[test]
fn go_tool_reads_our_artifacts() {
    let Some(go) = peers::find_or_skip(peers::ORAS, "go_tool_reads_our_artifacts") else { return };
    for (name, registry) in registries("go_tool_reads_our_artifacts") {
        let sandbox = Sandbox::new();
        sandbox.tree();
        let reference = format!("{}/x:v1", registry.host());
        sandbox.oras(&["push", &reference, "hi.txt", "d"]);
        sandbox.oras(&["attach", &reference, "hi.txt", "--artifact-type", "a/b"]);
        sandbox.oras(&["cp", "-r", &reference, "--to-oci-layout", "layout:v1"]);
        for source in [&[reference.as_str()][..], &["--oci-layout", "layout:v1"][..]] {
            let output = format!("out{}", source.len());
            sandbox.ok(&go, &[&["pull", "-o", &output], source].concat());
            assert_eq!(
                std::fs::read(sandbox.path(&output).join("d/sub/deep/b.bin")).unwrap().len(),
                20_000,
                "{name}"
            );
            assert!(sandbox.ok(&go, &[&["discover"], source].concat()).contains("a/b"), "{name}");
        }
    }
}

#[test]
fn crane_regctl_and_skopeo_read_our_artifacts() {
    let test = "crane_regctl_and_skopeo_read_our_artifacts";
    let registry = Process::ours(&[]);
    let sandbox = Sandbox::new();
    sandbox.tree();
    let reference = format!("{}/x:v1", registry.host());
    let text = sandbox.oras(&["push", &reference, "hi.txt", "d"]);
    let digest = text.lines().last().unwrap().strip_prefix("Digest: ").unwrap().to_owned();
    sandbox.oras(&["cp", &reference, "--to-oci-layout", "layout:v1"]);
    if let Some(crane) = peers::find_or_skip(peers::CRANE, test) {
        assert_eq!(sandbox.ok(&crane, &["digest", "--insecure", &reference]).trim(), digest);
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        let host = format!("reg={},tls=disabled", registry.host());
        let found = sandbox.ok(&regctl, &["--host", &host, "manifest", "head", &reference]);
        assert_eq!(found.trim(), digest);
        assert_eq!(sandbox.ok(&regctl, &["manifest", "head", "ocidir://layout:v1"]).trim(), digest);
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let raw = sandbox.ok(&skopeo, &["inspect", "--raw", "oci:layout:v1"]);
        assert_eq!(raw, sandbox.oras(&["manifest", "fetch", &reference]));
    }
}
