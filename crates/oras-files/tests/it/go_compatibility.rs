//! The uncompressed tar is identical to that of the Go tool.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use oras_files::Collection;
use oras_spec::{Descriptor, Manifest, MediaType, View, annotation};
use oras_testkit::random::Random;

#[expect(clippy::disallowed_methods, reason = "tests find what was installed for this user")]
fn oras(test: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let program = cache.unwrap_or_else(home).join("oras-peers/oras-v1.3.6/oras");
    if program.exists() {
        return Some(program);
    }
    if let Some(log) = std::env::var_os("ORAS_SKIPPED_LOG") {
        let mut file = File::options().append(true).create(true).open(log).unwrap();
        writeln!(file, "skipped: needs oras ({test})").unwrap();
    }
    None
}

/// Creates a tree with names, modes and times that are hard to encode.
fn nasty(root: &Path) {
    fs::create_dir(root).unwrap();
    let file = |path: PathBuf, size: usize| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(&b"oras and tar\n".repeat(size)[..size]).unwrap();
    };
    for size in [0, 1, 511, 512, 513, 1 << 20, (3 << 20) + 5] {
        file(root.join(format!("size-{size}")), size);
    }
    // Around the limits of the name and prefix fields, with the title's `d/` before them.
    for length in [96, 97, 98, 99, 100, 101, 150, 200, 250] {
        file(root.join("n".repeat(length)), 3);
    }
    for (directory, name) in
        [(50, 47), (50, 48), (120, 60), (151, 90), (152, 99), (153, 100), (154, 4), (200, 9)]
    {
        file(root.join("p".repeat(directory)).join("f".repeat(name)), 3);
    }
    file(root.join("q".repeat(96)).join("after the slash"), 3);
    file(root.join("r/".repeat(180)).join("deep"), 3);
    file(root.join("s".repeat(90)).join("t".repeat(90)).join("u".repeat(90)), 3);
    for name in ["é", "日本語/ファイル", "a b", "a\nb", "A", "a-b/x", "a/x", "a.b", "ü".repeat(60).as_str()]
    {
        file(root.join(name), 3);
    }
    file(root.join("v".repeat(95)).join("é/x"), 3);
    file(root.join(OsStr::from_bytes(b"not\xffutf8")), 3);
    fs::create_dir_all(root.join("empty/empty")).unwrap();
    let links =
        ["a/x", "/abs", "../..", "nowhere", "é", &"l".repeat(100), &"l".repeat(101), &"m/".repeat(150)];
    for (at, target) in links.iter().enumerate() {
        symlink(target, root.join(format!("link-{at}"))).unwrap();
        // The name fits only with a prefix. If the link target needs a record, the name gets a record, too.
        symlink(target, root.join("p".repeat(120)).join(format!("{}{at}", "f".repeat(60)))).unwrap();
    }
    symlink(format!("{}/x", "k".repeat(99)), root.join("link-cut-behind-slash")).unwrap();
    symlink(OsStr::from_bytes(b"t\xfe"), root.join("link-not-utf8")).unwrap();
    fs::hard_link(root.join("size-513"), root.join("zz-hard")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("fifo")).status().unwrap().success());
    for (name, mode) in [("size-1", 0o4755), ("size-511", 0o2640), ("empty", 0o1777), ("size-512", 0o400)] {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let times = [
        UNIX_EPOCH + Duration::from_millis(1_700_000_000_700),
        UNIX_EPOCH + Duration::from_millis(1_700_000_000_500),
        UNIX_EPOCH + Duration::from_nanos(1_700_000_000_499_999_999),
        UNIX_EPOCH - Duration::from_secs(1000),
        UNIX_EPOCH - Duration::from_millis(2500),
        UNIX_EPOCH - Duration::from_millis(2501),
        UNIX_EPOCH - Duration::from_millis(400),
        UNIX_EPOCH + Duration::from_secs(8_589_934_591),
        UNIX_EPOCH + Duration::from_secs(8_589_934_592),
    ];
    for (at, time) in times.into_iter().enumerate() {
        let path = root.join(format!("time-{at}"));
        file(path.clone(), 3);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
}

/// Returns the layer that Go's `oras push` creates for the directory `argument`.
fn pushed_by_go(program: &Path, work: &Path, argument: &str) -> Descriptor {
    let layout = tempfile::tempdir().unwrap();
    let reference = format!("{}:v1", layout.path().join("L").display());
    let output = Command::new(program)
        .args(["push", "--disable-path-validation", "--oci-layout", &reference, argument])
        .current_dir(work)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new(program)
        .args(["manifest", "fetch", "--oci-layout", &reference])
        .current_dir(work)
        .output()
        .unwrap();
    let manifest = Manifest::parse(&MediaType::IMAGE_MANIFEST, output.stdout.into()).unwrap();
    let View::Image(image) = manifest.view() else { panic!("not an image manifest") };
    image.layers[0].clone()
}

#[tokio::test]
async fn packs_directories_like_go() {
    let Some(program) = oras("packs_directories_like_go") else { return };
    let work = tempfile::tempdir().unwrap();
    let tree = work.path().join("d");
    nasty(&tree);
    let other = tree.join("a");
    let absolute = tree.display().to_string();
    let named =
        [(work.path(), "d"), (&tree, "."), (&other, ".."), (&other, "../a"), (work.path(), &absolute)];
    for (directory, argument) in named {
        let title = oras_files::title_of(argument);
        let layer = Collection::new().add(&title, &directory.join(argument), None).await.unwrap();
        assert_eq!(layer.annotations[annotation::UNPACK], "true");
        let expected = pushed_by_go(&program, directory, argument);
        let digest = |layer: &Descriptor| layer.annotations[annotation::CONTENT_DIGEST].clone();
        assert_eq!(digest(&layer), digest(&expected), "{argument}");
    }
}

/// Independent blocks cost compression, so the text must fill several blocks.
#[tokio::test]
async fn packs_text_no_larger_than_go() {
    let Some(program) = oras("packs_text_no_larger_than_go") else { return };
    let work = tempfile::tempdir().unwrap();
    fs::create_dir(work.path().join("d")).unwrap();
    let mut numbers = Random(1);
    let words = ["descriptor", "digest", "manifest", "blob", "layer", "subject", "tag", "mount"];
    for file in 0..800 {
        let mut text = String::new();
        while text.len() < 6000 {
            let value = numbers.below(1 << 20);
            text += &format!("{} = {value:x};\n", numbers.pick(&words));
        }
        let path = work.path().join(format!("d/{file}.txt"));
        File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let layer = Collection::new().add("d", &work.path().join("d"), None).await.unwrap();
    let expected = pushed_by_go(&program, work.path(), "d");
    assert!(layer.size <= expected.size, "{} of {}", layer.size, expected.size);
}
