//! Directories packed with different options, and large files uploaded while they are hashed.

use std::process::Output;

use oras_testkit::peers;
use oras_testkit::random::{self, Random};
use oras_testkit::registry::{Flavor, Options, Process};

use crate::sandbox::{Sandbox, ours, snapshot, texts};

fn registry(test: &str) -> Option<Process> {
    Process::start(Flavor::Distribution, &Options::default(), test)
}

#[test]
fn unpacks_directory_with_every_compression() {
    let Some(registry) = registry("unpacks_directory_with_every_compression") else { return };
    let sandbox = Sandbox::new();
    sandbox.tree();
    for (kind, media_type) in [
        ("gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("none", "application/vnd.oci.image.layer.v1.tar"),
    ] {
        let reference = format!("{}/packed:{kind}", registry.host());
        sandbox.oras(&["push", &reference, "d", "--compression", kind]);
        assert!(
            sandbox
                .oras(&["manifest", "fetch", &reference])
                .contains(&format!("\"mediaType\":\"{media_type}\""))
        );
        let out = format!("out-{kind}");
        sandbox.oras(&["pull", &reference, "-o", &out]);
        assert_eq!(snapshot(&sandbox.path("d")), snapshot(&sandbox.path(&out).join("d")), "{kind}");
        let again = format!("{}/packed:{kind}-again", registry.host());
        let said = sandbox.oras(&["push", &again, "d", "--compression", kind, "-a", "other=yes"]);
        assert!(said.contains("Exists"), "{said}");
    }
}

#[test]
fn compression_level_changes_size_and_is_validated() {
    let sandbox = Sandbox::new();
    let mut random = Random(1);
    let mut words = String::new();
    for _ in 0..100_000 {
        words.push_str(random.pick(&["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]));
        words.push_str(&format!("{} ", random.below(32)));
    }
    sandbox.file("d/text", words);
    let size = |words: &[&str]| {
        let layout = format!("layout-{}", words.join(""));
        let reference = format!("{layout}:v1");
        sandbox.oras(&[&["push", "--oci-layout", &reference, "d"], words].concat());
        let manifest: serde_json::Value =
            serde_json::from_str(&sandbox.oras(&["manifest", "fetch", "--oci-layout", &reference])).unwrap();
        manifest["layers"][0]["size"].as_u64().unwrap()
    };
    for kind in ["gzip", "zstd"] {
        let (fast, small) = (
            size(&["--compression", kind, "--compression-level", "1"]),
            size(&["--compression", kind, "--compression-level", "12"]),
        );
        assert!(small < fast, "{kind}: {small} and {fast} bytes");
    }
    for (kind, level) in [("gzip", "13"), ("zstd", "23"), ("zstd", "0"), ("none", "1")] {
        let error = sandbox.fails(&[
            "push",
            "--oci-layout",
            "no:v1",
            "d",
            "--compression",
            kind,
            "--compression-level",
            level,
        ]);
        assert!(error.contains("compression level"), "{error}");
    }
    assert!(!sandbox.path("no").exists());
}

#[test]
fn clamps_times_to_source_date_epoch() {
    let sandbox = Sandbox::new();
    sandbox.file("d/a.txt", "a\n");
    let push = |layout: &str, date: &str| -> Output {
        let words = ["push", "--oci-layout", &format!("{layout}:v1"), "d"];
        sandbox.command(&ours(), &words).env("SOURCE_DATE_EPOCH", date).output().unwrap()
    };
    let layer = |layout: &str| -> String {
        let reference = format!("{layout}:v1");
        let text = sandbox.oras(&["manifest", "fetch", "--oci-layout", &reference]);
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        manifest["layers"][0]["digest"].to_string()
    };
    assert!(push("one", "1000000000").status.success());
    let path = sandbox.path("d/a.txt");
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000)).unwrap();
    assert!(push("two", "1000000000").status.success());
    assert_eq!(layer("one"), layer("two"));
    assert!(push("three", "1400000000").status.success());
    assert_ne!(layer("one"), layer("three"));
    let (_, err) = texts(&push("four", "yesterday"));
    assert!(err.contains("SOURCE_DATE_EPOCH"), "{err}");
}

#[test]
fn uploads_large_file_while_hashing() {
    let Some(registry) = registry("uploads_large_file_while_hashing") else { return };
    let sandbox = Sandbox::new();
    let bytes = random::bytes(1, 10 << 20);
    sandbox.file("big.bin", &bytes);
    sandbox.file("small.txt", "hello world\n");
    let reference = format!("{}/large:v1", registry.host());
    let said = sandbox.oras(&["push", &reference, "big.bin", "small.txt"]);
    for word in ["Uploading", "Uploaded "] {
        let lines: Vec<_> =
            said.lines().filter(|line| line.starts_with(word) && line.ends_with(" big.bin")).collect();
        assert_eq!(lines.len(), 1, "{said}");
    }
    let again = format!("{}/large:v2", registry.host());
    let said = sandbox.oras(&["push", &again, "big.bin", "small.txt", "-a", "other=yes"]);
    assert!(said.lines().any(|line| line.starts_with("Exists") && line.ends_with(" big.bin")), "{said}");
    sandbox.oras(&["pull", &again, "-o", "out"]);
    assert!(std::fs::read(sandbox.path("out/big.bin")).unwrap() == bytes);
    sandbox.oras(&["attach", &again, "--artifact-type", "a/b", "big.bin"]);
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "big.bin"]);
    sandbox.oras(&["pull", "--oci-layout", "layout:v1", "-o", "from-layout"]);
    assert!(std::fs::read(sandbox.path("from-layout/big.bin")).unwrap() == bytes);
    let said = sandbox.oras(&["push", &format!("{}/dry:v1", registry.host()), "big.bin", "--dry-run"]);
    assert!(said.contains("Would upload"), "{said}");
}

