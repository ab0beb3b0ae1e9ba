//! Hostile and randomly damaged archives: nothing is written outside of the output directory, and nothing panics.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oras_files::{FileTarget, LimitExceeded, PullOptions, UnpackLimits};
use oras_spec::{Descriptor, MediaType, annotation};
use oras_store::{Content, ErrorKind, PushMode, Result, Target};
use oras_testkit::random::Random;
use oras_testkit::tarball::{Header, Tarball, gzip, record};

const BLOCK: usize = 512;
/// The duration of the random test.
const TIME: Duration = Duration::from_secs(5);

/// Returns the layer of a directory with the title `d`.
fn layer(archive: Bytes) -> Content {
    let mut descriptor = Descriptor::of(MediaType::LAYER_TAR_GZIP, &archive);
    descriptor.annotations.insert(annotation::TITLE.to_owned(), "d".to_owned());
    descriptor.annotations.insert(annotation::UNPACK.to_owned(), "true".to_owned());
    let stream = futures::stream::iter([Ok(archive)]);
    Content::once(descriptor, Box::pin(stream))
}

async fn unpack(archive: Vec<u8>, output: &Path, options: PullOptions) -> Result<()> {
    let target = FileTarget::new(output.to_owned(), options);
    target.push(&layer(archive.into()), PushMode::Untagged).await?;
    target.commit().await
}

fn seeds() -> Vec<Vec<u8>> {
    let start = || Tarball::new().directory("d");
    vec![
        start().file("d/a", "hello").directory("d/x").file("d/x/b", vec![b'x'; 1500]).done(),
        start().file("d/a", "a").symlink("d/l", "a").symlink("d/x/l", "../a").hard_link("d/h", "d/a").done(),
        start().records(&[("path", "d/é"), ("mtime", "1.5"), ("size", "5")]).file("d/y", "hello").done(),
        start()
            .extension(b'g', record("comment", "x"))
            .extension(b'L', "d/long\0")
            .file("d/y", "hello")
            .done(),
        start().extension(b'K', "a\0").symlink("d/l", "b").header(&Header::new(b'6', "d/pipe")).done(),
        start().symlink("d/l", "x/..").directory("d/x").file("d/l", "new").file("d/l", "newer").done(),
    ]
}

/// Replacements for link targets.
const TARGETS: [&str; 6] = [
    "../../outside",
    "../../outside/victim.txt",
    "/etc/passwd",
    "x/../../../outside",
    "d/../../outside",
    "d/l",
];
/// Replacements for names.
const NAMES: [&str; 12] = [
    "../outside/victim.txt",
    "d/../../outside/victim.txt",
    "/etc/passwd",
    "..",
    "d/l",
    "d/l/victim.txt",
    "../../outside",
    "d",
    "",
    ".",
    "d/x/../../..",
    "d/a\0b",
];

