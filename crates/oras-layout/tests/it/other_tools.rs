//! Other tools read our layouts, and we read theirs.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use oras_layout::Layout;
use oras_spec::{Descriptor, Manifest, annotation};
use oras_store::{PushMode, ReadStore, Source, Target};
use oras_testkit::nodes::{self, blob, manifest, push_all, referrer};
use oras_testkit::peers::{self, run};
use oras_testkit::registry::{Flavor, Process};

const SBOM: &str = "application/vnd.test.sbom";

/// Reads a manifest and everything below it.
async fn read_all(layout: &Layout, root: &Descriptor) -> Manifest {
    let source: Arc<dyn Source> = Arc::new(layout.clone());
    let bytes = nodes::read(&source, root).await.unwrap();
    let manifest = Manifest::parse(&root.media_type, bytes).unwrap();
    for child in manifest.children() {
        nodes::read(&source, &child).await.unwrap();
    }
    manifest
}

/// Checks that the layout has the file `hello.txt` under the tag. Returns the descriptor of its manifest.
async fn has_hello(path: &Path, tag: &str) -> Descriptor {
    let layout = Layout::open(path).await.unwrap();
    assert_eq!(layout.tags_after(None).try_collect::<Vec<_>>().await.unwrap(), [tag]);
    let found = layout.resolve(tag).await.unwrap();
    let manifest = read_all(&layout, &found).await;
    assert!(manifest.children().iter().any(|child| child.title() == Some("hello.txt")));
    // Our library can write to a layout of another tool.
    let node = nodes::manifest("ours", &[]);
    push_all(&layout, &[&node]).await;
    layout.push(&node, PushMode::Tagged("ours")).await.unwrap();
    assert_eq!(layout.resolve(tag).await.unwrap(), found);
    found
}

/// Creates our layout at `layout` in `directory`: `hello.txt` as `v1`, with a referrer.
async fn ours(directory: &Path) -> Layout {
    let layout = Layout::open_or_create(directory.join("layout")).await.unwrap();
    let layer = blob("hello\n");
    let mut described = layer.descriptor().clone();
    described.annotations.insert(annotation::TITLE.into(), "hello.txt".into());
    let layer = layer.described_as(described);
    let node = manifest("hello", &[&layer]);
    let sbom = referrer("sbom", SBOM, &node);
    push_all(&layout, &[&layer, &node, &sbom]).await;
    layout.push(&node, PushMode::Tagged("v1")).await.unwrap();
    layout
}

/// Creates the layout of the Go tool at `layout` in `directory`, with the content of [`ours`].
fn theirs(oras: &Path, directory: &Path) {
    for (name, text) in [("hello.txt", "hello\n"), ("sbom.txt", "sbom\n")] {
        oras_fs::replace(&directory.join(name), text.as_bytes(), 0o644).unwrap();
    }
    run(oras, directory, &["push", "--oci-layout", "layout:v1", "hello.txt"]);
    run(oras, directory, &["attach", "--oci-layout", "layout:v1", "--artifact-type", SBOM, "sbom.txt"]);
}

#[tokio::test]
async fn shares_a_layout_with_go_oras() {
    let Some(oras) = peers::find_or_skip(peers::ORAS, "shares_a_layout_with_go_oras") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    theirs(&oras, at);
    let before = std::fs::read(at.join("layout/index.json")).unwrap();
    let found = has_hello(&at.join("layout"), "v1").await;
    let layout = Layout::open(at.join("layout")).await.unwrap();
    assert!(String::from_utf8(before).unwrap().contains(&found.digest.to_string()));
    assert_eq!(found.artifact_type.as_ref().unwrap().as_str(), "application/vnd.unknown.artifact.v1");
    let referrers = layout.predecessors(&found, None).await.unwrap();
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].artifact_type.as_ref().unwrap().as_str(), SBOM);
    read_all(&layout, &referrers[0]).await;
    // The Go tool reads the layout after our write.
    let digest = run(&oras, at, &["resolve", "--oci-layout", "layout:v1"]);
    assert_eq!(digest.trim(), found.digest.to_string());
    assert_eq!(run(&oras, at, &["repo", "tags", "--oci-layout", "layout"]), "ours\nv1\n");
}

