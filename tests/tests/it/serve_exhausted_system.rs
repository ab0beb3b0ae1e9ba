//! `oras serve` on a full disk, without free descriptors, and without newer system calls.

use std::path::PathBuf;
use std::process::Command;

use oras_spec::Digest;
use oras_testkit::peers;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::raw_connection::{Answer, Wire};
use crate::sandbox::{Sandbox, ours};
use crate::serve::Served;

const UPLOADS: &str = "/v2/a/blobs/uploads/";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A small file system in memory, which is unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, size: &str, test: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&path);
        if command.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        peers::skipped("permission to mount", test);
        None
    }

    /// Fills the file system.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while std::io::Write::write_all(&mut file, &vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn index(name: &str) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"a":"{name}"}}}}"#)
}

struct Client<'a>(&'a Served);

impl Client<'_> {
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let typed = format!("Content-Type: {INDEX}\r\n");
        Wire::open(self.0.address()).unwrap().ask(method, path, &typed, body).unwrap()
    }

    fn put(&self, tag: &str) -> Answer {
        self.ask("PUT", &format!("/v2/a/manifests/{tag}"), index(tag).as_bytes())
    }

    /// Stores a blob in one request.
    fn blob(&self, bytes: &[u8]) -> Answer {
        self.ask("POST", &format!("{UPLOADS}?digest={}", Digest::sha256(bytes)), bytes)
    }

    fn open(&self) -> String {
        self.ask("POST", UPLOADS, b"").header("location").to_owned()
    }
}

fn is_full(answer: &Answer) {
    let body = String::from_utf8_lossy(&answer.body);
    assert!(answer.status == 507 && body.contains("no room is left"), "{answer:?} {body}");
}

#[test]
fn reports_full_disk_and_still_deletes() {
    let sandbox = Sandbox::new();
    let test = "reports_full_disk_and_still_deletes";
    for words in [&["disk"][..], &["--repository", "a", "disk/a"]] {
        let Some(disk) = SmallDisk::mount(sandbox.path("disk"), "6m", test) else { return };
        sandbox.oras(&["push", "--oci-layout", "disk/a:first", "--artifact-type", "a/b"]);
        let served = Served::start(&sandbox, words);
        let client = Client(&served);
        for tag in ["one", "two", "three"] {
            assert_eq!(client.put(tag).status, 201);
        }
        let small = b"a blob";
        assert_eq!(client.blob(small).status, 201);
        let uploads = [client.open(), client.open(), client.open()];
        disk.fill();
        let large = vec![3; 300_000];
        is_full(&client.blob(&large));
        is_full(&client.ask("PATCH", &uploads[0], &large));
        is_full(&client.ask("PUT", &format!("{}?digest={}", uploads[1], Digest::sha256(&large)), &large));
        is_full(&client.put("four"));
        is_full(&client.put("one-more"));
        assert_eq!(client.ask("GET", "/v2/a/manifests/one", b"").body, index("one").as_bytes());
        // Each of these requests writes a new index, which needs disk space.
        let digest = Digest::sha256(index("two").as_bytes());
        assert_eq!(client.ask("DELETE", "/v2/a/manifests/one", b"").status, 202);
        assert_eq!(client.ask("DELETE", &format!("/v2/a/manifests/{digest}"), b"").status, 202);
        let blob = format!("/v2/a/blobs/{}", Digest::sha256(small));
        assert_eq!(client.ask("DELETE", &blob, b"").status, 202);
        assert_eq!(client.ask("DELETE", &uploads[2], b"").status, 204);
        assert_eq!(client.ask("GET", "/v2/a/manifests/one", b"").status, 404);
        assert_eq!(client.ask("GET", &blob, b"").status, 404);
        assert_eq!(client.ask("GET", "/v2/a/manifests/three", b"").status, 200);
        std::fs::remove_file(sandbox.path("disk/filler")).unwrap();
        assert_eq!(client.put("four").status, 201);
        assert_eq!(client.blob(&large).status, 201);
    }
}

