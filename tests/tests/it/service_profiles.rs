//! Push, attach, discover, copy and pull against registries that behave like the big services, under their host names.

use std::collections::BTreeSet;
use std::process::Output;

use oras_testkit::quirky_registry::{Quirks, QuirkyRegistry, STORAGE};
use oras_testkit::scripted::Asked;
use oras_testkit::tls::Certificate;

use crate::sandbox::{Sandbox, ours, texts};

/// Larger than the chunk limit of every service, and than the blobs that are sent while they are hashed.
const BIG: usize = 9 << 20;

struct Scene {
    sandbox: Sandbox,
    registry: QuirkyRegistry,
    host: &'static str,
    flags: Vec<String>,
}

/// Starts a registry with the name `host`. Returns `None` if `openssl` is not installed.
fn scene(host: &'static str, quirks: Quirks, test: &str) -> Option<Scene> {
    let sandbox = Sandbox::new();
    let name = if host == "docker.io" { "registry-1.docker.io" } else { host };
    let Some(certificate) = Certificate::make(&sandbox.work(), &[name, STORAGE]) else {
        oras_testkit::peers::skipped("openssl", test);
        return None;
    };
    let registry = QuirkyRegistry::start(&certificate, quirks);
    let port = registry.port();
    let mut flags = vec!["--ca-file".to_owned(), certificate.certificate.display().to_string()];
    for (name, from) in [(name, 443), (STORAGE, port)] {
        flags.extend(["--resolve".to_owned(), format!("{name}:{from}:127.0.0.1:{port}")]);
    }
    if quirks.expires_with.is_some() {
        helper_of_ever_new_passwords(&sandbox);
    }
    sandbox.file("small.txt", "hello world\n");
    sandbox.file("big.bin", (0..BIG).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect::<Vec<_>>());
    sandbox.file("d/a.txt", "a\n");
    Some(Scene { sandbox, registry, host, flags })
}