fn damage(archive: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        // Most damage is in headers, because the parser interprets them.
        let starts = (0..archive.len() / BLOCK).map(|at| at * BLOCK);
        let all = random.below(4) == 0;
        let blocks: Vec<_> = starts.filter(|at| all || archive[at + 257..at + 262] == *b"ustar").collect();
        let Some(&block) = blocks.get(random.below(blocks.len())) else { return };
        match random.below(9) {
            0 | 1 => {
                let (field, texts) =
                    [(0, &NAMES[..]), (157, &TARGETS[..]), (345, &NAMES[..])][random.below(3)];
                let text = texts[random.below(texts.len())].as_bytes();
                archive[block + field..block + field + text.len()].copy_from_slice(text);
                archive[block + field + text.len()] = 0;
            }
            2 => archive[block + 156] = b"01234567xgLKSV\0"[random.below(15)],
            3 => {
                let size = format!("{:011o}\0", random.next() >> (31 + random.below(33)));
                archive[block + 124..block + 136].copy_from_slice(&size.as_bytes()[..12]);
            }
            4 => archive[block + random.below(BLOCK)] ^= 1 << random.below(8),
            5 => {
                let from = random.below(archive.len() / BLOCK) * BLOCK;
                archive.copy_within(from..from + BLOCK, block);
            }
            6 => {
                let copy = archive[block..block + BLOCK].to_vec();
                archive.splice(block..block, copy);
            }
            7 if archive.len() > BLOCK => drop(archive.drain(block..block + BLOCK)),
            _ => {
                let records = Tarball::new().records(&[("path", NAMES[random.below(NAMES.len())])]);
                archive.splice(block..block, records.open_end());
            }
        }
    }
    // Most damaged headers get a right checksum, so that the parser reads their fields.
    if random.below(8) > 0 {
        for header in archive.chunks_exact_mut(BLOCK).filter(|block| block[257..262] == *b"ustar") {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// Returns true if nothing was added outside of `out`, and no link in `out` leads out of it.
fn untouched(root: &Path) -> bool {
    let names: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let outside: Vec<_> = fs::read_dir(root.join("outside")).unwrap().map(Result::unwrap).collect();
    let victim = fs::read(root.join("outside/victim.txt")).unwrap_or_default();
    names.iter().all(|name| name == "out" || name == "outside")
        && outside.len() == 1
        && victim == b"untouched"
        && links_stay(&root.join("out"), &root.join("out").canonicalize().unwrap())
}

fn links_stay(directory: &Path, root: &Path) -> bool {
    fs::read_dir(directory).unwrap().map(Result::unwrap).all(|entry| {
        let path = entry.path();
        if path.is_symlink() {
            return path.canonicalize().map_or(true, |target| target.starts_with(root));
        }
        !path.is_dir() || links_stay(&path, root)
    })
}

/// Damages and unpacks archives until [`TIME`] is over, beginning with the seed `first`. Returns the number
/// of archives, and how many of them were accepted.
fn fuzz(first: u64) -> (u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let work = tempfile::tempdir().unwrap();
    let (outside, output) = (work.path().join("outside"), work.path().join("out"));
    fs::create_dir_all(&outside).unwrap();
    fs::File::create(outside.join("victim.txt")).unwrap().write_all(b"untouched").unwrap();
    let (seeds, begun) = (seeds(), Instant::now());
    let (mut rounds, mut taken) = (0, 0);
    while begun.elapsed() < TIME {
        let seed = first + rounds;
        rounds += 1;
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut archive = seeds[random.below(seeds.len())].clone();
        damage(&mut archive, &mut random);
        fs::create_dir_all(&output).unwrap();
        let bytes = if random.below(4) == 0 { gzip(&archive) } else { archive };
        let done = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(unpack(bytes, &output, PullOptions::default()))
        }));
        assert!(done.is_ok(), "seed {seed} panics");
        taken += u64::from(matches!(done, Ok(Ok(()))));
        assert!(untouched(work.path()), "seed {seed} leads out");
        fs::remove_dir_all(&output).unwrap();
    }
    (rounds, taken)
}

#[test]
fn damaged_archives_write_nothing_outside() {
    let threads: Vec<_> = (0..8).map(|at| std::thread::spawn(move || fuzz(at * 1_000_000))).collect();
    let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let (rounds, taken) =
        done.iter().fold((0, 0), |(all, some), (rounds, taken)| (all + rounds, some + taken));
    assert!(taken > 0 && taken < rounds, "{taken} of {rounds} archives were taken: nothing was tried");
}

#[tokio::test]
async fn returns_the_exceeded_limit_in_the_error() {
    let work = tempfile::tempdir().unwrap();
    let archive = Tarball::new().file("d/a", vec![0; 100_000]).file("d/b", "").done();
    for (unpack_limits, exceeded) in [
        (UnpackLimits::default().size(50_000), LimitExceeded::Size(50_000)),
        (UnpackLimits::default().ratio(3).ratio_from(0), LimitExceeded::Ratio(3)),
        (UnpackLimits::default().entries(1), LimitExceeded::Entries(1)),
    ] {
        let options = PullOptions::default().unpack(unpack_limits);
        let error = unpack(gzip(&archive), &work.path().join("out"), options).await.unwrap_err();
        assert_eq!((error.kind(), error.find()), (ErrorKind::TooLarge, Some(&exceeded)), "{}", error.chain());
        assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0, "something is left");
    }
}

#[tokio::test]
async fn leaves_nothing_after_a_dropped_pull() {
    let work = tempfile::tempdir().unwrap();
    let archive = (0..2000).fold(Tarball::new(), |tar, at| tar.file(format!("d/{at}"), "x")).done();
    let target = FileTarget::new(work.path().to_owned(), PullOptions::default());
    let content = layer(archive.into());
    drop(tokio::time::timeout(Duration::from_millis(5), target.push(&content, PushMode::Untagged)).await);
    drop(target);
    let begun = Instant::now();
    while fs::read_dir(work.path()).unwrap().count() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "something is left");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns incompressible bytes, which are the same in every run.
fn noise(length: usize) -> Vec<u8> {
    oras_testkit::random::bytes(1, length)
}

/// Returns a layer whose bytes are `chunks`, which need not match its descriptor.
fn sent(right: &[u8], chunks: Vec<Result<Bytes>>) -> Content {
    let descriptor = layer(Bytes::copy_from_slice(right)).descriptor().clone();
    Content::once(descriptor, Box::pin(futures::stream::iter(chunks)))
}

