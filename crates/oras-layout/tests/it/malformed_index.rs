//! Random `index.json` files, which are read or rejected quickly, and never overwritten if they are rejected.

use std::time::{Duration, Instant};

use oras_layout::Layout;
use oras_store::{PushMode, ReadStore, Target};
use oras_testkit::nodes::{blob, bytes, empty, manifest, push_all};
use oras_testkit::random::Random;

use crate::Directories;

/// The duration of the test.
const PATIENCE: Duration = Duration::from_secs(3);
/// The maximum duration for one document.
const LIMIT: Duration = Duration::from_secs(2);

const PIECES: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "-1",
    "4611686018427387904",
    "\\u0000",
    "sha256:../../x",
    "\"manifests\":[],",
    "é",
];

#[tokio::test]
async fn reads_or_rejects_any_index() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let layer = blob(bytes(10));
    let config = empty();
    let root = manifest("a", &[&layer]);
    push_all(&layout, &[&config, &layer, &root]).await;
    layout.push(&root, PushMode::Tagged("v1")).await.unwrap();
    let path = layout.path().join("index.json");
    let known = std::fs::read(&path).unwrap();
    let mut numbers = Random(31);
    let mut below = |limit: usize| numbers.below(limit);
    let (begun, mut read) = (Instant::now(), 0_u32);
    while begun.elapsed() < PATIENCE {
        let mut text = known.clone();
        for _ in 0..below(5) {
            let start = below(text.len());
            let end = (start + below(30)).min(text.len());
            match below(3) {
                0 => text[start] ^= 1 << below(8),
                1 => drop(text.drain(start..end)),
                _ => drop(text.splice(start..start, PIECES[below(PIECES.len())].bytes())),
            }
        }
        oras_fs::replace(&path, &text, 0o644).unwrap();
        let one = Instant::now();
        let shown = || String::from_utf8_lossy(&text).into_owned();
        let Ok(opened) = Layout::open(layout.path()).await else { continue };
        read += u32::from(opened.resolve("v1").await.is_ok());
        drop(futures::TryStreamExt::try_collect::<Vec<_>>(opened.tags_after(None)).await);
        if opened.push(&root, PushMode::Tagged("v2")).await.is_ok() {
            let again = Layout::open(layout.path()).await.unwrap();
            assert!(again.resolve("v2").await.is_ok(), "{}", shown());
        } else {
            assert_eq!(std::fs::read(&path).unwrap(), text, "{}", shown());
        }
        assert!(one.elapsed() < LIMIT, "takes {:?}: {}", one.elapsed(), shown());
    }
    assert!(read > 10, "only {read} were read");
}
