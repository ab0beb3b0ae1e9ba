//! Restores a bundle.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use oras_copy::{Concurrency, CopyOptions, Event, Observer, all_children, copy_graph};
use oras_spec::{Descriptor, Digest, Manifest};
use oras_store::{Content, Error, ErrorKind, PushMode, Pushed, Result, Side, Source, Store, Target};
use parking_lot::Mutex;
use serde::Serialize;

use super::closure::Closure;
use super::name_mapping::NameMapping;
use super::open::{Bundle, BundleRepository};
use super::receipt::{Receipt, ReceivedRepository};
use super::repository_walk::is_cosign_tag;
use super::restore_base::check_base;
use super::restore_target::BundleTarget;
use crate::{Listener, Step};

/// The number of tags that are written at a time.
const TAGS_AT_A_TIME: usize = 8;

/// The options of [`restore`]. The default restores every repository under its name without the registry.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BundleRestoreOptions {
    /// The names at the receiver.
    pub names: NameMapping,
    /// Makes a receipt of what the target has after the restore.
    pub receipt: bool,
    /// Reports what would be restored, without writing anything.
    pub dry_run: bool,
    /// The maximum number of nodes that are transferred at a time.
    pub concurrency: Concurrency,
}

impl BundleRestoreOptions {
    oras_store::setters! {
        names: NameMapping;
        receipt: bool;
        dry_run: bool;
        concurrency: impl Into<Concurrency> => concurrency.into();
    }
}

/// The result of [`restore`]. It serializes to the JSON document of `--format json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RestoredBundle {
    /// True if this was a dry run, which writes nothing.
    pub dry_run: bool,
    /// The repositories, in the order of the bundle.
    pub repositories: Vec<RestoredRepository>,
    /// What the target has now, if a receipt was requested.
    #[serde(skip)]
    pub receipt: Option<Receipt>,
}

/// What a restore did in one repository. A [`RestoredBundle`] lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RestoredRepository {
    /// The full name in the bundle.
    pub source: String,
    /// The name at the receiver, without a registry.
    pub name: String,
    /// The tags that were written.
    pub tags: Vec<String>,
    /// The number of blobs and manifests that were moved.
    pub moved: u64,
    /// The sum of their sizes in bytes.
    pub moved_bytes: u64,
    /// The number of visited blobs and manifests that the receiver had. Content below a manifest that it had is not
    /// visited.
    pub present: u64,
    /// The artifacts that could not be restored. Their tags are unchanged.
    pub failed: Vec<FailedArtifact>,
}

/// An artifact that could not be restored. A [`RestoredRepository`] lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedArtifact {
    /// The tag, or the digest of an artifact without a tag.
    pub reference: String,
    /// Why it failed.
    pub reason: String,
}

impl RestoredBundle {
    /// Returns true if an artifact could not be restored.
    pub fn has_failures(&self) -> bool {
        self.repositories.iter().any(|repository| !repository.failed.is_empty())
    }
}

/// Copies all repositories of `bundle` to `target`. The tags of a repository are written after its content.
///
/// Content that the target has is skipped, and interrupted uploads are resumed. If an artifact fails, the others are
/// restored, and the result lists the failure.
///
/// # Errors
/// - `InvalidInput` if two repositories would get one name, or a name is invalid.
/// - `NotFound` with [`MissingBase`](super::MissingBase) if the bundle leaves out content that the target does not have.
///   Nothing is written then.
pub async fn restore(
    bundle: &Bundle,
    target: &BundleTarget,
    options: BundleRestoreOptions,
    listener: impl Listener + 'static,
) -> Result<RestoredBundle> {
    let listener: Arc<dyn Listener> = Arc::new(listener);
    let names = target_names(bundle, &options.names)?;
    check_base(bundle, target, &names).await?;
    let mut result = RestoredBundle { dry_run: options.dry_run, ..RestoredBundle::default() };
    let mut received = Vec::new();
    for (listed, name) in bundle.inventory().repositories.iter().zip(names) {
        let Some(source) = bundle.repository(&listed.name) else { continue };
        let report =
            RestoredRepository { source: listed.name.clone(), name: name.clone(), ..Default::default() };
        let report = match open_store(target, &name, options.dry_run).await {
            Ok(store) => {
                let concurrency = options.concurrency;
                let mut restore = RepositoryRestore {
                    source,
                    target: store,
                    concurrency,
                    listener: Arc::clone(&listener),
                    report,
                };
                let complete = restore.run().await;
                if options.receipt {
                    received.push(restore.received(bundle, complete).await?);
                }
                restore.report
            }
            Err(error) => RestoredRepository { failed: failures(&source, &error), ..report },
        };
        result.repositories.push(report);
    }
    result.receipt = (options.receipt && !options.dry_run).then(|| Receipt::new(received));
    Ok(result)
}