#[tokio::test]
async fn leaves_nothing_after_wrong_or_missing_bytes() {
    let noise = noise(1 << 20);
    let right = gzip(&Tarball::new().directory("d").file("d/a", noise.clone()).done());
    let flipped = |at: usize| {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        Bytes::from(wrong).chunks(10_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>()
    };
    let cut = || Err(oras_store::Error::new(ErrorKind::Network, "cut"));
    for (chunks, kind) in [
        // The archive is malformed at the start, in the middle, and at the end. The error is always the
        // digest mismatch.
        (flipped(0), ErrorKind::DigestMismatch),
        (flipped(right.len() / 2), ErrorKind::DigestMismatch),
        (flipped(right.len() - 1), ErrorKind::DigestMismatch),
        (vec![Ok(Bytes::copy_from_slice(&right[..300_000]))], ErrorKind::SizeMismatch),
        (vec![Ok(Bytes::copy_from_slice(&right[..300_000])), cut()], ErrorKind::Network),
    ] {
        let work = tempfile::tempdir().unwrap();
        let target = FileTarget::new(work.path().to_owned(), PullOptions::default());
        let failed = target.push(&sent(&right, chunks), PushMode::Untagged).await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{failed}");
        drop(target);
        assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
    }
    let work = tempfile::tempdir().unwrap();
    let target = FileTarget::new(work.path().to_owned(), PullOptions::default());
    let chunks = right.chunks(10_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    target.push(&sent(&right, chunks), PushMode::Untagged).await.unwrap();
    target.commit().await.unwrap();
    assert!(fs::read(work.path().join("d/a")).unwrap() == noise);
}

#[tokio::test]
async fn reports_a_malformed_archive_with_the_right_digest() {
    let work = tempfile::tempdir().unwrap();
    let right = noise(300_000);
    let target = FileTarget::new(work.path().to_owned(), PullOptions::default());
    let chunks = right.chunks(10_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let failed = target.push(&sent(&right, chunks), PushMode::Untagged).await.unwrap_err();
    assert!(failed.to_string().starts_with("failed to extract tar to "), "{failed}");
}

#[tokio::test]
async fn unpacks_a_large_layer_from_a_partial_file() {
    let work = tempfile::tempdir().unwrap();
    let (d, out) = (work.path().join("d"), work.path().join("out"));
    fs::create_dir(&d).unwrap();
    fs::File::create(d.join("large")).unwrap().set_len(65 << 20).unwrap();
    let packing =
        oras_files::DirectoryOptions::default().compression(oras_files::Compression::None).latest(None);
    let collection = std::sync::Arc::new(oras_files::Collection::new().directories(packing));
    let layer = collection.add("d", &d, None).await.unwrap();
    assert!(layer.size > 64 << 20);
    let target = FileTarget::new(out.clone(), PullOptions::default());
    target.push(&Content::from_source(collection, layer), PushMode::Untagged).await.unwrap();
    target.commit().await.unwrap();
    assert_eq!(fs::metadata(out.join("d/large")).unwrap().len(), 65 << 20);
    drop(target);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "nothing else is left");
}

/// Returns a skippable zstd frame (RFC 8878, 3.1.2).
fn skippable(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x50 + number, 0x2a, 0x4d, 0x18], &length[..], content].concat()
}

#[tokio::test]
async fn unpacks_archives_in_several_frames_and_members() {
    let tar = Tarball::new().directory("d").file("d/a", noise(300_000)).done();
    let (head, tail) = tar.split_at(100_000);
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for (name, archive) in [
        ("frames", [frame(head), frame(tail)].concat()),
        ("skippable first", [skippable(0, b"pzstd"), frame(head), skippable(15, b""), frame(tail)].concat()),
        ("skippable last", [frame(&tar), skippable(7, &[0; 1000])].concat()),
        ("empty frame first", [frame(b""), frame(&tar)].concat()),
        ("two skippable first", [skippable(1, b""), skippable(2, b"x"), frame(&tar)].concat()),
        ("members", [gzip(head), gzip(tail)].concat()),
        ("empty member first", [gzip(b""), gzip(head), gzip(b""), gzip(tail)].concat()),
    ] {
        let output = tempfile::tempdir().unwrap();
        unpack(archive, output.path(), PullOptions::default())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fs::read(output.path().join("d/a")).unwrap(), noise(300_000), "{name}");
    }
    // A truncated frame is an error, also after a skippable frame.
    let cut = [skippable(0, b"pzstd"), frame(&tar)[..100_000].to_vec()].concat();
    let output = tempfile::tempdir().unwrap();
    unpack(cut, output.path(), PullOptions::default()).await.unwrap_err();
    assert!(!output.path().join("d").exists());
}
