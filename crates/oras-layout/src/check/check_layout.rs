//! The check of one layout.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::Arc;

use oras_fs::blocking;
use oras_spec::Digest;
use oras_spec::layout::{INDEX_FILE, MARKER_FILE};
use oras_store::{Error, Result};
use serde::Serialize;
use tokio::sync::oneshot;

use super::blob_hashing::{BlobState, CheckProgress, ProgressFn, hash_all};
use super::findings::{Findings, blob_path};
use super::layout_problem::{LayoutProblem, ProblemKind};
use crate::index::Index;
use crate::survey::layout_parts::LayoutParts;
use crate::survey::layout_survey::LayoutSurvey;
use crate::survey::stored_blobs::StoredBlobs;
use crate::survey::survey_reader::ManifestState;

/// The options of [`check`]. The defaults hash every blob.
#[derive(Clone)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Compares sizes and structure only. Manifests are hashed, other blobs are not read.
    pub fast: bool,
    /// Hashes a random part of the blobs, in percent. Each check selects other blobs. The default is 100.
    pub sample: f64,
    /// Receives the steps of the check. Several threads call it.
    pub progress: Arc<dyn Fn(CheckProgress<'_>) + Send + Sync>,
}

impl CheckOptions {
    oras_store::setters! {
        fast: bool;
        sample: f64;
        progress: impl Fn(CheckProgress<'_>) + Send + Sync + 'static => Arc::new(progress);
    }
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { fast: false, sample: 100.0, progress: Arc::new(|_| {}) }
    }
}

impl std::fmt::Debug for CheckOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("CheckOptions");
        shown.field("fast", &self.fast).field("sample", &self.sample).finish_non_exhaustive()
    }
}

/// The result of [`check`]. It serializes to the JSON document of `oras layout check --format json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayoutCheck {
    /// The path of the layout.
    pub path: PathBuf,
    /// The number of tags.
    pub tags: u64,
    /// The number of manifests that the index reaches.
    pub manifests: u64,
    /// The number of blobs, including manifests.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The number of blobs whose digest was computed.
    pub hashed_blobs: u64,
    /// Their size in bytes.
    pub hashed_bytes: u64,
    /// The number of blobs that the index does not reach. A garbage collection deletes them.
    pub unreachable_blobs: u64,
    /// Their size in bytes.
    pub unreachable_bytes: u64,
    /// What was found, sorted by path: damage and notes.
    pub problems: Vec<LayoutProblem>,
}

impl LayoutCheck {
    /// Returns true if no finding is damage.
    pub fn is_clean(&self) -> bool {
        !self.problems.iter().any(|problem| problem.kind.is_damage())
    }

    /// Returns the findings that are damage.
    pub fn damage(&self) -> impl Iterator<Item = &LayoutProblem> {
        self.problems.iter().filter(|problem| problem.kind.is_damage())
    }
}

/// Checks the layout at `path`, a directory or a tar archive, and changes nothing.
///
/// The check covers `oci-layout`, `index.json`, every manifest that the index reaches, the size and digest of every
/// blob, and whether each blob that a manifest lists exists. It uses all cores. Its memory grows with the number of
/// blobs and not with their size. Other processes may write the layout at the same time.
///
/// ```
/// use oras_layout::store::spec::MediaType;
/// use oras_layout::{CheckOptions, Layout, ProblemKind, check};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_layout::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let layout = Layout::open_or_create(directory.path().join("layout")).await?;
/// let index = r#"{"schemaVersion":2,"manifests":[]}"#;
/// let index = layout.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
/// assert!(check(layout.path(), CheckOptions::default()).await?.is_clean());
///
/// std::fs::remove_file(layout.path().join("blobs/sha256").join(index.digest.encoded())).unwrap();
/// let found = check(layout.path(), CheckOptions::default().fast(true)).await?;
/// assert_eq!(found.problems[0].kind, ProblemKind::Missing);
/// assert_eq!(found.problems[0].tags, ["v1"]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// `NotFound`; `InvalidContent` if the path has none of the files of a layout; `Io` if directories cannot be listed.
/// Damage is no error.
pub async fn check(path: impl Into<PathBuf>, options: CheckOptions) -> Result<LayoutCheck> {
    let path = path.into();
    // Dropping this future drops the receiver, which cancels the work on the blocking threads.
    let (caller, _waiting) = oneshot::channel();
    blocking(move || {
        let parts = LayoutParts::open(&path)?;
        Ok(Checked::run(&parts, &options, &HashSet::new(), &caller)?.report(path))
    })
    .await
}

