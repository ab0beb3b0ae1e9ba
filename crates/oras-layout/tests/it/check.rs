//! A check finds every kind of damage, in a directory and in an archive, and nothing in a whole layout.

use std::path::Path;

use oras_layout::{CheckOptions, Layout, LayoutCheck, LayoutUsage, ProblemKind, check, find_layouts};
use oras_spec::{Descriptor, Digest, ImageIndex, MediaType};
use oras_store::{Content, ErrorKind, PushMode, Target};
use oras_testkit::nodes::{blob, index, manifest, push_all, referrer};

use crate::garbage_collection::fresh;
use crate::{blob_path, index_of};

/// Overwrites a file, which may be read-only.
pub(crate) fn overwrite(path: &Path, bytes: &[u8]) {
    if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), bytes).unwrap();
}

pub(crate) async fn found(layout: &Path) -> Vec<(ProblemKind, Option<Digest>)> {
    let found = check(layout, CheckOptions::default()).await.unwrap();
    found.problems.into_iter().map(|problem| (problem.kind, problem.digest)).collect()
}

/// A layout with an image of two layers below the tag `v1`, and its signature.
pub(crate) struct SignedImage {
    pub(crate) place: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) layers: [Content; 2],
    pub(crate) image: Content,
    pub(crate) signature: Content,
}

impl SignedImage {
    pub(crate) async fn store() -> Self {
        let place = tempfile::tempdir().unwrap();
        let layout = fresh(&place).await;
        let layers = ["one", "two"].map(blob);
        let image = manifest("image", &[&layers[0], &layers[1]]);
        let signature = referrer("signature", "a/b", &image);
        push_all(&layout, &[&layers[0], &layers[1], &image, &signature]).await;
        layout.push(&image, PushMode::Tagged("v1")).await.unwrap();
        Self { place, layout, layers, image, signature }
    }

    pub(crate) fn path_of(&self, content: &Content) -> std::path::PathBuf {
        blob_path(self.layout.path(), &content.descriptor().digest)
    }
}

fn digest(content: &Content) -> Option<Digest> {
    Some(content.descriptor().digest.clone())
}

#[tokio::test]
async fn finds_nothing_in_a_whole_layout() {
    let stored = SignedImage::store().await;
    let LayoutCheck { tags, manifests, blobs, hashed_blobs, problems, .. } =
        check(stored.layout.path(), CheckOptions::default()).await.unwrap();
    assert_eq!((tags, manifests, blobs, hashed_blobs, problems), (1, 2, 5, 5, Vec::new()));
}

#[tokio::test]
async fn finds_damaged_missing_and_foreign_files() {
    let stored = SignedImage::store().await;
    let layout = stored.layout.path();
    overwrite(&stored.path_of(&stored.layers[0]), b"0ne");
    assert_eq!(found(layout).await, [(ProblemKind::WrongDigest, digest(&stored.layers[0]))]);
    let fast = check(layout, CheckOptions::default().fast(true)).await.unwrap();
    assert!(fast.is_clean() && fast.hashed_blobs == 2, "{fast:?}");
    overwrite(&stored.path_of(&stored.layers[0]), b"on");
    let checked = check(layout, CheckOptions::default().fast(true)).await.unwrap();
    assert_eq!(checked.problems[0].kind, ProblemKind::WrongSize);
    assert_eq!((checked.problems[0].size, &*checked.problems[0].tags), (Some(3), &["v1".to_owned()][..]));
    assert_eq!(checked.problems[0].listed_by, digest(&stored.image));
    std::fs::remove_file(stored.path_of(&stored.layers[0])).unwrap();
    assert_eq!(found(layout).await, [(ProblemKind::Missing, digest(&stored.layers[0]))]);
    overwrite(&stored.path_of(&stored.layers[0]), b"one");
    overwrite(&layout.join("notes.txt"), b"");
    overwrite(&layout.join("blobs/sha256/short"), b"");
    let foreign = check(layout, CheckOptions::default()).await.unwrap();
    assert!(foreign.is_clean());
    let paths: Vec<_> = foreign.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["blobs/sha256/short", "notes.txt"]);
}

#[tokio::test]
async fn finds_damaged_manifests_and_referrers_without_subject() {
    let stored = SignedImage::store().await;
    let layout = stored.layout.path();
    let bytes = std::fs::read(stored.path_of(&stored.signature)).unwrap();
    overwrite(&stored.path_of(&stored.signature), &bytes.to_ascii_uppercase());
    assert_eq!(found(layout).await, [(ProblemKind::WrongDigest, digest(&stored.signature))]);
    overwrite(&stored.path_of(&stored.signature), &bytes);
    // A registry accepts a referrer whose subject it does not have.
    let lonely = referrer("lonely", "a/b", &manifest("absent", &[]));
    stored.layout.push(&lonely, PushMode::Untagged).await.unwrap();
    let checked = check(layout, CheckOptions::default()).await.unwrap();
    assert!(checked.is_clean());
    assert_eq!(checked.problems[0].kind, ProblemKind::MissingSubject);
    assert!(checked.problems[0].message.contains(&lonely.descriptor().digest.to_string()));
}

