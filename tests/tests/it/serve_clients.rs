//! `oras serve` with TLS and users, and all common clients. Each client logs in, pushes, pulls, copies and
//! deletes.

use std::path::{Path, PathBuf};

use oras_testkit::certificates::self_signed;
use oras_testkit::peers;
use oras_testkit::registry::{HTPASSWD, PASSWORD, USER};

use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

/// A server with TLS that accepts only [`USER`] and stores layouts in `root`.
struct Stage {
    sandbox: Sandbox,
    served: Served,
    certificate: PathBuf,
}

impl Stage {
    /// Starts the server. Returns `None` if certificates cannot be created.
    fn set(test: &str) -> Option<Self> {
        let sandbox = Sandbox::new();
        sandbox.tree();
        sandbox.file("users", HTPASSWD);
        let Some(made) = self_signed(&sandbox.work(), "server", &[]) else {
            peers::skipped("openssl", test);
            return None;
        };
        let (cert, key) = (made.certificate.to_str().unwrap(), made.key.to_str().unwrap());
        let words = ["--cert-file", cert, "--key-file", key, "--htpasswd", "users", "root"];
        let served = Served::start(&sandbox, &words);
        Some(Self { sandbox, served, certificate: made.certificate })
    }

    fn cert(&self) -> &str {
        self.certificate.to_str().unwrap()
    }

    /// Returns a reference with the IP address, because many clients use plain HTTP for `localhost`.
    fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.served.address())
    }

    /// Returns the digest that a tag of a layout below the root names. Our tool reads it from the disk.
    fn digest(&self, name: &str) -> String {
        self.sandbox.oras(&["resolve", "--oci-layout", &format!("root/{name}")]).trim().to_owned()
    }

    fn is_gone(&self, name: &str) {
        let path = format!("root/{name}");
        assert!(!self.sandbox.run(&ours(), &["resolve", "--oci-layout", &path]).status.success(), "{name}");
    }

    /// Creates a layer of an image, and returns its path.
    fn layer(&self) -> PathBuf {
        let layer = self.sandbox.path("layer.tar");
        let words = ["-cf", "layer.tar", "d/a.txt", "d/sub"];
        self.sandbox.ok(Path::new("tar"), &words);
        layer
    }

    fn refuses(&self, program: &Path, words: &[&str]) {
        let output = self.sandbox.run(program, words);
        assert!(!output.status.success(), "{words:?} {:?}", texts(&output));
    }
}

#[test]
fn serves_go_oras() {
    let test = "serves_go_oras";
    let Some(go) = peers::find_or_skip(peers::ORAS, test) else { return };
    let Some(stage) = Stage::set(test) else { return };
    let (host, sandbox) = (stage.served.address(), &stage.sandbox);
    let trust = ["--ca-file", stage.cert()];
    let run = |words: &[&str]| sandbox.ok(&go, &[words, &trust].concat());
    let (one, two) = (stage.reference("go/one:v1"), stage.reference("go/two:v1"));
    stage.refuses(&go, &[&["push", &one, "hi.txt"][..], &trust].concat());
    stage.refuses(&go, &[&["login", "-u", USER, "-p", "wrong", host][..], &trust].concat());
    run(&["login", "-u", USER, "-p", PASSWORD, host]);
    let said = run(&["push", &one, "hi.txt", "d"]);
    let digest = stage.digest("go/one:v1");
    assert!(said.contains(&digest), "{said}");
    run(&["attach", "--artifact-type", "a/b", &one, "hi.txt"]);
    assert!(run(&["discover", &one]).contains("a/b"));
    run(&["pull", "-o", "out", &one]);
    assert!(sandbox.path("out/d/sub/deep/b.bin").is_file());
    let trusts = ["--from-ca-file", stage.cert(), "--to-ca-file", stage.cert()];
    sandbox.ok(&go, &[&["cp", "-r", &one, &two][..], &trusts].concat());
    assert_eq!(stage.digest("go/two:v1"), digest);
    assert_eq!(run(&["repo", "ls", host]), "go/one\ngo/two\n");
    assert_eq!(run(&["repo", "tags", &two]), "v1\n");
    run(&["manifest", "delete", "-f", &two]);
    stage.is_gone("go/two:v1");
    let blob = run(&["blob", "push", &stage.reference("go/one"), "d/a.txt"]);
    let blob = blob.lines().find_map(|line| line.strip_prefix("Digest: ")).unwrap();
    let blob = stage.reference(&format!("go/one@{blob}"));
    assert_eq!(run(&["blob", "fetch", "-o", "-", &blob]), "a\n");
    run(&["blob", "delete", "-f", &blob]);
    stage.refuses(&go, &[&["blob", "fetch", "-o", "-", &blob][..], &trust].concat());
    sandbox.ok(&go, &["logout", host]);
    stage.refuses(&go, &[&["pull", &one][..], &trust].concat());
}

