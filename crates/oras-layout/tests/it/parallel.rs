//! Parallel writers lose no changes: tasks of one handle, threads with a handle each, processes, and killed processes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use oras_layout::Layout;
use oras_store::{PushMode, ReadStore, Source, Target};
use oras_testkit::nodes::{blob, empty, manifest, push_all, referrer};

use crate::{index_of, names};

/// The environment variable with the layout to which this test binary writes if it runs as one of the
/// writers.
const WRITER: &str = "ORAS_LAYOUT_TEST_WRITER";

/// Writes one artifact under its own tag.
async fn write(layout: &Layout, name: &str) {
    let layer = blob(format!("layer of {name}"));
    let node = manifest(name, &[&layer]);
    push_all(layout, &[&layer, &node]).await;
    layout.push(&node, PushMode::Tagged(name)).await.unwrap();
}

pub(crate) async fn tags(path: &Path) -> Vec<String> {
    Layout::open(path).await.unwrap().tags_after(None).try_collect().await.unwrap()
}

fn expected() -> Vec<String> {
    (0..12).map(|number| format!("t{number:02}")).collect()
}

#[test]
fn keeps_the_tags_of_twelve_threads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| {
        for name in expected() {
            let path = &path;
            scope.spawn(move || {
                runtime()
                    .block_on(async { write(&Layout::open_or_create(path).await.unwrap(), &name).await });
            });
        }
    });
    assert_eq!(runtime().block_on(tags(&path)), expected());
    assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_tags_of_many_tasks_of_one_handle() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(directory.path().join("layout")).await.unwrap();
    let subject = manifest("subject", &[]);
    push_all(&layout, &[&subject]).await;
    let nodes: Vec<_> =
        (0..100).map(|number| referrer(&format!("{number}"), "test/type", &subject)).collect();
    let pushed = join_all(nodes.iter().map(|node| layout.push(node, PushMode::Untagged))).await;
    assert!(pushed.iter().all(Result::is_ok), "{pushed:?}");
    assert_eq!(layout.predecessors(subject.descriptor(), None).await.unwrap().len(), 100);
    assert_eq!(index_of(layout.path())["manifests"].as_array().unwrap().len(), 101);
}

#[tokio::test]
async fn does_not_write_a_dropped_change_later() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(directory.path().join("layout")).await.unwrap();
    let (a, b) = (manifest("a", &[]), manifest("b", &[]));
    push_all(&layout, &[&a, &b]).await;
    for round in 0..30 {
        layout.push(&b, PushMode::Tagged("v1")).await.unwrap();
        let patience = Duration::from_micros(20 * round);
        let dropped =
            tokio::time::timeout(patience, join_all((0..3).map(|_| layout.push(&a, PushMode::Tagged("v1")))))
                .await;
        // The cancelled write may have succeeded or not. After another handle has moved the tag, the write
        // must not change it any more.
        tokio::time::sleep(Duration::from_millis(5)).await;
        Layout::open(layout.path()).await.unwrap().push(&b, PushMode::Tagged("v1")).await.unwrap();
        layout.push(&a, PushMode::Tagged("other")).await.unwrap();
        let now = layout.resolve("v1").await.unwrap();
        assert_eq!(now.digest, b.descriptor().digest, "round {round}: {dropped:?}");
    }
}

/// Not a test: [`spawn`] runs this in separate processes.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the parent says by variables what to write")]
async fn writer() {
    let Some(writer) = std::env::var_os(WRITER) else { return };
    let writer = writer.into_string().unwrap();
    let (name, path) = writer.split_once('=').unwrap();
    let layout = Layout::open_or_create(path).await.unwrap();
    if name != "forever" {
        return write(&layout, name).await;
    }
    for number in 0_u64.. {
        write(&layout, &format!("{}-{number}", std::process::id())).await;
    }
}

pub(crate) fn spawn(path: &Path, name: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "parallel::writer"]).env(WRITER, format!("{name}={}", path.display()));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn keeps_the_tags_of_twelve_processes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let writers: Vec<_> = expected().iter().map(|name| spawn(&path, name)).collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    assert_eq!(tags(&path).await, expected());
    assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn stays_readable_after_processes_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..12_u64 {
        // In some rounds, the writers are killed while they create the layout. In other rounds, the layout
        // exists already.
        let path = directory.path().join(format!("layout{}", round / 4));
        let mut writers = [spawn(&path, "forever"), spawn(&path, "forever")];
        tokio::time::sleep(Duration::from_millis(10 + 37 * round)).await;
        for writer in &mut writers {
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        let layout = Layout::open_or_create(&path).await.unwrap();
        for tag in layout.tags_after(None).try_collect::<Vec<_>>().await.unwrap() {
            let node = layout.resolve(&tag).await.unwrap();
            assert!(layout.exists(&node).await.unwrap(), "{tag}");
            let source: std::sync::Arc<dyn Source> = std::sync::Arc::new(layout.clone());
            oras_testkit::nodes::read(&source, &node).await.unwrap();
        }
        layout.push(&empty(), PushMode::Untagged).await.unwrap();
        write(&layout, "afterwards").await;
        assert!(tags(&path).await.contains(&"afterwards".to_owned()));
    }
}
