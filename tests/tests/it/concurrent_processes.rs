//! Concurrent processes do not lose each other's changes.

use std::process::Child;

use oras_testkit::registry::{Flavor, Process};

use crate::sandbox::{Sandbox, ours, snapshot};

fn wait_all(children: Vec<Child>) {
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn concurrent_pushes_to_layout_keep_all_tags() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello world\n");
    let children = (0..12).map(|number| {
        let reference = format!("layout:v{number}");
        let annotation = format!("number={number}");
        sandbox
            .command(&ours(), &["push", "--oci-layout", &reference, "hi.txt", "-a", &annotation])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    });
    wait_all(children.collect());
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "layout"]).lines().count(), 12);
    for number in 0..12 {
        sandbox.oras(&["pull", "--oci-layout", &format!("layout:v{number}"), "-o", &format!("out{number}")]);
    }
}

#[test]
fn concurrent_attaches_keep_all_referrers() {
    let test = "concurrent_attaches_keep_all_referrers";
    let mut registries = vec![Process::ours(&["--no-referrers"])];
    registries.extend(Process::open(Flavor::Debian, test));
    registries.extend(Process::open(Flavor::Distribution, test));
    for registry in registries {
        let sandbox = Sandbox::new();
        sandbox.file("hi.txt", "hello world\n");
        let reference = format!("{}/x:v1", registry.host());
        sandbox.oras(&["push", &reference, "hi.txt"]);
        let children = (0..8).map(|number| {
            let annotation = format!("number={number}");
            sandbox
                .command(&ours(), &["attach", &reference, "-a", &annotation, "--artifact-type", "a/b"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        });
        wait_all(children.collect());
        let tree = sandbox.oras(&["discover", &reference, "--format", "json"]);
        assert_eq!(tree.matches("\"a/b\"").count(), 8, "{tree}");
    }
}

#[test]
fn concurrent_pulls_share_cold_cache() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let name = format!("{}/cached:v1", registry.host());
    sandbox.file("big.bin", [7, 1, 9].repeat(700_000));
    sandbox.file("small.txt", "small\n");
    sandbox.oras(&["push", &name, "big.bin", "small.txt"]);
    let cache = sandbox.path("cache");
    let pull = |place: &str| {
        let mut command = sandbox.command(&ours(), &["pull", &name, "-o", place]);
        command.env("ORAS_CACHE", &cache);
        command
    };
    let running: Vec<_> = (0..8).map(|n| pull(&format!("out{n}")).spawn().unwrap()).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    assert!(pull("warm").status().unwrap().success());
    for place in ["out0", "out3", "out7", "warm"] {
        assert_eq!(snapshot(&sandbox.path(place)), snapshot(&sandbox.path("out1")), "{place}");
    }
    let digest = oras_spec::Digest::sha256(&[7, 1, 9].repeat(700_000));
    let kept = cache.join("blobs/sha256").join(digest.encoded());
    assert_eq!(std::fs::read(kept).unwrap(), [7, 1, 9].repeat(700_000));
}
