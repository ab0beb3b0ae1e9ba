//! Many clients push and pull while some connections are cut. All acknowledged content must exist afterwards.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::Client;
use super::server_process::Loaded;
use super::transfer::{Blob, digest, pull, push, put_manifest};
use crate::random::Random;
use xtask::process::Result;

/// Repositories that the clients share.
const REPOSITORIES: u64 = 16;
/// One of this many transfers is cut.
const CUT_ONE_OF: u64 = 100;
/// The number of retries.
const RETRIES: usize = 2;
/// The number of clients that verify the content at the end.
const CHECKERS: usize = 4;

/// The results.
#[derive(Default)]
pub(super) struct Storm {
    pub(super) pushed: u64,
    pub(super) manifests: u64,
    pub(super) pulled: u64,
    pub(super) bytes: u64,
    pub(super) cut: u64,
    /// The number of requests that failed without a cut and succeeded on retry.
    pub(super) retried: u64,
    /// The first few failed requests and missing acknowledged items.
    pub(super) failures: Vec<String>,
    /// The number of failures.
    pub(super) failed: u64,
    /// The number of acknowledged items verified at the end.
    pub(super) checked: u64,
}

/// An acknowledged item: its path and its digest.
#[derive(Clone)]
struct Known {
    target: String,
    digest: String,
}

/// State shared by the clients: acknowledged items and results.
#[derive(Default)]
struct Shared {
    known: Mutex<Vec<Known>>,
    storm: Mutex<Storm>,
}

/// Runs the clients for `time`, then pulls all acknowledged content.
pub(super) fn run(server: &Loaded, clients: u64, time: Duration) -> Storm {
    let shared = Shared::default();
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        for seed in 0..clients {
            let shared = &shared;
            scope.spawn(move || Guest::new(server, shared, seed).stay(end));
        }
    });
    let known = std::mem::take(&mut *lock(&shared.known));
    std::thread::scope(|scope| {
        for part in known.chunks(known.len().div_ceil(CHECKERS).max(1)) {
            let shared = &shared;
            scope.spawn(move || check(server, shared, part));
        }
    });
    shared.storm.into_inner().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn check(server: &Loaded, shared: &Shared, known: &[Known]) {
    let mut client = Client::new(server.address());
    for known in known {
        let found = pull(&mut client, &known.target, &known.digest, false, None);
        let mut storm = lock(&shared.storm);
        storm.checked += 1;
        if let Err(error) = found {
            storm.fail(format!("acknowledged content is missing or wrong: {}: {error}", known.target));
        }
    }
}

impl Storm {
    fn fail(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < 5 {
            self.failures.push(what);
        }
    }
}

/// Runs one client.
struct Guest<'a> {
    client: Client,
    shared: &'a Shared,
    random: Random,
    seed: u64,
    done: u64,
}

impl<'a> Guest<'a> {
    fn new(server: &Loaded, shared: &'a Shared, seed: u64) -> Self {
        Self { client: Client::new(server.address()), shared, random: Random::new(seed), seed, done: 0 }
    }

    /// Pushes and pulls until `end`, with three pushes for two pulls on average.
    fn stay(mut self, end: Instant) {
        while Instant::now() < end {
            self.done += 1;
            if self.random.below(5) < 3 { self.push() } else { self.pull() }
        }
    }

    fn push(&mut self) {
        let size = match self.random.below(1000) {
            0..2 => 4 << 20,
            2..30 => 256 << 10,
            _ => 64 + self.random.below(16 << 10),
        };
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.random.fill(&mut bytes);
        let digest = digest(&bytes, 1);
        let repository = format!("storm/{}", self.random.below(REPOSITORIES));
        let blob = Blob { bytes: &bytes, times: 1, digest: &digest };
        let pushed = self.with_retries(size, |client, cut| push(client, &repository, &blob, cut));
        if !pushed {
            return;
        }
        self.know(format!("/v2/{repository}/blobs/{digest}"), digest.clone());
        self.count(|storm| {
            storm.pushed += 1;
            storm.bytes += size;
        });
        if self.random.below(4) == 0 {
            self.name(&repository, &digest, size);
        }
    }

    /// Pushes a tagged artifact whose config and layer are the blob.
    fn name(&mut self, repository: &str, blob: &str, size: u64) {
        const LAYER: &str = "application/octet-stream";
        let layer = json!({"mediaType": LAYER, "digest": blob, "size": size});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.example.load",
            "config": layer,
            "layers": [layer],
        });
        let bytes = manifest.to_string().into_bytes();
        let digest = digest(&bytes, 1);
        let tag = format!("c{}-{}", self.seed, self.done % 8);
        let put =
            self.with_retries(bytes.len() as u64, |client, _| put_manifest(client, repository, &tag, &bytes));
        if put {
            self.know(format!("/v2/{repository}/manifests/{digest}"), digest);
            self.count(|storm| storm.manifests += 1);
        }
    }

    fn pull(&mut self) {
        let known = {
            let known = lock(&self.shared.known);
            if known.is_empty() {
                return;
            }
            let at = self.random.below(known.len() as u64);
            known[usize::try_from(at).unwrap_or_default()].clone()
        };
        let pulled =
            self.with_retries(1024, |client, cut| pull(client, &known.target, &known.digest, false, cut));
        if pulled {
            self.count(|storm| storm.pulled += 1);
        }
    }

    /// Sends a request and sometimes cuts its connection. Retries a failed request without a cut. Returns
    /// true if the request succeeded.
    fn with_retries(&mut self, size: u64, mut work: impl FnMut(&mut Client, Option<u64>) -> Result) -> bool {
        let cut = (self.random.below(CUT_ONE_OF) == 0).then(|| 1 + self.random.below(size.max(1)));
        let mut outcome = work(&mut self.client, cut);
        if cut.is_some() && outcome.is_err() {
            self.count(|storm| storm.cut += 1);
            outcome = work(&mut self.client, None);
        }
        for _ in 0..RETRIES {
            if outcome.is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(200));
            outcome = work(&mut self.client, None);
            if outcome.is_ok() {
                self.count(|storm| storm.retried += 1);
            }
        }
        match outcome {
            Ok(()) => true,
            Err(error) => {
                self.count(|storm| storm.fail(format!("retries don't help: {error}")));
                false
            }
        }
    }

    fn know(&self, target: String, digest: String) {
        lock(&self.shared.known).push(Known { target, digest });
    }

    fn count(&self, change: impl FnOnce(&mut Storm)) {
        change(&mut lock(&self.shared.storm));
    }
}
