//! `inspect`: registries, layouts and archives, hostile text, terminals, and the number of requests.

use oras_spec::{Descriptor, ImageIndex, ImageManifest, MediaType};
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::recorder::Recorder;
use oras_testkit::registry::Process;
use oras_testkit::scripted::Scripted;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, ours, registries, texts};
use crate::terminal::{Screen, run_on_terminal};

const SIGNATURE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Pushes an artifact with two files, an SBOM, a signature, and a signature that cosign attached by a tag.
fn push_artifact(sandbox: &Sandbox, repository: &str) {
    let reference = format!("{repository}:v1");
    sandbox.file("hi.txt", "hello world\n");
    sandbox.file("d/style.css", "body {}\n");
    let typed = ["--artifact-type", "application/vnd.example.app", "-a", "note=for people"];
    sandbox.oras(&[&["push", &reference, "hi.txt:text/plain", "d"][..], &typed].concat());
    sandbox.oras(&["attach", &reference, "hi.txt", "--artifact-type", "application/spdx+json"]);
    sandbox.oras(&["attach", &reference, "hi.txt", "--artifact-type", SIGNATURE]);
    let digest = sandbox.oras(&["resolve", &reference]).trim().replace(':', "-");
    sandbox.oras(&["push", &format!("{repository}:{digest}.sig"), "hi.txt"]);
}

/// Replaces the location in the references of a report.
fn without_location(report: &Value, location: &str) -> String {
    report.to_string().replace(&format!("{location}@"), "@")
}

#[test]
fn describes_artifact_in_registry_layout_and_archive() {
    for (name, registry) in registries("describes_artifact_in_registry_layout_and_archive") {
        let sandbox = Sandbox::new();
        let repository = format!("{}/inspect", registry.host());
        let reference = format!("{repository}:v1");
        push_artifact(&sandbox, &repository);
        let report = parse(&sandbox.oras(&["inspect", "--format", "json", &reference]));
        assert_eq!(report["kind"], "artifact", "{name}: {report}");
        assert_eq!(report["artifactType"], "application/vnd.example.app", "{name}");
        assert_eq!(report["annotations"]["note"], "for people", "{name}");
        assert_eq!(report["files"][0]["name"], "hi.txt", "{name}");
        assert_eq!((&report["files"][0]["size"], &report["files"][1]["name"]), (&json!(12), &json!("d")));
        let referrers = report["referrers"].as_array().unwrap();
        let mut kinds: Vec<_> = referrers.iter().map(|referrer| referrer["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds[2], "signature", "{name}: {report}");
        assert!(referrers[2]["tag"].as_str().unwrap().ends_with(".sig"), "{name}: {report}");
        kinds.sort_unstable();
        assert_eq!(kinds, ["sbom", "signature", "signature"], "{name}: {report}");
        assert_eq!((&report["notes"], &report["unreadManifests"]), (&json!([]), &json!(0)), "{name}");
        let listed: u64 = [&report["size"], &report["config"]["size"], &report["files"][0]["size"]]
            .into_iter()
            .chain([&report["files"][1]["size"]])
            .map(|size| size.as_u64().unwrap())
            .sum();
        assert_eq!(report["totalSize"], listed, "{name}: {report}");

        let text = sandbox.oras(&["inspect", &reference]);
        for shown in
            [&reference, "Kind:    artifact", "note: for people", "hi.txt", "SBOM (SPDX)", "(cosign)"]
        {
            assert!(text.contains(shown), "{name}: {shown}: {text}");
        }
        let template = "--format=go-template={{.kind}} {{len .files}}";
        assert_eq!(sandbox.oras(&["inspect", &reference, template]), "artifact 2", "{name}");

        sandbox.oras(&["backup", "-o", "L", "--include-referrers", &repository]);
        sandbox.oras(&["backup", "-o", "L.tar", "--include-referrers", &repository]);
        for layout in ["L", "L.tar"] {
            let local = parse(&sandbox.oras(&[
                "inspect",
                "--format",
                "json",
                "--oci-layout",
                &format!("{layout}:v1"),
            ]));
            for key in ["digest", "kind", "files", "totalSize", "annotations"] {
                let [local, remote] = [(&local, layout), (&report, repository.as_str())]
                    .map(|(report, place)| without_location(&report[key], place));
                assert_eq!(local, remote, "{name}: {layout}: {key}");
            }
            assert_eq!(local["referrers"].as_array().unwrap().len(), 3, "{name}: {layout}: {local}");
        }
    }
}

#[test]
fn prints_manifest_byte_for_byte() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    push_artifact(&sandbox, &format!("{}/raw", registry.host()));
    let reference = format!("{}/raw:v1", registry.host());
    let recorder = Recorder::new(registry.port());
    let raw = sandbox.oras(&["inspect", "--raw", &format!("{}/raw:v1", recorder.host())]);
    assert_eq!(raw, sandbox.oras(&["manifest", "fetch", &reference]));
    assert_eq!(recorder.take().len(), 1);
    let error = sandbox.fails(&["inspect", "--raw", "--format", "json", &reference]);
    assert!(error.contains("--raw, --format cannot be used at the same time"), "{error}");
}

#[test]
fn describes_platforms_of_index() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("hi.txt", "hello\n");
    let repository = format!("{}/index", registry.host());
    for platform in ["linux/amd64", "linux/arm64"] {
        let tag = platform.replace('/', "-");
        sandbox.oras(&[
            "push",
            &format!("{repository}:{tag}"),
            "hi.txt",
            "--artifact-platform",
            platform,
            "--artifact-type",
            "a/b",
        ]);
    }
    sandbox.oras(&[
        "manifest",
        "index",
        "create",
        &format!("{repository}:all"),
        "linux-amd64",
        "linux-arm64",
    ]);
    let report = parse(&sandbox.oras(&["inspect", "--format", "json", &format!("{repository}:all")]));
    assert_eq!(report["kind"], "index", "{report}");
    assert_eq!(report["platforms"], json!(["linux/amd64", "linux/arm64"]), "{report}");
    let saved = report["totalSize"].as_u64().unwrap() - report["uniqueSize"].as_u64().unwrap();
    assert_eq!(saved, 6, "both images have the same layer: {report}");
    let one = sandbox.oras(&["inspect", "--platform", "linux/arm64", &format!("{repository}:all")]);
    assert!(one.contains("Runs on: linux/arm64"), "{one}");
}