#[test]
fn uploads_large_directory_while_packing() {
    let Some(registry) = registry("uploads_large_directory_while_packing") else { return };
    let sandbox = Sandbox::new();
    sandbox.file("large/a.bin", random::bytes(1, 11 << 20));
    sandbox.file("large/b/c.bin", random::bytes(2, 7 << 20));
    sandbox.file("small/a.txt", "hello world\n");
    // The command must succeed although it cannot create a temporary file.
    let oras = |words: &[&str]| -> String {
        let output = sandbox.command(&ours(), words).env("TMPDIR", sandbox.path("no")).output().unwrap();
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{words:?}: {out}{err}");
        out
    };
    let layer = |words: &[&str]| -> String {
        let manifest: serde_json::Value = serde_json::from_str(&sandbox.oras(words)).unwrap();
        format!("{} {}", manifest["layers"][0]["digest"], manifest["layers"][1]["digest"])
    };
    let lines = |said: &str, word: &str| {
        let lines = said.lines().filter(|line| line.starts_with(word));
        lines.filter(|line| line.ends_with(" large") || line.ends_with(" small")).count()
    };
    let reference = format!("{}/large:v1", registry.host());
    let said = oras(&["push", &reference, "large", "small"]);
    assert_eq!((lines(&said, "Uploading"), lines(&said, "Uploaded ")), (2, 2), "{said}");
    let said = oras(&["push", &reference, "large", "small", "-a", "other=yes"]);
    assert_eq!(lines(&said, "Exists"), 2, "{said}");
    let dry = format!("{}/dry:v1", registry.host());
    let said = oras(&["push", &dry, "large", "small", "--dry-run"]);
    assert_eq!(lines(&said, "Would upload"), 2, "{said}");
    let pushed = layer(&["manifest", "fetch", &reference]);
    oras(&["push", "--oci-layout", "layout:v1", "large", "small"]);
    assert_eq!(layer(&["manifest", "fetch", "--oci-layout", "layout:v1"]), pushed);
    oras(&["pull", &reference, "-o", "out"]);
    for name in ["large/a.bin", "large/b/c.bin", "small/a.txt"] {
        assert!(
            std::fs::read(sandbox.path(name)).unwrap()
                == std::fs::read(sandbox.path(&format!("out/{name}"))).unwrap()
        );
    }
}

#[test]
fn skips_a_large_directory_that_another_tag_or_referrer_has() {
    let Some(registry) = registry("skips_a_large_directory_that_another_tag_or_referrer_has") else { return };
    let sandbox = Sandbox::new();
    let noise = |seed: u64| random::bytes(seed, 6 << 20);
    sandbox.file("large/a.bin", noise(1));
    sandbox.file("other/a.bin", noise(2));
    let outcome = |words: &[&str], title: &str| -> String {
        let said = sandbox.oras(words);
        let mut lines = said.lines().filter(|line| line.ends_with(&format!(" {title}")));
        lines.next_back().unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
    };
    let at = |tag: &str| format!("{}/again:{tag}", registry.host());
    assert_eq!(outcome(&["push", &at("v1"), "large"], "large"), "Uploaded");
    assert_eq!(outcome(&["push", &at("v2"), "large"], "large"), "Exists");
    assert_eq!(outcome(&["push", &at("v1"), "other"], "other"), "Uploaded");
    assert_eq!(outcome(&["push", &at("v1"), "large"], "large"), "Exists");

    let attach =
        |subject: &str, title: &str| outcome(&["attach", subject, "--artifact-type", "a/b", title], title);
    assert_eq!(attach(&at("v2"), "large"), "Exists");
    sandbox.file("attached/a.bin", noise(3));
    assert_eq!(attach(&at("v2"), "attached"), "Uploaded");
    assert_eq!(attach(&at("v2"), "attached"), "Exists");

    // A layer with the same title but other content must not be skipped.
    sandbox.file("large/a.bin", noise(4));
    assert_eq!(outcome(&["push", &at("v3"), "large"], "large"), "Uploaded");
    sandbox.oras(&["pull", &at("v3"), "-o", "out"]);
    assert!(std::fs::read(sandbox.path("out/large/a.bin")).unwrap() == noise(4));

    assert_eq!(outcome(&["push", "--oci-layout", "layout:v1", "large"], "large"), "Uploaded");
    assert_eq!(outcome(&["push", "--oci-layout", "layout:v2", "large"], "large"), "Exists");
}

#[test]
fn pulls_a_directory_that_pzstd_compressed() {
    if peers::system_or_skip("zstd", "pulls_a_directory_that_pzstd_compressed").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    // The content has several blocks, so pzstd writes several frames, each after a skippable frame.
    sandbox.file(
        "d/f",
        (0..3_000_000u32).flat_map(|number| number.wrapping_mul(number).to_le_bytes()).collect::<Vec<_>>(),
    );
    sandbox.ok("/bin/sh".as_ref(), &["-c", "tar cf d.tar d && pzstd -q -p 2 d.tar -o d.tzst"]);
    let annotations =
        r#"{"d.tzst": {"org.opencontainers.image.title": "d", "io.deis.oras.content.unpack": "true"}}"#;
    sandbox.file("annotations.json", annotations);
    let layer = "d.tzst:application/vnd.oci.image.layer.v1.tar+zstd";
    sandbox.oras(&["push", "--oci-layout", "layout:v1", layer, "--annotation-file", "annotations.json"]);
    sandbox.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]);
    assert_eq!(std::fs::read(sandbox.path("d/f")).unwrap(), std::fs::read(sandbox.path("out/d/f")).unwrap());
}