/// A check with what a repair needs to know beside the report.
pub(crate) struct Checked {
    pub(crate) survey: LayoutSurvey,
    pub(crate) stored: StoredBlobs,
    pub(crate) problems: Vec<LayoutProblem>,
    /// The blobs with the right digest.
    pub(crate) intact: HashSet<Digest>,
    hashed: Hashed,
}

/// The blobs whose digest was computed.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed {
    blobs: u64,
    bytes: u64,
}

impl Hashed {
    fn count(intact: &HashSet<Digest>, others: &Hashes, stored: &StoredBlobs) -> Self {
        let is_hashed = |state: &BlobState| matches!(state, BlobState::WrongDigest(_));
        let others = others.iter().filter(|(_, state)| is_hashed(state)).map(|(digest, _)| digest);
        let sizes = intact.iter().chain(others).filter_map(|digest| Some(stored.blobs.get(digest)?.size));
        sizes.fold(Self::default(), |sum, size| Self { blobs: sum.blobs + 1, bytes: sum.bytes + size })
    }
}

impl Checked {
    /// Checks a layout. Blobs in `intact` are not hashed.
    pub(crate) fn run(
        parts: &LayoutParts,
        options: &CheckOptions,
        intact: &HashSet<Digest>,
        caller: &oneshot::Sender<()>,
    ) -> Result<Self> {
        let mut problems = Vec::new();
        if let Err(error) = parts.check_marker() {
            problems.push(file_problem(ProblemKind::Marker, MARKER_FILE, &error));
        }
        let mut stored = parts.stored_blobs()?;
        let index = parts.index(&stored).unwrap_or_else(|error| {
            problems.push(file_problem(ProblemKind::Index, INDEX_FILE, &error));
            Index::default()
        });
        let survey = LayoutSurvey::read(parts, &index)?;
        // A writer may have stored blobs and then the index since the blobs were listed.
        if survey.nodes.iter().any(|node| !stored.blobs.contains_key(&node.digest)) {
            stored.blobs.extend(parts.stored_blobs()?.blobs);
        }
        let (intact, hashes) = hash(parts, options, (&survey, &stored), intact, &options.progress, caller)?;
        let hashed = Hashed::count(&intact, &hashes, &stored);
        let mut findings = Findings::new(&survey, &stored);
        findings.compare();
        let mut unlisted = Vec::new();
        for (digest, state) in hashes {
            let Some((kind, message)) = blob_problem(state) else { continue };
            match survey.find(&digest) {
                // A wrong size says enough.
                Some(id)
                    if stored.blobs.get(&digest).is_some_and(|found| found.size == survey.node(id).size) =>
                {
                    findings.add(id, kind, message);
                }
                Some(_) => {}
                None => unlisted.push(unlisted_problem(kind, &digest, message)),
            }
        }
        problems.extend(findings.problems);
        problems.extend(unlisted);
        problems.extend(stored.foreign.iter().map(|path| foreign_file(path)));
        problems.sort_by(|a, b| (!a.kind.is_damage(), &a.path).cmp(&(!b.kind.is_damage(), &b.path)));
        Ok(Self { survey, stored, problems, intact, hashed })
    }

    /// Makes the report.
    pub(crate) fn report(&self, path: PathBuf) -> LayoutCheck {
        // Without an index, it is unknown what is reachable.
        let has_index = self.problems.iter().all(|problem| problem.kind != ProblemKind::Index);
        let is_unreachable = |digest: &Digest| has_index && self.survey.find(digest).is_none();
        let unreachable = self.stored.blobs.iter().filter(|(digest, _)| is_unreachable(digest));
        let (mut unreachable_blobs, mut unreachable_bytes) = (0, 0);
        for (_, blob) in unreachable {
            unreachable_blobs += 1;
            unreachable_bytes += blob.size;
        }
        let manifests = self.survey.nodes.iter().filter(|node| node.state == ManifestState::Read);
        LayoutCheck {
            path,
            tags: self.survey.entries.iter().filter(|entry| entry.tag.is_some()).count() as u64,
            manifests: manifests.count() as u64,
            blobs: self.stored.blobs.len() as u64,
            bytes: self.stored.blobs.values().map(|blob| blob.size).sum(),
            hashed_blobs: self.hashed.blobs,
            hashed_bytes: self.hashed.bytes,
            unreachable_blobs,
            unreachable_bytes,
            problems: self.problems.clone(),
        }
    }
}

