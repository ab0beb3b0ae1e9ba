//! `oras serve --proxy`: a pull-through cache.

use std::path::Path;

use oras_spec::Digest;
use oras_testkit::peers;
use oras_testkit::recorder::Recorder;
use oras_testkit::registry::{Flavor, Options, PASSWORD, Process, USER};

use crate::raw_connection::{Answer, Wire};
use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

/// A real registry with `team/app:v1`, behind a recorder of its requests.
pub(crate) struct Upstream {
    pub(crate) sandbox: Sandbox,
    pub(crate) registry: Process,
    pub(crate) recorder: Recorder,
}

impl Upstream {
    pub(crate) fn new(flavor: Flavor, test: &str) -> Option<Self> {
        let registry = Process::open(flavor, test)?;
        let upstream = Self { sandbox: Sandbox::new(), recorder: Recorder::new(registry.port()), registry };
        upstream.sandbox.tree();
        upstream.push("v1", &["hi.txt", "d"]);
        Some(upstream)
    }

    /// Returns the reference of a tag in the registry itself.
    pub(crate) fn name(&self, tag: &str) -> String {
        format!("{}/team/app:{tag}", self.registry.host())
    }

    pub(crate) fn push(&self, tag: &str, files: &[&str]) {
        self.sandbox.oras(&[&["push", &self.name(tag)], files].concat());
    }

    pub(crate) fn digest(&self, tag: &str) -> String {
        self.sandbox.oras(&["resolve", &self.name(tag)]).trim().to_owned()
    }

    /// Starts a proxy of the registry that caches content in `place`.
    pub(crate) fn served(&self, place: &str) -> Served {
        Served::start(&self.sandbox, &["--proxy", &self.recorder.host(), place])
    }

    /// Returns the method and path of each request since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.recorder.take();
        asked.iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
    }
}

pub(crate) fn get(served: &Served, path: &str) -> Answer {
    Wire::open(served.address()).unwrap().ask("GET", path, "", b"").unwrap()
}

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path("serve.log")).unwrap()
}

#[test]
fn serves_cached_content_without_upstream() {
    let test = "serves_cached_content_without_upstream";
    for place in ["--memory", "root"] {
        let Some(upstream) = Upstream::new(Flavor::Crane, test) else { return };
        let sandbox = &upstream.sandbox;
        sandbox.oras(&["attach", &upstream.name("v1"), "hi.txt", "--artifact-type", "a/b"]);
        let digest = upstream.digest("v1");
        let served = upstream.served(place);
        let reference = format!("{}/team/app:v1", served.host());
        let by_digest = format!("{}/team/app@{digest}", served.host());
        upstream.asked();
        sandbox.oras(&["pull", "-o", "first", &reference]);
        assert!(upstream.asked().contains(&"HEAD /v2/team/app/manifests/v1".to_owned()));
        assert!(sandbox.oras(&["discover", &reference]).contains("a/b"));
        sandbox.oras(&["cp", "-r", &reference, "--to-oci-layout", "copy:v1"]);
        upstream.asked();
        // Content with a digest is requested only once.
        sandbox.oras(&["pull", "-o", "second", &by_digest]);
        assert_eq!(upstream.asked(), Vec::<String>::new());
        sandbox.oras(&["pull", "-o", "third", &reference]);
        assert_eq!(upstream.asked(), ["HEAD /v2/team/app/manifests/v1"]);
        assert_eq!(sandbox.oras(&["repo", "ls", &served.host()]).trim(), "team/app");
        if place == "root" {
            let kept = sandbox.oras(&["resolve", "--oci-layout", "root/team/app:v1"]);
            assert_eq!(kept.trim(), digest);
        }

        drop((upstream.recorder, upstream.registry));
        let output = sandbox.run(&ours(), &["pull", "-o", "away", &reference]);
        assert!(output.status.success() && texts(&output).1.contains("does not answer"), "{output:?}");
        assert!(sandbox.path("away/d/sub/deep/b.bin").is_file());
        let manifest = get(&served, "/v2/team/app/manifests/v1");
        assert!(manifest.header("warning").starts_with("299 - \"the upstream localhost:"), "{manifest:?}");
        assert_eq!(manifest.header("docker-content-digest"), digest);
        assert!(sandbox.oras(&["discover", &reference]).contains("a/b"));
        assert_eq!(sandbox.oras(&["repo", "tags", &reference]).trim(), "v1");
        for path in ["/v2/team/app/manifests/v2", "/v2/other/tags/list"] {
            let answer = get(&served, path);
            assert_eq!(answer.status, 502, "{answer:?}");
            assert!(String::from_utf8_lossy(&answer.body).contains("is not here"), "{answer:?}");
        }
        // A response for a digest needs no warning, because the content cannot be stale.
        let known = get(&served, &format!("/v2/team/app/manifests/{digest}"));
        assert!(known.status == 200 && !known.head.to_lowercase().contains("warning"), "{known:?}");
    }
}

