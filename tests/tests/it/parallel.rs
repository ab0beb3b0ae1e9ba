//! Many at once: nobody's work is lost.

use std::process::Child;

use oras_testkit::registry::{Flavor, Process};

use crate::sandbox::{Registry, Sandbox, ours};

fn wait_all(children: Vec<Child>) {
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn twelve_pushes_into_one_layout_leave_twelve_tags() {
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
fn eight_attaches_leave_eight_referrers() {
    let test = "eight_attaches_leave_eight_referrers";
    let mut registries = vec![Registry::ours(&["--no-referrers"])];
    registries.extend(Process::open(Flavor::Debian, test).map(Registry::Real));
    registries.extend(Process::open(Flavor::Distribution, test).map(Registry::Real));
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
