//! `untag` and `annotate` against every registry.

use oras_spec::Digest;
use serde_json::Value;

use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, registries};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn untag_keeps_manifest_in_registry() {
    for (name, registry) in registries("untag_keeps_manifest_in_registry") {
        let sandbox = Sandbox::new();
        sandbox.file("hi.txt", "hello\n");
        let repository = format!("{}/untag", registry.host());
        let reference = |tag: &str| format!("{repository}:{tag}");
        sandbox.oras(&["push", &reference("v1,v2,v3,v4"), "hi.txt"]);
        let digest = sandbox.oras(&["resolve", &reference("v1")]).trim().to_owned();
        sandbox.oras(&["attach", &reference("v1"), "--artifact-type", "sig/x", "-a", "k=v"]);

        let told = sandbox.oras(&["untag", &reference("v1")]);
        assert_eq!(told, format!("Untagged [registry] {}\nDigest: {digest}\n", reference("v1")), "{name}");
        let error = sandbox.fails(&["resolve", &reference("v1")]);
        assert!(error.contains("not found"), "{name}: {error}");
        for stays in [reference("v2"), reference("v3"), format!("{repository}@{digest}")] {
            assert_eq!(sandbox.oras(&["resolve", &stays]).trim(), digest, "{name}: {stays}");
        }
        let error = sandbox.fails(&["untag", &reference("v1")]);
        assert!(error.contains("not found"), "{name}: {error}");
        let error = sandbox.fails(&["untag", &format!("{repository}@{digest}")]);
        assert!(error.contains("is a digest, not a tag"), "{name}: {error}");

        let told = json(&sandbox.oras(&["repo", "rm-tag", "--format", "json", &reference("v2"), "v3"]));
        let tags: Vec<_> = told["untagged"].as_array().unwrap().iter().map(|node| &node["tag"]).collect();
        assert_eq!(tags, ["v2", "v3"], "{name}: {told}");
        assert_eq!(told["untagged"][0]["digest"], digest, "{name}");
        sandbox.oras(&["untag", &reference("v4")]);
        let pinned = format!("{repository}@{digest}");
        assert_eq!(sandbox.oras(&["resolve", &pinned]).trim(), digest, "{name}: no tag is left");
        let tree = json(&sandbox.oras(&["discover", "--format", "json", &pinned]));
        assert_eq!(tree["referrers"].as_array().unwrap().len(), 1, "{name}: {tree}");
        let left = sandbox.oras(&["repo", "tags", "--exclude-digest-tags", &repository]);
        assert_eq!(left, "", "{name}");
    }
}

#[test]
fn untag_keeps_manifest_in_layout() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    sandbox.oras(&["push", "--oci-layout", "L:v1,v2", "hi.txt"]);
    let digest = sandbox.oras(&["resolve", "--oci-layout", "L:v1"]).trim().to_owned();
    let told = sandbox.oras(&["untag", "--oci-layout", "L:v1", "v2"]);
    assert_eq!(told.matches("Untagged [oci-layout] L:v").count(), 2, "{told}");
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "L"]), "");
    assert_eq!(sandbox.oras(&["resolve", "--oci-layout", &format!("L@{digest}")]).trim(), digest);
    assert!(sandbox.fails(&["untag", "--oci-layout", "L:v1"]).contains("L:v1: not found"));
    sandbox.oras(&["tag", "--oci-layout", &format!("L@{digest}"), "v3"]);
    sandbox.oras(&["untag", "--oci-layout-path", "L", "v3"]);
    assert_eq!(sandbox.oras(&["resolve", "--oci-layout", &format!("L@{digest}")]).trim(), digest);
}

