//! A target in memory that records its requests, with configurable results.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::TryStreamExt;
use oras_copy::Event;
use oras_memory::Memory;
use oras_spec::{Descriptor, Digest, ImageManifest, MediaType};
use oras_store::{Content, Error, ErrorKind, PushMode, Pushed, Result, Target};

/// A request to the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Exists(Digest),
    Push(Digest),
    Tagged(String),
    Tag(String),
}

#[derive(Default)]
pub(crate) struct Recording {
    pub(crate) store: Memory,
    /// The outcomes of pushes that read no bytes; `None` is an error.
    pub(crate) outcomes: HashMap<Digest, Option<Pushed>>,
    pub(crate) calls: Mutex<Vec<Call>>,
    pub(crate) running: Mutex<Running>,
}

/// The current and the maximum number of concurrent pushes, of small leaves and of large leaves.
#[derive(Default)]
pub(crate) struct Running {
    now: [usize; 2],
    most: [usize; 2],
    most_of_both: usize,
}

impl Recording {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Returns the pushed leaves, in order.
    pub(crate) fn pushed(&self) -> Vec<Digest> {
        let pushed = |call| if let Call::Push(digest) = call { Some(digest) } else { None };
        self.calls().into_iter().filter_map(pushed).collect()
    }

    /// Returns the maximum number of concurrent pushes: of small leaves, of large leaves, and of all leaves.
    pub(crate) fn most(&self) -> (usize, usize, usize) {
        let running = self.running.lock().unwrap();
        (running.most[0], running.most[1], running.most_of_both)
    }

    fn call(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Target for Recording {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        self.call(Call::Exists(descriptor.digest.clone()));
        self.store.exists(descriptor).await
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        let node = content.descriptor();
        if let PushMode::Tagged(tag) | PushMode::AddTag(tag) = mode {
            self.call(Call::Tag(tag.to_owned()));
        }
        if node.media_type.is_manifest() {
            return self.store.push(content, mode).await;
        }
        self.call(Call::Push(node.digest.clone()));
        if self.store.exists(node).await? {
            return Ok(Pushed::Existed);
        }
        if let Some(outcome) = self.outcomes.get(&node.digest) {
            return outcome.ok_or_else(|| Error::new(ErrorKind::Denied, "refused"));
        }
        let lane = usize::from(node.size > 1024 * 1024);
        {
            let mut running = self.running.lock().unwrap();
            running.now[lane] += 1;
            running.most[lane] = running.most[lane].max(running.now[lane]);
            running.most_of_both = running.most_of_both.max(running.now[0] + running.now[1]);
        }
        // Lets all other pushes start that the limits allow.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        content.unverified(0..node.size).await?.try_for_each(async |_| Ok(())).await?;
        let pushed = self
            .store
            .push(&Content::from_bytes(node.clone(), content.bytes(u64::MAX).await?)?, PushMode::Untagged)
            .await;
        self.running.lock().unwrap().now[lane] -= 1;
        pushed
    }

    async fn sync(&self) -> Result<()> {
        self.store.sync().await
    }

    fn check_tag(&self, tag: &str) -> Result<()> {
        self.store.check_tag(tag)
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        self.call(Call::Tagged(tag.to_owned()));
        self.store.tagged(tag).await
    }
}

/// Returns a store with leaves of these sizes, their descriptors, and a manifest that lists them.
pub(crate) async fn artifact(sizes: &[usize]) -> (Arc<Memory>, Vec<Descriptor>, Content) {
    let store = Arc::new(Memory::new());
    let mut layers = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.resize(*size, 0);
        let leaf = Content::of(MediaType::LAYER_TAR, bytes);
        store.push(&leaf, PushMode::Untagged).await.unwrap();
        layers.push(leaf.descriptor().clone());
    }
    let empty = Content::from_bytes(Descriptor::empty_json(), "{}").unwrap();
    store.push(&empty, PushMode::Untagged).await.unwrap();
    let manifest = ImageManifest::new(Descriptor::empty_json(), layers.clone());
    let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
    store.push(&manifest, PushMode::Untagged).await.unwrap();
    (store, layers, manifest)
}

/// Returns the name of an event, and its node.
pub(crate) fn word(event: &Event<'_>) -> (&'static str, Digest) {
    let (word, node) = match event {
        Event::Opening(node) => ("opening", *node),
        Event::Opened { node, .. } => ("opened", *node),
        Event::Naming(node) => ("naming", *node),
        Event::Started(node) => ("started", *node),
        Event::Progress(node, _) => ("progress", *node),
        Event::Finished { node, outcome: Pushed::Copied, .. } => ("copied", *node),
        Event::Finished { node, outcome: Pushed::Adopted, .. } => ("adopted", *node),
        Event::Finished { node, outcome: Pushed::Existed, .. } => ("existed", *node),
        Event::Twin { node, .. } => ("twin", *node),
        _ => unreachable!("unknown event"),
    };
    (word, node.digest.clone())
}
