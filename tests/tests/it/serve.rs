//! `oras serve` with common clients.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oras_testkit::peers;

use crate::sandbox::{Sandbox, ours, texts};

/// A running `oras serve`. Its log is in `serve.log`.
pub(crate) struct Served {
    child: Child,
    address: String,
}

impl Served {
    /// Starts the server in the sandbox on a free port and waits until it listens.
    pub(crate) fn start(sandbox: &Sandbox, words: &[&str]) -> Self {
        let words = [&["serve", "--addr", "127.0.0.1:0"], words].concat();
        Self::launch(sandbox, sandbox.command(&ours(), &words))
    }

    /// Runs a command that becomes a server, and waits until it listens.
    pub(crate) fn launch(sandbox: &Sandbox, mut command: Command) -> Self {
        let log = File::options().append(true).create(true).open(sandbox.path("serve.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = || std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
        let address =
            line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?} {}", said()));
        Self { address: address.to_owned(), child }
    }

    /// Returns the host and port for references. The host is `localhost`, for which all clients use plain
    /// HTTP.
    pub(crate) fn host(&self) -> String {
        self.address.replace("127.0.0.1", "localhost")
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM` or `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the server has ended. Returns true if its exit status is 0.
    pub(crate) fn ended(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The server may have ended already, so an error is ignored.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn pushed_artifact_pulls_back_and_is_stored_as_layout() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    for place in ["--memory", "root"] {
        let served = Served::start(&sandbox, &[place]);
        let reference = format!("{}/team/app:v1", served.host());
        sandbox.oras(&["push", &reference, "hi.txt", "d"]);
        sandbox.oras(&["attach", &reference, "hi.txt", "--artifact-type", "a/b"]);
        assert!(sandbox.oras(&["discover", &reference]).contains("a/b"));
        assert_eq!(sandbox.oras(&["repo", "ls", &served.host()]).trim(), "team/app");
        assert_eq!(sandbox.oras(&["repo", "tags", &reference]).trim(), "v1");
        let copied = format!("{}/other:v2", served.host());
        sandbox.oras(&["cp", "-r", &reference, &copied]);
        sandbox.oras(&["pull", "-o", place, &copied]);
        assert!(sandbox.path(&format!("{place}/d/sub/deep/b.bin")).is_file());
        sandbox.oras(&["manifest", "delete", "-f", &copied]);
        assert!(!sandbox.run(&ours(), &["resolve", &copied]).status.success());
        if place == "root" {
            // The layout is readable and writable while the server runs.
            let local = ["--oci-layout", "root/team/app:v1"];
            assert_eq!(
                sandbox.oras(&[&["resolve"], &local[..]].concat()),
                sandbox.oras(&["resolve", &reference])
            );
            sandbox.oras(&[&["tag"], &local[..], &["v3"]].concat());
            assert_eq!(sandbox.oras(&["repo", "tags", &reference]).trim(), "v1\nv3");
        }
    }
}

#[test]
fn serves_existing_root_again_and_honours_read_only() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    let mut served = Served::start(&sandbox, &["root"]);
    sandbox.oras(&["push", &format!("{}/team/app:v1", served.host()), "hi.txt"]);
    served.signal("TERM");
    assert!(served.ended());

    let served = Served::start(&sandbox, &["--read-only", "root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["pull", "-o", "out", &reference]);
    assert_eq!(
        std::fs::read(sandbox.path("out/hi.txt")).unwrap(),
        std::fs::read(sandbox.path("hi.txt")).unwrap()
    );
    let refused = sandbox.run(&ours(), &["push", &reference, "d"]);
    assert!(!refused.status.success() && texts(&refused).1.contains("unsupported"), "{refused:?}");
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    let put = log.lines().find(|line| line.contains("method=PUT path=/v2/team/app/manifests/v1 status=201"));
    assert!(put.is_some_and(|line| line.contains("remote=127.0.0.1:")), "{log}");
    assert!(log.contains("status=405"), "{log}");
    let read = log.lines().find(|line| line.contains("method=GET path=/v2/team/app/blobs/sha256:"));
    assert!(read.is_some_and(|line| line.contains("status=200 bytes=12 ")), "{log}");
}

#[test]
fn serves_single_layout_as_one_repository() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.oras(&["push", "--oci-layout", "My_Layout:v1", "hi.txt"]);
    {
        let served = Served::start(&sandbox, &["My_Layout"]);
        let reference = format!("{}/my-layout:v1", served.host());
        sandbox.oras(&["backup", "-o", "copy.tar", &reference]);
        sandbox.oras(&["push", &format!("{}/my-layout:v2", served.host()), "d"]);
        let other = sandbox.run(&ours(), &["push", &format!("{}/other:v2", served.host()), "d"]);
        assert!(!other.status.success());
        assert_eq!(sandbox.oras(&["repo", "ls", &served.host()]).trim(), "my-layout");
    }
    let served = Served::start(&sandbox, &["--repository", "from/a/tar", "copy.tar"]);
    let reference = format!("{}/from/a/tar:v1", served.host());
    assert_eq!(sandbox.oras(&["repo", "tags", &reference]).trim(), "v1");
    sandbox.oras(&["pull", "-o", "out", &reference]);
    assert!(sandbox.path("out/hi.txt").is_file());
    let refused = sandbox.run(&ours(), &["push", &reference, "d"]);
    assert!(!refused.status.success() && texts(&refused).1.contains("unsupported"), "{refused:?}");
}

#[test]
fn rejects_unservable_paths() {
    let sandbox = Sandbox::new();
    sandbox.file("text", "no archive");
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let taken = Served::start(&sandbox, &[]);
    for (words, said) in [
        (&["text"][..], "does not look like a tar archive"),
        (&["--memory", "empty"], "cannot be both used"),
        (&["a", "b"], "at most 1 argument"),
        (&["--repository", "x", "empty"], "no OCI layout"),
        (&["--read-only", "absent"], "not a directory"),
        (&["absent.tar"], "no such file or directory"),
        (&["--addr", taken.address()], "failed to serve on"),
    ] {
        let output = sandbox.run(&ours(), &[&["serve"], words].concat());
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(texts(&output).1.contains(said), "{words:?} {output:?}");
    }
    assert!(!sandbox.path("absent").exists() && !sandbox.path("absent.tar").exists());
}

/// Several clients push to a directory of layouts, and pull the artifacts of each other.
#[test]
fn serves_go_oras_crane_and_others() {
    let test = "serves_go_oras_crane_and_others";
    let sandbox = Sandbox::new();
    sandbox.tree();
    let served = Served::start(&sandbox, &["root"]);
    let host = served.host();
    let from_ours = format!("{host}/ours/app:v1");
    sandbox.oras(&["push", &from_ours, "hi.txt", "d"]);
    let digest = sandbox.oras(&["resolve", &from_ours]).trim().to_owned();
    let same =
        |reference: &str| assert_eq!(sandbox.oras(&["resolve", reference]).trim(), digest, "{reference}");
    if let Some(go) = peers::find_or_skip(peers::ORAS, test) {
        let copy = format!("{host}/go/app:v1");
        sandbox.ok(&go, &["cp", &from_ours, &copy]);
        same(&copy);
        sandbox.ok(&go, &["attach", &copy, "hi.txt", "--artifact-type", "a/b"]);
        assert!(sandbox.ok(&go, &["discover", &copy]).contains("a/b"));
        sandbox.ok(&go, &["pull", "-o", "go", &copy]);
        assert!(sandbox.path("go/d/sub/deep/b.bin").is_file());
        assert!(sandbox.ok(&go, &["repo", "ls", &host]).contains("go/app"));
        sandbox.ok(&go, &["manifest", "fetch", "--oci-layout", "root/go/app:v1"]);
        sandbox.ok(&go, &["manifest", "delete", "-f", &copy]);
        assert!(!sandbox.run(&go, &["resolve", &copy]).status.success());
    }
    if let Some(crane) = peers::find_or_skip(peers::CRANE, test) {
        let copy = format!("{host}/crane/app:v1");
        sandbox.ok(&crane, &["copy", &from_ours, &copy]);
        same(&copy);
        assert!(sandbox.ok(&crane, &["catalog", &host]).contains("crane/app"));
        assert_eq!(sandbox.ok(&crane, &["ls", &format!("{host}/crane/app")]).trim(), "v1");
        sandbox.ok(&crane, &["delete", &format!("{host}/crane/app@{digest}")]);
        assert!(!sandbox.run(&crane, &["digest", &copy]).status.success());
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        let plain = format!("reg={host},tls=disabled");
        let copy = format!("{host}/regctl/app:v1");
        let run = |words: &[&str]| sandbox.ok(&regctl, &[&["--host", &plain], words].concat());
        run(&["image", "copy", &from_ours, &copy]);
        same(&copy);
        assert_eq!(run(&["tag", "ls", &format!("{host}/regctl/app")]).trim(), "v1");
        run(&["image", "copy", &copy, "ocidir://regctl-layout:v1"]);
        run(&["tag", "delete", &copy]);
        assert!(!sandbox.run(&ours(), &["resolve", &copy]).status.success());
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let copy = format!("{host}/skopeo/app:v1");
        let (source, target) = (format!("docker://{from_ours}"), format!("docker://{copy}"));
        let plain = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
        sandbox.ok(&skopeo, &[&plain[..], &[&source, &target]].concat());
        same(&copy);
        let raw = sandbox.ok(&skopeo, &["inspect", "--raw", "oci:root/skopeo/app:v1"]);
        assert_eq!(raw, sandbox.oras(&["manifest", "fetch", &copy]));
        sandbox.ok(&skopeo, &["delete", "--tls-verify=false", &target]);
        assert!(!sandbox.run(&ours(), &["resolve", &copy]).status.success());
    }
}
