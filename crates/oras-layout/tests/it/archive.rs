//! Reading layouts in tar archives of any tool, and rejecting other files.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use oras_layout::{Archive, Layout, NotTar};
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, Ingest, IngestOptions, IngestTarget, Origin,
    PushMode, Pushed, ReadStore, Result, Source, Store, Target, UnhashedContent,
};
use oras_testkit::nodes::{self, blob, bytes, manifest, push_all, referrer};
use oras_testkit::peers::{self, run};
use oras_testkit::suite::{self, Abilities};
use tar::{EntryType, Header};

use crate::Directories;

/// A store that is written as a directory, and packed into an archive before each read.
struct Archived(Layout);

impl Archived {
    async fn archive(&self) -> Result<Archive> {
        let path = self.0.path().with_extension(format!("{}.tar", rand()));
        oras_fs::create_directories(path.parent().unwrap())?;
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        // The first write creates the layout.
        if self.0.path().exists() {
            builder.append_dir_all(".", self.0.path()).unwrap();
        } else {
            for (name, text) in [("oci-layout", MARKER), ("index.json", EMPTY_INDEX)] {
                builder.append(&header(name, EntryType::Regular, text.len()), text.as_bytes()).unwrap();
            }
        }
        builder.finish().unwrap();
        Archive::open(path).await
    }
}

