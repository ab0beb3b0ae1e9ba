//! Repositories in a bucket of an object store, in place of the path of a layout.

use std::process::{Child, Command, Output, Stdio};

use oras_testkit::object_server::ObjectServer;
use oras_testkit::peers;
use serde_json::Value;

use crate::sandbox::{Sandbox, ours, texts};

/// A sandbox whose commands have the settings of an object server in their environment.
struct BucketSandbox {
    server: ObjectServer,
    sandbox: Sandbox,
}

impl BucketSandbox {
    fn open(test: &str) -> Option<Self> {
        let server = ObjectServer::open(test)?;
        let sandbox = Sandbox::new();
        sandbox.file("hi.txt", "hello world\n");
        Some(Self { server, sandbox })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(&ours(), arguments);
        command.envs(self.server.settings());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).spawn().unwrap()
    }

    /// Runs our tool, which must succeed. Returns its standard output.
    fn oras(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{arguments:?} failed\n{out}\n{err}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--format", "json"]].concat();
        serde_json::from_str(&self.oras(&arguments)).unwrap()
    }
}

#[test]
fn commands_take_the_url_of_a_bucket_for_the_path_of_a_layout() {
    let Some(bucket) = BucketSandbox::open("commands_take_the_url_of_a_bucket_for_the_path_of_a_layout")
    else {
        return;
    };
    // Large enough for several parts.
    bucket.sandbox.file("model.bin", [7; 1 << 20].repeat(20));
    let (app, v1) = ("s3://mirror/team/app", "s3://mirror/team/app:v1");
    bucket.oras(&["push", "--oci-layout", v1, "hi.txt", "model.bin", "--artifact-type", "test/model"]);
    let digest = bucket.oras(&["resolve", "--oci-layout", v1]);
    bucket.oras(&["tag", "--oci-layout", v1, "latest", "stable"]);
    assert_eq!(bucket.oras(&["repo", "tags", "--oci-layout", app]), "latest\nstable\nv1\n");
    bucket.oras(&["attach", "--oci-layout", v1, "hi.txt", "--artifact-type", "test/note"]);
    let referrers = bucket.json(&["discover", "--oci-layout", v1]);
    assert_eq!(referrers["referrers"][0]["artifactType"], "test/note");

    let manifest = bucket.oras(&["manifest", "fetch", "--oci-layout", "s3://mirror/team/app:stable"]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let layer = format!("{app}@{}", manifest["layers"][0]["digest"].as_str().unwrap());
    let fetched = bucket.oras(&["blob", "fetch", "--oci-layout", &layer, "--output", "-"]);
    assert_eq!(fetched, "hello world\n");
    bucket.oras(&["pull", "--oci-layout", &format!("{app}@{}", digest.trim()), "--output", "pulled"]);
    assert!(std::fs::read(bucket.sandbox.path("pulled/model.bin")).unwrap().iter().all(|byte| *byte == 7));

    // From the bucket to a layout on the disk, and from there to another repository.
    bucket.oras(&["cp", "-r", "--from-oci-layout", v1, "--to-oci-layout", "local:v1"]);
    bucket.oras(&["cp", "-r", "--from-oci-layout", "local:v1", "--to-oci-layout", "s3://mirror/other:v1"]);
    assert_eq!(bucket.oras(&["resolve", "--oci-layout", "s3://mirror/other:v1"]), digest);
    let referrers = bucket.json(&["discover", "--oci-layout", "s3://mirror/other:v1"]);
    assert_eq!(referrers["referrers"].as_array().map(Vec::len), Some(1));

    bucket.oras(&["untag", "--oci-layout", "s3://mirror/team/app:latest"]);
    let (_, error) = texts(&bucket.run(&["resolve", "--oci-layout", "s3://mirror/team/app:latest"]));
    assert!(error.contains("s3://mirror/team/app:latest: not found"), "{error}");
    bucket.oras(&["manifest", "delete", "--force", "--oci-layout", "s3://mirror/other:v1"]);
    assert_eq!(bucket.oras(&["repo", "tags", "--oci-layout", "s3://mirror/other"]), "");
}

#[test]
fn bucket_on_a_disk_is_a_layout_for_other_tools() {
    let test = "bucket_on_a_disk_is_a_layout_for_other_tools";
    let Some(bucket) = BucketSandbox::open(test) else { return };
    let v1 = "s3://mirror/app:v1";
    bucket.oras(&["push", "--oci-layout", v1, "hi.txt", "--artifact-type", "test/model"]);
    bucket.oras(&["attach", "--oci-layout", v1, "hi.txt", "--artifact-type", "test/note"]);
    bucket.oras(&["tag", "--oci-layout", v1, "latest"]);
    // versitygw stores each object as the file of its key.
    let layout = bucket.server.objects().join("app");
    let location = format!("{}:v1", layout.display());
    let digest = bucket.oras(&["resolve", "--oci-layout", v1]);
    assert_eq!(bucket.oras(&["resolve", "--oci-layout", &location]), digest);
    if let Some(oras) = peers::find_or_skip(peers::ORAS, test) {
        assert_eq!(bucket.sandbox.ok(&oras, &["resolve", "--oci-layout", &location]), digest);
        let found = bucket.sandbox.ok(&oras, &["discover", "--oci-layout", &location]);
        assert!(found.contains("test/note"), "{found}");
        bucket.sandbox.ok(&oras, &["pull", "--oci-layout", &location, "--output", "pulled"]);
        assert_eq!(std::fs::read_to_string(bucket.sandbox.path("pulled/hi.txt")).unwrap(), "hello world\n");
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        let tags = bucket.sandbox.ok(&regctl, &["tag", "ls", &format!("ocidir://{}", layout.display())]);
        assert_eq!(tags, "latest\nv1\n");
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let raw = bucket.sandbox.ok(&skopeo, &["inspect", "--raw", &format!("oci:{location}")]);
        assert!(raw.contains("test/model"), "{raw}");
    }
}

#[test]
fn twelve_processes_lose_no_tag_and_no_referrer() {
    let Some(bucket) = BucketSandbox::open("twelve_processes_lose_no_tag_and_no_referrer") else { return };
    let subject = "s3://mirror/app:subject";
    bucket.oras(&["push", "--oci-layout", subject, "hi.txt", "--artifact-type", "test/model"]);
    let push = |number: usize| {
        bucket.sandbox.file(&format!("{number}.txt"), format!("file {number}\n"));
        let (location, file) = (format!("s3://mirror/app:t{number:02}"), format!("{number}.txt"));
        bucket.start(&["push", "--oci-layout", &location, &file, "--artifact-type", "test/file"])
    };
    let attach = |number: usize| {
        let note = format!("number={number}");
        let arguments =
            ["attach", "--oci-layout", subject, "--artifact-type", "test/note", "--annotation", &note];
        bucket.start(&arguments)
    };
    let running: Vec<_> = (0..12).map(push).chain((0..8).map(attach)).collect();
    for mut process in running {
        assert!(process.wait().unwrap().success());
    }
    let tags = bucket.oras(&["repo", "tags", "--oci-layout", "s3://mirror/app"]);
    assert_eq!(tags.lines().count(), 13, "{tags}");
    let referrers = bucket.json(&["discover", "--oci-layout", subject]);
    assert_eq!(referrers["referrers"].as_array().map(Vec::len), Some(8));
    let index = std::fs::read(bucket.server.objects().join("app/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(21), "{index:#}");
}