#[test]
fn reads_few_of_4000_manifests() {
    let sandbox = Sandbox::new();
    let memory = MemoryRegistry::new();
    let describe = |n: u32| {
        let layer = Descriptor::of(MediaType::LAYER_TAR, &n.to_be_bytes());
        let manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer]).to_bytes();
        memory.manifest("big", &format!("t{n}"), MediaType::IMAGE_MANIFEST.as_str(), manifest.to_vec());
        Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest)
    };
    let index = ImageIndex::new((0..4000).map(describe).collect()).to_bytes();
    sandbox.file("index.json", &index);
    memory.manifest("big", "all", MediaType::IMAGE_INDEX.as_str(), index.to_vec());
    let server = Scripted::start(move |asked| memory.reply(asked));
    let reference = format!("{}/big:all", server.host());
    let text = sandbox.oras(&["inspect", &reference]);
    let made = server.asked().len();
    assert!((33..45).contains(&made), "{made} requests");
    assert!(text.contains("Size:    at least ") && text.contains("Manifests (4000)"), "{text}");
    assert!(text.contains("Note: 3968 manifests were not read"), "{text}");
    let report = parse(&sandbox.oras(&["inspect", "--format", "json", "--max-manifests", "0", &reference]));
    assert_eq!(report["unreadManifests"], 4000);
    assert!(server.asked().len() - made < 10);

    // A layout that has none of the manifests.
    sandbox.oras(&["manifest", "push", "--oci-layout", "L:big", "index.json"]);
    let text = sandbox.oras(&["inspect", "--oci-layout", "L:big"]);
    assert!(text.contains("at least") && text.contains("could not be read"), "{text}");
}

#[test]
fn hides_control_characters_of_registry() {
    let sandbox = Sandbox::new();
    let nasty = "a\u{1b}[2J\u{202e}b\nForged:  line";
    sandbox.file("empty", "{}");
    let blob = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;
    sandbox.oras(&["blob", "push", "--oci-layout", "L", "empty"]);
    let layer = json!({"mediaType": nasty, "size": 2, "annotations": {"org.opencontainers.image.title": nasty},
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": nasty, "config": parse(blob), "layers": [layer],
        "annotations": {nasty: nasty, "org.opencontainers.image.created": nasty}});
    sandbox.file("manifest.json", manifest.to_string());
    sandbox.oras(&["manifest", "push", "--oci-layout", "L:v1", "manifest.json"]);
    let words = ["inspect", "--oci-layout", "L:v1"];
    let text = sandbox.oras(&words);
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    assert!(!text.contains("\nForged"), "{text}");
    for words in [
        &words[..],
        &["inspect", "--oci-layout", "L:v1", "--raw"],
        &["inspect", "--oci-layout", "L:v1", "--format", "json"],
    ] {
        let shown = run_on_terminal(&sandbox, words, Screen::All, 80, false).stdout;
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{words:?}: {shown:?}");
    }
}

#[test]
fn lines_fit_the_terminal() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let repository = format!("{}/team/terminal", registry.host());
    push_artifact(&sandbox, &repository);
    sandbox.file(&format!("{}.bin", "long-name-".repeat(12)), "x");
    let long = format!("{}.bin", "long-name-".repeat(12));
    sandbox.oras(&["push", &format!("{repository}:v2"), "hi.txt", &long]);
    for tag in ["v1", "v2"] {
        for columns in [60, 80, 100, 120] {
            let words = ["inspect", &format!("{repository}:{tag}")];
            let shown = run_on_terminal(&sandbox, &words, Screen::All, columns, false).stdout;
            let widest = shown.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
            assert!(widest <= usize::from(columns), "{columns}: {widest}\n{shown}");
            assert!(shown.contains("hi.txt"), "{columns}: {shown}");
        }
    }
}

#[test]
fn reports_what_is_missing() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let reference = format!("{}/missing:v1", registry.host());
    let error = sandbox.fails(&["inspect", &reference]);
    assert!(error.contains("not found"), "{error}");
    let error = sandbox.fails(&["inspect", "--oci-layout", "nothing:v1"]);
    assert!(error.contains("nothing:v1"), "{error}");
    let (_, usage) = texts(&sandbox.run(&ours(), &["inspect"]));
    assert!(usage.contains("requires exactly 1 argument but got 0"), "{usage}");
}
