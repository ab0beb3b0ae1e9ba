//! Bundles of many repositories: created, read by other tools, verified, restored and resumed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use oras_testkit::peers;
use oras_testkit::registry::{Flavor, Process};
use serde_json::Value;

use crate::sandbox::{Sandbox, ours, registries, texts};
use crate::serve::Served;

/// Pushes two repositories: images in nested indexes, three levels of referrers, and a tag of cosign.
pub(crate) fn fill(sandbox: &Sandbox, registry: &Process) -> [String; 2] {
    let [web, db] = ["team/web", "db"].map(|name| format!("{}/{name}", registry.host()));
    sandbox.file("hi.txt", "hi\n");
    sandbox.file("hello.txt", "hello\n");
    sandbox.file("big.bin", vec![7; 3 << 20]);
    let of = |rest: &str| format!("{web}{rest}");
    sandbox.oras(&["push", "-q", &of(":v1"), "hi.txt", "big.bin"]);
    sandbox.oras(&["push", "-q", &of(":v2"), "hello.txt", "big.bin"]);
    sandbox.oras(&["push", "-q", &format!("{db}:v1"), "big.bin"]);
    sandbox.oras(&["manifest", "index", "create", &of(":all"), "v1", "v2"]);
    sandbox.oras(&["manifest", "index", "create", &of(":nested"), "all"]);
    let mut subject = of(":v1");
    for kind in ["sbom", "signature", "timestamp"] {
        subject = attach(sandbox, &subject, kind);
    }
    attach(sandbox, &of(":nested"), "sbom");
    let digest = sandbox.oras(&["resolve", &of(":v2")]);
    sandbox.oras(&["push", "-q", &of(&format!(":{}.sig", digest.trim().replace(':', "-"))), "hello.txt"]);
    [web, db]
}

pub(crate) fn attach(sandbox: &Sandbox, subject: &str, kind: &str) -> String {
    let kind = format!("application/vnd.test.{kind}");
    let said = sandbox.oras(&["attach", subject, "--artifact-type", &kind, "hello.txt", "--format", "json"]);
    serde_json::from_str::<Value>(&said).unwrap()["reference"].as_str().unwrap().to_owned()
}

/// Returns the tags of a repository and the referrers of each one, without its name.
pub(crate) fn contents(sandbox: &Sandbox, repository: &str) -> String {
    let tags = sandbox.oras(&["repo", "tags", repository]);
    // A registry without the referrers API also has a tag for each subject.
    let is_listed = |tag: &&str| !tag.starts_with("sha256-") || tag.ends_with(".sig");
    let mut all = String::new();
    for tag in tags.lines().filter(is_listed) {
        let reference = format!("{repository}:{tag}");
        all += &sandbox.oras(&["discover", &reference, "--format", "json"]).replace(repository, tag);
    }
    all
}

