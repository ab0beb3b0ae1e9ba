//! Describes an artifact: its kind, files, platforms, sizes and referrers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use oras_spec::{Descriptor, Digest, Manifest, Platform, annotation};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, ReadStore, Result, Source};
use serde::Deserialize;

use crate::artifact_kind::{ArtifactClass, ArtifactKind, cosign_tags};
use crate::resolve::fetch_root;

/// The maximum number of concurrent requests for the manifests of an index.
const CONCURRENCY: usize = 5;
/// The default limit of manifests that are read below an index. Most indexes have fewer platforms and attestations.
const MAX_MANIFESTS: usize = 32;
/// The size of the largest image config that is read. Configs with long histories have about 100 KiB.
const MAX_CONFIG_SIZE: u64 = 4 << 20;

/// The options of [`inspect`](fn@inspect). Use them to choose a platform, or to bound the number of requests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectOptions {
    /// Selects the image for this platform, if the reference names an index.
    pub platform: Option<Platform>,
    /// Reads the manifest and nothing else: no config, no referrers, and no manifests of an index.
    pub manifest_only: bool,
    /// The maximum number of manifests that are read below an index, to add up their sizes. By default 32.
    pub max_manifests: usize,
    /// The size in bytes of the largest manifest that is read. `None` means the default, 4 MiB.
    pub max_manifest_size: Option<u64>,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self { platform: None, manifest_only: false, max_manifests: MAX_MANIFESTS, max_manifest_size: None }
    }
}

impl InspectOptions {
    oras_store::setters! {
        platform: impl Into<Option<Platform>> => platform.into();
        manifest_only: bool;
        max_manifests: usize;
        max_manifest_size: impl Into<Option<u64>> => max_manifest_size.into();
    }
}

/// What [`inspect`](fn@inspect) found. A program shows it to people, or checks it before it pulls the artifact.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The media type, digest and size of the manifest.
    pub root: Descriptor,
    /// The manifest, with its original bytes. Its layers are the files.
    pub manifest: Manifest,
    /// What the artifact is.
    pub class: ArtifactClass,
    /// The creation time, from the annotations or from the config of an image.
    pub created: Option<String>,
    /// The platforms of the images, in order, each once.
    pub platforms: Vec<Platform>,
    /// The manifests of an index, in order.
    pub manifests: Vec<InspectedManifest>,
    /// The manifests that refer to the artifact, in the order of the store, then those that cosign tagged.
    pub referrers: Vec<InspectedReferrer>,
    /// The size in bytes of all manifests, configs and layers. A blob that two manifests list counts twice.
    pub total_size: u64,
    /// The size in bytes of all manifests, configs and layers, each digest counted once.
    pub unique_size: u64,
    /// The number of manifests below an index that were not read. The sizes do not include their content.
    pub unread_manifests: usize,
    /// What could not be read, in sentences for people.
    pub notes: Vec<String>,
}

/// A manifest of an index. It says for which platform the manifest is, and how large its content is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectedManifest {
    /// The descriptor in the index, with its platform and annotations.
    pub descriptor: Descriptor,
    /// What the manifest is. An unread manifest is classified by its descriptor.
    pub class: ArtifactClass,
    /// The size in bytes of the manifest and everything below it. `None` if not all of it was read.
    pub total_size: Option<u64>,
}

/// A manifest that refers to the inspected artifact. Its class says whether it is a signature, an SBOM or something else.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectedReferrer {
    /// The manifest, with its artifact type and annotations.
    pub descriptor: Descriptor,
    /// What the referrer is.
    pub class: ArtifactClass,
    /// The tag, for a manifest that refers to the artifact only by the name of its tag, as cosign does.
    pub tag: Option<String>,
}

