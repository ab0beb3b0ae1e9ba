//! Real exFAT and FAT file systems, as USB sticks have them: no links, no modes, no names with `:`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oras_testkit::peers;
use oras_testkit::registry::Process;

use crate::download_resume;
use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

const EXFAT: &str = "exFAT";
const FAT: &str = "FAT";
const LOST_MODES: &str = "Warning: the file system keeps no file modes";

/// A file system in a file, mounted at `m` in a sandbox.
struct Mounted {
    place: PathBuf,
    device: Option<String>,
}

impl Mounted {
    /// Mounts the file system of the sandbox, and creates it if necessary. If this is not possible, reports a
    /// skipped test.
    fn new(sandbox: &Sandbox, kind: &str, test: &str) -> Option<Self> {
        let (maker, driver) =
            if kind == EXFAT { ("mkfs.exfat", "mount.exfat-fuse") } else { ("mkfs.fat", "fusefat") };
        let maker = peers::system_or_skip(maker, test)?;
        let driver = peers::system_or_skip(driver, test)?;
        let image = sandbox.path("../image");
        let place = sandbox.path("m");
        if !image.exists() {
            std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
            std::fs::create_dir_all(&place).unwrap();
            let mut make = Command::new(maker);
            if kind == FAT {
                make.args(["-F", "32"]);
            }
            assert!(make.arg(&image).output().unwrap().status.success());
        }
        let mut device = None;
        let mut mount = Command::new(driver);
        if kind == EXFAT {
            // The driver takes block devices only.
            let attached = Command::new("losetup").args(["-f", "--show"]).arg(&image).output();
            let Some(attached) = attached.ok().filter(|attached| attached.status.success()) else {
                peers::skipped("loop devices", test);
                return None;
            };
            let name = texts(&attached).0.trim().to_owned();
            mount.arg(&name);
            device = Some(name);
        } else {
            mount.args(["-o", "rw+"]).arg(&image);
        }
        let mounted = Self { place, device };
        drop(mount.arg(&mounted.place).output());
        if !mounted.is_mounted() {
            peers::skipped("permission to mount by FUSE", test);
            return None;
        }
        Some(mounted)
    }

    fn is_mounted(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let place = self.place.canonicalize().unwrap();
        mounts.lines().any(|line| line.split(' ').nth(1) == place.to_str())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted() {
            drop(Command::new("umount").arg(&self.place).status());
        }
        if let Some(device) = &self.device {
            drop(Command::new("losetup").args(["-d", device]).status());
        }
    }
}

/// Runs our tool, which must succeed. Returns its standard error.
fn warned(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.run(&ours(), words);
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{words:?}\n{out}\n{err}");
    err
}

