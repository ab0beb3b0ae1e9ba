//! Layouts whose blobs are symbolic links, as Bazel and other build tools create them. Commands read them
//! like other layouts, and never write through the links.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use oras_testkit::peers;
use oras_testkit::registry::{Flavor, Options, Process};

use crate::sandbox::{Sandbox, ours, snapshot, texts};

/// The part of a layout that is a link.
#[derive(Clone, Copy, Debug)]
enum Linked {
    /// Each blob is an absolute link.
    Blobs,
    /// Each blob is a relative link to a link.
    Chains,
    /// The directory `blobs/sha256`.
    Algorithm,
    /// The directory `blobs`.
    Directory,
    /// `index.json` and `oci-layout`.
    Documents,
}

const ALL: [Linked; 5] =
    [Linked::Blobs, Linked::Chains, Linked::Algorithm, Linked::Directory, Linked::Documents];

/// Creates a sandbox with `layout:v1`. The linked part is in `store`, outside of the layout.
fn sandbox(linked: Linked) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("f", "content");
    sandbox.file("d/g", "more");
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "f", "d", "--artifact-type", "a/b"]);
    fs::create_dir(sandbox.path("store")).unwrap();
    let (layout, store) = (sandbox.path("layout"), sandbox.path("store"));
    let blobs = layout.join("blobs/sha256");
    match linked {
        Linked::Algorithm => move_and_link(&blobs, &store.join("sha256")),
        Linked::Directory => move_and_link(&layout.join("blobs"), &store.join("blobs")),
        Linked::Documents => {
            for name in ["index.json", "oci-layout"] {
                move_and_link(&layout.join(name), &store.join(name));
            }
        }
        Linked::Blobs | Linked::Chains => {
            for blob in paths(&blobs) {
                let stored = store.join(blob.file_name().unwrap());
                move_and_link(&blob, &stored);
                if matches!(linked, Linked::Chains) {
                    let middle = stored.with_extension("link");
                    symlink(stored.file_name().unwrap(), &middle).unwrap();
                    fs::remove_file(&blob).unwrap();
                    let relative = Path::new("../../../store").join(middle.file_name().unwrap());
                    symlink(relative, &blob).unwrap();
                }
            }
        }
    }
    sandbox
}

