//! The main workflow against every registry: push, pull, attach, discover, copy to disk and to another registry.

use serde_json::Value;

use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, registries, snapshot};

#[test]
fn push_pull_attach_and_copy_round_trip() {
    let second = Process::ours(&[]);
    for (name, registry) in registries("push_pull_attach_and_copy_round_trip") {
        eprintln!("against {name}");
        let sandbox = Sandbox::new();
        sandbox.tree();
        round(&sandbox, &registry.host(), &second.host(), &name.replace(' ', "-").to_lowercase());
    }
}

fn digest(text: &str) -> String {
    text.lines().last().unwrap().strip_prefix("Digest: ").unwrap().to_owned()
}

/// Returns the digests of all nodes in a tree of referrers.
fn nodes(text: &str) -> Vec<String> {
    fn walk(node: &Value, found: &mut Vec<String>) {
        found.push(node["digest"].as_str().unwrap().to_owned());
        for referrer in node["referrers"].as_array().unwrap() {
            walk(referrer, found);
        }
    }
    let mut found = Vec::new();
    walk(&serde_json::from_str(text).unwrap(), &mut found);
    found.sort();
    found
}

fn round(sandbox: &Sandbox, first: &str, second: &str, name: &str) {
    let reference = format!("{first}/test/{name}:v1");
    let small: Vec<String> = (0..200).map(|number| format!("small/{number}.txt")).collect();
    let mut arguments =
        vec!["push", &reference, "hi.txt:text/plain", "d", "--artifact-type", "application/vnd.x"];
    arguments.extend(small.iter().map(String::as_str));
    let root = digest(&sandbox.oras(&arguments));
    assert_eq!(sandbox.oras(&["resolve", &reference]).trim(), root);

    let mut subject = reference.clone();
    for level in ["one", "two", "three"] {
        sandbox.file("note.txt", level);
        let text =
            sandbox.oras(&["attach", &subject, "note.txt", "--artifact-type", &format!("level/{level}")]);
        subject = format!("{first}/test/{name}@{}", digest(&text));
    }
    let tree = sandbox.oras(&["discover", &reference]);
    for level in ["level/one", "level/two", "level/three"] {
        assert!(tree.contains(level), "{tree}");
    }

    sandbox.oras(&["pull", &reference, "-o", "out"]);
    compare(sandbox, "out");

    sandbox.oras(&["cp", "-r", &reference, "--to-oci-layout", "layout:v1"]);
    let target = format!("{second}/copy/{name}:v1");
    let text = sandbox.oras(&["cp", "-r", "--from-oci-layout", "layout:v1", &target]);
    assert_eq!(digest(&text), root);
    let expected = nodes(&sandbox.oras(&["discover", "--format", "json", &reference]));
    assert_eq!(expected.len(), 4);
    assert_eq!(
        nodes(&sandbox.oras(&["discover", "--format", "json", "--oci-layout", "layout:v1"])),
        expected
    );
    assert_eq!(nodes(&sandbox.oras(&["discover", "--format", "json", &target])), expected);

    sandbox.oras(&["pull", &target, "-o", "again"]);
    compare(sandbox, "again");
}

fn compare(sandbox: &Sandbox, output: &str) {
    let (expected, found) = (snapshot(&sandbox.path("d")), snapshot(&sandbox.path(output).join("d")));
    assert_eq!(found, expected);
    assert_eq!(std::fs::read(sandbox.path(output).join("hi.txt")).unwrap(), b"hello world\n");
    for number in 0..200 {
        let file = format!("small/{number}.txt");
        assert_eq!(
            std::fs::read(sandbox.path(output).join(&file)).unwrap(),
            std::fs::read(sandbox.path(&file)).unwrap()
        );
    }
}

#[test]
fn blob_round_trips() {
    let registry = Process::ours(&[]);
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello world\n");
    let repository = format!("{}/blob", registry.host());
    let text = sandbox.oras(&["blob", "push", &repository, "hi.txt"]);
    let blob = format!("{repository}@{}", digest(&text));
    sandbox.oras(&["blob", "fetch", &blob, "-o", "back.txt"]);
    assert_eq!(std::fs::read(sandbox.path("back.txt")).unwrap(), b"hello world\n");
    let descriptor = sandbox.oras(&["blob", "fetch", &blob, "--descriptor"]);
    assert!(
        descriptor.starts_with(r#"{"mediaType":"application/octet-stream","digest":"sha256:a948"#),
        "{descriptor}"
    );
    assert!(sandbox.fails(&["blob", "fetch", &repository, "--descriptor"]).contains("no digest specified"));
}