#[test]
fn serves_crane() {
    let test = "serves_crane";
    let Some(crane) = peers::find_or_skip(peers::CRANE, test) else { return };
    let Some(stage) = Stage::set(test) else { return };
    let with = |words: &[&str]| {
        let output =
            stage.sandbox.command(&crane, words).env("SSL_CERT_FILE", stage.cert()).output().unwrap();
        (output.status.success(), texts(&output))
    };
    let run = |words: &[&str]| {
        let (succeeded, (out, err)) = with(words);
        assert!(succeeded, "{words:?} {err}");
        out.trim().to_owned()
    };
    let host = stage.served.address();
    let (one, two) = (stage.reference("crane/one:v1"), stage.reference("crane/two:v1"));
    stage.layer();
    let append = ["append", "--oci-empty-base", "-f", "layer.tar", "-t", &one];
    assert!(!with(&append).0);
    run(&["auth", "login", "-u", USER, "-p", PASSWORD, host]);
    run(&append);
    let digest = stage.digest("crane/one:v1");
    assert_eq!(run(&["digest", &one]), digest);
    run(&["validate", "--remote", &one]);
    run(&["pull", "--format", "oci", &one, "pulled"]);
    run(&["copy", &one, &two]);
    assert_eq!(stage.digest("crane/two:v1"), digest);
    run(&["tag", &two, "v2"]);
    assert_eq!(run(&["ls", &stage.reference("crane/two")]), "v1\nv2");
    assert_eq!(run(&["catalog", host]), "crane/one\ncrane/two");
    run(&["delete", &stage.reference(&format!("crane/two@{digest}"))]);
    stage.is_gone("crane/two:v1");
    run(&["auth", "logout", host]);
    assert!(!with(&["digest", &one]).0);
}

#[test]
fn serves_regctl() {
    let test = "serves_regctl";
    let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) else { return };
    let Some(stage) = Stage::set(test) else { return };
    let (host, sandbox) = (stage.served.address(), &stage.sandbox);
    let run = |words: &[&str]| sandbox.ok(&regctl, words).trim().to_owned();
    let authority = std::fs::read_to_string(&stage.certificate).unwrap();
    // Without `--skip-check`, regctl would contact the registry before it has a password.
    run(&["registry", "set", host, "--skip-check", "--cacert", &authority]);
    let (one, two) = (stage.reference("regctl/one:v1"), stage.reference("regctl/two:v1"));
    let put = ["artifact", "put", "--artifact-type", "a/b", "-f", "hi.txt", &one];
    stage.refuses(&regctl, &put);
    stage.refuses(&regctl, &["registry", "login", host, "-u", USER, "-p", "wrong"]);
    run(&["registry", "login", host, "-u", USER, "-p", PASSWORD]);
    run(&put);
    let digest = stage.digest("regctl/one:v1");
    assert_eq!(run(&["manifest", "head", &one]), digest);
    assert_eq!(run(&["artifact", "get", &one]), "hello world");
    let refers = ["artifact", "put", "--artifact-type", "c/d", "-f", "d/a.txt", "--subject", &one];
    run(&refers);
    assert!(run(&["artifact", "list", &one]).contains("c/d"));
    run(&["image", "copy", "--referrers", &one, &two]);
    assert_eq!(stage.digest("regctl/two:v1"), digest);
    run(&["image", "copy", &two, "ocidir://pulled:v1"]);
    assert_eq!(run(&["tag", "ls", &stage.reference("regctl/two")]), "v1");
    assert_eq!(run(&["repo", "ls", host]), "regctl/one\nregctl/two");
    run(&["tag", "delete", &two]);
    stage.is_gone("regctl/two:v1");
    run(&["manifest", "delete", &stage.reference(&format!("regctl/one@{digest}"))]);
    stage.is_gone("regctl/one:v1");
    run(&["registry", "logout", host]);
    stage.refuses(&regctl, &["tag", "ls", &stage.reference("regctl/one")]);
}

