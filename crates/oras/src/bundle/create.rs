//! Writes a bundle.

use std::collections::HashSet;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use futures::stream::{FuturesOrdered, StreamExt};
use oras_copy::{Concurrency, Event};
use oras_layout::ArchiveStream;
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{Content, Error, ErrorKind, ProgressUpdate, Pushed, Result};
use serde::Serialize;

use super::inventory::{BUNDLE_TYPE, BundledRepository, Inventory, MissingContent, MissingKind, tag_entry};
use super::order::{Order, PlannedContent};
use super::receipt::Receipt;
use super::repository_walk::{self, RepositoryWalk, WalkOptions, is_cosign_tag};
use super::source::BundleSource;
use crate::required_referrers::MissingReferrer;
use crate::{Listener, Step};

/// Content of at most this size in bytes is fetched into memory while other content is written.
const SMALL: u64 = 512 * 1024;
/// The number of small blobs that are fetched ahead.
const FETCHED_AHEAD: usize = 8;

/// The options of [`create`]. The default fails if anything is missing, and leaves nothing out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BundleOptions {
    /// Lists content in the bundle that the sources list and do not have. Without this option it is an error.
    pub allow_missing: bool,
    /// Leaves out the content that the receiver has according to these receipts.
    pub have: Vec<Receipt>,
    /// Every tag must have a referrer of each of these artifact types, except cosign's tags. Without one, the bundle
    /// is not created.
    pub require_referrers: Vec<MediaType>,
    /// Reports what would be bundled, and reads only manifests.
    pub dry_run: bool,
    /// The number of requests at the same time.
    pub concurrency: Concurrency,
}

impl BundleOptions {
    oras_store::setters! {
        allow_missing: bool;
        have: Vec<Receipt>;
        require_referrers: Vec<MediaType>;
        dry_run: bool;
        concurrency: impl Into<Concurrency> => concurrency.into();
    }
}

/// Where [`create`] writes a bundle. Only a file can be resumed after an interruption.
pub enum BundleOutput {
    /// A file, which is published when it is complete. An interrupted run is resumed by the next one.
    File(PathBuf),
    /// A writer, such as standard output, which gets the bytes in order.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for BundleOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Writer(_) => f.write_str("Writer"),
        }
    }
}

/// The result of [`create`]. It serializes to the JSON document of `--format json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CreatedBundle {
    /// True if this was a dry run, which writes nothing.
    pub dry_run: bool,
    /// The size of the bundle in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_size: Option<u64>,
    /// The bytes of blobs that an interrupted run had written, and that were not fetched again.
    pub resumed_bytes: u64,
    /// What the bundle contains.
    #[serde(flatten)]
    pub inventory: Inventory,
}

/// Writes the selected content of all `sources` into one bundle, in one pass and without a temporary copy.
///
/// The bytes of the bundle depend only on the content, not on times or the order of answers. An interrupted run
/// with a file as output leaves a partial file beside it. The next run with the same sources resumes it, also in the
/// middle of a blob.
///
/// # Errors
/// - `InvalidInput` if two sources have one name.
/// - The first error of a source. `NotFound` for content that a source lists and does not have, unless
///   [`BundleOptions::allow_missing`] is set.
/// - `Io` if the bundle cannot be written.
pub async fn create(
    sources: Vec<BundleSource>,
    output: BundleOutput,
    options: BundleOptions,
    listener: impl Listener + 'static,
) -> Result<CreatedBundle> {
    let listener: Arc<dyn Listener> = Arc::new(listener);
    let sources = sorted(sources)?;
    // The output is opened before the first request, so that an unusable path fails at once.
    let mut archive = match output {
        _ if options.dry_run => None,
        BundleOutput::File(path) => Some(ArchiveStream::create(path).await?),
        BundleOutput::Writer(writer) => Some(ArchiveStream::to_writer(writer)),
    };
    let concurrency = options.concurrency.get_or(repository_walk::default_concurrency());
    let walk_options =
        WalkOptions { allow_missing: options.allow_missing, concurrency, listener: &*listener };
    let mut walks = Vec::new();
    let mut order = Order::default();
    for (number, source) in sources.iter().enumerate() {
        let mut walk = repository_walk::walk(source, &walk_options).await?;
        check_required(&walk, &options.require_referrers)?;
        let omit = options.have.iter().flat_map(|receipt| receipt.digests_of(&source.name)).collect();
        order.append(number, &mut walk, &omit)?;
        walks.push(walk);
    }
    let (mut contents, mut size) = (order.contents.len() as u64, order.size());
    if let Some(archive) = &mut archive {
        let mut writer = BundleWriter { archive, walks: &mut walks, listener, options: &options };
        let absent = writer.write_all(order).await?;
        contents -= absent.len() as u64;
        size -= absent.iter().map(|node| node.size).sum::<u64>();
    }
    let mut inventory = Inventory::new(walks.iter().map(|walk| walk.listed.clone()).collect());
    (inventory.contents, inventory.size) = (contents, size);
    let Some(mut archive) = archive else {
        return Ok(CreatedBundle { dry_run: true, archive_size: None, resumed_bytes: 0, inventory });
    };
    let entries = write_inventory(&mut archive, &walks, &inventory).await?;
    let resumed_bytes = archive.resumed_bytes();
    let archive_size = Some(archive.finish(&entries).await?);
    Ok(CreatedBundle { dry_run: false, archive_size, resumed_bytes, inventory })
}

