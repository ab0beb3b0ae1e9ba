//! Verifies a bundle without a network.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use oras_copy::Event;
use oras_layout::ArchivedBlob;
use oras_spec::{Descriptor, Digest, MediaType, annotation};
use oras_store::{ErrorKind, ProgressUpdate, Pushed, Result};
use serde::Serialize;

use super::closure::Closure;
use super::inventory::{BundledRepository, IMAGE_NAME, MissingContent};
use super::open::Bundle;
use crate::{Listener, Step};

/// The result of [`verify`]. It serializes to the JSON document of `--format json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerifiedBundle {
    /// The number of repositories.
    pub repositories: u64,
    /// The number of tags.
    pub tags: u64,
    /// The number of referrers that the sources listed.
    pub referrers: u64,
    /// The number of blobs and manifests that were hashed.
    pub contents: u64,
    /// The sum of their sizes in bytes.
    pub size: u64,
    /// The number of blobs and manifests that the bundle leaves out because the receiver has them.
    pub omitted: u64,
    /// What the sources listed and did not have when the bundle was created.
    pub missing: Vec<MissingContent>,
    /// The differences between the bundle and its inventory. Empty means that the bundle is complete and undamaged.
    pub problems: Vec<BundleProblem>,
}

/// A difference between a bundle and its inventory. A [`VerifiedBundle`] lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BundleProblem {
    /// The repositories that need the content.
    pub repositories: Vec<String>,
    /// The name of the file in the archive.
    pub entry: String,
    /// The digest of the content, if the problem is about content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What is wrong.
    pub reason: String,
}

/// Hashes all content of `bundle`, and compares it with the inventory: every tag, every manifest with everything that
/// it lists, and every referrer that the sources listed.
///
/// # Errors
/// `Io` if the bundle cannot be read. Damage is no error, but a problem in the result.
pub async fn verify(bundle: &Bundle, listener: impl Listener + 'static) -> Result<VerifiedBundle> {
    let listener: Arc<dyn Listener> = Arc::new(listener);
    let blobs = bundle.archive().blobs();
    let mut verification = Verification {
        sizes: blobs.iter().map(|blob| (blob.digest.clone(), blob.size)).collect(),
        owners: HashMap::new(),
        excused: HashSet::new(),
        problems: Vec::new(),
    };
    let mut result = VerifiedBundle::default();
    let listed = &bundle.inventory().repositories;
    for (number, repository) in listed.iter().enumerate() {
        result.repositories += 1;
        result.tags += repository.tags.len() as u64;
        result.referrers += repository.referrers.len() as u64;
        result.omitted += repository.omitted.len() as u64;
        result.missing.extend(repository.missing.iter().cloned());
        verification.check_repository(bundle, number, repository).await?;
    }
    verification.check_index(bundle);
    let damaged = hash_all(bundle, &blobs, &listener).await?;
    result.contents = blobs.len() as u64;
    result.size = blobs.iter().map(|blob| blob.size).sum();
    for (digest, reason) in damaged {
        let owners = verification.owners.get(&digest).cloned().unwrap_or_default();
        verification.problems.push(problem(listed, &owners, &digest, reason));
    }
    result.problems = verification.problems;
    Ok(result)
}

/// Returns a problem of the content with `digest`.
fn problem(
    listed: &[BundledRepository],
    owners: &BTreeSet<usize>,
    digest: &Digest,
    reason: String,
) -> BundleProblem {
    BundleProblem {
        repositories: owners.iter().filter_map(|number| Some(listed.get(*number)?.name.clone())).collect(),
        entry: format!("blobs/{}/{}", digest.algorithm_name(), digest.encoded()),
        digest: Some(digest.clone()),
        reason,
    }
}

/// Hashes all blobs. Returns the damaged ones with the reason.
async fn hash_all(
    bundle: &Bundle,
    blobs: &[ArchivedBlob],
    listener: &Arc<dyn Listener>,
) -> Result<Vec<(Digest, String)>> {
    let node = |blob: &ArchivedBlob| Descriptor::new(MediaType::OCTET_STREAM, blob.digest.clone(), blob.size);
    let children: Vec<_> = blobs.iter().map(node).collect();
    listener.step(Step::Node(Event::Opened { node: bundle.manifest(), children: &children, left_out: &[] }));
    // One thread reads and one hashes each blob. More blobs at a time than cores would only add seeks.
    let at_a_time = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    let hashes: Vec<_> = children.iter().map(|node| hash(bundle, node.clone(), listener)).collect();
    let mut hashed = stream::iter(hashes).buffered(at_a_time);
    let mut damaged = Vec::new();
    while let Some(result) = hashed.next().await {
        damaged.extend(result?);
    }
    Ok(damaged)
}