#[test]
fn resolves_names_like_upstream() {
    let test = "resolves_names_like_upstream";
    let Some(upstream) = Upstream::new(Flavor::Distribution, test) else { return };
    let served = upstream.served("root");
    let tagged = || get(&served, "/v2/team/app/manifests/v1");
    assert_eq!(tagged().header("docker-content-digest"), upstream.digest("v1"));
    upstream.push("v1", &["hi.txt"]);
    let moved = upstream.digest("v1");
    assert_eq!(tagged().header("docker-content-digest"), moved);
    upstream.push("later", &["hi.txt", "d"]);
    let tags = format!("{}/team/app", served.host());
    assert_eq!(upstream.sandbox.oras(&["repo", "tags", &tags]).trim(), "later\nv1");
    assert_eq!(get(&served, "/v2/team/app/manifests/absent").status, 404);
    assert_eq!(get(&served, "/v2/no/such/tags/list").status, 404);
    assert_eq!(get(&served, &format!("/v2/no/such/blobs/{moved}")).status, 404);
    // Requests for missing repositories create no directories.
    assert!(!upstream.sandbox.path("root/no").exists());

    // A tag that was deleted at the upstream is not served, even when the upstream is unreachable. The
    // manifest is still available by digest.
    upstream.sandbox.oras(&["manifest", "delete", "-f", &upstream.name("v1")]);
    assert_eq!(tagged().status, 404);
    let sandbox = &upstream.sandbox;
    drop((upstream.recorder, upstream.registry));
    assert_eq!(tagged().status, 502);
    assert_eq!(get(&served, &format!("/v2/team/app/manifests/{moved}")).status, 200);
    assert!(log(sandbox).contains("an upstream failed"), "{}", log(sandbox));
}

#[test]
fn proxy_rejects_writes() {
    let Some(upstream) = Upstream::new(Flavor::Distribution, "proxy_rejects_writes") else { return };
    let served = upstream.served("--memory");
    let reference = format!("{}/team/app:v1", served.host());
    upstream.sandbox.oras(&["resolve", &reference]);
    for words in [&["push", &reference, "hi.txt"][..], &["manifest", "delete", "-f", &reference]] {
        let said = upstream.sandbox.fails(words);
        assert!(said.contains("this server is a proxy of localhost:") && said.contains("push"), "{said}");
    }
    let put = Wire::open(served.address()).unwrap().ask("PUT", "/v2/new/manifests/v1", "", b"{}").unwrap();
    assert_ne!(put.status, 201);
    let asked = upstream.asked();
    assert!(asked.iter().all(|line| line.starts_with("GET ") || line.starts_with("HEAD ")), "{asked:?}");
}

#[test]
fn namespace_selects_single_upstream() {
    let test = "namespace_selects_single_upstream";
    let (Some(one), Some(two)) =
        (Upstream::new(Flavor::Crane, test), Upstream::new(Flavor::Distribution, test))
    else {
        return;
    };
    two.push("v1", &["hi.txt"]);
    let hosts = [one.recorder.host(), two.recorder.host()];
    let served = Served::start(&one.sandbox, &["--proxy", &hosts[0], "--proxy", &hosts[1], "root"]);
    for (upstream, host) in [(&one, &hosts[0]), (&two, &hosts[1])] {
        let prefix = host.replace(':', "_");
        let digest = upstream.digest("v1");
        let scoped = get(&served, &format!("/v2/team/app/manifests/v1?ns={host}"));
        assert_eq!(scoped.header("docker-content-digest"), digest);
        assert_eq!(scoped.header("oci-namespace"), host);
        let named = get(&served, &format!("/v2/{prefix}/team/app/manifests/v1"));
        assert_eq!(named.header("docker-content-digest"), digest);
        assert!(!named.head.to_lowercase().contains("oci-namespace"), "{named:?}");
        let kept = format!("root/{prefix}/team/app:v1");
        assert_eq!(one.sandbox.oras(&["resolve", "--oci-layout", &kept]).trim(), digest);
    }
    one.asked();
    two.asked();
    for path in [
        "/v2/team/app/manifests/v1",
        "/v2/team/app/manifests/v1?ns=quay.io",
        "/v2/quay.io/team/app/manifests/v1",
        "/v2/team/app/manifests/v1?ns=169.254.169.254",
    ] {
        let refused = get(&served, path);
        assert_eq!(refused.status, 404, "{path} {refused:?}");
        assert!(String::from_utf8_lossy(&refused.body).contains("NAME_UNKNOWN"), "{refused:?}");
    }
    assert!(one.asked().is_empty() && two.asked().is_empty());
}

