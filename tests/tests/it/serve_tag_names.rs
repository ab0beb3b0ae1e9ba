//! `oras serve` of layouts whose names are full references or invalid tags.

use std::collections::BTreeMap;

use oras_spec::Digest;
use serde_json::{Value, json};

use crate::raw_connection::Wire;
use crate::sandbox::Sandbox;
use crate::serve::Served;

/// Names in `index.json`, the number of the manifest of each name, and the tag under which the server serves
/// it.
const NAMES: [(&str, usize, Option<&str>); 18] = [
    ("v1", 0, Some("v1")),
    ("registry.example/team/app:v2", 1, Some("v2")),
    ("registry.example:5000/team/app:v3", 2, Some("v3")),
    ("docker.io/library/tool:3.20", 0, Some("3.20")),
    ("quay.io/tool:3.20", 0, Some("3.20")),
    // The tag is ambiguous, because the names belong to two manifests.
    ("one.example/app:both", 0, None),
    ("two.example/app:both", 1, None),
    // A name that is exactly the tag has precedence.
    ("registry.example/team/app:v1", 2, None),
    ("registry.example/team/app", 0, None),
    ("a:b:c", 0, None),
    ("with space", 0, None),
    ("a+b", 0, None),
    ("a&last=b", 1, None),
    ("ümlaut", 1, None),
    ("a%2Fb", 1, None),
    ("../../etc", 2, None),
    ("_odd.-tag", 2, Some("_odd.-tag")),
    ("", 2, None),
];

fn manifest(number: usize) -> String {
    let config = Digest::sha256(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[],"annotations":{{"number":"{number}"}}}}"#
    )
}

/// Creates a layout at `name` as other tools create it.
fn layout(sandbox: &Sandbox, name: &str) {
    let blob = |bytes: &[u8]| {
        let digest = Digest::sha256(bytes);
        sandbox.file(&format!("{name}/blobs/sha256/{}", digest.encoded()), bytes);
        digest
    };
    blob(b"{}");
    let entries = NAMES.iter().map(|(tag, number, _)| {
        let bytes = manifest(*number);
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": blob(bytes.as_bytes()).to_string(),
            "size": bytes.len(),
            "annotations": { "org.opencontainers.image.ref.name": tag },
        })
    });
    let entries: Vec<_> = entries.collect();
    sandbox.file(&format!("{name}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    sandbox
        .file(&format!("{name}/index.json"), json!({ "schemaVersion": 2, "manifests": entries }).to_string());
}

/// Returns the tags of all pages, and the number of pages.
fn tags(wire: &mut Wire, mut path: String) -> (Vec<String>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let answer = wire.ask("GET", &path, "", b"").unwrap();
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        let page: Value = serde_json::from_slice(&answer.body).unwrap();
        all.extend(page["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()));
        pages += 1;
        assert!(pages < 20, "the pages have no end: {path}");
        match answer.head.lines().find_map(|line| line.strip_prefix("link: <")) {
            Some(link) => path = link.split('>').next().unwrap().to_owned(),
            None => return (all, pages),
        }
    }
}

#[test]
fn serves_full_and_invalid_names_as_valid_tags() {
    let sandbox = Sandbox::new();
    for name in ["single", "root/app"] {
        layout(&sandbox, name);
    }
    sandbox.ok(std::path::Path::new("/bin/tar"), &["-cf", "app.tar", "-C", "single", "."]);
    let expected: BTreeMap<&str, usize> =
        NAMES.iter().filter_map(|(_, number, tag)| Some(((*tag)?, *number))).collect();
    for words in [
        &["--repository", "app", "single"][..],
        &["--repository", "app", "--read-only", "single"],
        &["--repository", "app", "app.tar"],
        &["root"],
    ] {
        let served = Served::start(&sandbox, words);
        let mut wire = Wire::open(served.address()).unwrap();
        let sorted: Vec<_> = expected.keys().copied().collect();
        for (query, pages) in [("", 1), ("?n=1", 5), ("?n=2", 3), ("?n=100", 1)] {
            let (tags, count) = tags(&mut wire, format!("/v2/app/tags/list{query}"));
            assert_eq!(
                (&tags[..], count),
                (&sorted[..].iter().map(ToString::to_string).collect::<Vec<_>>()[..], pages)
            );
        }
        for last in ["a%26last%3Db", "with%20space", "%C3%BCmlaut", "v1"] {
            tags(&mut wire, format!("/v2/app/tags/list?n=1&last={last}"));
        }
        for (tag, number) in &expected {
            let answer = wire.ask("GET", &format!("/v2/app/manifests/{tag}"), "", b"").unwrap();
            assert_eq!(answer.body, manifest(*number).as_bytes(), "{tag}");
            sandbox.oras(&["pull", "-o", "out", &format!("{}/app:{tag}", served.host())]);
        }
        let listed = sandbox.oras(&["repo", "tags", &format!("{}/app", served.host())]);
        assert_eq!(listed.lines().collect::<Vec<_>>(), sorted);
        for absent in
            ["both", "a+b", "%C3%BCmlaut", "a%252Fb", "..%2F..%2Fetc", "registry.example%2Fteam%2Fapp:v2"]
        {
            let answer = wire.ask("GET", &format!("/v2/app/manifests/{absent}"), "", b"").unwrap();
            assert_eq!(answer.status, 404, "{absent} {answer:?}");
        }
    }
}