/// Describes the artifact that `reference` names in `source`.
///
/// Reads the manifest, the config of an image, the list of referrers and, up to a limit, the manifests of an index. It
/// reads no layers. What is missing below the manifest does not fail the call; [`Inspection::notes`] names it.
///
/// ```
/// use oras::{Artifact, ArtifactKind, InspectOptions, Memory, inspect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// let app = Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&store, Some("v1")).await?;
/// Artifact::new("application/spdx+json").subject(app.root).push(&store, None).await?;
/// let found = inspect(store, "v1", &InspectOptions::default()).await?;
/// assert_eq!(found.manifest.layers()[0].size, 6);
/// assert_eq!(found.referrers[0].class.kind, ArtifactKind::Sbom);
/// # Ok(()) }
/// ```
///
/// # Errors
/// The errors of the source, and [`ErrorKind::InvalidContent`] if the reference does not name a manifest.
pub async fn inspect(
    source: impl ReadStore + 'static,
    reference: &str,
    options: &InspectOptions,
) -> Result<Inspection> {
    let source: Arc<dyn ReadStore> = Arc::new(source);
    let plain = Arc::clone(&source) as Arc<dyn Source>;
    let limit = options.max_manifest_size.unwrap_or(MAX_MANIFEST_SIZE);
    let root = fetch_root(Arc::clone(&plain), reference, options.platform.as_ref()).await?;
    let manifest = root.manifest(limit).await?;
    let root = root.descriptor().plain();
    let mut sizes = Sizes::default();
    sizes.add([&root]);
    sizes.add(content(&manifest));
    let mut found = Inspection {
        class: ArtifactClass::of_manifest(&manifest),
        created: manifest.annotations().get(annotation::CREATED).cloned(),
        platforms: Vec::new(),
        manifests: manifest.manifests().iter().map(InspectedManifest::unread).collect(),
        referrers: Vec::new(),
        total_size: 0,
        unique_size: 0,
        unread_manifests: 0,
        notes: Vec::new(),
        root,
        manifest,
    };
    if options.manifest_only {
        found.unread_manifests = found.manifests.len();
        sizes.add(found.manifest.manifests());
    } else {
        found.read_config(&plain).await;
        found.read_manifests(&plain, options.max_manifests, limit, &mut sizes).await?;
        found.find_referrers(&*source).await;
    }
    found.collect_platforms();
    (found.total_size, found.unique_size) = (sizes.total, sizes.unique());
    Ok(found)
}

/// The sizes of everything that was listed so far.
#[derive(Default)]
struct Sizes {
    total: u64,
    by_digest: HashMap<Digest, u64>,
}

impl Sizes {
    /// Adds content. Returns the sum of its sizes.
    fn add<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Descriptor>) -> u64 {
        let mut sum = 0_u64;
        for node in nodes {
            sum = sum.saturating_add(node.size);
            self.by_digest.insert(node.digest.clone(), node.size);
        }
        // Saturating, because a hostile manifest may claim any sizes.
        self.total = self.total.saturating_add(sum);
        sum
    }

    fn unique(&self) -> u64 {
        self.by_digest.values().fold(0, |sum, size| sum.saturating_add(*size))
    }
}

/// Returns the config and the layers of a manifest.
fn content(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    manifest.config().into_iter().chain(manifest.layers())
}

/// A manifest below an index that is still to be read, and the place of the entry in the index that leads to it.
struct Pending {
    entry: usize,
    descriptor: Descriptor,
}

impl InspectedManifest {
    fn unread(descriptor: &Descriptor) -> Self {
        let class = ArtifactClass::of_descriptor(descriptor);
        Self { descriptor: descriptor.clone(), class, total_size: None }
    }
}

/// The fields of an image config that are shown beside the platform.
#[derive(Deserialize)]
struct ImageConfig {
    created: Option<String>,
    #[serde(flatten)]
    platform: Platform,
}

impl Inspection {
    /// Reads the config of an image: its platform and its creation time.
    async fn read_config(&mut self, source: &Arc<dyn Source>) {
        let Some(config) = self.manifest.config().filter(|config| config.media_type.is_image_config()) else {
            return;
        };
        let read = Content::from_source(Arc::clone(source), config.clone()).bytes(MAX_CONFIG_SIZE).await;
        let parsed = read.and_then(|bytes| {
            serde_json::from_slice::<ImageConfig>(&bytes)
                .map_err(|error| Error::from_source(ErrorKind::InvalidContent, error))
        });
        match parsed {
            Ok(parsed) => {
                self.created = self.created.take().or(parsed.created);
                // The configs of attestations and of some artifacts name no platform.
                self.platforms.extend(Some(parsed.platform).filter(|platform| !platform.os.is_empty()));
            }
            Err(error) => {
                let digest = config.digest.clone();
                self.note(format!("the config {digest} could not be read"), &error);
            }
        }
    }