pub(crate) fn json(sandbox: &Sandbox, words: &[&str]) -> Value {
    serde_json::from_str(&sandbox.oras(&[words, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn restores_every_tag_and_referrer_on_every_registry() {
    let test = "restores_every_tag_and_referrer_on_every_registry";
    let sandbox = Sandbox::new();
    for (flavor, registry) in registries(test) {
        let [web, db] = fill(&sandbox, &registry);
        // The children of `nested` and the cosign tag of one of them come along although no word names them.
        let words = ["bundle", "create", "-o", "site.tar", &format!("{web}:nested,v1"), &db];
        let created = json(&sandbox, &words);
        let counts: Vec<_> = created["repositories"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| {
                let length = |name: &str| found[name].as_object().map(|tags| tags.len());
                (
                    length("tags").unwrap(),
                    found["referrers"].as_array().map_or(0, Vec::len),
                    found["blobs"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(counts, [(1, 0, 2), (3, 4, 4)], "{flavor}");
        let size = std::fs::metadata(sandbox.path("site.tar")).unwrap().len();
        assert_eq!(created["archiveSize"].as_u64(), Some(size), "{flavor}");
        // The large blob that both repositories have is stored once.
        assert!(size < 4 << 20, "{flavor}: {size}");

        // Equal content gives equal bytes, in a file and in a pipe.
        let stdout = sandbox
            .run(&ours(), &["bundle", "create", "-q", "-o", "-", &db, &format!("{web}:nested,v1")])
            .stdout;
        assert!(stdout == std::fs::read(sandbox.path("site.tar")).unwrap(), "{flavor}");
        let said = sandbox.oras(&["bundle", "verify", "site.tar"]);
        assert!(
            said.starts_with("site.tar is undamaged: 2 repositories, 4 tag(s), 4 referrer(s), "),
            "{said}"
        );

        // Registries with and without the referrers API.
        let targets = [Some(Process::ours(&[])), Process::open(Flavor::Distribution, test)];
        for (other, target) in targets.iter().flatten().enumerate() {
            let words = ["bundle", "restore", "--input", "site.tar", "--prefix", "mirror", &target.host()];
            let restored = json(&sandbox, &words);
            assert_eq!(restored["repositories"][1]["name"], "mirror/team/web");
            let copy = format!("{}/mirror/team/web", target.host());
            for tag in ["nested", "v1"] {
                let tree = |repository: &str| {
                    let reference = format!("{repository}:{tag}");
                    sandbox.oras(&["discover", &reference, "--format", "json"]).replace(repository, "")
                };
                assert_eq!(tree(&web), tree(&copy), "{flavor} {other} {tag}");
            }
            assert!(sandbox.oras(&["repo", "tags", &copy]).contains(".sig\n"), "{flavor} {other}");
            sandbox.oras(&["pull", &format!("{}/mirror/db:v1", target.host()), "-o", "out"]);
            assert!(std::fs::read(sandbox.path("out/big.bin")).unwrap() == vec![7; 3 << 20]);
            // A second run moves nothing.
            let again = json(&sandbox, &words);
            assert_eq!(again["repositories"][1]["moved"], 0, "{flavor} {other}: {again}");
        }
    }
}

#[test]
fn restores_to_a_directory_that_the_server_reads() {
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    let [web, db] = fill(&sandbox, &registry);
    sandbox.oras(&["bundle", "create", "-q", "-o", "site.tar", &web, &db]);
    let replace = format!("{}=apps", web.rsplit_once('/').unwrap().0);
    let words =
        ["bundle", "restore", "--input", "site.tar", "--to-oci-layout", "layouts", "--replace", &replace];
    let rehearsed = json(&sandbox, &[&words[..], &["--dry-run"]].concat());
    assert!(!sandbox.path("layouts").exists());
    let restored = json(&sandbox, &words);
    assert_eq!(restored["repositories"][0]["moved"], rehearsed["repositories"][0]["moved"]);
    assert_eq!(restored["repositories"][1]["tags"].as_array().unwrap().len(), 5);
    let server = Served::start(&sandbox, &["layouts"]);
    let expected = [contents(&sandbox, &web), contents(&sandbox, &db)];
    let found = ["apps/web", "db"].map(|name| contents(&sandbox, &format!("{}/{name}", server.host())));
    assert_eq!(found, expected);
    // The server also reads the bundle itself.
    let server = Served::start(&sandbox, &["site.tar"]);
    let found = ["team/web", "db"].map(|name| contents(&sandbox, &format!("{}/{name}", server.host())));
    assert_eq!(found, expected);
    assert_eq!(sandbox.oras(&["repo", "ls", &server.host()]), "db\nteam/web\n");
    sandbox.fails(&["tag", &format!("{}/db:v1", server.host()), "v2"]);

    // Two repositories cannot get one name.
    let (one, other) = (format!("{web}=x"), format!("{db}=x"));
    let both = [&words[..6], &["--replace", &one, "--replace", &other]].concat();
    assert!(sandbox.fails(&both).contains("would both be restored as x"));
}

#[test]
fn other_tools_read_bundles() {
    let test = "other_tools_read_bundles";
    let sandbox = Sandbox::new();
    let (registry, target) = (Process::ours(&[]), Process::ours(&[]));
    let [web, db] = fill(&sandbox, &registry);
    sandbox.oras(&["bundle", "create", "-q", "-o", "site.tar", &web, &db]);
    let digest = |reference: &str| sandbox.oras(&["resolve", reference]);
    let (v1, image) = (format!("{web}:v1"), format!("{db}:v1"));
    let tree = |repository: &str, tree: &str| tree.replace(repository, "");
    let expected = tree(&web, &sandbox.oras(&["discover", &v1, "--format", "json"]));
    if let Some(go) = peers::find_or_skip(peers::ORAS, test) {
        let words = ["discover", "--oci-layout-path", "site.tar", &v1, "--format", "json"];
        let name =
            format!(",\n  \"annotations\": {{\n    \"org.opencontainers.image.ref.name\": \"{v1}\"\n  }}");
        assert_eq!(tree("site.tar", &sandbox.ok(&go, &words)).replace(&name, ""), expected);
        let tags = sandbox.ok(&go, &["repo", "tags", "--oci-layout", "site.tar"]);
        assert!(tags.lines().any(|tag| tag == v1) && tags.lines().any(|tag| tag == image), "{tags}");
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let (from, to) =
            (format!("oci-archive:site.tar:{image}"), format!("docker://{}/skopeo:v1", target.host()));
        sandbox.ok(&skopeo, &["copy", "-q", "--insecure-policy", "--dest-tls-verify=false", &from, &to]);
        assert_eq!(digest(&format!("{}/skopeo:v1", target.host())), digest(&image));
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        let to = format!("{}/regctl:v1", target.host());
        sandbox.ok(&regctl, &["registry", "set", "--tls", "disabled", &target.host()]);
        sandbox.ok(&regctl, &["image", "import", &to, "site.tar", "--name", &image]);
        assert_eq!(digest(&to), digest(&image));
    }
    if let Some(crane) = peers::find_or_skip(peers::CRANE, test) {
        std::fs::create_dir(sandbox.path("unpacked")).unwrap();
        sandbox.ok(Path::new("/bin/tar"), &["xf", "site.tar", "-C", "unpacked"]);
        let to = format!("{}/crane", target.host());
        sandbox.ok(&crane, &["push", "--insecure", "--index", "unpacked", &format!("{to}:all")]);
        let pushed = format!("{to}@{}", digest(&v1).trim());
        assert_eq!(tree(&to, &sandbox.oras(&["discover", &pushed, "--format", "json"])), expected);
    }
}

#[test]
fn verify_names_file_repository_and_digest_of_a_flipped_bit() {
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    let [web, db] = fill(&sandbox, &registry);
    sandbox.oras(&["bundle", "create", "-q", "-o", "site.tar", &web, &db]);
    let whole = std::fs::read(sandbox.path("site.tar")).unwrap();
    let find_in =
        |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|window| window == text).unwrap();
    let find = |text: &[u8]| find_in(&whole, text);
    let big = find(&[7; 512]) + 2_000_000;
    // In the blob of both repositories, in a manifest, in the index, and in the name of a file.
    let manifest = find(b"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest");
    let image = find(b"team/web:nested") + 9;
    let tag = image + find_in(&whole[image..], b"team/web:nested") + 9;
    for (at, expected) in [
        (
            big,
            vec![format!("(in {db}, {web})"), "mismatched digest".into(), "site.tar: blobs/sha256/".into()],
        ),
        (manifest + 20, vec!["mismatched digest".into(), format!("(in {db})")]),
        (image, vec![format!("has the other name {web}:oested")]),
        (tag, vec!["site.tar: index.json: ".into(), format!("{web}:nested is not listed")]),
    ] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        sandbox.file("site.tar", &damaged);
        let output = sandbox.run(&ours(), &["bundle", "verify", "site.tar"]);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{at}: {out}");
        assert!(err.starts_with("Error: site.tar is damaged or incomplete: "), "{err}");
        for text in expected {
            assert!(out.contains(&text), "{at}: {text}\n{out}");
        }
    }
    // A damaged blob fails only the artifacts that need it. Their tags are not written.
    let mut damaged = whole.clone();
    damaged[find(b"hi\n")] ^= 1;
    sandbox.file("site.tar", &damaged);
    let target = Process::ours(&[]);
    let words = ["bundle", "restore", "--input", "site.tar", "--format", "json", &target.host()];
    let output = sandbox.run(&ours(), &words);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed: Vec<_> = report["repositories"][1]["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| {
            // The registry rejects the blob.
            assert!(failed["reason"].as_str().unwrap().contains("digest"), "{failed}");
            failed["reference"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(failed, ["all", "nested", "v1"]);
    let tags = sandbox.oras(&["repo", "tags", &format!("{}/team/web", target.host())]);
    assert!(tags.contains("v2\n") && !tags.contains("v1\n"), "{tags}");
    assert_eq!(sandbox.oras(&["repo", "tags", &format!("{}/db", target.host())]), "v1\n");

    // An archive that is not a bundle, and one that ends early.
    sandbox.oras(&["backup", "-q", "-o", "backup.tar", &db]);
    assert!(sandbox.fails(&["bundle", "verify", "backup.tar"]).contains("not a bundle"));
    sandbox.file("site.tar", &whole[..whole.len() / 2]);
    assert!(sandbox.fails(&["bundle", "verify", "site.tar"]).contains("site.tar"));
}

#[test]
fn missing_content_fails_or_is_listed() {
    let test = "missing_content_fails_or_is_listed";
    let Some(registry) = Process::open(Flavor::Distribution, test) else { return };
    let sandbox = Sandbox::new();
    let [web, db] = fill(&sandbox, &registry);
    let repositories = registry.storage().join("docker/registry/v2/repositories/team/web");
    let remove = |kind: &str, digest: &str| {
        std::fs::remove_dir_all(
            repositories.join(kind).join("sha256").join(digest.trim_start_matches("sha256:")),
        )
        .unwrap();
    };
    // The list of referrers names a manifest that the registry no longer has, and a layer is missing.
    let tree = json(&sandbox, &["discover", &format!("{web}:v1")]);
    let referrer = tree["referrers"][0]["referrers"][0]["digest"].as_str().unwrap();
    let manifest: Value =
        serde_json::from_str(&sandbox.oras(&["manifest", "fetch", &format!("{web}:v2")])).unwrap();
    let layer = manifest["layers"][1]["digest"].as_str().unwrap();
    let (one, other) = (format!("{web}:v1"), format!("{db}:v1"));
    let words = ["bundle", "create", "-o", "site.tar", &one, &other];
    remove("_manifests/revisions", referrer);
    let error = sandbox.fails(&words);
    assert!(
        error.contains(&format!("failed to bundle {web}"))
            && error.contains(&format!("the referrer {referrer}")),
        "{error}"
    );
    assert!(!sandbox.path("site.tar").exists());
    remove("_layers", layer);
    let created = json(&sandbox, &[&words[..], &["--allow-missing"]].concat());
    let missing = created["repositories"][1]["missing"].as_array().unwrap();
    let found: Vec<_> = missing
        .iter()
        .map(|found| (found["kind"].as_str().unwrap(), found["name"].as_str().unwrap()))
        .collect();
    assert!(found.contains(&("referrer", referrer)), "{found:?}");
    // `verify` says that the bundle is what the registry had.
    let said = sandbox.oras(&["bundle", "verify", "site.tar"]);
    assert!(
        said.contains(&format!("missing in {web}: referrer {referrer}")) && said.contains("is undamaged"),
        "{said}"
    );
}

#[test]
fn interrupted_create_resumes_in_the_middle_of_a_blob() {
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    let name = format!("{}/large", registry.host());
    sandbox.file("one.bin", vec![1; 6 << 20]);
    sandbox.file("two.bin", vec![2; 24 << 20]);
    sandbox.oras(&["push", "-q", &format!("{name}:v1"), "one.bin", "two.bin"]);
    sandbox.oras(&["bundle", "create", "-q", "-o", "whole.tar", &name]);
    // The rate limit gives the time for the kill.
    let words = ["bundle", "create", "-o", "site.tar", "--limit-rate", "10M", &name];
    let mut child =
        sandbox.command(&ours(), &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let partial = sandbox.path(".oras-partial-site.tar");
    let length = || std::fs::metadata(&partial).map_or(0, |metadata| metadata.len());
    for _ in 0..600 {
        if length() > 9 << 20 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = length();
    assert!(kept > 9 << 20 && !sandbox.path("site.tar").exists(), "{kept}");
    let created = json(&sandbox, &["bundle", "create", "-o", "site.tar", &name]);
    // All but the headers of the partial file was resumed: more than one blob, and not whole blobs only.
    let resumed = created["resumedBytes"].as_u64().unwrap();
    assert!(resumed > 6 << 20 && resumed + 16384 > kept && resumed < 30 << 20, "{resumed} of {kept}");
    assert!(!partial.exists());
    assert!(
        std::fs::read(sandbox.path("site.tar")).unwrap() == std::fs::read(sandbox.path("whole.tar")).unwrap()
    );
}