type Hashes = Vec<(Digest, BlobState)>;

/// Hashes the blobs that the options select. Returns the intact blobs, and the states of all others.
fn hash(
    parts: &LayoutParts,
    options: &CheckOptions,
    (survey, stored): (&LayoutSurvey, &StoredBlobs),
    known: &HashSet<Digest>,
    progress: &ProgressFn,
    caller: &oneshot::Sender<()>,
) -> Result<(HashSet<Digest>, Hashes)> {
    let read = survey.nodes.iter().filter(|node| {
        // The digest of a manifest was verified when it was read.
        matches!(node.state, ManifestState::Read | ManifestState::Malformed(_))
    });
    let mut intact: HashSet<Digest> = read.map(|node| node.digest.clone()).collect();
    intact.extend(known.iter().filter(|digest| stored.blobs.contains_key(digest)).cloned());
    if options.fast {
        return Ok((intact, Vec::new()));
    }
    let sample = Sample::new(options.sample);
    let is_damaged =
        |digest| survey.find(digest).is_some_and(|id| survey.node(id).state == ManifestState::WrongDigest);
    let blobs: HashMap<_, _> = stored
        .blobs
        .iter()
        .filter(|(digest, blob)| {
            blob.is_file && !intact.contains(*digest) && !is_damaged(digest) && sample.selects(digest)
        })
        .collect();
    let mut blobs: Vec<_> = blobs.into_iter().map(|(digest, blob)| (digest.clone(), blob.size)).collect();
    blobs.sort();
    let states = hash_all(parts, &blobs, progress, caller)?;
    let mut others = Vec::new();
    for ((digest, _), state) in blobs.into_iter().zip(states) {
        if state == BlobState::Intact {
            intact.insert(digest);
        } else {
            others.push((digest, state));
        }
    }
    Ok((intact, others))
}

/// A random part of all digests.
struct Sample {
    hasher: RandomState,
    /// Digests whose hash is below this are selected; `None` selects all.
    limit: Option<u64>,
}

impl Sample {
    fn new(percent: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a probability needs no exact limit"
        )]
        let limit = (percent < 100.0).then(|| (u64::MAX as f64 / 100.0 * percent.max(0.0)) as u64);
        Self { hasher: RandomState::new(), limit }
    }

    fn selects(&self, digest: &Digest) -> bool {
        self.limit.is_none_or(|limit| self.hasher.hash_one(digest) < limit)
    }
}

fn blob_problem(state: BlobState) -> Option<(ProblemKind, String)> {
    match state {
        BlobState::Intact | BlobState::Removed => None,
        BlobState::WrongDigest(found) => {
            Some((ProblemKind::WrongDigest, format!("its bytes have the digest {found}")))
        }
        BlobState::Unreadable(message) => Some((ProblemKind::Unreadable, message)),
    }
}

fn unlisted_problem(kind: ProblemKind, digest: &Digest, message: String) -> LayoutProblem {
    let message = format!("{message}; no readable manifest lists it");
    LayoutProblem { digest: Some(digest.clone()), ..problem(kind, blob_path(digest), message) }
}

fn file_problem(kind: ProblemKind, path: &str, error: &Error) -> LayoutProblem {
    problem(kind, path.to_owned(), error.chain())
}

fn foreign_file(path: &str) -> LayoutProblem {
    problem(ProblemKind::ForeignFile, path.to_owned(), "it does not belong to an OCI image layout".to_owned())
}

fn problem(kind: ProblemKind, path: String, message: String) -> LayoutProblem {
    LayoutProblem { kind, path, digest: None, size: None, listed_by: None, tags: Vec::new(), message }
}