async fn hash(
    bundle: &Bundle,
    node: Descriptor,
    listener: &Arc<dyn Listener>,
) -> Result<Option<(Digest, String)>> {
    let (shown, progress) = (node.clone(), Arc::clone(listener));
    listener.step(Step::Node(Event::Started(&node)));
    let content = bundle.archive().content(&node).with_progress(Arc::new(move |update| {
        if let ProgressUpdate::Transferred(bytes) = update {
            progress.step(Step::Node(Event::Progress(&shown, bytes)));
        }
    }));
    let name = node.digest.to_string();
    match oras_fs::write_verified(&content, io::sink(), name, |_| Ok(())).await {
        Ok(()) => {
            let outcome = Pushed::Copied;
            listener.step(Step::Node(Event::Finished { node: &node, outcome, children: &[] }));
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::Io => Err(error),
        Err(error) => Ok(Some((node.digest.clone(), error.chain()))),
    }
}

/// The state of a verification.
struct Verification {
    /// The blobs in the archive.
    sizes: HashMap<Digest, u64>,
    /// The numbers of the repositories that need each digest.
    owners: HashMap<Digest, BTreeSet<usize>>,
    /// The digests that the inventory lists as missing.
    excused: HashSet<String>,
    problems: Vec<BundleProblem>,
}

impl Verification {
    async fn check_repository(
        &mut self,
        bundle: &Bundle,
        number: usize,
        listed: &BundledRepository,
    ) -> Result<()> {
        self.excused.extend(listed.missing.iter().map(|missing| missing.name.clone()));
        let omitted: HashSet<_> = listed.omitted.iter().map(|node| &node.digest).collect();
        let is_excused =
            |digest: &Digest| omitted.contains(digest) || self.excused.contains(&digest.to_string());
        let mut closure = Closure::default();
        let referrers = listed.referrers.iter().map(|referrer| &referrer.descriptor);
        let roots = listed.tags.values().chain(&listed.untagged).chain(referrers);
        closure.add(bundle.archive(), roots.map(Descriptor::plain)).await?;
        let mut missing = Vec::new();
        for (digest, node) in &closure.nodes {
            self.owners.entry(digest.clone()).or_default().insert(number);
            let size = self.sizes.get(digest);
            if size == Some(&node.descriptor.size) || (size.is_none() && is_excused(digest)) {
                continue;
            }
            let by = node.parent.as_ref().map(|parent| format!(", which {parent} lists")).unwrap_or_default();
            let reason = match size {
                None => format!("the bundle does not have it{by}"),
                Some(size) => format!("it has {size} bytes instead of {}{by}", node.descriptor.size),
            };
            missing.push((digest, reason));
        }
        missing.sort_by_cached_key(|(digest, _)| digest.to_string());
        let owner = BTreeSet::from([number]);
        let listed_all = &bundle.inventory().repositories;
        for (digest, reason) in missing {
            self.problems.push(problem(listed_all, &owner, digest, reason));
        }
        for referrer in &listed.referrers {
            let digest = &referrer.descriptor.digest;
            let found = closure.subjects.get(digest);
            // A manifest that cannot be read has its own problem.
            if found.is_some_and(|found| *found != referrer.subject) {
                let reason = format!("the source listed it as a referrer of {}", referrer.subject);
                self.problems.push(problem(listed_all, &owner, digest, reason));
            }
        }
        Ok(())
    }

    /// Compares the full names in the index with the tags of the inventory.
    fn check_index(&mut self, bundle: &Bundle) {
        let roots = bundle.archive().roots();
        let mut named: HashMap<&str, &Digest> = HashMap::new();
        for root in &roots {
            named
                .extend(root.annotations.get(annotation::REF_NAME).map(|name| (name.as_str(), &root.digest)));
        }
        let problems = &mut self.problems;
        let mut wrong = |repository: &str, reason: String| {
            let repositories = vec![repository.to_owned()];
            problems.push(BundleProblem {
                repositories,
                entry: "index.json".to_owned(),
                digest: None,
                reason,
            });
        };
        for listed in &bundle.inventory().repositories {
            for (tag, node) in &listed.tags {
                let name = format!("{}:{tag}", listed.name);
                match named.remove(name.as_str()) {
                    Some(digest) if *digest == node.digest => {}
                    None if self.excused.contains(&node.digest.to_string()) => {}
                    None if listed.omitted.iter().any(|omitted| omitted.digest == node.digest) => {}
                    Some(digest) => {
                        wrong(&listed.name, format!("{name} names {digest} instead of {}", node.digest))
                    }
                    None => wrong(&listed.name, format!("{name} is not listed")),
                }
            }
        }
        let mut others: Vec<_> = named.into_keys().collect();
        others.sort_unstable();
        for name in others {
            wrong(repository_of(name), format!("{name} is not in the inventory"));
        }
        for root in &roots {
            let [name, image] = [annotation::REF_NAME, IMAGE_NAME].map(|key| root.annotations.get(key));
            if let Some(image) = image.filter(|image| name != Some(image)) {
                wrong(repository_of(image), format!("{} has the other name {image}", root.digest));
            }
        }
    }
}

/// Returns the repository in a full name with a tag.
fn repository_of(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(repository, _)| repository)
}
