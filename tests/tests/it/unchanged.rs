//! What is there already is not fetched again.

use oras_testkit::scripted::Scripted;
use oras_testkit::shelf::Shelf;

use crate::sandbox::Sandbox;

#[test]
fn a_second_pull_asks_for_no_blob_and_says_the_same() {
    let sandbox = Sandbox::new();
    let shelf = Shelf::new();
    let large = vec![7; 5 << 20];
    shelf.files("a", "v1", &[("small.txt", b"hello world\n"), ("below/large", &large)]);
    let server = Scripted::start(move |asked| shelf.reply(asked));
    let source = format!("{}/a:v1", server.host());
    let blobs = || {
        let asked = server.asked().into_iter();
        asked.filter(|asked| asked.method == "GET" && asked.path.contains("/blobs/")).count()
    };
    let pull = || {
        let mut lines: Vec<_> = sandbox
            .oras(&["pull", "--plain-http", &source, "-o", "out"])
            .lines()
            .map(ToOwned::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let said = pull();
    let fetched = blobs();
    assert!(fetched >= 2, "{fetched}");
    assert_eq!(pull(), said);
    assert_eq!(blobs(), fetched);
    sandbox.file("out/small.txt", "hello wordl\n");
    pull();
    assert_eq!(blobs(), fetched + 1);
    assert_eq!(std::fs::read(sandbox.path("out/small.txt")).unwrap(), b"hello world\n");
    assert!(!sandbox.path("out/.oras-partial").exists());
}
