//! A registry or gateway that answers `HEAD` with headers of other content.

use oras_testkit::recorder::Recorder;
use oras_testkit::registry::Process;
use serde_json::Value;

use crate::sandbox::Sandbox;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn stores_correct_sizes_and_types_despite_wrong_head() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("hi.txt", "hello world\n");
    let direct = |name: &str| format!("{}/{name}:v1", registry.host());
    sandbox.oras(&["push", &direct("a"), "hi.txt"]);
    let right = json(&sandbox.oras(&["manifest", "fetch", "--descriptor", &direct("a")]));
    assert_eq!(right["size"], sandbox.oras(&["manifest", "fetch", &direct("a")]).len());

    for fault in ["Content-Length:_999", "Content-Type:_application/vnd.oci.image.index.v1+json"] {
        let gateway = Recorder::new(registry.port());
        gateway.inject(format!("HEAD /manifests/ header={fault}").parse().unwrap());
        let reference = format!("{}/a:v1", gateway.host());
        sandbox.oras(&[
            "attach",
            "--artifact-type",
            "a/b",
            &reference,
            "hi.txt",
            "--export-manifest",
            "m.json",
        ]);
        let attached = json(&std::fs::read_to_string(sandbox.path("m.json")).unwrap());
        for key in ["digest", "mediaType", "size"] {
            assert_eq!(attached["subject"][key], right[key], "{fault}");
        }
        sandbox.oras(&["tag", &reference, "v2"]);
        sandbox.oras(&["cp", "-r", &reference, &direct("b")]);
        sandbox.oras(&["cp", &reference, "--to-oci-layout", "layout:v1"]);
        sandbox.oras(&["pull", &reference, "-o", "out"]);
        for copy in [direct("b"), direct("a").replace("v1", "v2")] {
            assert_eq!(json(&sandbox.oras(&["manifest", "fetch", "--descriptor", &copy])), right);
        }
    }
}

#[test]
fn fetches_blob_despite_wrong_head() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("hi.txt", "hello world\n");
    let direct = format!("{}/a:v1", registry.host());
    sandbox.oras(&["push", &direct, "hi.txt"]);
    let blob = oras_spec::Digest::sha256(b"hello world\n");
    for length in ["3", "999"] {
        let gateway = Recorder::new(registry.port());
        gateway.inject(format!("HEAD /blobs/ header=Content-Length:_{length}").parse().unwrap());
        let source = format!("{}/a@{blob}", gateway.host());
        assert_eq!(sandbox.oras(&["blob", "fetch", "-o", "-", &source]), "hello world\n");
        sandbox.oras(&["blob", "fetch", "-o", "fetched", &source]);
        assert_eq!(std::fs::read(sandbox.path("fetched")).unwrap(), b"hello world\n");
    }
}
