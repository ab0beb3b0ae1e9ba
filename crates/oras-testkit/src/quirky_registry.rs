//! Scripted registries that deviate from the specification like well-known services, which can't be installed locally.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use oras_spec::Digest;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use crate::memory_registry::MemoryRegistry;
use crate::scripted::{Asked, Reply, Scripted};
use crate::tls::Certificate;

/// The host of the storage to which blobs may be redirected.
pub const STORAGE: &str = "storage.test";

/// The deviations of a registry. The default is a conforming registry without the referrers API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quirks {
    /// A larger body of a `PATCH` is answered with 416.
    pub max_patch: Option<usize>,
    /// A larger body of a blob's `PUT` is answered with 413.
    pub max_put: Option<usize>,
    /// `PATCH` is answered with 405.
    pub no_patch: bool,
    /// `PATCH` is answered with 201 instead of 202.
    pub patch_created: bool,
    /// A body without `Content-Length` is answered with 411.
    pub wants_length: bool,
    /// Empty blobs are answered with 400.
    pub no_empty_blobs: bool,
    /// `POST` with a digest and a body stores the blob.
    pub single_post: bool,
    /// An impossible mount is answered with 400 instead of 202.
    pub mount_fails: bool,
    /// `POST` with `mount` mounts the blob; otherwise it starts an upload.
    pub mounts: bool,
    /// There is a referrers API.
    pub referrers: bool,
    /// The tag `sha256-<hex>` returns the manifest with that digest.
    pub digest_like_tags: bool,
    /// Missing content, except uploads, is answered with 403 instead of 404.
    pub forbids_missing: bool,
    /// Blobs are redirected to storage on another host, which rejects requests with credentials.
    pub redirects: bool,
    /// Larger values of `n` for tag lists are answered with 400.
    pub max_page: Option<usize>,
    /// `HEAD` of a manifest reports a different length than `GET`.
    pub wrong_head_length: bool,
    /// A manifest's `PUT` is answered without `Location`.
    pub no_location: bool,
    /// One request out of this many is answered with 429 and `Retry-After: 0`.
    pub throttles: Option<usize>,
    /// Basic credentials are required. The first ones expire after four requests, and then get this status without a
    /// challenge.
    pub expires_with: Option<u16>,
}

/// A registry with deviations, behind TLS.
pub struct QuirkyRegistry {
    server: Scripted,
    state: Arc<State>,
}

struct State {
    quirks: Quirks,
    memory: MemoryRegistry,
    sessions: Mutex<BTreeMap<String, Vec<u8>>>,
    /// By `repository@digest` of the subject.
    referrers: Mutex<BTreeMap<String, Vec<Value>>>,
    tags: Mutex<BTreeMap<String, Vec<String>>>,
    begun: AtomicUsize,
    refusals: AtomicUsize,
    asked: AtomicUsize,
    first_credentials: OnceLock<String>,
    port: AtomicUsize,
}

