//! Real tools, against both kinds of registry.

use std::path::Path;
use std::process::Command;

use oras_testkit::peers;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Registry, both, memory};

/// Runs `test` on a thread that may block, while the server answers.
async fn blocking(test: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(test).await.unwrap();
}

/// A directory with a file, and a directory with a link and an executable in it.
fn files() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let script = "echo hello > hi.txt && mkdir -p tree/deep && ln -s deep tree/link \
        && head -c 3000000 /dev/urandom > tree/deep/big && echo run > tree/run && chmod 755 tree/run";
    let made = Command::new("sh").args(["-c", script]).current_dir(directory.path()).status().unwrap();
    assert!(made.success());
    directory
}

fn same(one: &Path, other: &Path) {
    let compared = Command::new("diff").arg("-r").args([one, other]).status().unwrap();
    assert!(compared.success(), "{} {}", one.display(), other.display());
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn oras_pushes_attaches_copies_and_deletes() {
    let Some(oras) = peers::find_or_skip(peers::ORAS, "oras-serve: oras") else { return };
    for registry in both().await {
        let (oras, host) = (oras.clone(), registry.host());
        blocking(move || {
            let work = files();
            let run = |arguments: &[&str]| peers::run(&oras, work.path(), arguments);
            let (a, b) = (format!("{host}/team/a"), format!("{host}/b"));
            run(&["push", "--plain-http", &format!("{a}:v1,v2"), "hi.txt", "tree"]);
            run(&[
                "attach",
                "--plain-http",
                "--artifact-type",
                "x/sig",
                &format!("{a}:v1"),
                "hi.txt:text/plain",
            ]);
            let found = run(&["discover", "--plain-http", "--format", "json", &format!("{a}:v1")]);
            let found = json(&found);
            assert_eq!(found["referrers"][0]["artifactType"], "x/sig", "{found}");
            let signature = found["referrers"][0]["digest"].as_str().unwrap().to_owned();
            let attached = format!("{a}@{signature}");
            run(&["attach", "--plain-http", "--artifact-type", "x/2", &attached, "--annotation", "a=b"]);

            let flags = ["--from-plain-http", "--to-plain-http"];
            run(&["cp", "-r", flags[0], flags[1], &format!("{a}:v1"), &format!("{b}:copied")]);
            run(&["cp", "-r", flags[0], "--to-oci-layout", &format!("{b}:copied"), "layout:v1"]);
            run(&["cp", "-r", "--from-oci-layout", flags[1], "layout:v1", &format!("{host}/c:back")]);
            let tree = run(&["discover", "--plain-http", "--format", "tree", &format!("{host}/c:back")]);
            assert!(tree.contains("x/sig") && tree.contains("x/2"), "{tree}");
            run(&["pull", "--plain-http", "-o", "out", &format!("{host}/c:back")]);
            same(&work.path().join("out/tree"), &work.path().join("tree"));
            same(&work.path().join("out/hi.txt"), &work.path().join("hi.txt"));

            let tags = run(&["repo", "tags", "--plain-http", &a]);
            assert_eq!(tags.split_whitespace().collect::<Vec<_>>(), ["v1", "v2"]);
            let names = run(&["repo", "ls", "--plain-http", &host]);
            assert_eq!(names.split_whitespace().collect::<Vec<_>>(), ["b", "c", "team/a"]);
            run(&["manifest", "delete", "--plain-http", "--force", &format!("{a}@{signature}")]);
            let found = json(&run(&["discover", "--plain-http", "--format", "json", &format!("{a}:v1")]));
            assert_eq!(found["referrers"].as_array().map_or(0, Vec::len), 0, "{found}");
            run(&["blob", "push", "--plain-http", &a, "hi.txt"]);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn oras_falls_back_to_the_tag_schema() {
    let Some(oras) = peers::find_or_skip(peers::ORAS, "oras-serve: tag schema") else { return };
    let registry = memory(oras_serve::ServerOptions::default().referrers(false)).await;
    let host = registry.host();
    blocking(move || {
        let work = files();
        let run = |arguments: &[&str]| peers::run(&oras, work.path(), arguments);
        let name = format!("{host}/a:v1");
        run(&["push", "--plain-http", &name, "hi.txt"]);
        for kind in ["x/1", "x/2"] {
            run(&["attach", "--plain-http", "--artifact-type", kind, &name, "hi.txt:text/plain"]);
        }
        let found = json(&run(&["discover", "--plain-http", "--format", "json", &name]));
        assert_eq!(found["referrers"].as_array().map_or(0, Vec::len), 2, "{found}");
        let tags = run(&["repo", "tags", "--plain-http", &format!("{host}/a")]);
        assert!(tags.contains("sha256-"), "{tags}");
    })
    .await;
}

/// Creates the image `host/name` with crane; returns false if crane is not installed.
fn image(registry: &str, name: &str, work: &Path, test: &str) -> bool {
    let Some(crane) = peers::find_or_skip(peers::CRANE, test) else { return false };
    let tarred = Command::new("tar").args(["-cf", "layer.tar", "tree"]).current_dir(work).status().unwrap();
    assert!(tarred.success());
    peers::run(&crane, work, &["append", "-f", "layer.tar", "-t", &format!("{registry}/{name}")]);
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn crane_pushes_validates_copies_and_deletes() {
    let Some(crane) = peers::find_or_skip(peers::CRANE, "oras-serve: crane") else { return };
    for registry in both().await {
        let (crane, host) = (crane.clone(), registry.host());
        blocking(move || {
            let work = files();
            assert!(image(&host, "image:v1", work.path(), "oras-serve: crane"));
            let run = |arguments: &[&str]| peers::run(&crane, work.path(), arguments);
            run(&["validate", "--remote", &format!("{host}/image:v1")]);
            run(&["copy", &format!("{host}/image:v1"), &format!("{host}/deep/er/copy:v2")]);
            run(&["index", "append", "-m", &format!("{host}/image:v1"), "-t", &format!("{host}/image:all")]);
            let digest = run(&["digest", &format!("{host}/deep/er/copy:v2")]).trim().to_owned();
            assert_eq!(run(&["digest", &format!("{host}/image:v1")]).trim(), digest);
            run(&["pull", "--format", "oci", &format!("{host}/image:all"), "layout"]);
            run(&["push", "--index", "layout", &format!("{host}/pushed:v1")]);
            run(&["validate", "--remote", &format!("{host}/pushed:v1")]);
            assert_eq!(
                run(&["ls", &format!("{host}/image")]).split_whitespace().collect::<Vec<_>>(),
                ["all", "v1"]
            );
            assert_eq!(run(&["catalog", &host]).split_whitespace().count(), 3);
            run(&["delete", &format!("{host}/deep/er/copy@{digest}")]);
            assert_eq!(run(&["ls", &format!("{host}/deep/er/copy")]), "");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn regctl_pushes_lists_and_copies() {
    let Some(regctl) = peers::find_or_skip(peers::REGCTL, "oras-serve: regctl") else { return };
    for registry in both().await {
        let (regctl, host) = (regctl.clone(), registry.host());
        blocking(move || {
            let work = files();
            let run = |arguments: &[&str]| peers::run(&regctl, work.path(), arguments);
            run(&["registry", "set", "--tls", "disabled", &host]);
            let name = format!("{host}/a:v1");
            std::fs::copy(work.path().join("tree/deep/big"), work.path().join("big")).unwrap();
            run(&["artifact", "put", "--artifact-type", "x/y", "--file-title", "-f", "big", &name]);
            run(&["artifact", "put", "--artifact-type", "x/sig", "-f", "hi.txt", "--subject", &name]);
            let listed = run(&["artifact", "list", &name]);
            assert!(listed.contains("x/sig"), "{listed}");
            run(&["image", "copy", "--referrers", &name, &format!("{host}/b:v1")]);
            run(&["image", "copy", "--referrers", &name, "ocidir://layout:v1"]);
            run(&["image", "copy", "--referrers", "ocidir://layout:v1", &format!("{host}/c:v1")]);
            assert!(run(&["artifact", "list", &format!("{host}/c:v1")]).contains("x/sig"));
            std::fs::create_dir(work.path().join("out")).unwrap();
            let got = run(&["artifact", "get", "--output", "out", &format!("{host}/c:v1")]);
            same(&work.path().join("out/big"), &work.path().join("big"));
            assert_eq!(run(&["repo", "ls", &host]).split_whitespace().count(), 3, "{got}");
            run(&["tag", "delete", &format!("{host}/b:v1")]);
            assert_eq!(run(&["tag", "ls", &format!("{host}/b")]).trim(), "");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn skopeo_copies_inspects_and_deletes() {
    let Some(skopeo) = peers::system_or_skip("skopeo", "oras-serve: skopeo") else { return };
    for registry in both().await {
        let (skopeo, host) = (skopeo.clone(), registry.host());
        blocking(move || {
            let work = files();
            if !image(&host, "image:v1", work.path(), "oras-serve: skopeo") {
                return;
            }
            let run = |arguments: &[&str]| peers::run(&skopeo, work.path(), arguments);
            let copy = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
            let copy = |from: &str, to: &str| run(&[&copy[..], &[from, to]].concat());
            copy(&format!("docker://{host}/image:v1"), "oci:layout:v1");
            copy("oci:layout:v1", &format!("docker://{host}/back:v1"));
            copy(&format!("docker://{host}/image:v1"), &format!("docker://{host}/copy:v1"));
            let back = format!("docker://{host}/back:v1");
            let inspected = json(&run(&["inspect", "--tls-verify=false", &back]));
            assert_eq!(inspected["Layers"].as_array().map(Vec::len), Some(1), "{inspected}");
            let repository = format!("docker://{host}/back");
            let tags = json(&run(&["list-tags", "--tls-verify=false", &repository]));
            assert_eq!(tags["Tags"], serde_json::json!(["v1"]));
            run(&["delete", "--tls-verify=false", &back]);
            let gone = peers::try_run(&skopeo, work.path(), &["inspect", "--tls-verify=false", &back]);
            assert!(!gone.status.success());
        })
        .await;
    }
}

/// Tools read the layout of a server, into which other tools pushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn served_layout_is_readable_as_a_layout() {
    let Some(oras) = peers::find_or_skip(peers::ORAS, "oras-serve: layout") else { return };
    let [_, registry]: [Registry; 2] = both().await;
    let (host, root) = (registry.host(), registry.root().to_owned());
    blocking(move || {
        let work = files();
        let run = |arguments: &[&str]| peers::run(&oras, work.path(), arguments);
        run(&["push", "--plain-http", &format!("{host}/a:v1"), "tree"]);
        let layout = root.join("a");
        run(&["pull", "--oci-layout", "-o", "out", &format!("{}:v1", layout.display())]);
        same(&work.path().join("out/tree"), &work.path().join("tree"));
    })
    .await;
}
