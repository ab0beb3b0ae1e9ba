//! Blobs of another layout on the same file system are verified and hard-linked, if no other user may write them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oras_layout::{Layout, LayoutOptions};
use oras_spec::{Descriptor, ImageManifest, MediaType};
use oras_store::{Content, ErrorKind, PushMode, Pushed, Source, Target};

use crate::{blob_path, names};

struct Pair {
    directory: tempfile::TempDir,
    from: Layout,
    to: Layout,
    node: Descriptor,
}

impl Pair {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let from = Layout::open_or_create(directory.path().join("from")).await.unwrap();
        let to = Layout::open_or_create(directory.path().join("to")).await.unwrap();
        let content = Content::of(MediaType::LAYER_TAR, Bytes::from(vec![7; 700_000]));
        from.push(&content, PushMode::Untagged).await.unwrap();
        Self { directory, from, to, node: content.descriptor().clone() }
    }

    fn source(&self) -> PathBuf {
        blob_path(self.from.path(), &self.node.digest)
    }

    fn target(&self) -> PathBuf {
        blob_path(self.to.path(), &self.node.digest)
    }

    async fn push_to(&self, to: &Layout) -> oras_store::Result<Pushed> {
        let source: Arc<dyn Source> = Arc::new(self.from.clone());
        to.push(&Content::from_source(source, self.node.clone()), PushMode::Untagged).await
    }

    fn damage(&self) {
        rewrite(&self.source(), &[8; 700_000]);
    }

    fn nothing_is_left(&self) {
        let left: Vec<_> = names(self.to.path()).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(left, Vec::<String>::new());
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Overwrites bytes of an existing file, which no tool should do.
fn rewrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let mut file = fs::File::options().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
}

/// Opens a second handle of a layout, which does not link blobs.
async fn unlinked(layout: &Layout) -> Layout {
    crate::open_with(layout, LayoutOptions::default().link_blobs(false)).await
}

#[tokio::test]
async fn links_a_blob_and_finds_it_on_the_next_push() {
    let pair = Pair::new().await;
    assert_eq!(pair.push_to(&pair.to).await.unwrap(), Pushed::Adopted);
    assert_eq!(inode(&pair.source()), inode(&pair.target()));
    assert_eq!(pair.push_to(&pair.to).await.unwrap(), Pushed::Existed);
    pair.nothing_is_left();
}

#[tokio::test]
async fn rejects_a_damaged_source_blob() {
    let pair = Pair::new().await;
    pair.damage();
    assert_eq!(pair.push_to(&pair.to).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
    assert!(!pair.target().exists());
    rewrite(&pair.source(), &[7; 700_001]);
    assert_eq!(pair.push_to(&pair.to).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
    assert!(!pair.target().exists());
    pair.nothing_is_left();
}

#[tokio::test]
async fn copies_files_with_unsafe_permissions() {
    let pair = Pair::new().await;
    for mode in [0o664, 0o646, 0o600, 0o440] {
        fs::set_permissions(pair.source(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(pair.push_to(&pair.to).await.unwrap(), Pushed::Copied, "{mode:o}");
        assert_ne!(inode(&pair.source()), inode(&pair.target()), "{mode:o}");
        fs::remove_file(pair.target()).unwrap();
    }
    // Some tools leave their blobs writable for the owner.
    fs::set_permissions(pair.source(), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(pair.push_to(&pair.to).await.unwrap(), Pushed::Adopted);
}

#[tokio::test]
async fn copies_a_blob_behind_a_symbolic_link() {
    let pair = Pair::new().await;
    let beside = pair.from.path().join("blobs/sha256/beside");
    fs::rename(pair.source(), &beside).unwrap();
    std::os::unix::fs::symlink(&beside, pair.source()).unwrap();
    assert_eq!(pair.push_to(&pair.to).await.unwrap(), Pushed::Copied);
    assert!(fs::symlink_metadata(pair.target()).unwrap().is_file());
}

#[tokio::test]
async fn copies_blobs_if_linking_is_off() {
    let pair = Pair::new().await;
    let to = unlinked(&pair.to).await;
    assert_eq!(pair.push_to(&to).await.unwrap(), Pushed::Copied);
    assert_ne!(inode(&pair.source()), inode(&pair.target()));
}

/// The damaged blob has the right size and unchanged times.
#[tokio::test]
async fn replaces_a_damaged_blob_of_the_target() {
    let pair = Pair::new().await;
    pair.push_to(&unlinked(&pair.to).await).await.unwrap();
    for handle in [pair.to.clone(), unlinked(&pair.to).await] {
        let times = fs::metadata(pair.target()).unwrap().modified().unwrap();
        rewrite(&pair.target(), &[8; 700_000]);
        fs::File::open(pair.target()).unwrap().set_modified(times).unwrap();
        assert!(!handle.exists(&pair.node).await.unwrap());
        assert_ne!(pair.push_to(&handle).await.unwrap(), Pushed::Existed);
        assert!(fs::read(pair.target()).unwrap() == [7; 700_000]);
        // The other handle must not damage the source through a link.
        fs::remove_file(pair.target()).unwrap();
        pair.push_to(&unlinked(&pair.to).await).await.unwrap();
    }
    assert!(fs::read(pair.source()).unwrap() == [7; 700_000]);
}

/// Copying stops at a manifest that exists, so the blobs below it are hashed, too.
#[tokio::test]
async fn finds_damage_below_a_manifest() {
    let pair = Pair::new().await;
    let config = Content::of(MediaType::EMPTY_JSON, "{}");
    let manifest = ImageManifest::new(config.descriptor().clone(), vec![pair.node.clone()]);
    let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
    pair.from.push(&config, PushMode::Untagged).await.unwrap();
    pair.from.push(&manifest, PushMode::Untagged).await.unwrap();
    let open = async || Layout::open(pair.from.path()).await.unwrap();
    assert!(open().await.exists(manifest.descriptor()).await.unwrap());
    pair.damage();
    assert!(!open().await.exists(manifest.descriptor()).await.unwrap());
    // A missing blob is not damage, because layouts may be sparse.
    fs::remove_file(pair.source()).unwrap();
    assert!(open().await.exists(manifest.descriptor()).await.unwrap());
}

#[tokio::test]
async fn keeps_a_staged_hard_link_until_it_is_the_last_name() {
    let pair = Pair::new().await;
    pair.push_to(&pair.to).await.unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(48 * 60 * 60);
    fs::set_permissions(pair.source(), Permissions::from_mode(0o644)).unwrap();
    fs::File::options().write(true).open(pair.source()).unwrap().set_modified(long_ago).unwrap();
    let staged = pair.to.path().join(".oras-link");
    fs::hard_link(pair.source(), &staged).unwrap();
    Layout::open_or_create(pair.to.path()).await.unwrap();
    assert!(staged.exists());
    fs::remove_dir_all(pair.from.path()).unwrap();
    fs::remove_file(pair.target()).unwrap();
    Layout::open_or_create(pair.to.path()).await.unwrap();
    assert!(!staged.exists());
    drop(pair.directory);
}