/// Every response must be a server error. No response may report missing content.
#[test]
fn exhausted_descriptors_are_not_reported_as_404() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["root"]);
    let client = Client(&served);
    let subject = Digest::sha256(index("one").as_bytes());
    assert_eq!(client.put("one").status, 201);
    let (small, large) = (b"a blob".to_vec(), vec![3; 300_000]);
    for blob in [&small, &large] {
        assert_eq!(client.blob(blob).status, 201);
    }
    let upload = client.open();
    let blob = |bytes: &[u8]| format!("/v2/a/blobs/{}", Digest::sha256(bytes));
    let requests: Vec<(&str, String, Vec<u8>)> = vec![
        ("GET", "/v2/_catalog".into(), vec![]),
        ("GET", "/v2/a/tags/list".into(), vec![]),
        ("GET", "/v2/a/manifests/one".into(), vec![]),
        ("HEAD", format!("/v2/a/manifests/{subject}"), vec![]),
        ("GET", blob(&small), vec![]),
        ("GET", blob(&large), vec![]),
        ("HEAD", blob(&large), vec![]),
        ("GET", format!("/v2/a/referrers/{subject}"), vec![]),
        ("PUT", "/v2/a/manifests/two".into(), index("two").into_bytes()),
        ("POST", UPLOADS.into(), vec![]),
        ("POST", format!("{UPLOADS}?digest={}", Digest::sha256(b"x")), b"x".to_vec()),
        ("POST", format!("{UPLOADS}?mount={}&from=a", Digest::sha256(&large)), vec![]),
        ("PATCH", upload, b"more".to_vec()),
        ("DELETE", "/v2/a/manifests/one".into(), vec![]),
        ("DELETE", blob(&small), vec![]),
    ];
    // The connections are opened before the limit is lowered, because the server cannot accept new ones
    // afterwards.
    let mut wires: Vec<_> = requests.iter().map(|_| Wire::open(served.address()).unwrap()).collect();
    for wire in &mut wires {
        assert_eq!(wire.ask("GET", "/v2/", "", b"").unwrap().status, 200);
    }
    let process = Pid::from_raw(i32::try_from(served.id()).unwrap());
    let before = prlimit(process, Resource::Nofile, getrlimit(Resource::Nofile)).unwrap();
    let none = Rlimit { current: Some(3), maximum: before.maximum };
    prlimit(process, Resource::Nofile, none).unwrap();
    for (number, ((method, path, body), wire)) in requests.iter().zip(&mut wires).enumerate() {
        let typed = format!("Content-Type: {INDEX}\r\n");
        let answer = wire.ask(method, path, &typed, body).unwrap();
        // Requests that open no file may succeed.
        let works = answer.status < 300 && matches!(*method, "DELETE" | "HEAD");
        assert!(answer.status >= 500 || works, "{number} {method} {path} {answer:?}");
    }
    prlimit(process, Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum }).unwrap();
    assert_eq!(client.ask("GET", &blob(&large), b"").body, large);
    assert_eq!(client.put("two").status, 201);
}

/// Pushes, pulls, lists and deletes.
fn works(sandbox: &Sandbox, served: &Served, number: usize) {
    let reference = format!("{}/team/app{number}:v1", served.host());
    sandbox.oras(&["push", &reference, "hi.txt", "d"]);
    sandbox.oras(&["attach", &reference, "hi.txt", "--artifact-type", "a/b"]);
    assert!(sandbox.oras(&["discover", &reference]).contains("a/b"));
    sandbox.oras(&["pull", "-o", &format!("out{number}"), &reference]);
    assert_eq!(std::fs::read(sandbox.path(&format!("out{number}/hi.txt"))).unwrap(), b"hello world\n");
    let copy = format!("{}/other{number}:v2", served.host());
    sandbox.oras(&["cp", "-r", &reference, &copy]);
    sandbox.oras(&["manifest", "delete", "-f", &copy]);
    assert!(sandbox.oras(&["repo", "ls", &served.host()]).contains(&format!("team/app{number}")));
}

#[test]
fn serves_without_newer_system_calls() {
    let test = "serves_without_newer_system_calls";
    let sandbox = Sandbox::new();
    let Some(strace) = crate::refused_system_calls::strace(&sandbox, test) else { return };
    sandbox.tree();
    let calls = |error: &str| {
        [
            "openat2",
            "renameat2",
            "linkat",
            "fallocate",
            "sync_file_range",
            "copy_file_range",
            "preadv2",
            "statx",
        ]
        .map(|call| format!("inject={call}:error={error}"))
    };
    for (number, error) in ["ENOSYS", "EPERM", "EOPNOTSUPP"].into_iter().enumerate() {
        let mut command = sandbox.command(&strace, &["-f", "--seccomp-bpf", "-o"]);
        command.arg(sandbox.path("../trace"));
        for fault in calls(error) {
            command.args(["-e", &fault]);
        }
        let root = format!("root{number}");
        command.arg(ours()).args(["serve", "--addr", "127.0.0.1:0", "--gc-interval", "1s", &root]);
        let served = Traced(Served::launch(&sandbox, command));
        works(&sandbox, &served.0, number);
        let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
        assert!(!log.contains("level=error"), "{log}");
        drop(served);
        let trace = std::fs::read_to_string(sandbox.path("../trace")).unwrap();
        assert!(trace.contains("INJECTED"), "{trace}");
    }
}

/// A server that is a child of strace. It would continue to run if only strace were killed.
pub(crate) struct Traced(pub(crate) Served);

impl Drop for Traced {
    fn drop(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        for child in std::fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            drop(Command::new("kill").arg(child).status());
        }
        self.0.ended();
    }
}