#[test]
fn upstream_receives_only_its_own_credentials() {
    let test = "upstream_receives_only_its_own_credentials";
    let options = Options { password: true, ..Options::default() };
    let Some(registry) = Process::start(Flavor::Distribution, &options, test) else { return };
    let recorder = Recorder::new(registry.port());
    let sandbox = Sandbox::new();
    sandbox.tree();
    let host = recorder.host();
    let upstream = format!("{host}/team/app:v1");
    sandbox.oras(&["push", "-u", USER, "-p", PASSWORD, &upstream, "hi.txt"]);
    let served = Served::start(&sandbox, &["--proxy", &host, "root"]);
    let refused = get(&served, "/v2/team/app/manifests/v1");
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.body).contains("does not let this server read"), "{refused:?}");
    drop(served);

    sandbox.oras(&["login", "-u", USER, "-p", PASSWORD, &host]);
    let served = Served::start(&sandbox, &["--proxy", &host, "root"]);
    recorder.take();
    // The client's credentials are for the proxy only. The proxy must not send them to the upstream.
    let theirs = "Authorization: Basic dGhlaXI6c2VjcmV0\r\n";
    let mut wire = Wire::open(served.address()).unwrap();
    let answer = wire.ask("GET", "/v2/team/app/manifests/v1", theirs, b"").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.head.to_lowercase().contains("authori"), "{answer:?}");
    let out = sandbox.path("out");
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["pull", "-o", out.to_str().unwrap(), &reference]);
    assert!(out.join("hi.txt").is_file());
    let sent: Vec<_> = recorder.take().into_iter().flat_map(|asked| asked.headers).collect();
    let sent: Vec<_> = sent.iter().filter(|line| line.to_lowercase().starts_with("authorization")).collect();
    // The value encodes `user:pass`.
    assert!(!sent.is_empty() && sent.iter().all(|line| line.ends_with("Basic dXNlcjpwYXNz")), "{sent:?}");
    let log = log(&sandbox);
    assert!(!log.contains("dXNlcjpwYXNz") && !log.contains("dGhlaXI6c2VjcmV0"), "{log}");
}

/// Common clients pull through a proxy.
#[test]
fn common_clients_pull_through_proxy() {
    let test = "common_clients_pull_through_proxy";
    let Some(upstream) = Upstream::new(Flavor::Distribution, test) else { return };
    let (sandbox, digest) = (&upstream.sandbox, upstream.digest("v1"));
    let programs: [(&str, Option<std::path::PathBuf>); 4] = [
        ("oras", peers::find_or_skip(peers::ORAS, test)),
        ("crane", peers::find_or_skip(peers::CRANE, test)),
        ("regctl", peers::find_or_skip(peers::REGCTL, test)),
        ("skopeo", peers::system_or_skip("skopeo", test)),
    ];
    // Each client pulls with an empty cache, and with a filled cache while the upstream is down.
    let caches: Vec<_> = programs
        .iter()
        .filter_map(|(name, program)| {
            Some((*name, program.clone()?, upstream.served(&format!("root-{name}"))))
        })
        .collect();
    let pull = |name: &str, program: &Path, served: &Served, round: &str| {
        let (host, out) = (served.host(), format!("{name}-{round}"));
        let reference = format!("{host}/team/app:v1");
        match name {
            "oras" => {
                sandbox.ok(program, &["pull", "-o", &out, &reference]);
                assert!(sandbox.path(&out).join("d/sub/deep/b.bin").is_file());
            }
            "crane" => {
                assert_eq!(sandbox.ok(program, &["digest", &reference]).trim(), digest);
                sandbox.ok(program, &["pull", "--format", "oci", &reference, &out]);
            }
            "regctl" => {
                let plain = format!("reg={host},tls=disabled");
                let to = format!("ocidir://{out}:v1");
                sandbox.ok(program, &["--host", &plain, "image", "copy", &reference, &to]);
            }
            _ => {
                let (from, to) = (format!("docker://{reference}"), format!("oci:{out}:v1"));
                sandbox.ok(program, &["--insecure-policy", "copy", "--src-tls-verify=false", &from, &to]);
            }
        }
        let blob = Digest::sha256(&std::fs::read(sandbox.path("hi.txt")).unwrap());
        let kept = sandbox.path(&format!("root-{name}/team/app/blobs/sha256")).join(blob.encoded());
        assert!(kept.is_file(), "{name}");
    };
    for (name, program, served) in &caches {
        pull(name, program, served, "cold");
    }
    drop((upstream.recorder, upstream.registry));
    for (name, program, served) in &caches {
        pull(name, program, served, "away");
    }
}

#[test]
fn rejects_invalid_proxy_options() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "hi.txt"]);
    for (words, said) in [
        (&["--proxy", "a.io", "--read-only", "root"][..], "a proxy cannot be read-only"),
        (&["--proxy", "a.io", "layout"], "is one repository"),
        (&["--proxy", "a.io", "--proxy", "A.io"], "without duplicates"),
        (&["--proxy", "https://a.io"], "invalid registry"),
        (&["--proxy", "a.io/b"], "invalid registry"),
        (&["--proxy-plain-http"], "`--proxy-plain-http` needs `--proxy`"),
        (&["--proxy-password", "x", "--proxy", "a.io"], "unknown flag"),
    ] {
        let output = sandbox.run(&ours(), &[&["serve", "--addr", "127.0.0.1:0"], words].concat());
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(texts(&output).1.contains(said), "{words:?} {output:?}");
    }
    assert!(!sandbox.path("root").exists());
}