/// Returns a number that no other call returns.
fn rand() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl IngestTarget for Archived {
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        self.0.begin(options).await
    }

    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        self.0.ingest(content).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for Archived {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.archive().await?.resolve(reference).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        self.archive().await?.resolve_with_bytes(reference).await
    }

    fn origin(&self, _: &Descriptor) -> Origin {
        Origin::Opaque
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        self.archive().await?.fetch(descriptor, range).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ReadStore for Archived {
    async fn predecessors(&self, node: &Descriptor, kind: Option<&MediaType>) -> Result<Vec<Descriptor>> {
        self.archive().await?.predecessors(node, kind).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let all = async move {
            let archive = self.archive().await?;
            let tags: Vec<_> = archive.tags_after(last).collect().await;
            Ok::<_, Error>(futures::stream::iter(tags))
        };
        futures::stream::once(all).try_flatten().boxed()
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        let all = async move {
            let archive = self.archive().await?;
            let tags: Vec<_> = archive.tagged_nodes().collect().await;
            Ok::<_, Error>(futures::stream::iter(tags))
        };
        futures::stream::once(all).try_flatten().boxed()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Target for Archived {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        self.0.exists(descriptor).await
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        self.0.push(content, mode).await
    }

    async fn sync(&self) -> Result<()> {
        self.0.sync().await
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        self.0.tagged(tag).await
    }

    fn check_tag(&self, tag: &str) -> Result<()> {
        self.0.check_tag(tag)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for Archived {
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        self.0.delete(target).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archive_behaves_like_a_store() {
    let directories = Directories::new();
    suite::run(Abilities::ALL, async || Arc::new(Archived(directories.fresh().await)) as _).await;
}

const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const EMPTY_INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

fn header(name: &str, kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// An archive of the given entries, without an end marker.
#[derive(Clone, Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn layout() -> Self {
        Self::default().file("oci-layout", MARKER).file("index.json", EMPTY_INDEX)
    }

    fn header(mut self, header: &Header) -> Self {
        self.0.extend(header.as_bytes());
        self
    }

    fn entry(self, name: &str, kind: EntryType, content: impl AsRef<[u8]>) -> Self {
        let mut raw = self.header(&header(name, kind, content.as_ref().len()));
        raw.0.extend(content.as_ref());
        raw.0.resize(raw.0.len().next_multiple_of(512), 0);
        raw
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(name, EntryType::Regular, content)
    }

    async fn open(&self) -> Result<Archive> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&self.0).unwrap();
        Archive::open(file.path()).await
    }
}

fn name_of(content: &Content) -> String {
    let digest = &content.descriptor().digest;
    format!("blobs/{}/{}", digest.algorithm_name(), digest.encoded())
}

async fn read(archive: &Archive, content: &Content) -> Result<bytes::Bytes> {
    let source: Arc<dyn Source> = Arc::new(archive.clone());
    nodes::read(&source, content.descriptor()).await
}

#[tokio::test]
async fn rejects_files_that_are_not_archives() {
    let layout = Raw::layout();
    let mut flipped = layout.clone();
    flipped.0[5] ^= 1;
    let gap = Raw(vec![0; 512]).file("oci-layout", MARKER);
    let huge_records = Raw::default().header(&header("x", EntryType::XHeader, 1 << 30));
    let bad_records = Raw::default().entry("x", EntryType::XHeader, "9 path=x");
    for (raw, why) in [
        (Raw(b"hi\n".to_vec()), NotTar::Truncated),
        (Raw(layout.0[..1200].to_vec()), NotTar::Truncated),
        (Raw(layout.0[..514].to_vec()), NotTar::Truncated),
        (Raw(bytes(4096).to_vec()), NotTar::BadHeader),
        (flipped, NotTar::BadHeader),
        (gap, NotTar::BadHeader),
        (huge_records, NotTar::BadHeader),
        (bad_records, NotTar::BadHeader),
        (Raw(vec![0x1f, 0x8b, 8, 0]), NotTar::Compressed("gzip")),
        (Raw(vec![0x28, 0xb5, 0x2f, 0xfd, 0]), NotTar::Compressed("zstd")),
    ] {
        let error = raw.open().await.unwrap_err();
        assert_eq!(error.find::<NotTar>(), Some(&why), "{error:?}");
        assert!(error.chain().contains("\" does not look like a tar archive: "), "{error:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Archive::open(directory.path()).await.unwrap_err().kind(), ErrorKind::InvalidContent);
    assert_eq!(Archive::open(directory.path().join("no")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn rejects_archives_without_a_layout() {
    let no_marker =
        "invalid OCI Image Layout: failed to open OCI layout file: open oci-layout: file does not exist";
    let link = Raw::default().entry("oci-layout", EntryType::Symlink, "");
    for (raw, message) in [
        (Raw::default(), no_marker),
        (Raw(vec![0; 10240]), no_marker),
        (Raw::default().file("sub/oci-layout", MARKER), no_marker),
        (Raw::default().file("/oci-layout", MARKER), no_marker),
        (Raw::default().file("a/../oci-layout", MARKER), no_marker),
        (
            Raw::default().file("oci-layout", "{}"),
            "invalid OCI Image Layout: failed to decode OCI layout file",
        ),
        (link, "oci-layout is not a file in the archive: links are not followed"),
        (Raw::default().file("oci-layout", MARKER), "invalid OCI Image Index: failed to open index file"),
        (
            Raw::default().file("oci-layout", MARKER).file("index.json", "["),
            "invalid OCI Image Index: failed to decode index file",
        ),
        (Raw::layout().entry("x", EntryType::GNUSparse, ""), "the archive has sparse entries"),
        (
            Raw::layout().entry("x", EntryType::XHeader, "22 GNU.sparse.major=1\n"),
            "the archive has sparse entries",
        ),
    ] {
        let error = raw.open().await.unwrap_err();
        assert!(error.chain().starts_with(message), "{error:?}");
    }
}

#[tokio::test]
async fn ignores_hostile_entries() {
    let (good, linked, outside) = (blob("good"), blob("linked"), blob("outside"));
    let mut link = header(&name_of(&linked), EntryType::Symlink, 0);
    link.set_link_name("/etc/passwd").unwrap();
    link.set_cksum();
    let archive = Raw::layout()
        .file(&name_of(&good), "bad!")
        .file(&format!("./{}", name_of(&good)), "good")
        .header(&link)
        .file(&format!("/{}", name_of(&outside)), "outside")
        .file(&format!("x/../{}", name_of(&outside)), "outside")
        .file("blobs/sha256/not-a-digest", "x")
        .file("blobs/sha256", "x")
        .entry("g", EntryType::XGlobalHeader, "11 path=abc\n")
        .file("index.json", r#"{"manifests":[],"of":"two the last counts"}"#)
        .open()
        .await
        .unwrap();
    assert_eq!(read(&archive, &good).await.unwrap(), "good");
    assert_eq!(read(&archive, &linked).await.unwrap_err().kind(), ErrorKind::InvalidContent);
    assert_eq!(read(&archive, &outside).await.unwrap_err().kind(), ErrorKind::NotFound);
    // Content is verified as it is read.
    for (text, kind) in [
        ("goof", ErrorKind::DigestMismatch),
        ("goo", ErrorKind::SizeMismatch),
        ("good!", ErrorKind::SizeMismatch),
    ] {
        let archive = Raw::layout().file(&name_of(&good), text).open().await.unwrap();
        assert_eq!(read(&archive, &good).await.unwrap_err().kind(), kind, "{text}");
    }
}

#[tokio::test]
async fn reads_pax_records_and_unusual_headers() {
    let (recorded, long, signed) = (blob("recorded"), blob("long"), blob("signed"));
    let path = format!("path={}", name_of(&recorded));
    // A value may contain line breaks. The size in the records overrides the size in the header.
    let path = format!("{} {path}\n", path.len() + 4);
    let records = format!("20 SCHILY.xattr.a=\n\n{path}9 size=8\n");
    let mut wrong = header("x", EntryType::Regular, 0);
    wrong.set_cksum();
    let mut archive = Raw::layout().entry("PaxHeaders/x", EntryType::XHeader, records).header(&wrong);
    archive.0.extend(b"recorded");
    archive.0.resize(archive.0.len().next_multiple_of(512), 0);
    let archive = archive
        .entry("././@LongLink", EntryType::GNULongName, format!("{}\0", name_of(&long)))
        .file("blobs/sha256/cut", "long");
    // Checksums of signed bytes, as some historic tools made them.
    let mut odd = header(&name_of(&signed), EntryType::Regular, 6);
    odd.as_old_mut().linkname[0] = 0xff;
    odd.set_cksum();
    let sum = odd.cksum().unwrap() - 256;
    odd.as_old_mut().cksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = archive.header(&odd);
    // The last entry may lack its padding.
    archive.0.extend(b"signed");
    let archive = archive.open().await.unwrap();
    for content in [&recorded, &long, &signed] {
        assert_eq!(Some(&read(&archive, content).await.unwrap()), content.in_memory());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn reads_entries_of_more_than_8_gib() {
    use std::os::unix::fs::FileExt as _;
    const SIZE: u64 = 9 << 30;
    let mut binary = header("blobs/sha256/a", EntryType::Regular, 0);
    binary.set_size(SIZE);
    binary.set_cksum();
    let recorded = Raw::default()
        .entry("PaxHeaders/a", EntryType::XHeader, "19 size=9663676416\n")
        .header(&header("blobs/sha256/a", EntryType::Regular, 0));
    for head in [Raw::default().header(&binary), recorded] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let after = blob("after it");
        let rest = Raw::layout().file(&name_of(&after), "after it");
        let at = head.0.len() as u64;
        file.as_file().write_all_at(&head.0, 0).unwrap();
        file.as_file().write_all_at(&rest.0, at + SIZE).unwrap();
        let archive = Archive::open(file.path()).await.unwrap();
        assert_eq!(read(&archive, &after).await.unwrap(), "after it");
        file.as_file().set_len(at + SIZE - 1).unwrap();
        let error = Archive::open(file.path()).await.unwrap_err();
        assert_eq!(error.find::<NotTar>(), Some(&NotTar::Truncated));
    }
}

/// Creates a layout at `layout` in `at` with a large blob, a SHA-512 blob and a referrer.
async fn fill(at: &Path) -> (Content, Content, Content) {
    let layout = Layout::open_or_create(at.join("layout")).await.unwrap();
    let large = blob(bytes(700_000));
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"sha512");
    let named = Descriptor::new(MediaType::LAYER_TAR, hasher.finish(), 6);
    let named = Content::from_bytes(named, "sha512").unwrap();
    let node = manifest("node", &[&large, &named]);
    push_all(&layout, &[&large, &named, &node, &referrer("sbom", "application/vnd.test.sbom", &node)]).await;
    layout.push(&node, PushMode::Tagged("v1")).await.unwrap();
    (large, named, node)
}

#[tokio::test]
async fn reads_archives_of_gnu_tar() {
    let Some(tar) = peers::system_or_skip("tar", "reads_archives_of_gnu_tar") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (large, named, node) = fill(at).await;
    for format in ["gnu", "posix", "ustar", "v7"] {
        for names in [&["."][..], &["oci-layout", "index.json", "blobs"]] {
            // The file names of SHA-512 blobs are too long for these formats.
            let exclude = if matches!(format, "v7" | "ustar") { &["--exclude=sha512"][..] } else { &[] };
            let format = format!("--format={format}");
            let words = [exclude, &["-C", "layout", &format, "-cf", "x.tar"], names].concat();
            run(&tar, at, &words);
            let archive = Archive::open(at.join("x.tar")).await.unwrap();
            assert_eq!(archive.tags_after(None).try_collect::<Vec<_>>().await.unwrap(), ["v1"]);
            assert_eq!(archive.resolve("v1").await.unwrap().digest, node.descriptor().digest);
            assert_eq!(archive.predecessors(node.descriptor(), None).await.unwrap().len(), 1);
            assert_eq!(Some(&read(&archive, &large).await.unwrap()), large.in_memory());
            if exclude.is_empty() {
                assert_eq!(read(&archive, &named).await.unwrap(), "sha512", "{format}");
            }
        }
    }
    run(&tar, at, &["-C", "layout", "-czf", "x.tar.gz", "."]);
    let error = Archive::open(at.join("x.tar.gz")).await.unwrap_err();
    assert!(error.chain().contains("compressed with gzip"), "{error:?}");
}

#[tokio::test]
async fn reads_archives_of_skopeo() {
    let Some(skopeo) = peers::system_or_skip("skopeo", "reads_archives_of_skopeo") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let layout = Layout::open_or_create(at.join("layout")).await.unwrap();
    let layer = blob(bytes(5000));
    let node = manifest("node", &[&layer]);
    push_all(&layout, &[&layer, &node]).await;
    layout.push(&node, PushMode::Tagged("v1")).await.unwrap();
    run(&skopeo, at, &["--insecure-policy", "copy", "oci:layout:v1", "oci-archive:x.tar:v2"]);
    let archive = Archive::open(at.join("x.tar")).await.unwrap();
    assert_eq!(archive.tags_after(None).try_collect::<Vec<_>>().await.unwrap(), ["v2"]);
    assert_eq!(archive.resolve("v2").await.unwrap().digest, node.descriptor().digest);
    assert_eq!(Some(&read(&archive, &layer).await.unwrap()), layer.in_memory());
}

#[tokio::test]
async fn reads_ranges_concurrently() {
    let directory = tempfile::tempdir().unwrap();
    let (large, ..) = fill(directory.path()).await;
    let archive =
        Archived(Layout::open(directory.path().join("layout")).await.unwrap()).archive().await.unwrap();
    let all = large.in_memory().unwrap();
    let ranges =
        (0..50_u64).map(|number| (number * 13_999)..(number * 13_999 + 1 + number * 200).min(700_000));
    let reads = ranges.map(|range| {
        let archive = archive.clone();
        let descriptor = large.descriptor().clone();
        async move {
            let stream = archive.fetch(&descriptor, range.clone()).await.unwrap();
            (range, nodes::collect(stream).await.unwrap())
        }
    });
    for (range, found) in futures::future::join_all(reads).await {
        assert_eq!(found, all[range.start as usize..range.end as usize], "{range:?}");
    }
}