/// Opens a store of the target. A dry run changes nothing, and takes an empty store for one that does not exist.
async fn open_store(target: &BundleTarget, name: &str, dry_run: bool) -> Result<Arc<dyn Store>> {
    if !dry_run {
        return target.open(name).await;
    }
    let found = target.find(name).await?;
    Ok(crate::dry_run(found.unwrap_or_else(|| Arc::new(crate::Memory::new()))))
}

/// Returns the name of each repository at the target.
fn target_names(bundle: &Bundle, mapping: &NameMapping) -> Result<Vec<String>> {
    let mut sources: BTreeMap<String, &str> = BTreeMap::new();
    let mut names = Vec::new();
    for listed in &bundle.inventory().repositories {
        let name = mapping.map(&listed.name)?;
        if let Some(other) = sources.insert(name.clone(), &listed.name) {
            let message = format!("{other} and {} would both be restored as {name}", listed.name);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        names.push(name);
    }
    Ok(names)
}

/// Returns a failure of every artifact of the repository.
fn failures(source: &BundleRepository, error: &Error) -> Vec<FailedArtifact> {
    let artifacts = artifacts(source);
    artifacts.into_iter().map(|(reference, _)| FailedArtifact { reference, reason: error.chain() }).collect()
}

/// Returns the tags and the digests of untagged artifacts, with their manifests. Cosign's tags come first, so that no
/// tag is visible before its signatures.
fn artifacts(source: &BundleRepository) -> Vec<(String, Descriptor)> {
    let listed = source.listed();
    let mut artifacts: Vec<_> = listed.tags.iter().map(|(tag, node)| (tag.clone(), node.plain())).collect();
    artifacts.sort_by_key(|(tag, _)| !is_cosign_tag(tag));
    artifacts.extend(listed.untagged.iter().map(|node| (node.digest.to_string(), node.plain())));
    artifacts
}

/// The restore of one repository.
struct RepositoryRestore {
    source: BundleRepository,
    target: Arc<dyn Store>,
    concurrency: Concurrency,
    listener: Arc<dyn Listener>,
    report: RestoredRepository,
}

impl RepositoryRestore {
    /// Copies all artifacts and writes their tags. Returns the artifacts that the target has.
    async fn run(&mut self) -> Vec<Descriptor> {
        let listed = self.source.listed();
        let roots = listed.tags.values().chain(&listed.untagged);
        let roots = roots.chain(listed.referrers.iter().map(|referrer| &referrer.descriptor));
        let roots: Vec<_> = roots.map(Descriptor::plain).collect();
        let mut artifacts = artifacts(&self.source);
        // All artifacts at once is the fastest way. After an error, each one is copied by itself to find those that fail.
        if let Err(error) = self.copy(roots).await {
            let is_unreachable = error.side() == Some(Side::Destination)
                && matches!(error.kind(), ErrorKind::Network | ErrorKind::Unauthorized | ErrorKind::Denied);
            if is_unreachable {
                self.report.failed = failures(&self.source, &error);
                return Vec::new();
            }
            let mut complete = Vec::new();
            for (reference, root) in artifacts {
                match self.copy(self.with_referrers(&root)).await {
                    Ok(()) => complete.push((reference, root)),
                    Err(error) => {
                        self.report.failed.push(FailedArtifact { reference, reason: error.chain() });
                    }
                }
            }
            artifacts = complete;
        }
        let complete = artifacts.iter().map(|(_, root)| root.clone()).collect();
        self.write_tags(artifacts).await;
        complete
    }

    /// Returns the content that the target has if it has the `complete` artifacts.
    async fn received(&self, bundle: &Bundle, complete: Vec<Descriptor>) -> Result<ReceivedRepository> {
        let listed = self.source.listed();
        let mut closure = Closure::default();
        let roots = complete.iter().flat_map(|root| self.with_referrers(root));
        closure.add(bundle.archive(), roots.collect::<Vec<_>>().into_iter()).await?;
        // The base was checked before the restore.
        let omitted = listed.omitted.iter().map(|node| node.digest.clone());
        let digests = closure.nodes.into_keys().chain(omitted);
        Ok(ReceivedRepository::new(&self.report.name, Some(&listed.name), digests))
    }

    /// Returns `root` and everything that refers to it, at every level.
    fn with_referrers(&self, root: &Descriptor) -> Vec<Descriptor> {
        let listed = self.source.listed();
        let (mut found, mut seen) = (vec![root.clone()], HashSet::from([root.digest.clone()]));
        let mut next = 0;
        while let Some(subject) = found.get(next).map(|node| node.digest.clone()) {
            // Referrers are sorted by subject.
            let key = subject.to_string();
            let start = listed.referrers.partition_point(|referrer| referrer.subject.to_string() < key);
            let of_subject =
                listed.referrers[start..].iter().take_while(|referrer| referrer.subject == subject);
            let new = of_subject.filter(|referrer| seen.insert(referrer.descriptor.digest.clone()));
            found.extend(new.map(|referrer| referrer.descriptor.plain()).collect::<Vec<_>>());
            next += 1;
        }
        found
    }

    /// Copies the graphs of `roots`, without the content that the bundle leaves out.
    async fn copy(&mut self, roots: Vec<Descriptor>) -> Result<()> {
        let omitted: HashSet<Digest> =
            self.source.listed().omitted.iter().map(|node| node.digest.clone()).collect();
        let source: Arc<dyn Source> = Arc::new(self.source.clone());
        let roots = roots.into_iter().filter(|root| !omitted.contains(&root.digest));
        let roots: Vec<_> = roots.map(|root| Content::from_source(Arc::clone(&source), root)).collect();
        if roots.is_empty() {
            return Ok(());
        }
        let selection = move |manifest: &Manifest| {
            let mut children = all_children(manifest);
            children.retain(|child| !omitted.contains(&child.digest));
            children
        };
        let counts = Arc::new(Counts { listener: Arc::clone(&self.listener), moved: Mutex::default() });
        let options = CopyOptions::default()
            .selection(selection)
            .concurrency(self.concurrency)
            .observer(Arc::clone(&counts) as Arc<dyn Observer>);
        let copied = copy_graph(source, Arc::clone(&self.target) as Arc<dyn Target>, roots, options).await;
        let moved = counts.moved.lock();
        self.report.moved += moved.count;
        self.report.moved_bytes += moved.bytes;
        self.report.present += moved.present;
        copied.map(drop)
    }

    /// Writes the tags of complete artifacts.
    async fn write_tags(&mut self, artifacts: Vec<(String, Descriptor)>) {
        let omitted: HashSet<_> = self.source.listed().omitted.iter().map(|node| &node.digest).collect();
        let tags = self.source.listed().tags.clone();
        let writes = artifacts.into_iter().filter(|(tag, _)| tags.contains_key(tag)).map(|(tag, root)| {
            let target = Arc::clone(&self.target);
            // The receiver has the manifests that the bundle leaves out.
            let source: Arc<dyn Source> = match omitted.contains(&root.digest) {
                true => Arc::clone(&self.target) as Arc<dyn Source>,
                false => Arc::new(self.source.clone()),
            };
            async move {
                let written = target.push(&Content::from_source(source, root), PushMode::AddTag(&tag)).await;
                (tag, written)
            }
        });
        // Collects the futures first: a stream that holds the closure would not be `Send`.
        let mut written = stream::iter(writes.collect::<Vec<_>>()).buffered(TAGS_AT_A_TIME);
        while let Some((tag, written)) = written.next().await {
            match written {
                Ok(_) => {
                    self.listener.step(Step::Tagged(&tag));
                    self.report.tags.push(tag);
                }
                Err(error) => {
                    self.report.failed.push(FailedArtifact { reference: tag, reason: error.chain() })
                }
            }
        }
    }
}

/// Counts the nodes of a copy, and forwards its events.
struct Counts {
    listener: Arc<dyn Listener>,
    moved: Mutex<Moved>,
}

#[derive(Default)]
struct Moved {
    count: u64,
    bytes: u64,
    present: u64,
}

impl Observer for Counts {
    fn event(&self, event: Event<'_>) {
        if let Event::Finished { node, outcome, .. } = event {
            let mut moved = self.moved.lock();
            match outcome {
                Pushed::Existed => moved.present += 1,
                Pushed::Copied | Pushed::Adopted => {
                    moved.count += 1;
                    moved.bytes += node.size;
                }
            }
        }
        self.listener.step(Step::Node(event));
    }
}