#[test]
fn serves_skopeo() {
    let test = "serves_skopeo";
    let Some(skopeo) = peers::system_or_skip("skopeo", test) else { return };
    let Some(stage) = Stage::set(test) else { return };
    let (host, sandbox) = (stage.served.address(), &stage.sandbox);
    // skopeo requires a directory, and reads the files with the extensions of certificates.
    sandbox.file("trusted/ca.crt", std::fs::read(&stage.certificate).unwrap());
    let (login, auth) = (["--cert-dir", "trusted"], ["--authfile", "auth.json"]);
    let run = |words: &[&str]| sandbox.ok(&skopeo, &[&["--insecure-policy"], words, &auth].concat());
    let source = sandbox.oras(&["push", "--oci-layout", "source:v1", "hi.txt", "d"]);
    let (one, two) = (stage.reference("skopeo/one:v1"), stage.reference("skopeo/two:v1"));
    let (one, two) = (format!("docker://{one}"), format!("docker://{two}"));
    let push = ["copy", "--dest-cert-dir", "trusted", "oci:source:v1", &one];
    stage.refuses(&skopeo, &[&["--insecure-policy"], &push[..], &auth].concat());
    stage.refuses(&skopeo, &[&["login", "-u", USER, "-p", "wrong", host][..], &login, &auth].concat());
    sandbox.ok(&skopeo, &[&["login", "-u", USER, "-p", PASSWORD, host][..], &login, &auth].concat());
    run(&push);
    let digest = stage.digest("skopeo/one:v1");
    assert!(source.contains(&digest), "{source}");
    let raw = run(&["inspect", "--raw", "--cert-dir", "trusted", &one]);
    assert_eq!(raw, sandbox.oras(&["manifest", "fetch", "--oci-layout", "root/skopeo/one:v1"]));
    let trusted = ["--src-cert-dir", "trusted", "--dest-cert-dir", "trusted"];
    run(&[&["copy"], &trusted[..], &[&one, &two]].concat());
    assert_eq!(stage.digest("skopeo/two:v1"), digest);
    run(&["copy", "--src-cert-dir", "trusted", &two, "oci:pulled:v1"]);
    assert!(run(&["list-tags", "--cert-dir", "trusted", &two.replace(":v1", "")]).contains("\"v1\""));
    run(&["delete", "--cert-dir", "trusted", &two]);
    stage.is_gone("skopeo/two:v1");
    sandbox.ok(&skopeo, &[&["logout", host][..], &auth].concat());
    stage.refuses(&skopeo, &["inspect", "--raw", "--cert-dir", "trusted", "--authfile", "auth.json", &one]);
}

