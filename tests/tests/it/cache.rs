//! `ORAS_CACHE_SIZE` limits the size of the cache, also with concurrent processes and the Go tool.

use std::fs::{File, FileTimes};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use oras_testkit::files::write_file;
use oras_testkit::peers;
use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, ours, snapshot, texts};

const PIECE: usize = 100 * 1024;

struct Cache {
    registry: Process,
    sandbox: Sandbox,
}

impl Cache {
    /// Starts a registry with `count` artifacts of one file each.
    fn with_artifacts(count: u8) -> Self {
        let cache = Self { registry: Process::ours(&[]), sandbox: Sandbox::new() };
        for number in 0..count {
            cache.sandbox.file("file.bin", vec![number; PIECE]);
            cache.sandbox.oras(&["push", &cache.name(number), "file.bin"]);
        }
        cache
    }

    fn name(&self, number: u8) -> String {
        format!("{}/a{number}:v1", self.registry.host())
    }

    fn pull_by(&self, program: &Path, number: u8, size: &str) -> Command {
        let output = format!("out{number}");
        let mut command = self.sandbox.command(program, &["pull", &self.name(number), "-o", &output]);
        command.env("ORAS_CACHE", self.sandbox.path("cache")).env("ORAS_CACHE_SIZE", size);
        command
    }

    fn pull(&self, number: u8, size: &str) {
        // A pull does not read existing files from the registry or the cache, so they are deleted.
        drop(std::fs::remove_dir_all(self.sandbox.path(&format!("out{number}"))));
        let output = self.pull_by(&ours(), number, size).output().unwrap();
        assert!(output.status.success(), "{:?}", texts(&output));
        let file = std::fs::read(self.sandbox.path(&format!("out{number}/file.bin"))).unwrap();
        assert_eq!(file, vec![number; PIECE]);
    }

    fn has(&self, number: u8) -> bool {
        let digest = oras_spec::Digest::sha256(&vec![number; PIECE]);
        self.sandbox.path("cache/blobs/sha256").join(digest.encoded()).exists()
    }

    /// Sets the last use and the last size count of the whole cache to a time in the past.
    fn rest(&self, minutes: u64) {
        let then = self.rest_blobs(minutes, 0..=u64::MAX);
        let file = self.sandbox.path("cache/cache-size");
        if let Ok(text) = std::fs::read_to_string(&file) {
            let bytes = text.split_once(' ').unwrap().0;
            let then = then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            self.sandbox.file("cache/cache-size", format!("{bytes} {then}\n"));
        }
    }

    /// Sets the last use of the manifests to a time in the past.
    fn rest_manifests(&self, minutes: u64) {
        // The empty config has two bytes.
        self.rest_blobs(minutes, 3..=PIECE as u64 - 1);
    }

    fn rest_blobs(&self, minutes: u64, sizes: RangeInclusive<u64>) -> SystemTime {
        let then = SystemTime::now() - Duration::from_secs(minutes * 60);
        for blob in std::fs::read_dir(self.sandbox.path("cache/blobs/sha256")).unwrap() {
            let blob = File::open(blob.unwrap().path()).unwrap();
            let metadata = blob.metadata().unwrap();
            if sizes.contains(&metadata.len()) {
                let used = metadata.accessed().unwrap().min(then);
                blob.set_times(FileTimes::new().set_accessed(used).set_modified(used)).unwrap();
            }
        }
        then
    }
}

#[test]
fn evicts_least_recently_pulled_content() {
    let cache = Cache::with_artifacts(4);
    for (number, minutes) in [(0, 40), (1, 30), (2, 20)] {
        cache.pull(number, "350K");
        cache.rest(minutes);
    }
    cache.pull(0, "350K");
    cache.pull(3, "350K");
    assert_eq!([0, 1, 2, 3].map(|number| cache.has(number)), [true, false, true, true]);
    // The evicted content is fetched again.
    cache.rest(10);
    cache.pull(1, "350K");
    assert_eq!([0, 1, 2, 3].map(|number| cache.has(number)).iter().filter(|there| **there).count(), 3);
}