impl QuirkyRegistry {
    /// Starts a registry with `certificate`, which must be valid for its host and for [`STORAGE`].
    pub fn start(certificate: &Certificate, quirks: Quirks) -> Self {
        let state = Arc::new(State {
            quirks,
            memory: MemoryRegistry::new(),
            sessions: Mutex::default(),
            referrers: Mutex::default(),
            tags: Mutex::default(),
            begun: AtomicUsize::new(0),
            refusals: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            first_credentials: OnceLock::new(),
            port: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        let server = Scripted::start_tls(certificate, move |asked| shared.reply(asked));
        state.port.store(usize::from(server.port()), Ordering::Relaxed);
        Self { server, state }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Returns the requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }

    /// Returns the number of requests rejected because of a deviation.
    pub fn refusals(&self) -> usize {
        self.state.refusals.load(Ordering::Relaxed)
    }
}

impl State {
    fn reply(&self, asked: &Asked) -> Reply {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if asked.header("host").is_some_and(|host| host.starts_with(STORAGE)) {
            return self.storage(asked);
        }
        if self.quirks.throttles.is_some_and(|every| number.is_multiple_of(every)) {
            return self.refuse(429, "TOOMANYREQUESTS", "slow down").header("retry-after", 0);
        }
        if let Some(status) = self.quirks.expires_with {
            match asked.header("authorization") {
                None => {
                    return error(401, "UNAUTHORIZED", "who are you?")
                        .header("www-authenticate", "Basic realm=\"quirky\"");
                }
                Some(given) if number > 4 && self.first_credentials.get_or_init(String::new) == given => {
                    return self.refuse(status, "DENIED", "Your authorization token has expired");
                }
                Some(given) => drop(self.first_credentials.set(given.to_owned())),
            }
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        let Some(path) = path.strip_prefix("/v2/").map(ToOwned::to_owned) else { return Reply::new(404) };
        if let Some((repository, rest)) = path.split_once("/blobs/uploads/") {
            return self.upload(asked, repository, rest);
        }
        if let Some((repository, _)) = path.split_once("/tags/list") {
            return self.list(asked, repository);
        }
        if let Some((repository, digest)) = path.split_once("/referrers/") {
            return self.list_referrers(repository, digest);
        }
        if let Some((repository, reference)) = path.split_once("/manifests/") {
            return self.manifest(asked, repository, reference);
        }
        let reply = self.memory.reply(asked);
        if self.quirks.redirects && asked.method == "GET" && matches!(reply.status(), 200 | 206) {
            let port = self.port.load(Ordering::Relaxed);
            let place = format!("https://{STORAGE}:{port}{}?signature=secret", asked.path);
            return Reply::new(307).header("location", place);
        }
        self.found(reply)
    }

    /// Answers a storage request. As in large cloud services, credentials in addition to the signed URL are
    /// an error.
    fn storage(&self, asked: &Asked) -> Reply {
        if asked.header("authorization").is_some() || !asked.path.contains("signature=secret") {
            return self.refuse(400, "InvalidArgument", "Only one auth mechanism allowed");
        }
        self.memory.reply(asked)
    }

    fn found(&self, reply: Reply) -> Reply {
        if self.quirks.forbids_missing && reply.status() == 404 {
            return self.refuse(403, "DENIED", "not here, or not for you");
        }
        reply
    }

    fn upload(&self, asked: &Asked, repository: &str, id: &str) -> Reply {
        match asked.method.as_str() {
            "POST" => self.begin(asked, repository),
            "DELETE" => {
                lock(&self.sessions).remove(id);
                Reply::new(204)
            }
            "GET" => match lock(&self.sessions).get(id) {
                Some(bytes) => accepted(204, repository, id, bytes.len()),
                None => error(404, "BLOB_UPLOAD_UNKNOWN", "no such session"),
            },
            "PATCH" => self.patch(asked, repository, id),
            "PUT" => self.put(asked, repository, id),
            _ => Reply::new(405),
        }
    }

    fn begin(&self, asked: &Asked, repository: &str) -> Reply {
        if let Some(digest) = query(asked, "mount") {
            let from = query(asked, "from");
            let place = format!("/v2/{}/blobs/{digest}", from.as_deref().unwrap_or(repository));
            let bytes = self.memory.bytes(&place).filter(|_| self.quirks.mounts);
            if let Some(bytes) = bytes {
                self.memory.blob(repository, bytes);
                return created(repository, &digest);
            }
            if self.quirks.mount_fails {
                return self.refuse(400, "UNSUPPORTED", "no such mount");
            }
        }
        if let (Some(digest), true) = (query(asked, "digest"), self.quirks.single_post) {
            return self.store(repository, &digest, asked.body.clone());
        }
        let id = self.begun.fetch_add(1, Ordering::Relaxed).to_string();
        lock(&self.sessions).insert(id.clone(), Vec::new());
        accepted(202, repository, &id, 0)
    }

    fn patch(&self, asked: &Asked, repository: &str, id: &str) -> Reply {
        if self.quirks.no_patch {
            return self.refuse(405, "UNSUPPORTED", "no chunks here");
        }
        if self.quirks.max_patch.is_some_and(|most| asked.body.len() > most) {
            return self.refuse(416, "BLOB_UPLOAD_INVALID", "chunk too large");
        }
        if let Some(refused) = self.without_length(asked) {
            return refused;
        }
        let mut sessions = lock(&self.sessions);
        let Some(bytes) = sessions.get_mut(id) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN", "no such session");
        };
        let start = asked.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
        if start.is_some_and(|start: usize| start != bytes.len()) {
            return error(416, "BLOB_UPLOAD_INVALID", "out of order");
        }
        bytes.extend_from_slice(&asked.body);
        let status = if self.quirks.patch_created { 201 } else { 202 };
        accepted(status, repository, id, bytes.len())
    }

    fn put(&self, asked: &Asked, repository: &str, id: &str) -> Reply {
        if self.quirks.max_put.is_some_and(|most| asked.body.len() > most) {
            return self.refuse(413, "SIZE_INVALID", "too large");
        }
        if let Some(refused) = self.without_length(asked) {
            return refused;
        }
        let Some(digest) = query(asked, "digest") else { return error(400, "DIGEST_INVALID", "no digest") };
        let Some(mut bytes) = lock(&self.sessions).remove(id) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN", "no such session");
        };
        bytes.extend_from_slice(&asked.body);
        self.store(repository, &digest, bytes)
    }

    fn without_length(&self, asked: &Asked) -> Option<Reply> {
        let missing = self.quirks.wants_length && asked.header("content-length").is_none();
        missing.then(|| self.refuse(411, "SIZE_INVALID", "length required"))
    }

    fn store(&self, repository: &str, digest: &str, bytes: Vec<u8>) -> Reply {
        if bytes.is_empty() && self.quirks.no_empty_blobs {
            return self.refuse(400, "BLOB_UPLOAD_INVALID", "empty");
        }
        if Digest::sha256(&bytes).to_string() != digest {
            return error(400, "DIGEST_INVALID", "other bytes");
        }
        self.memory.blob(repository, bytes);
        created(repository, digest)
    }

    fn list(&self, asked: &Asked, repository: &str) -> Reply {
        let wanted = query(asked, "n").and_then(|n| n.parse::<usize>().ok());
        if wanted.zip(self.quirks.max_page).is_some_and(|(wanted, most)| wanted > most) {
            return self.refuse(400, "UNSUPPORTED", "n is too large");
        }
        let tags = lock(&self.tags).get(repository).cloned();
        // Some registries return null instead of an empty list, and additional fields.
        let body = json!({"name": repository, "tags": tags, "manifest": {}, "child": []});
        Reply::new(200).header("content-type", "application/json").body(body.to_string())
    }

    fn list_referrers(&self, repository: &str, digest: &str) -> Reply {
        if !self.quirks.referrers {
            return Reply::new(404).body("404 page not found\n");
        }
        let found = lock(&self.referrers).get(&format!("{repository}@{digest}")).cloned().unwrap_or_default();
        let body = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": found});
        Reply::new(200).header("content-type", INDEX).body(body.to_string())
    }

    fn manifest(&self, asked: &Asked, repository: &str, reference: &str) -> Reply {
        if asked.method == "PUT" {
            return self.put_manifest(asked, repository, reference);
        }
        if asked.method == "DELETE" {
            if let Some(tags) = lock(&self.tags).get_mut(repository) {
                tags.retain(|tag| tag != reference);
            }
            return Reply::new(if self.memory.forget(repository, reference) { 202 } else { 404 });
        }
        let mut reply = self.memory.reply(asked);
        if reply.status() == 404 && self.quirks.digest_like_tags && reference.starts_with("sha256-") {
            let path = format!("/v2/{repository}/manifests/{}", reference.replacen('-', ":", 1));
            reply = self.memory.reply(&Asked { path, ..asked.clone() });
        }
        if asked.method == "HEAD" && self.quirks.wrong_head_length {
            reply = reply.without("content-length").header("content-length", 7);
        }
        self.found(reply)
    }

    fn put_manifest(&self, asked: &Asked, repository: &str, reference: &str) -> Reply {
        let reply = self.memory.reply(asked);
        if !reference.contains(':') {
            let mut tags = lock(&self.tags);
            let tags = tags.entry(repository.to_owned()).or_default();
            tags.retain(|tag| tag != reference);
            tags.push(reference.to_owned());
        }
        let Ok(manifest) = serde_json::from_slice::<Value>(&asked.body) else {
            return error(400, "MANIFEST_INVALID", "no JSON");
        };
        let reply = if self.quirks.no_location { reply } else { reply.header("location", &asked.path) };
        let Some(subject) = manifest["subject"]["digest"].as_str().filter(|_| self.quirks.referrers) else {
            return reply;
        };
        let digest = Digest::sha256(&asked.body).to_string();
        let kind = manifest["artifactType"].as_str().or(manifest["config"]["mediaType"].as_str());
        let referrer = json!({"mediaType": manifest["mediaType"], "digest": digest, "size": asked.body.len(),
            "artifactType": kind, "annotations": manifest["annotations"]});
        let mut referrers = lock(&self.referrers);
        let known = referrers.entry(format!("{repository}@{subject}")).or_default();
        known.retain(|other| other["digest"] != referrer["digest"]);
        known.push(referrer);
        reply.header("oci-subject", subject)
    }

    fn refuse(&self, status: u16, code: &str, message: &str) -> Reply {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        error(status, code, message)
    }
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({"errors": [{"code": code, "message": message}]});
    Reply::new(status).header("content-type", "application/json").body(body.to_string())
}

fn created(repository: &str, digest: &str) -> Reply {
    Reply::new(201)
        .header("location", format!("/v2/{repository}/blobs/{digest}"))
        .header("docker-content-digest", digest)
}

fn accepted(status: u16, repository: &str, id: &str, length: usize) -> Reply {
    let reply =
        Reply::new(status).header("location", format!("/v2/{repository}/blobs/uploads/{id}?state={length}"));
    reply.header("range", format!("0-{}", length.saturating_sub(1)))
}

/// Returns a field of the query, decoded as far as digests and repositories need it.
fn query(asked: &Asked, name: &str) -> Option<String> {
    let fields = asked.path.split_once('?')?.1.split('&');
    let value = fields.filter_map(|field| field.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(value.replace("%3A", ":").replace("%2F", "/"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
