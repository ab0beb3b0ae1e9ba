//! The responses of a well-behaved registry, with content in memory: the default behaviour of a scripted server.

use std::collections::BTreeMap;

use oras_spec::Digest;
use parking_lot::{Mutex, MutexGuard};

use crate::scripted::{Asked, Reply};

/// A registry that answers reads, and accepts uploads by POST and PUT.
#[derive(Debug, Default)]
pub struct MemoryRegistry(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    /// By `repository@digest`.
    blobs: BTreeMap<String, Vec<u8>>,
    /// By `repository@digest`, with their media types.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// By `repository:tag`.
    tags: BTreeMap<String, Digest>,
}

impl MemoryRegistry {
    /// Creates an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a blob and returns its digest.
    pub fn blob(&self, repository: &str, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.lock().blobs.insert(format!("{repository}@{digest}"), bytes);
        digest
    }

    /// Stores a manifest under its digest and a tag, and returns the digest.
    pub fn manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        let mut content = self.lock();
        content.manifests.insert(format!("{repository}@{digest}"), (media_type.to_owned(), bytes));
        content.tags.insert(format!("{repository}:{tag}"), digest.clone());
        digest
    }

    /// Stores a tagged image manifest with one layer for each title and content, and returns its digest.
    pub fn files(&self, repository: &str, tag: &str, files: &[(&str, &[u8])]) -> Digest {
        let layers: Vec<_> =
            files.iter().map(|(title, bytes)| self.layer(repository, title, bytes)).collect();
        self.artifact(repository, tag, &layers.join(","))
    }

    /// Stores a blob and returns the JSON of its descriptor with `title`.
    pub fn layer(&self, repository: &str, title: &str, bytes: &[u8]) -> String {
        let digest = self.blob(repository, bytes);
        let title = title.replace('\\', "\\\\").replace('"', "\\\"").replace('\0', "\\u0000");
        let title: String = title
            .chars()
            .map(|c| if c < ' ' { format!("\\u{:04x}", u32::from(c)) } else { c.into() })
            .collect();
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{},"annotations":{{"org.opencontainers.image.title":"{title}"}}}}"#,
            bytes.len()
        )
    }

    /// Stores a tagged image manifest whose `layers` are the given JSON, and returns its digest.
    pub fn artifact(&self, repository: &str, tag: &str, layers: &str) -> Digest {
        let config = self.blob(repository, "{}");
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[{layers}]}}"#
        );
        self.manifest(repository, tag, "application/vnd.oci.image.manifest.v1+json", manifest)
    }

    /// Returns the blob at `/v2/<repository>/blobs/<digest>`.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let (repository, digest) = path.strip_prefix("/v2/")?.split_once("/blobs/")?;
        self.lock().blobs.get(&format!("{repository}@{digest}")).cloned()
    }

    /// Deletes a tag, or a manifest by its digest with its tags. Returns whether it existed.
    pub fn forget(&self, repository: &str, reference: &str) -> bool {
        let mut content = self.lock();
        let there = content.tags.remove(&format!("{repository}:{reference}")).is_some();
        let digest = reference.to_owned();
        let prefix = format!("{repository}:");
        content.tags.retain(|tag, named| !(tag.starts_with(&prefix) && named.to_string() == digest));
        content.manifests.remove(&format!("{repository}@{reference}")).is_some() || there
    }

    /// Returns the response to a request, as the specification defines it.
    pub fn reply(&self, asked: &Asked) -> Reply {
        let path = asked.path.split('?').next().unwrap_or_default();
        if path == "/v2/" {
            return Reply::new(200);
        }
        let Some(path) = path.strip_prefix("/v2/") else { return Reply::new(404) };
        if let Some((repository, reference)) = path.split_once("/manifests/") {
            return self.manifests(asked, repository, reference);
        }
        if let Some((repository, digest)) = path.split_once("/blobs/sha256:") {
            return self.read(asked, &format!("{repository}@sha256:{digest}"));
        }
        match (path.split_once("/blobs/uploads/"), asked.method.as_str()) {
            (Some((repository, _)), "POST") => {
                Reply::new(202).header("location", format!("/v2/{repository}/blobs/uploads/session"))
            }
            (Some((repository, _)), "PUT") => {
                let digest = self.blob(repository, asked.body.clone());
                Reply::new(201).header("location", format!("/v2/{repository}/blobs/{digest}"))
            }
            _ => Reply::new(404),
        }
    }

    fn manifests(&self, asked: &Asked, repository: &str, reference: &str) -> Reply {
        let by_tag = || self.lock().tags.get(&format!("{repository}:{reference}")).map(ToString::to_string);
        if asked.method == "PUT" {
            let media_type = asked.header("content-type").unwrap_or_default();
            let digest = self.manifest(repository, reference, media_type, asked.body.clone());
            return Reply::new(201).header("docker-content-digest", digest);
        }
        let digest = if reference.contains(':') { Some(reference.to_owned()) } else { by_tag() };
        let found = digest.and_then(|digest| {
            let content = self.lock();
            content.manifests.get(&format!("{repository}@{digest}")).map(|found| (digest, found.clone()))
        });
        match found {
            Some((digest, (media_type, bytes))) => {
                let length = bytes.len();
                Reply::new(200)
                    .header("content-type", media_type)
                    .header("docker-content-digest", digest)
                    .header("content-length", length)
                    .body(bytes)
            }
            None => Reply::new(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}"#),
        }
    }

    fn read(&self, asked: &Asked, key: &str) -> Reply {
        let Some(bytes) = self.lock().blobs.get(key).cloned() else {
            return Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown"}]}"#);
        };
        let range = asked.header("range").and_then(|range| range.strip_prefix("bytes="));
        let start = range.and_then(|range| range.split('-').next()?.parse::<usize>().ok());
        let octets = |reply: Reply| reply.header("content-type", "application/octet-stream");
        match start.filter(|start| *start < bytes.len()) {
            Some(start) => {
                let place = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
                octets(Reply::new(206)).header("content-range", place).body(&bytes[start..])
            }
            None => octets(Reply::new(200)).header("content-length", bytes.len()).body(bytes),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock()
    }
}
