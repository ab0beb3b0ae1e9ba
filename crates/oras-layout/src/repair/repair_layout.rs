//! The repair of one layout.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use oras_fs::{StagedFile, blocking, failed_to};
use oras_spec::layout::{MARKER_FILE, Marker};
use oras_spec::{Descriptor, Digest, MediaType, json};
use oras_store::{ReadStore, Result};
use tokio::sync::oneshot;

use super::index_rebuild::RebuiltIndex;
use super::repair_report::{LayoutRepair, UnavailableBlob};
use super::replacement::replace;
use crate::check::{CheckOptions, CheckProgress, Checked, ProblemKind};
use crate::maintenance::blob_removal;
use crate::oci_layout_file::LayoutFault;
use crate::survey::layout_parts::LayoutParts;

/// The number of blobs that are fetched at the same time.
const CONCURRENCY: usize = 4;

/// A store that has copies of the content of a layout, for [`repair`]. Blobs that are damaged or missing are fetched from
/// it by digest, and verified.
#[derive(Clone)]
#[non_exhaustive]
pub struct RepairSource {
    /// The store: a repository of a registry, or another layout.
    pub store: Arc<dyn ReadStore>,
    /// The name in reports.
    pub name: String,
    /// A tag or digest in the store. It becomes an entry of the index if that is rebuilt. Without a reference, all tags
    /// of the store become entries whose manifests the layout has.
    pub reference: Option<String>,
}

impl RepairSource {
    /// Makes a source without a reference.
    pub fn new(store: impl ReadStore + 'static, name: impl Into<String>) -> Self {
        Self { store: Arc::new(store), name: name.into(), reference: None }
    }

    oras_store::setters! {
        reference: impl Into<Option<String>> => reference.into();
    }
}

impl std::fmt::Debug for RepairSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("RepairSource");
        shown.field("name", &self.name).field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// The options of [`repair`]. By default, it has no sources and can only restore what the layout itself still has.