#[tokio::test]
async fn go_oras_reads_our_layout() {
    let Some(oras) = peers::find_or_skip(peers::ORAS, "go_oras_reads_our_layout") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let layout = ours(at).await;
    let node = layout.resolve("v1").await.unwrap();
    assert_eq!(run(&oras, at, &["repo", "tags", "--oci-layout", "layout"]), "v1\n");
    let fetched = run(&oras, at, &["manifest", "fetch", "--oci-layout", "layout:v1"]);
    assert!(node.digest.verify(fetched.as_bytes()).unwrap());
    let found = run(&oras, at, &["discover", "--oci-layout", "layout:v1", "--format", "json"]);
    assert!(found.contains(SBOM), "{found}");
    run(&oras, at, &["pull", "--oci-layout", "layout:v1", "-o", "out"]);
    assert_eq!(std::fs::read(at.join("out/hello.txt")).unwrap(), b"hello\n");
    run(&oras, at, &["tag", "--oci-layout", "layout:v1", "theirs"]);
    assert_eq!(layout.resolve("theirs").await.unwrap().digest, node.digest);
    assert_eq!(layout.predecessors(&node, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn exchanges_layouts_with_skopeo() {
    let Some(skopeo) = peers::system_or_skip("skopeo", "exchanges_layouts_with_skopeo") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let node = ours(at).await.resolve("v1").await.unwrap();
    let raw = run(&skopeo, at, &["inspect", "--raw", "oci:layout:v1"]);
    assert!(node.digest.verify(raw.as_bytes()).unwrap());
    run(&skopeo, at, &["--insecure-policy", "copy", "oci:layout:v1", "oci:copy:v2"]);
    assert_eq!(has_hello(&at.join("copy"), "v2").await.digest, node.digest);
    // After our write to a layout of skopeo, skopeo still finds its image.
    let raw = run(&skopeo, at, &["inspect", "--raw", "oci:copy:v2"]);
    assert!(node.digest.verify(raw.as_bytes()).unwrap());
}

#[tokio::test]
async fn exchanges_layouts_with_regctl() {
    let Some(regctl) = peers::find_or_skip(peers::REGCTL, "exchanges_layouts_with_regctl") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let layout = ours(at).await;
    let node = layout.resolve("v1").await.unwrap();
    let raw = run(&regctl, at, &["manifest", "get", "--format", "raw-body", "ocidir://layout:v1"]);
    assert!(node.digest.verify(raw.as_bytes()).unwrap());
    run(&regctl, at, &["image", "copy", "ocidir://layout:v1", "ocidir://copy:v2"]);
    assert_eq!(has_hello(&at.join("copy"), "v2").await.digest, node.digest);

    // regctl stores the referrers of a layout under a tag made of the digest. Our library finds them through
    // this tag.
    let to = ["--artifact-type", SBOM, "--subject", "ocidir://copy:v2"];
    oras_fs::replace(&at.join("sbom.txt"), b"sbom\n", 0o644).unwrap();
    run(&regctl, at, &[&["artifact", "put", "-f", "sbom.txt"][..], &to].concat());
    let copy = Layout::open(at.join("copy")).await.unwrap();
    let referrers = copy.predecessors(&node, Some(&oras_spec::MediaType::new(SBOM))).await.unwrap();
    assert_eq!(referrers.len(), 1);
    read_all(&copy, &referrers[0]).await;
}

#[tokio::test]
async fn exchanges_layouts_with_crane() {
    let test = "exchanges_layouts_with_crane";
    let Some(crane) = peers::find_or_skip(peers::CRANE, test) else { return };
    let Some(registry) = Process::open(Flavor::Crane, test) else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let node = ours(at).await.resolve("v1").await.unwrap();
    // crane pushes the whole layout as an index.
    let remote = format!("{}/all:v1", registry.host());
    run(&crane, at, &["push", "--index", "layout", &remote]);
    let pushed = format!("{}/all@{}", registry.host(), node.digest);
    let raw = run(&crane, at, &["manifest", &pushed]);
    assert!(node.digest.verify(raw.as_bytes()).unwrap());

    run(&crane, at, &["pull", "--format=oci", "--annotate-ref", &pushed, "copy"]);
    let copy = Layout::open(at.join("copy")).await.unwrap();
    let tags: Vec<_> = copy.tags_after(None).try_collect().await.unwrap();
    assert_eq!(tags.len(), 1, "{tags:?}");
    let found = has_hello(&at.join("copy"), &tags[0]).await;
    assert_eq!(found.digest, node.digest);
}