/// Creates a credential helper that returns a new password each time.
fn helper_of_ever_new_passwords(sandbox: &Sandbox) {
    let helper = sandbox.path("bin/docker-credential-ecr");
    let script = r#"#!/bin/sh
cat >/dev/null; echo x >>"$0.asked"
echo "{\"Username\":\"AWS\",\"Secret\":\"password-$(wc -l <"$0.asked")\"}"
"#;
    std::fs::create_dir_all(helper.parent().unwrap()).unwrap();
    // Another process writes the helper. The system cannot run a file that is open for writing, and a fork of
    // this process could hold it open.
    let make = ["-c", "printf '%s' \"$1\" >\"$0\" && chmod 700 \"$0\""];
    let made = std::process::Command::new("sh").args(make).arg(&helper).arg(script).status();
    assert!(made.unwrap().success());
    sandbox.file("../home/.docker/config.json", r#"{"credsStore":"ecr"}"#);
}

impl Scene {
    fn output(&self, words: &[&str], prefixes: &[&str]) -> Output {
        let mut words: Vec<String> = words.iter().map(ToString::to_string).collect();
        for prefix in prefixes {
            for flag in &self.flags {
                words.push(match (flag.strip_prefix("--"), prefix.is_empty()) {
                    (Some(name), false) => format!("--{prefix}{name}"),
                    _ if flag == "-u" && !prefix.is_empty() => format!("--{prefix}username"),
                    _ if flag == "-p" && !prefix.is_empty() => format!("--{prefix}password"),
                    _ => flag.clone(),
                });
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.sandbox.path("bin").display());
        self.sandbox.command(&ours(), &words).env("PATH", path).output().unwrap()
    }

    fn run(&self, words: &[&str], prefixes: &[&str]) -> String {
        let (out, err) = texts(&self.output(words, prefixes));
        let asked: Vec<_> = self.registry.asked().iter().rev().take(12).map(Asked::line).collect();
        let ended = self.output_succeeds(&err);
        assert!(ended, "{words:?}\n{out}\n{err}\n{asked:#?}");
        out
    }

    fn output_succeeds(&self, err: &str) -> bool {
        !err.lines().any(|line| line.starts_with("Error"))
    }

    fn oras(&self, words: &[&str]) -> String {
        self.run(words, &[""])
    }

    fn same(&self, a: &str, b: &str) {
        assert_eq!(
            std::fs::read(self.sandbox.path(a)).unwrap(),
            std::fs::read(self.sandbox.path(b)).unwrap(),
            "{b}"
        );
    }

    /// Pushes twice, pulls, copies to a layout and back, attaches referrers, lists tags, and deletes the
    /// artifact.
    fn round(&self) {
        let (one, two) = (format!("{}/team/one:v1", self.host), format!("{}/team/two:v1", self.host));
        self.oras(&["push", &one, "small.txt", "big.bin", "d"]);
        self.oras(&["push", &one, "small.txt", "big.bin", "d"]);
        self.oras(&["pull", &one, "-o", "out"]);
        for name in ["small.txt", "big.bin", "d/a.txt"] {
            self.same(name, &format!("out/{name}"));
        }
        self.run(&["cp", &one, "--to-oci-layout", "layout:v1"], &["from-"]);
        self.run(&["cp", "--from-oci-layout", "layout:v1", &two], &["to-"]);
        self.run(&["cp", &one, &two], &["from-", "to-"]);
        let digest = self.oras(&["resolve", &one]).trim().to_owned();
        assert_eq!(self.oras(&["resolve", &two]).trim(), digest);
        for kind in ["test/sbom", "test/signature"] {
            self.oras(&["attach", &two, "--artifact-type", kind, "small.txt"]);
        }
        let found = self.oras(&["discover", &two, "--format", "json"]);
        assert_eq!(found.matches("\"artifactType\": \"test/").count(), 2, "{found}");
        let tags = self.oras(&["repo", "tags", &format!("{}/team/two", self.host), "--exclude-digest-tags"]);
        assert_eq!(tags.trim(), "v1");
        self.oras(&["manifest", "delete", "--force", &two]);
        let (_, err) = texts(&self.output(&["resolve", &two], &[""]));
        assert!(err.contains("Error"), "{err}");
        self.is_polite();
    }

    /// Checks rules that hold for every registry.
    fn is_polite(&self) {
        for asked in self.registry.asked() {
            let line = asked.line();
            let bodied = matches!(asked.method.as_str(), "PUT" | "PATCH");
            assert!(!bodied || asked.header("content-length").is_some(), "{line} tells no length");
            let stored = asked.header("host").is_some_and(|host| host.starts_with(STORAGE));
            assert!(!(stored && asked.header("authorization").is_some()), "{line} tells a secret");
        }
    }

    fn methods(&self) -> BTreeSet<String> {
        self.registry.asked().into_iter().map(|asked| asked.method).collect()
    }
}

#[test]
fn github_limits_chunk_size_and_redirects() {
    let quirks = Quirks { max_patch: Some(4 << 20), redirects: true, ..Quirks::default() };
    let Some(scene) = scene("ghcr.io", quirks, "github_limits_chunk_size_and_redirects") else { return };
    scene.round();
    assert_eq!(scene.registry.refusals(), 0);
}

#[test]
fn detects_chunk_limit_of_unknown_registry() {
    let quirks = Quirks { max_patch: Some(4 << 20), ..Quirks::default() };
    let test = "detects_chunk_limit_of_unknown_registry";
    let Some(scene) = scene("registry.test", quirks, test) else { return };
    scene.round();
    // Each run detects the limit once.
    assert!(scene.registry.refusals() <= 6, "{} refusals", scene.registry.refusals());
}

#[test]
fn google_rejects_chunked_uploads() {
    let quirks = Quirks { no_patch: true, no_empty_blobs: true, mounts: true, ..Quirks::default() };
    let Some(scene) = scene("europe-docker.pkg.dev", quirks, "google_rejects_chunked_uploads") else {
        return;
    };
    scene.round();
    assert_eq!(scene.registry.refusals(), 0);
    assert!(!scene.methods().contains("PATCH"));
    scene.sandbox.file("empty.txt", "");
    let reference = format!("{}/team/three:v1", scene.host);
    let (_, err) = texts(&scene.output(&["push", &reference, "empty.txt"], &[""]));
    assert!(err.contains("registry") && err.contains("empty"), "{err}");
}

#[test]
fn detects_unknown_registry_without_chunked_uploads() {
    let quirks = Quirks { no_patch: true, ..Quirks::default() };
    let Some(scene) = scene("registry.test", quirks, "detects_unknown_registry_without_chunked_uploads")
    else {
        return;
    };
    scene.round();
    assert!(scene.registry.refusals() <= 4, "{} refusals", scene.registry.refusals());
}

#[test]
fn azure_requires_content_length() {
    let quirks = Quirks { wants_length: true, referrers: true, mounts: true, ..Quirks::default() };
    let Some(scene) = scene("team.azurecr.io", quirks, "azure_requires_content_length") else { return };
    scene.round();
    assert_eq!(scene.registry.refusals(), 0);
}

#[test]
fn amazon_answers_differently_and_expires_credentials() {
    let quirks = Quirks {
        patch_created: true,
        max_page: Some(1000),
        no_location: true,
        expires_with: Some(403),
        ..Quirks::default()
    };
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let Some(scene) = scene(host, quirks, "amazon_answers_differently_and_expires_credentials") else {
        return;
    };
    scene.round();
}

#[test]
fn quay_rejects_mounts() {
    let quirks = Quirks { mount_fails: true, referrers: true, ..Quirks::default() };
    let Some(scene) = scene("quay.io", quirks, "quay_rejects_mounts") else { return };
    scene.round();
}

#[test]
fn gitlab_treats_fallback_tag_as_digest() {
    let quirks = Quirks { digest_like_tags: true, redirects: true, mounts: true, ..Quirks::default() };
    let test = "gitlab_treats_fallback_tag_as_digest";
    let Some(scene) = scene("registry.gitlab.com", quirks, test) else { return };
    scene.round();
}

#[test]
fn artifactory_answers_403_for_missing_content() {
    let quirks = Quirks { forbids_missing: true, referrers: true, ..Quirks::default() };
    let Some(scene) = scene("team.jfrog.io", quirks, "artifactory_answers_403_for_missing_content") else {
        return;
    };
    scene.round();
}

#[test]
fn harbor_reports_wrong_head_length() {
    let quirks = Quirks { wrong_head_length: true, referrers: true, mounts: true, ..Quirks::default() };
    let Some(scene) = scene("harbor.test", quirks, "harbor_reports_wrong_head_length") else { return };
    scene.round();
}

#[test]
fn docker_hub_rate_limits() {
    let quirks = Quirks { throttles: Some(9), mounts: true, redirects: true, ..Quirks::default() };
    let Some(scene) = scene("docker.io", quirks, "docker_hub_rate_limits") else { return };
    scene.round();
}

#[test]
fn falls_back_to_chunks_behind_proxy_with_body_limit() {
    let quirks = Quirks { max_put: Some(4 << 20), max_patch: Some(4 << 20), ..Quirks::default() };
    let Some(scene) = scene("registry.test", quirks, "falls_back_to_chunks_behind_proxy_with_body_limit")
    else {
        return;
    };
    scene.round();
}

#[test]
fn uploads_blob_in_single_post() {
    let quirks = Quirks { single_post: true, referrers: true, ..Quirks::default() };
    let Some(scene) = scene("registry.test", quirks, "uploads_blob_in_single_post") else {
        return;
    };
    scene.round();
    let names: Vec<String> = (0..8).map(|number| format!("{number}.txt")).collect();
    names.iter().for_each(|name| drop(scene.sandbox.file(name, name)));
    let reference = format!("{}/team/many:v1", scene.host);
    let mut words = vec!["push", &reference];
    words.extend(names.iter().map(String::as_str));
    scene.oras(&words);
    let asked = scene.registry.asked();
    assert!(asked.iter().any(|asked| asked.method == "POST" && asked.path.contains("?digest=")));
}