#[derive(Clone)]
#[non_exhaustive]
pub struct RepairOptions {
    /// The stores to fetch from, in the order in which they are tried.
    pub sources: Vec<RepairSource>,
    /// Receives the steps of the check and of the transfers. Several threads call it.
    pub progress: Arc<dyn Fn(CheckProgress<'_>) + Send + Sync>,
}

impl RepairOptions {
    oras_store::setters! {
        sources: impl IntoIterator<Item = RepairSource> => sources.into_iter().collect();
        progress: impl Fn(CheckProgress<'_>) + Send + Sync + 'static => Arc::new(progress);
    }
}

impl Default for RepairOptions {
    fn default() -> Self {
        Self { sources: Vec::new(), progress: Arc::new(|_| {}) }
    }
}

impl std::fmt::Debug for RepairOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RepairOptions").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// Repairs the layout in the directory `path`: checks it, fetches what is damaged or missing, and checks it again.
///
/// A fetched blob is verified and flushed before it replaces the damaged one by a rename. If `index.json` is damaged, it
/// is rebuilt from its readable part, from the references of the sources, and from the manifests in the layout; a copy
/// of it stays. Content that the repair cannot fetch is no error, see [`LayoutRepair::outcome`]. The repair can be
/// interrupted at any point, and a later one continues.
///
/// ```
/// use oras_layout::store::spec::MediaType;
/// use oras_layout::{Layout, RepairOptions, RepairOutcome, RepairSource, repair};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_layout::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let [layout, copy] = ["layout", "copy"].map(|name| Layout::open_or_create(directory.path().join(name)));
/// let (layout, copy) = (layout.await?, copy.await?);
/// let index = r#"{"schemaVersion":2,"manifests":[]}"#;
/// copy.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
/// let index = layout.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
/// std::fs::remove_file(layout.path().join("blobs/sha256").join(index.digest.encoded())).unwrap();
///
/// let options = RepairOptions::default().sources([RepairSource::new(copy, "the copy")]);
/// let report = repair(layout.path(), options).await?;
/// assert_eq!((report.outcome(), report.repaired[0].from.as_str()), (RepairOutcome::Repaired, "the copy"));
/// # Ok(()) }
/// ```
///
/// # Errors
/// `NotFound`; `InvalidContent` if there is no layout; `Unsupported` for a tar archive and for another version of the
/// layout; `Denied` if the directories of the blobs are links; `Io`.
pub async fn repair(path: impl Into<PathBuf>, options: RepairOptions) -> Result<LayoutRepair> {
    let path = path.into();
    let root = path.clone();
    let marker_rewritten = blocking(move || {
        LayoutParts::open(&root)?.directory()?;
        let is_rewritten = rewrite_marker(&root)?;
        // A killed garbage collection may have moved a blob that is needed.
        blob_removal::recover(&root);
        Ok(is_rewritten)
    })
    .await?;
    let mut checked = check(&path, HashSet::new(), &options).await?;
    let mut report = LayoutRepair {
        path: path.clone(),
        marker_rewritten,
        damaged_index: None,
        restored_entries: Vec::new(),
        repaired: Vec::new(),
        unavailable: Vec::new(),
        check: checked.report(path.clone()),
    };
    if checked.problems.iter().any(|problem| problem.kind == ProblemKind::Index) {
        let mut rebuilt = RebuiltIndex::collect(&path, &options.sources, &checked).await?;
        report.restored_entries = std::mem::take(&mut rebuilt.entries);
        report.damaged_index = rebuilt.write(&path).await?;
        checked = check(&path, checked.intact, &options).await?;
    }
    let mut failed = HashSet::new();
    loop {
        let wanted: Vec<_> =
            wanted(&checked).into_iter().filter(|node| !failed.contains(&node.digest)).collect();
        if wanted.is_empty() {
            report.check = checked.report(path);
            return Ok(report);
        }
        let mut intact = std::mem::take(&mut checked.intact);
        for result in fetch_all(&path, &wanted, &options).await {
            match result {
                Ok(repaired) => report.repaired.push(repaired),
                Err(unavailable) => {
                    failed.insert(unavailable.digest.clone());
                    report.unavailable.push(unavailable);
                }
            }
        }
        intact.retain(|digest| !wanted.iter().any(|node| node.digest == *digest));
        // A fetched manifest may list content that is missing, too. Each digest is fetched or fails once, so this ends.
        failed.extend(wanted.into_iter().map(|node| node.digest));
        checked = check(&path, intact, &options).await?;
    }
}

async fn check(path: &Path, intact: HashSet<Digest>, options: &RepairOptions) -> Result<Checked> {
    let parts = LayoutParts::Directory(path.to_owned());
    let progress = Arc::clone(&options.progress);
    let options = CheckOptions::default().progress(move |step| progress(step));
    // Dropping this future drops the receiver, which cancels the work on the blocking threads.
    let (caller, _waiting) = oneshot::channel();
    blocking(move || Checked::run(&parts, &options, &intact, &caller)).await
}

/// Returns the blobs to fetch, each once.
fn wanted(checked: &Checked) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for problem in &checked.problems {
        let is_content = matches!(
            problem.kind,
            ProblemKind::Missing
                | ProblemKind::WrongSize
                | ProblemKind::WrongDigest
                | ProblemKind::Unreadable
        );
        let Some(digest) = problem.digest.as_ref().filter(|_| is_content) else { continue };
        // If the digest is right and the size is not, the descriptor is wrong, and no source can have such content.
        if checked.intact.contains(digest) || !seen.insert(digest.clone()) {
            continue;
        }
        let node = match checked.survey.find(digest) {
            Some(id) => checked.survey.descriptor(id),
            // Nothing says how large an unreachable blob must be. Usually bits are wrong, and not the size.
            None => {
                let Some(stored) = checked.stored.blobs.get(digest) else { continue };
                Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), stored.size)
            }
        };
        wanted.push(node);
    }
    wanted
}

async fn fetch_all(
    root: &Path,
    wanted: &[Descriptor],
    options: &RepairOptions,
) -> Vec<std::result::Result<super::RepairedBlob, UnavailableBlob>> {
    let bytes = wanted.iter().fold(0_u64, |sum, node| sum.saturating_add(node.size));
    (options.progress)(CheckProgress::Planned { blobs: wanted.len() as u64, bytes });
    stream::iter(wanted)
        .map(|node| async move {
            (options.progress)(CheckProgress::Started(&node.digest, node.size));
            let result = replace(root, node, &options.sources, &options.progress).await;
            (options.progress)(CheckProgress::Finished(&node.digest, node.size));
            result
        })
        .buffered(CONCURRENCY)
        .collect()
        .await
}

/// Writes the file `oci-layout` again if it is missing or malformed.
fn rewrite_marker(root: &Path) -> Result<bool> {
    let parts = LayoutParts::Directory(root.to_owned());
    let Err(error) = parts.check_marker() else { return Ok(false) };
    // Another version of the layout may have other rules.
    if matches!(error.find::<LayoutFault>(), Some(LayoutFault::Version(_))) {
        return Err(error);
    }
    let path = root.join(MARKER_FILE);
    let mut staged = StagedFile::create(root)?;
    staged.write_all(&json::to_vec(&Marker::default())).map_err(failed_to("write", &path))?;
    staged.sync()?;
    // No process can have locked the damaged file, because no process could open the layout.
    staged.publish(&path)?;
    oras_fs::sync_directory(root)?;
    Ok(true)
}