    /// Reads at most `max` manifests below the index, level by level, and adds up their sizes.
    async fn read_manifests(
        &mut self,
        source: &Arc<dyn Source>,
        mut max: usize,
        limit: u64,
        sizes: &mut Sizes,
    ) -> Result<()> {
        let entries = self.manifest.manifests().to_vec();
        let mut totals: Vec<u64> = entries.iter().map(|node| node.size).collect();
        let mut incomplete = HashSet::new();
        sizes.add(&entries);
        let mut visited: HashSet<Digest> = HashSet::from([self.root.digest.clone()]);
        let mut pending: Vec<_> =
            (0..).zip(entries).map(|(entry, descriptor)| Pending { entry, descriptor }).collect();
        while !pending.is_empty() {
            // An entry of another type, or one that was already read, has nothing more to count.
            pending.retain(|next| {
                next.descriptor.media_type.is_manifest() && visited.insert(next.descriptor.digest.clone())
            });
            for unread in pending.drain(max.min(pending.len())..) {
                self.unread_manifests += 1;
                incomplete.insert(unread.entry);
            }
            max -= pending.len();
            let level: Vec<_> = stream::iter(std::mem::take(&mut pending))
                .map(|next| async move {
                    let content = Content::from_source(Arc::clone(source), next.descriptor.clone());
                    (next, content.manifest(limit).await)
                })
                .buffered(CONCURRENCY)
                .collect()
                .await;
            for (next, read) in level {
                match read {
                    Ok(manifest) => {
                        let below =
                            sizes.add(content(&manifest)).saturating_add(sizes.add(manifest.manifests()));
                        totals[next.entry] = totals[next.entry].saturating_add(below);
                        let entry = &mut self.manifests[next.entry];
                        // The index knows the attestations of BuildKit by an annotation, which says more.
                        if entry.descriptor.digest == next.descriptor.digest
                            && entry.class.kind != ArtifactKind::Attestation
                        {
                            entry.class = ArtifactClass::of_manifest(&manifest);
                        }
                        pending.extend(
                            manifest.manifests().iter().map(|descriptor| Pending {
                                entry: next.entry,
                                descriptor: descriptor.clone(),
                            }),
                        );
                    }
                    // A copy of some platforms lacks the others. That is worth a note, but no failure.
                    Err(error) if error.kind() != ErrorKind::Network => {
                        self.unread_manifests += 1;
                        incomplete.insert(next.entry);
                        let digest = next.descriptor.digest;
                        self.note(format!("the manifest {digest} could not be read"), &error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        for (place, (entry, total)) in self.manifests.iter_mut().zip(totals).enumerate() {
            entry.total_size = (!incomplete.contains(&place)).then_some(total);
        }
        Ok(())
    }

    /// Lists the referrers, and what cosign attached by a tag.
    async fn find_referrers(&mut self, source: &dyn ReadStore) {
        match source.predecessors(&self.root, None).await {
            Ok(found) => self.referrers.extend(found.into_iter().map(|descriptor| {
                let class = ArtifactClass::of_descriptor(&descriptor);
                InspectedReferrer { descriptor, class, tag: None }
            })),
            Err(error) => self.note("the referrers could not be listed".to_owned(), &error),
        }
        let tags: Vec<_> = cosign_tags(&self.root.digest).collect();
        let resolved = join_all(tags.iter().map(|tag| source.resolve(tag))).await;
        for (tag, resolved) in tags.into_iter().zip(resolved) {
            // Most registries answer 404 for a missing tag, and some 403. Both mean that cosign attached nothing.
            let (Ok(descriptor), Some(class)) = (resolved, ArtifactClass::of_tag(&tag)) else { continue };
            if !self.referrers.iter().any(|known| known.descriptor.digest == descriptor.digest) {
                let descriptor = descriptor.plain();
                self.referrers.push(InspectedReferrer { descriptor, class, tag: Some(tag) });
            }
        }
    }

    /// Adds the platforms in the index.
    fn collect_platforms(&mut self) {
        for entry in &self.manifests {
            // BuildKit writes the platform unknown/unknown for attestations.
            let platform = entry.descriptor.platform.as_ref();
            let known = platform.filter(|platform| !["", "unknown"].contains(&platform.os.as_str()));
            if let Some(platform) = known.filter(|platform| !self.platforms.contains(platform)) {
                self.platforms.push(platform.clone());
            }
        }
    }

    fn note(&mut self, what: String, error: &Error) {
        /// Bounds the output for an index whose manifests are all missing.
        const MAX_NOTES: usize = 20;
        if self.notes.len() < MAX_NOTES {
            self.notes.push(format!("{what}: {}", error.chain()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_memory::Memory;
    use oras_spec::{ImageIndex, ImageManifest, MediaType};
    use oras_store::{PushMode, Target};

    async fn push(store: &Memory, content: Content, tag: Option<&str>) -> Descriptor {
        let mode = tag.map_or(PushMode::Untagged, PushMode::Tagged);
        store.push(&content, mode).await.unwrap();
        content.descriptor().clone()
    }

    /// Stores an image with a config that names `os`, and a layer.
    async fn image(store: &Memory, os: &str, layer: &'static str) -> Descriptor {
        let config = format!(r#"{{"created":"2026-01-02T03:04:05Z","os":"{os}","architecture":"amd64"}}"#);
        let config = push(store, Content::of(MediaType::IMAGE_CONFIG, config), None).await;
        let layer = push(store, Content::of(MediaType::LAYER_TAR, layer), None).await;
        let manifest = ImageManifest::new(config, vec![layer]);
        let mut node =
            push(store, Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes()), Some(os)).await;
        node.platform = Some(os.parse().unwrap());
        node
    }

    async fn index(store: &Memory, tag: &str, manifests: Vec<Descriptor>) -> Descriptor {
        push(store, Content::of(MediaType::IMAGE_INDEX, ImageIndex::new(manifests).to_bytes()), Some(tag))
            .await
    }

    #[tokio::test]
    async fn reads_platform_and_time_of_an_image() {
        let store = Memory::new();
        image(&store, "linux", "layer").await;
        let found = inspect(store, "linux", &InspectOptions::default()).await.unwrap();
        assert_eq!(found.class.kind, ArtifactKind::Image);
        assert_eq!(found.platforms[0].os, "linux");
        assert_eq!(found.created.as_deref(), Some("2026-01-02T03:04:05Z"));
        let content: u64 = content(&found.manifest).map(|node| node.size).sum();
        assert_eq!(found.total_size, found.root.size + content);
        assert_eq!(found.unique_size, found.total_size);
    }

    #[tokio::test]
    async fn counts_shared_layers_once_in_unique_size() {
        let store = Memory::new();
        let images = vec![image(&store, "linux", "same").await, image(&store, "windows", "same").await];
        index(&store, "all", images).await;
        let found = inspect(store, "all", &InspectOptions::default()).await.unwrap();
        assert_eq!((found.platforms.len(), found.unread_manifests), (2, 0));
        assert_eq!(found.total_size - found.unique_size, 4);
        let below: u64 = found.manifests.iter().map(|entry| entry.total_size.unwrap()).sum();
        assert_eq!(found.total_size, found.root.size + below);
        assert_eq!(found.manifests[0].class.kind, ArtifactKind::Image);
    }

    #[tokio::test]
    async fn limits_manifests_that_are_read() {
        let store = Memory::new();
        let images = vec![image(&store, "linux", "one").await, image(&store, "windows", "two").await];
        let inner = index(&store, "inner", images).await;
        // The same index several times must not multiply the requests.
        index(&store, "outer", vec![inner.clone(), inner.clone(), inner]).await;
        let source = Arc::new(store);
        let found =
            inspect(source.clone(), "outer", &InspectOptions::default().max_manifests(2)).await.unwrap();
        assert_eq!(found.unread_manifests, 1);
        assert_eq!(found.manifests[0].total_size, None);
        let found = inspect(source, "outer", &InspectOptions::default()).await.unwrap();
        assert_eq!(found.unread_manifests, 0);
    }

    #[tokio::test]
    async fn notes_missing_content() {
        let store = Memory::new();
        let missing = Descriptor::of(MediaType::IMAGE_MANIFEST, b"missing");
        index(&store, "sparse", vec![missing.clone()]).await;
        let found = inspect(store, "sparse", &InspectOptions::default()).await.unwrap();
        assert_eq!((found.unread_manifests, found.notes.len()), (1, 1));
        assert!(found.notes[0].contains(&missing.digest.to_string()), "{:?}", found.notes);
    }

    #[tokio::test]
    async fn finds_signatures_by_the_tag_of_cosign() {
        let store = Memory::new();
        let root = image(&store, "linux", "layer").await;
        let signature = ImageManifest::new(Descriptor::empty_json(), Vec::new());
        push(&store, Content::of(MediaType::EMPTY_JSON, "{}"), None).await;
        let tag = cosign_tags(&root.digest).next().unwrap();
        push(&store, Content::of(MediaType::IMAGE_MANIFEST, signature.to_bytes()), Some(&tag)).await;
        let found = inspect(store, "linux", &InspectOptions::default()).await.unwrap();
        assert_eq!(found.referrers[0].class.to_string(), "signature (cosign)");
        assert_eq!(found.referrers[0].tag.as_deref(), Some(tag.as_str()));
    }
}