/// Returns the sources sorted by name.
fn sorted(mut sources: Vec<BundleSource>) -> Result<Vec<BundleSource>> {
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    match sources.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => {
            let message = format!("the repository {} is given twice", pair[0].name);
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
        None => Ok(sources),
    }
}

/// Fails unless every tag has a referrer of each required type.
fn check_required(walk: &RepositoryWalk, required: &[MediaType]) -> Result<()> {
    let tags = walk.listed.tags.iter().filter(|(tag, _)| !is_cosign_tag(tag));
    for (_, root) in tags {
        let of_root = walk.listed.referrers.iter().filter(|referrer| referrer.subject == root.digest);
        let types: Vec<_> =
            of_root.filter_map(|referrer| referrer.descriptor.artifact_type.as_ref()).collect();
        if let Some(artifact_type) = required.iter().find(|required| !types.contains(required)) {
            let subject = format!("{}@{}", walk.listed.name, root.digest);
            return Err(MissingReferrer::error(artifact_type, subject));
        }
    }
    Ok(())
}

/// Appends the inventory, and returns the entries of the index.
async fn write_inventory(
    archive: &mut ArchiveStream,
    walks: &[RepositoryWalk],
    inventory: &Inventory,
) -> Result<Vec<Descriptor>> {
    let mut entries = index_entries(walks);
    let contents = inventory.to_contents()?;
    let is_config_there = walks.iter().any(|walk| has_blob(walk, &contents[0].descriptor().digest));
    for content in contents.iter().skip(usize::from(is_config_there)) {
        archive.append(content).await?;
    }
    let manifest = contents.last().map(|manifest| manifest.descriptor().clone());
    entries.extend(manifest.map(|mut manifest| {
        manifest.artifact_type = Some(MediaType::new(BUNDLE_TYPE));
        manifest
    }));
    Ok(entries)
}

fn has_blob(walk: &RepositoryWalk, digest: &Digest) -> bool {
    let is_missing = walk.listed.missing.iter().any(|missing| missing.name == digest.to_string());
    let is_omitted = walk.listed.omitted.iter().any(|node| node.digest == *digest);
    let lists = || walk.nodes.values().any(|node| node.children.iter().any(|child| child.digest == *digest));
    !is_missing && !is_omitted && lists()
}

/// Returns the entries of the index: first the tags with their full names, then all other manifests, which makes
/// referrers visible to other tools.
fn index_entries(walks: &[RepositoryWalk]) -> Vec<Descriptor> {
    let (mut entries, mut listed) = (Vec::new(), HashSet::new());
    let is_there = |walk: &RepositoryWalk, digest: &Digest| {
        walk.nodes.contains_key(digest) && !walk.listed.omitted.iter().any(|node| node.digest == *digest)
    };
    for walk in walks {
        for (tag, node) in walk.listed.tags.iter().filter(|(_, node)| is_there(walk, &node.digest)) {
            listed.insert(node.digest.clone());
            let is_image = walk.nodes.get(&node.digest).is_some_and(|node| node.is_image);
            entries.push(tag_entry(&walk.listed.name, tag, node, is_image));
        }
    }
    let mut others = Vec::new();
    for walk in walks {
        let omitted: HashSet<_> = walk.listed.omitted.iter().map(|node| &node.digest).collect();
        let nodes = walk.nodes.values().filter(|node| !omitted.contains(&node.descriptor.digest));
        others.extend(nodes.filter(|node| listed.insert(node.descriptor.digest.clone())));
    }
    others.sort_by_cached_key(|node| node.descriptor.digest.to_string());
    entries.extend(others.into_iter().map(|node| node.descriptor.plain()));
    entries
}