fn paths(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn move_and_link(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
    symlink(to, from).unwrap();
}

/// Returns the content, modes and times of everything below `store`.
fn state(sandbox: &Sandbox) -> String {
    let root = sandbox.path("store");
    let mut times: Vec<_> = walk(&root)
        .into_iter()
        .map(|path| (path.clone(), fs::symlink_metadata(&path).unwrap()))
        .map(|(path, found)| (path, found.mtime(), found.mtime_nsec(), found.nlink()))
        .collect();
    times.sort();
    format!("{:?}\n{times:?}", snapshot(&root))
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let inside = |path: PathBuf| if path.is_dir() && !path.is_symlink() { walk(&path) } else { vec![path] };
    paths(directory).into_iter().flat_map(inside).collect()
}

#[test]
fn every_command_reads_linked_layouts_without_changing_them() {
    let test = "every_command_reads_linked_layouts_without_changing_them";
    let Some(registry) = Process::start(Flavor::Distribution, &Options::default(), test) else { return };
    for linked in ALL {
        let sandbox = sandbox(linked);
        let before = state(&sandbox);
        let remote = format!("{}/a:v1", registry.host());
        for words in [
            &["pull", "--oci-layout", "layout:v1", "-o", "out"][..],
            &["cp", "-r", "--from-oci-layout", "layout:v1", "--to-oci-layout", "copy:v1"],
            &["cp", "--from-oci-layout", "layout:v1", &remote],
            &["backup", "--oci-layout", "-o", "backup.tar", "layout:v1"],
            &["restore", "--input", "layout", &remote],
            &["discover", "--oci-layout", "layout:v1"],
            &["manifest", "fetch", "--oci-layout", "layout:v1"],
            &["layout", "ls", "layout"],
            &["layout", "du", "layout"],
            &["layout", "check", "layout"],
            &["pull", "--oci-layout", "copy:v1", "-o", "again"],
            &["pull", &remote, "-o", "third"],
        ] {
            if words[0] == "backup" && !sandbox.run(&ours(), words).status.success() {
                // `backup` reads only from registries.
                continue;
            }
            sandbox.oras(words);
        }
        for out in ["out", "again", "third"] {
            let found = fs::symlink_metadata(sandbox.path(&format!("{out}/f"))).unwrap();
            assert!(found.is_file() && !found.is_symlink(), "{linked:?} {out}");
            assert_eq!(
                fs::read_to_string(sandbox.path(&format!("{out}/f"))).unwrap(),
                "content",
                "{linked:?}"
            );
            assert_eq!(
                fs::read_to_string(sandbox.path(&format!("{out}/d/g"))).unwrap(),
                "more",
                "{linked:?}"
            );
        }
        assert!(walk(&sandbox.path("copy")).iter().all(|path| !path.is_symlink()), "{linked:?}");
        assert_eq!(state(&sandbox), before, "{linked:?}");
    }
}

#[test]
fn go_tool_and_skopeo_read_same_linked_layouts() {
    let test = "go_tool_and_skopeo_read_same_linked_layouts";
    let (go, skopeo) = (peers::find_or_skip(peers::ORAS, test), peers::system_or_skip("skopeo", test));
    let (Some(go), Some(skopeo)) = (go, skopeo) else { return };
    for linked in ALL {
        let sandbox = sandbox(linked);
        sandbox.ok(&go, &["pull", "--oci-layout", "layout:v1", "-o", "out"]);
        assert_eq!(fs::read_to_string(sandbox.path("out/f")).unwrap(), "content", "{linked:?}");
        sandbox.ok(&skopeo, &["inspect", "--raw", "oci:layout:v1"]);
    }
}

#[test]
fn never_writes_through_link() {
    for linked in ALL {
        let sandbox = sandbox(linked);
        let before = state(&sandbox);
        sandbox.file("new", "new content");
        let push = sandbox.run(&ours(), &["push", "--oci-layout", "layout:v2", "new"]);
        let refused = matches!(linked, Linked::Algorithm | Linked::Directory);
        let (out, err) = texts(&push);
        assert_eq!(push.status.code(), Some(i32::from(refused)), "{linked:?}\n{out}\n{err}");
        assert_eq!(err.contains("is a symbolic link: the layout can be read, not changed"), refused, "{err}");
        if !refused {
            sandbox.oras(&["pull", "--oci-layout", "layout:v2", "-o", "new-out"]);
            assert_eq!(fs::read_to_string(sandbox.path("new-out/new")).unwrap(), "new content");
        }
        // These commands may fail, but they must not change the linked files.
        sandbox.run(&ours(), &["tag", "--oci-layout", "layout:v1", "v3"]);
        sandbox.run(&ours(), &["manifest", "delete", "--force", "--oci-layout", "layout:v1"]);
        sandbox.run(&ours(), &["untag", "--force", "--oci-layout", "layout:v1"]);
        sandbox.run(&ours(), &["layout", "gc", "--untagged", "--grace", "0", "layout"]);
        sandbox.run(&ours(), &["layout", "repair", "layout"]);
        assert_eq!(state(&sandbox), before, "{linked:?}");
    }
}

#[test]
fn rejects_links_to_special_files() {
    let blob = |sandbox: &Sandbox| {
        let file = oras_spec::Digest::sha256(b"content").encoded().to_owned();
        sandbox.path("layout/blobs/sha256").join(file)
    };
    for target in ["/dev/zero", "pipe", "/", "missing", "self"] {
        for name in ["blob", "index.json", "oci-layout"] {
            let sandbox = sandbox(Linked::Documents);
            sandbox.ok("/usr/bin/mkfifo".as_ref(), &["pipe"]);
            let link = if name == "blob" { blob(&sandbox) } else { sandbox.path("layout").join(name) };
            fs::remove_file(&link).unwrap();
            let target = match target {
                "pipe" => sandbox.path("pipe"),
                "self" => link.clone(),
                other => other.into(),
            };
            symlink(target, &link).unwrap();
            let words = ["5", ours().to_str().unwrap(), "pull", "--oci-layout", "layout:v1", "-o", "out"]
                .map(str::to_owned);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let output = sandbox.run("/usr/bin/timeout".as_ref(), &words);
            let (out, err) = texts(&output);
            assert_eq!(output.status.code(), Some(1), "{name} -> {link:?}\n{out}\n{err}");
        }
    }
}