#[tokio::test]
async fn finds_invalid_documents() {
    let stored = SignedImage::store().await;
    let layout = stored.layout.path();
    let text = std::fs::read(layout.join("index.json")).unwrap();
    overwrite(&layout.join("index.json"), &text[..text.len() / 2]);
    assert_eq!(found(layout).await, [(ProblemKind::Index, None)]);
    std::fs::remove_file(layout.join("index.json")).unwrap();
    assert_eq!(found(layout).await, [(ProblemKind::Index, None)]);
    overwrite(&layout.join("index.json"), &text);
    overwrite(&layout.join("oci-layout"), br#"{"imageLayoutVersion":"2.0.0"}"#);
    assert_eq!(found(layout).await, [(ProblemKind::Marker, None)]);
    std::fs::remove_file(layout.join("oci-layout")).unwrap();
    assert_eq!(found(layout).await, [(ProblemKind::Marker, None)]);
    let empty = tempfile::tempdir().unwrap();
    let error = check(empty.path(), CheckOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidContent);
}

/// An entry of the index, or of another index, may name any digest before its content exists, so cycles of damaged
/// content and of subjects are possible.
#[tokio::test]
async fn ends_on_cycles() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    // The digests of these two are not those of their bytes, so that each can name the other.
    let digests = ["a", "b"].map(|name| Digest::sha256(name.as_bytes()));
    let node = |digest: &Digest, size| Descriptor::new(MediaType::IMAGE_INDEX, digest.clone(), size);
    let texts: Vec<_> =
        [1, 0].map(|other| ImageIndex::new(vec![node(&digests[other], 300)]).to_bytes()).into();
    for (digest, text) in digests.iter().zip(&texts) {
        overwrite(&blob_path(layout.path(), digest), text);
    }
    let own = Digest::sha256(b"own");
    overwrite(&blob_path(layout.path(), &own), &ImageIndex::new(vec![node(&own, 100)]).to_bytes());
    let entries = digests.iter().chain([&own]).map(|digest| node(digest, 300)).collect();
    overwrite(&layout.path().join("index.json"), &ImageIndex::new(entries).to_bytes());
    overwrite(&layout.path().join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
    let checked = check(layout.path(), CheckOptions::default()).await.unwrap();
    assert_eq!(checked.damage().count(), 3);
    assert!(LayoutUsage::measure(layout.path()).await.is_ok());
}

#[tokio::test]
async fn samples_a_part_of_the_blobs() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let blobs: Vec<_> = (0..200).map(|number| blob(number.to_string())).collect();
    push_all(&layout, &blobs.iter().collect::<Vec<_>>()).await;
    let sample = async |percent: f64| {
        let checked = check(layout.path(), CheckOptions::default().sample(percent)).await.unwrap();
        checked.hashed_blobs
    };
    // `push_all` also stores the empty config.
    assert_eq!(sample(100.0).await, 201);
    // The probability of a number outside this range is below one in a billion.
    assert!((50..150).contains(&sample(50.0).await));
}

#[tokio::test]
async fn measures_unique_and_shared_content() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let [one, two, spare] = ["one", "two", "spare"].map(blob);
    let (first, second) = (manifest("first", &[&one]), manifest("second", &[&one, &two]));
    let both = index(&[&first, &second]);
    let signature = referrer("signature", "a/b", &second);
    push_all(&layout, &[&one, &two, &spare, &first, &second, &both, &signature]).await;
    layout.push(&second, PushMode::Tagged("second")).await.unwrap();
    let usage = LayoutUsage::measure(layout.path()).await.unwrap();
    let size = |contents: &[&Content]| contents.iter().map(|content| content.descriptor().size).sum::<u64>();
    // The index without a tag needs everything of the tag.
    assert_eq!(
        (usage.tags[0].unique_bytes, usage.tags[0].blobs),
        (size(&[&signature]) - size(&[&signature]), 5)
    );
    assert_eq!(usage.unreachable.bytes, 5);
    assert_eq!(usage.untagged.bytes, size(&[&first, &both]));
    layout.push(&both, PushMode::Tagged("both")).await.unwrap();
    let usage = LayoutUsage::measure(layout.path()).await.unwrap();
    let tag = |name: &str| usage.tags.iter().find(|tag| tag.tag == name).unwrap();
    assert_eq!(tag("both").unique_bytes, size(&[&first, &both]));
    assert_eq!(tag("second").unique_bytes, 0);
    assert_eq!(tag("second").shared_bytes, size(&[&one, &two, &second, &signature]) + 2);
    assert_eq!(index_of(layout.path())["manifests"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn finds_layouts_below_a_directory() {
    let place = tempfile::tempdir().unwrap();
    for name in ["team", "team/app", "x/y/z"] {
        let layout = Layout::open_or_create(place.path().join(name)).await.unwrap();
        push_all(&layout, &[&blob("one")]).await;
    }
    let layouts = find_layouts(place.path()).await.unwrap();
    let names: Vec<_> = layouts.iter().map(|path| path.strip_prefix(place.path()).unwrap()).collect();
    assert_eq!(names, ["team", "team/app", "x/y/z"].map(Path::new));
    assert_eq!(find_layouts(place.path().join("x/y")).await.unwrap().len(), 1);
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(find_layouts(nothing.path()).await.unwrap_err().kind(), ErrorKind::InvalidContent);
}