/// Writes the blobs and manifests of a bundle.
struct BundleWriter<'a> {
    archive: &'a mut ArchiveStream,
    walks: &'a mut [RepositoryWalk],
    listener: Arc<dyn Listener>,
    options: &'a BundleOptions,
}

impl BundleWriter<'_> {
    /// Writes all contents in order. Returns those that their sources do not have.
    async fn write_all(&mut self, order: Order) -> Result<Vec<Descriptor>> {
        let mut contents = order.contents.into_iter().peekable();
        // What an interrupted run has written is not fetched, not even ahead.
        while let Some(next) = contents.peek()
            && self.archive.find_written(&next.descriptor).await?
        {
            let (node, outcome) = (&next.descriptor, Pushed::Existed);
            self.listener.step(Step::Node(Event::Finished { node, outcome, children: &[] }));
            contents.next();
        }
        let mut ahead = FuturesOrdered::new();
        let mut absent = Vec::new();
        loop {
            let free = FETCHED_AHEAD - ahead.len();
            ahead.extend(contents.by_ref().take(free).map(|planned| fetch(self.open(planned))));
            let Some((planned, content)) = ahead.next().await else { return Ok(absent) };
            let written = match content {
                Ok(content) => self.archive.append(&content).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => {
                    let (node, outcome) = (&planned.descriptor, Pushed::Copied);
                    self.listener.step(Step::Node(Event::Finished { node, outcome, children: &[] }));
                }
                Err(error) => {
                    self.add_missing(&planned, error)?;
                    absent.push(planned.descriptor);
                }
            }
        }
    }

    /// Returns the content with its progress.
    fn open(&self, planned: PlannedContent) -> (PlannedContent, Result<Content>) {
        let walk = &self.walks[planned.repository];
        let node = walk.nodes.get(&planned.descriptor.digest).filter(|_| planned.parent.is_none());
        let content = match node.and_then(|node| node.bytes.clone()) {
            Some(bytes) => Content::from_bytes(planned.descriptor.clone(), bytes),
            None => Ok(Content::from_source(Arc::clone(&walk.store), planned.descriptor.clone())),
        };
        let (listener, start) = (Arc::clone(&self.listener), Once::new());
        let node = planned.descriptor.clone();
        let progress = move |update| {
            start.call_once(|| listener.step(Step::Node(Event::Started(&node))));
            listener.step(Step::Node(match update {
                ProgressUpdate::Transferred(bytes) => Event::Progress(&node, bytes),
                ProgressUpdate::Present(bytes) => Event::Present(&node, bytes),
            }));
        };
        (planned, content.map(|content| content.with_progress(Arc::new(progress))))
    }

    /// Lists content that its source does not have, if that is allowed.
    fn add_missing(&mut self, planned: &PlannedContent, error: Error) -> Result<()> {
        let listed: &mut BundledRepository = &mut self.walks[planned.repository].listed;
        let name = planned.descriptor.digest.to_string();
        let kind = if planned.parent.is_some() { MissingKind::Blob } else { MissingKind::Manifest };
        if error.kind() != ErrorKind::NotFound || !self.options.allow_missing {
            let of = planned.parent.as_ref().map(|parent| format!(" of {parent}")).unwrap_or_default();
            let message = format!("failed to bundle {}: {} {name}{of}", listed.name, kind.as_str());
            return Err(error.context(message));
        }
        let (parent, reason) = (planned.parent.clone(), error.chain());
        listed.missing.push(MissingContent { kind, name, parent, reason });
        listed.size -= planned.descriptor.size;
        *(if planned.parent.is_some() { &mut listed.blobs } else { &mut listed.manifests }) -= 1;
        Ok(())
    }
}

/// Fetches small content into memory, so that several requests overlap.
async fn fetch((planned, content): (PlannedContent, Result<Content>)) -> (PlannedContent, Result<Content>) {
    let fetched = async {
        let content = content?;
        if content.descriptor().size > SMALL {
            return Ok(content);
        }
        Content::from_bytes(content.descriptor().clone(), content.bytes(SMALL).await?)
    };
    let fetched = fetched.await;
    (planned, fetched)
}