#[test]
fn annotate_changes_annotations_only() {
    for (name, registry) in registries("annotate_changes_annotations_only") {
        let sandbox = Sandbox::new();
        sandbox.file("empty", "{}");
        let repository = format!("{}/annotate", registry.host());
        let (v1, v2) = (format!("{repository}:v1"), format!("{repository}:v2"));
        sandbox.oras(&["blob", "push", &repository, "empty"]);
        let empty = r#"{"size": 2, "mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
        let text = format!(
            "{{\n  \"schemaVersion\": 2,\n  \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n  \"config\": {empty},\n  \"layers\": [{empty}],\n  \"annotations\": {{\n    \"b\": \"<1>\"\n  }},\n  \"x\": [1.0]\n}}\n"
        );
        sandbox.file("manifest.json", &text);
        sandbox.oras(&["manifest", "push", &format!("{v1},v2"), "manifest.json"]);
        let before = Digest::sha256(text.as_bytes());

        let told = sandbox.oras(&["annotate", &v1, "-a", "a=2"]);
        let edited = text.replace("\"<1>\"\n", "\"<1>\",\n    \"a\": \"2\"\n");
        let after = Digest::sha256(edited.as_bytes());
        assert_eq!(
            told,
            format!("Annotated [registry] {v1}\nOld digest: {before}\nDigest: {after}\n"),
            "{name}"
        );
        assert_eq!(sandbox.oras(&["manifest", "fetch", &v1]), edited, "{name}");
        assert_eq!(sandbox.oras(&["manifest", "fetch", &v2]), text, "{name}");

        let report = json(&sandbox.oras(&["annotate", "--format", "json", &v1, "--remove", "a"]));
        assert_eq!(report["previousDigest"], after.to_string(), "{name}");
        assert_eq!(report["digest"], before.to_string(), "{name}");
        assert_eq!(report["reference"], format!("{repository}@{before}"), "{name}");
        assert!(sandbox.oras(&["annotate", &v1, "-a", "b=<1>"]).starts_with("Unchanged"), "{name}");
        let error = sandbox.fails(&["annotate", &v1, "--remove", "z"]);
        assert!(error.contains("there is no annotation \"z\" in v1"), "{name}: {error}");
        assert!(sandbox.fails(&["annotate", &v1]).starts_with("Error: neither annotations"), "{name}");
    }
}

#[test]
fn updated_index_keeps_unknown_fields() {
    let sandbox = Sandbox::new();
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let entry = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":2,"platform":{{"architecture":"amd64","os":"linux","features":["sse"]}},"y":1}}"#
    );
    let index = |manifests: &str, more: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"{more},"manifests":[{manifests}],"x":{{"b":1,"a":2}}}}"#
        )
    };
    sandbox.file("index.json", index(&entry, ""));
    sandbox.oras(&["manifest", "push", "--oci-layout", "L:v1", "index.json"]);
    sandbox.oras(&["manifest", "index", "update", "--oci-layout", "L:v1", "--artifact-type", "a/b"]);
    let expected = index(&entry, r#","artifactType":"a/b""#);
    assert_eq!(sandbox.oras(&["manifest", "fetch", "--oci-layout", "L:v1"]), expected);
}

/// The Go tool adds the malformed manifest to the index in a second push, and then cannot read the layout.
#[test]
fn malformed_manifest_does_not_damage_layout() {
    let sandbox = Sandbox::new();
    sandbox.file("text.json", "text");
    let image = "application/vnd.oci.image.manifest.v1+json";
    let words = ["manifest", "push", "--oci-layout", "L:bad", "text.json", "--media-type", image];
    assert!(sandbox.fails(&words).contains("malformed manifest"));
    assert!(!sandbox.path("L").exists());
}

#[test]
fn prints_results_as_json() {
    let registry = Process::ours(&[]);
    let sandbox = Sandbox::new();
    sandbox.file(
        "index.json",
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
    );
    let repository = format!("{}/json", registry.host());
    let v1 = format!("{repository}:v1");
    let run = |words: &[&str]| json(&sandbox.oras(&[words, &["--format", "json"]].concat()));
    let pushed = run(&["manifest", "push", &format!("{v1},v2"), "index.json"]);
    assert_eq!(pushed["referenceAsTags"], serde_json::json!([v1, format!("{repository}:v2")]));
    assert_eq!(
        run(&["manifest", "push", &repository, "index.json"])["referenceAsTags"],
        serde_json::json!([])
    );
    sandbox.file("hi.txt", "hello\n");
    let blob = run(&["blob", "push", &repository, "hi.txt"]);
    assert_eq!(blob["reference"], format!("{repository}@{}", blob["digest"].as_str().unwrap()));
    let created = run(&["manifest", "index", "create", &format!("{repository}:idx"), "v1"]);
    assert_eq!(created["referenceAsTags"], serde_json::json!([format!("{repository}:idx")]));
    let updated = run(&["manifest", "index", "update", &format!("{repository}:idx"), "--add", "v1"]);
    assert_eq!(updated["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert!(sandbox.fails(&["manifest", "delete", &v1, "--format", "json"]).contains("must apply --force"));
    let deleted = run(&["manifest", "delete", &v1, "-f"]);
    assert_eq!((&deleted["deleted"], &deleted["digest"]), (&Value::Bool(true), &pushed["digest"]));
    let missing = run(&["manifest", "delete", &v1, "-f"]);
    assert_eq!(missing, serde_json::json!({"referenceAsGiven": v1, "deleted": false}));
    let digest = format!("{repository}@{}", blob["digest"].as_str().unwrap());
    assert_eq!(run(&["blob", "delete", &digest, "-f"])["deleted"], true);
}