#[test]
fn serves_helm() {
    let test = "serves_helm";
    let Some(helm) = peers::find_or_skip(peers::HELM, test) else { return };
    let Some(stage) = Stage::set(test) else { return };
    let (host, sandbox) = (stage.served.address(), &stage.sandbox);
    let trust = ["--ca-file", stage.cert()];
    let run = |words: &[&str]| {
        let output = sandbox.run(&helm, words);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{words:?} {out} {err}");
        // helm prints its result to standard output or to standard error.
        format!("{out}\n{err}")
    };
    run(&["create", "hello"]);
    for directory in ["pulled", "by-digest", "gone"] {
        std::fs::create_dir(sandbox.path(directory)).unwrap();
    }
    run(&["package", "hello", "--version", "1.2.3+build"]);
    let charts = format!("oci://{host}/charts");
    let chart = format!("{charts}/hello");
    let push = [&["push", "hello-1.2.3+build.tgz", &charts][..], &trust].concat();
    stage.refuses(&helm, &push);
    stage.refuses(&helm, &[&["registry", "login", host, "-u", USER, "-p", "wrong"][..], &trust].concat());
    run(&[&["registry", "login", host, "-u", USER, "-p", PASSWORD][..], &trust].concat());
    let pushed = run(&push);
    // A tag cannot contain a plus sign, so helm replaces it with an underscore.
    let digest = stage.digest("charts/hello:1.2.3_build");
    assert!(pushed.contains(&digest), "{pushed}");
    let version = ["--version", "1.2.3+build"];
    let pulled = run(&[&["pull", &chart, "-d", "pulled"][..], &version, &trust].concat());
    assert!(pulled.contains(&digest), "{pulled}");
    let name = "hello-1.2.3+build.tgz";
    let read = |path: &str| std::fs::read(sandbox.path(path)).unwrap();
    assert_eq!(read(&format!("pulled/{name}")), read(name));
    let shown = run(&[&["show", "chart", &chart][..], &version, &trust].concat());
    assert!(shown.contains("version: 1.2.3+build"), "{shown}");
    let by_digest = format!("{chart}@{digest}");
    run(&[&["pull", &by_digest, "-d", "by-digest"][..], &trust].concat());
    assert!(run(&[&["template", "x", &chart][..], &version, &trust].concat()).contains("kind: Service"));
    // Our tool can copy the artifact that helm pushed.
    let credentials = ["-u", USER, "-p", PASSWORD];
    let reference = stage.reference("charts/hello:1.2.3_build");
    let copy = ["cp", "-r", &reference, "--to-oci-layout", "ours:v1", "--from-ca-file", stage.cert()];
    let credentials_from = ["--from-username", USER, "--from-password", PASSWORD];
    sandbox.oras(&[&copy[..], &credentials_from].concat());
    assert_eq!(sandbox.oras(&["resolve", "--oci-layout", "ours:v1"]).trim(), digest);
    sandbox.oras(&[&["manifest", "delete", "-f", &reference][..], &trust, &credentials].concat());
    stage.refuses(&helm, &[&["pull", &chart, "-d", "gone"][..], &version, &trust].concat());
    run(&["registry", "logout", host]);
    stage.refuses(&helm, &[&["show", "chart", &chart][..], &version, &trust].concat());
}

/// Other programs read the layouts of a running server.
#[test]
fn other_tools_read_served_layouts() {
    let test = "other_tools_read_served_layouts";
    let Some(crane) = peers::find_or_skip(peers::CRANE, test) else { return };
    let sandbox = Sandbox::new();
    sandbox.tree();
    let served = Served::start(&sandbox, &["root"]);
    sandbox.ok(Path::new("tar"), &["-cf", "layer.tar", "d"]);
    let reference = format!("{}/team/image:v1", served.host());
    sandbox.ok(&crane, &["append", "--oci-empty-base", "-f", "layer.tar", "-t", &reference]);
    sandbox.oras(&["attach", &reference, "hi.txt", "--artifact-type", "a/b"]);
    sandbox.oras(&["tag", &reference, "v2"]);
    let digest = sandbox.oras(&["resolve", &reference]).trim().to_owned();
    if let Some(umoci) = peers::system_or_skip("umoci", test) {
        assert_eq!(sandbox.ok(&umoci, &["ls", "--layout", "root/team/image"]), "v1\nv2\n");
        let stat = sandbox.ok(&umoci, &["stat", "--json", "--image", "root/team/image:v1"]);
        assert!(stat.contains("history"), "{stat}");
        let unpack = ["raw", "unpack", "--rootless", "--image", "root/team/image:v2", "unpacked"];
        sandbox.ok(&umoci, &unpack);
        assert!(sandbox.path("unpacked/d/sub/deep/b.bin").is_file());
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let raw = sandbox.ok(&skopeo, &["inspect", "--raw", "oci:root/team/image:v1"]);
        assert_eq!(raw, sandbox.oras(&["manifest", "fetch", &reference]));
        let copy = ["--insecure-policy", "copy", "oci:root/team/image:v1", "oci:copied:v1"];
        sandbox.ok(&skopeo, &copy);
    }
    if let Some(go) = peers::find_or_skip(peers::ORAS, test) {
        let local = ["--oci-layout", "root/team/image:v1"];
        assert_eq!(sandbox.ok(&go, &[&["resolve"], &local[..]].concat()).trim(), digest);
        assert!(sandbox.ok(&go, &[&["discover"], &local[..]].concat()).contains("a/b"));
        sandbox.ok(&go, &["cp", "-r", "--from-oci-layout", "root/team/image:v1", "--to-oci-layout", "go:v1"]);
    }
    // The other programs did not change the artifact.
    assert_eq!(sandbox.oras(&["resolve", &reference]).trim(), digest);
}