#[test]
fn zero_disables_limit_and_invalid_size_is_reported() {
    let cache = Cache::with_artifacts(3);
    for number in 0..3 {
        cache.pull(number, "0");
        cache.rest(60);
    }
    assert!((0..3).all(|number| cache.has(number)));
    assert!(!cache.sandbox.path("cache/cache-size").exists());
    let output = cache.pull_by(&ours(), 0, "much").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("ORAS_CACHE_SIZE: invalid size \"much\""), "{:?}", texts(&output));
}

#[test]
fn does_not_cache_blob_larger_than_limit() {
    let cache = Cache::with_artifacts(1);
    cache.pull(0, "50K");
    assert!(!cache.has(0));
}

#[test]
fn evicts_from_concurrent_processes() {
    const COUNT: u8 = 12;
    let cache = Cache::with_artifacts(COUNT);
    for number in 0..COUNT / 2 {
        cache.pull(number, "0");
        cache.rest(60);
    }
    let running: Vec<_> =
        (0..COUNT).map(|number| cache.pull_by(&ours(), number, "450K").spawn().unwrap()).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    for number in 0..COUNT {
        let output = snapshot(&cache.sandbox.path(&format!("out{number}")));
        assert_eq!(output.len(), 1, "{number}");
    }
    // All content was used just now. After ten minutes, the next write evicts content.
    cache.rest(10);
    let before = (0..COUNT).filter(|number| cache.has(*number)).count();
    cache.sandbox.file("file.bin", vec![COUNT; PIECE]);
    cache.sandbox.oras(&["push", &cache.name(COUNT), "file.bin"]);
    cache.pull(COUNT, "450K");
    let left = (0..=COUNT).filter(|number| cache.has(*number)).count();
    assert!(left <= 4 && left < before && cache.has(COUNT), "{before} {left}");
}

#[test]
fn go_tool_uses_cache_after_eviction() {
    let test = "go_tool_uses_cache_after_eviction";
    let Some(go) = peers::find_or_skip(peers::ORAS, test) else { return };
    let cache = Cache::with_artifacts(4);
    let by_go = |number| {
        let output = cache.pull_by(&go, number, "").output().unwrap();
        assert!(output.status.success(), "{:?}", texts(&output));
    };
    by_go(0);
    by_go(1);
    cache.rest(60);
    cache.rest_manifests(90);
    // The first write of our tool also counts the content that the Go tool wrote.
    cache.pull(2, "250K");
    assert!(!(cache.has(0) && cache.has(1)) && cache.has(2));
    // The manifests were evicted first, together with their index entries.
    let listed = std::fs::read_to_string(cache.sandbox.path("cache/index.json")).unwrap();
    assert_eq!(listed.matches("image.manifest").count(), 1, "{listed}");
    for number in 0..4 {
        by_go(number);
        assert!(cache.has(number), "{number}");
    }
    cache.rest(60);
    cache.pull(3, "250K");
    by_go(3);
}

#[test]
fn rebuilds_damaged_cache_with_warning() {
    let damage = [
        ("index.json", "{ damaged"),
        ("index.json", ""),
        ("index.json", "{\"manifests\":7}"),
        ("oci-layout", "nonsense"),
        ("oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}"),
    ];
    for (name, damage) in damage {
        let cache = Cache::with_artifacts(2);
        cache.pull(0, "1G");
        let path = cache.sandbox.path("cache").join(name);
        std::fs::remove_file(&path).unwrap();
        write_file(&path, damage);
        let output = cache.pull_by(&ours(), 1, "1G").output().unwrap();
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{name}\n{out}\n{err}");
        assert!(err.contains("Warning: rebuilt the cache at"), "{name}\n{err}");
        assert!(cache.has(0) && cache.has(1), "{name}");
        cache.pull(0, "1G");
        cache.pull(1, "1G");
    }
}

#[test]
fn leaves_unreadable_cache_untouched() {
    let cache = Cache::with_artifacts(1);
    cache.sandbox.file("cache", "a file of somebody");
    let output = cache.pull_by(&ours(), 0, "1G").output().unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(err.contains("Warning: reading without the cache at"), "{err}");
    assert_eq!(std::fs::read_to_string(cache.sandbox.path("cache")).unwrap(), "a file of somebody");
}