fn read(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(sandbox.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).map(|entries| entries.flatten().collect::<Vec<_>>());
    let mut names: Vec<_> = entries
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn writes_layouts_to_simple_file_systems() {
    let test = "writes_layouts_to_simple_file_systems";
    for kind in [EXFAT, FAT] {
        let sandbox = Sandbox::new();
        let Some(_mounted) = Mounted::new(&sandbox, kind, test) else { continue };
        sandbox.file("f", "content\n");
        sandbox.file("d/sub/g", "more\n");
        sandbox.file("big", vec![7; 6 << 20]);
        sandbox.oras(&["push", "--oci-layout", "from:v1", "f", "d", "big"]);
        let copy = ["cp", "--from-oci-layout", "from:v1", "--to-oci-layout"];
        let said = warned(&sandbox, &[&copy[..], &["m/l:v1"]].concat());
        assert_eq!(said.matches(LOST_MODES).count(), 1, "{kind}: {said}");
        sandbox.oras(&[&copy[..], &["m/l:v2"]].concat());
        sandbox.oras(&["cp", "--from-oci-layout", "m/l:v1", "--to-oci-layout", "m/again:v1"]);
        for files in [&["f", "d"][..], &["f", "d", "big"]] {
            sandbox.oras(&[&["push", "--oci-layout", "m/p:v1"], files].concat());
        }
        sandbox.oras(&["tag", "--oci-layout", "m/p:v1", "v2"]);
        sandbox.oras(&["attach", "--oci-layout", "m/p:v1", "--artifact-type", "a/b", "f"]);
        for from in ["m/l:v2", "m/again:v1", "m/p:v2"] {
            drop(std::fs::remove_dir_all(sandbox.path("out")));
            sandbox.oras(&["pull", "--oci-layout", from, "-o", "out"]);
            assert_eq!(read(&sandbox, "out/d/sub/g"), b"more\n", "{kind} {from}");
            assert_eq!(read(&sandbox, "out/big").len(), 6 << 20, "{kind} {from}");
        }
    }
}

#[test]
fn bundles_cross_air_gap_on_simple_file_systems() {
    let test = "bundles_cross_air_gap_on_simple_file_systems";
    for kind in [EXFAT, FAT] {
        let sandbox = Sandbox::new();
        let Some(_mounted) = Mounted::new(&sandbox, kind, test) else { continue };
        let registry = Process::ours(&[]);
        sandbox.file("f", "content\n");
        sandbox.oras(&["push", &format!("{}/a:v1", registry.host()), "f"]);
        for (number, output) in ["m/layout", "m/archive.tar"].into_iter().enumerate() {
            sandbox.oras(&["backup", "-o", output, &format!("{}/a:v1", registry.host())]);
            let restored = format!("{}/b{number}", registry.host());
            sandbox.oras(&["restore", "--input", output, &format!("{restored}:v1")]);
            sandbox.oras(&["pull", &format!("{restored}:v1"), "-o", &format!("out{number}")]);
            assert_eq!(read(&sandbox, &format!("out{number}/f")), b"content\n", "{kind} {output}");
        }
        let cached = |output: &str| -> Output {
            let mut command =
                sandbox.command(&ours(), &["pull", &format!("{}/a:v1", registry.host()), "-o", output]);
            command.env("ORAS_CACHE", sandbox.path("m/cache")).output().unwrap()
        };
        for output in ["cached1", "cached2"] {
            let output = cached(output);
            assert!(output.status.success(), "{kind}: {:?}", texts(&output));
        }
        assert_eq!(names(&sandbox.path("m/cache/blobs/sha256")).len(), 2, "{kind}");

        let served = Served::start(&sandbox, &["m/registry"]);
        let reference = format!("{}/team/app:v1", served.host());
        sandbox.file("big", vec![7; 6 << 20]);
        sandbox.oras(&["push", &reference, "f", "big"]);
        sandbox.oras(&["pull", &reference, "-o", "served"]);
        assert_eq!(read(&sandbox, "served/f"), b"content\n", "{kind}");
    }
}

#[test]
fn unpacks_directories_without_mode_support() {
    let test = "unpacks_directories_without_mode_support";
    let sandbox = Sandbox::new();
    // This test uses only exFAT, because the FAT driver loses the content of a renamed directory.
    let Some(_mounted) = Mounted::new(&sandbox, EXFAT, test) else { return };
    sandbox.tree();
    for link in ["d/link", "d/sub/up"] {
        std::fs::remove_file(sandbox.path(link)).unwrap();
    }
    sandbox.oras(&["push", "--oci-layout", "from:v1", "hi.txt", "d", "small"]);
    let words = ["pull", "--oci-layout", "from:v1", "-o", "m/out"];
    for _ in 0..2 {
        let said = warned(&sandbox, &words);
        assert_eq!(said.matches(LOST_MODES).count(), 1, "{said}");
        assert_eq!(read(&sandbox, "m/out/d/sub/deep/b.bin"), [0, 1, 2, 255].repeat(5000));
        assert_eq!(names(&sandbox.path("m/out")), ["d", "hi.txt", "small"]);
        sandbox.file("m/out/d/a.txt", "changed\n");
    }
    for link in ["symbolic links", "hard links"] {
        let target = sandbox.path("l/link");
        std::fs::create_dir_all(sandbox.path("l")).unwrap();
        drop(std::fs::remove_file(&target));
        sandbox.file("l/a.txt", "a\n");
        match link {
            "hard links" => {
                sandbox.ok(Path::new("/bin/ln"), &["l/a.txt", "l/link"]);
                sandbox.ok(Path::new("/bin/tar"), &["-czf", "l.tgz", "l"]);
            }
            _ => {
                std::os::unix::fs::symlink("a.txt", &target).unwrap();
                sandbox.ok(Path::new("/bin/tar"), &["-czf", "l.tgz", "l"]);
            }
        }
        std::fs::rename(sandbox.path("l.tgz"), sandbox.path("l.link")).unwrap();
        let annotations =
            r#"{"l.link":{"io.deis.oras.content.unpack":"true","org.opencontainers.image.title":"l"}}"#;
        sandbox.file("annotations.json", annotations);
        let layer = "l.link:application/vnd.oci.image.layer.v1.tar+gzip";
        sandbox.oras(&["push", "--oci-layout", "linked:v1", "--annotation-file", "annotations.json", layer]);
        let error = sandbox.fails(&["pull", "--oci-layout", "linked:v1", "-o", "m/linked"]);
        assert!(error.contains(&format!("refuses {link}")), "{error}");
        // Either of the two names of a file may come first in the archive.
        assert!(error.contains("\"l/link\"") || error.contains("\"l/a.txt\""), "{error}");
        assert!(names(&sandbox.path("m/linked")).is_empty(), "{error}");
    }
}

#[test]
fn rejects_unsupported_names_before_writing() {
    let test = "rejects_unsupported_names_before_writing";
    for kind in [EXFAT, FAT] {
        let sandbox = Sandbox::new();
        let Some(_mounted) = Mounted::new(&sandbox, kind, test) else { continue };
        for (number, name) in ["a:b", "a*", "what?", "d/a|b"].into_iter().enumerate() {
            sandbox.file("first", "first\n");
            sandbox.file(name, "content\n");
            let layout = format!("names{number}:v1");
            // A colon separates a name from its media type. So a name with a colon needs an explicit media
            // type.
            let file = format!("{name}:text/plain");
            sandbox.oras(&["push", "--oci-layout", &layout, "first", &file]);
            let output = format!("m/out{number}");
            let error = sandbox.fails(&["pull", "--oci-layout", &layout, "-o", &output]);
            let part = name.rsplit('/').next().unwrap();
            assert!(
                error.contains(&format!("{part:?} is not the name of a file on this file system")),
                "{kind}: {error}"
            );
            assert!(names(&sandbox.path(&output)).is_empty(), "{kind}: {error}");
            let plain = format!("plain{number}");
            sandbox.oras(&["pull", "--oci-layout", &layout, "-o", &plain]);
            assert_eq!(read(&sandbox, &format!("{plain}/{name}")), b"content\n");
        }
        // The same names inside a directory.
        sandbox.file("packed/a:b", "content\n");
        sandbox.oras(&["push", "--oci-layout", "packed-names:v1", "packed"]);
        let error = sandbox.fails(&["pull", "--oci-layout", "packed-names:v1", "-o", "m/packed"]);
        assert!(error.contains("\"a:b\" is not the name of a file on this file system"), "{kind}: {error}");
        sandbox.file("Twin", "one\n");
        sandbox.file("twin", "two\n");
        sandbox.oras(&["push", "--oci-layout", "twins:v1", "Twin", "twin"]);
        let error = sandbox.fails(&["pull", "--oci-layout", "twins:v1", "-o", "m/twins"]);
        assert!(error.contains("differs in case"), "{kind}: {error}");
        assert!(names(&sandbox.path("m/twins")).is_empty(), "{kind}: {error}");
    }
}

#[test]
fn resumes_downloads_without_mode_support() {
    let test = "resumes_downloads_without_mode_support";
    let sandbox = Sandbox::new();
    // This test uses only exFAT, because the FAT driver cannot append to a file that is opened again.
    let Some(_mounted) = Mounted::new(&sandbox, EXFAT, test) else { return };
    let server = download_resume::server();
    let reference = format!("localhost:{}/a:v1", server.port());
    let words = ["pull", &reference, "-o", "m"];
    download_resume::killed(&sandbox, &words, "m");
    let before = server.asked().len();
    sandbox.oras(&words);
    let asked = server.asked().into_iter().skip(before);
    let ranges: Vec<_> = asked.filter_map(|asked| asked.header("range").map(ToOwned::to_owned)).collect();
    assert!(
        ranges.iter().any(|range| range.starts_with(&format!("bytes={}", download_resume::SENT))),
        "{ranges:?}"
    );
    assert!(!sandbox.path("m/.oras-partial").exists());
}

#[test]
fn pushes_two_alternating_images_unchanged() {
    let test = "pushes_two_alternating_images_unchanged";
    let sandbox = Sandbox::new();
    let Some(mounted) = Mounted::new(&sandbox, EXFAT, test) else { return };
    sandbox.file("m/f", vec![b'A'; 2 << 20]);
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "m/f"]);
    drop(mounted);
    // The bytes of the file change, but not its inode, size and times.
    let image = sandbox.path("../image");
    let mut bytes = std::fs::read(&image).unwrap();
    let run =
        bytes.chunk_by_mut(|left, right| left == right).find(|run| run[0] == b'A' && run.len() >= 2 << 20);
    run.unwrap().fill(b'B');
    std::io::Write::write_all(&mut std::fs::File::create(&image).unwrap(), &bytes).unwrap();
    let Some(_mounted) = Mounted::new(&sandbox, EXFAT, test) else { return };
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "m/f"]);
    sandbox.oras(&["pull", "--oci-layout", "layout:v1", "-o", "out"]);
    assert!(read(&sandbox, "out/m/f") == [b'B'; 2 << 20]);
}
