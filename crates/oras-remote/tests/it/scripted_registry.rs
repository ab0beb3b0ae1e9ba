//! A scripted registry with upload sessions, for faults that real registries don't show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use oras_spec::Digest;
use oras_testkit::scripted::{Asked, Reply, Scripted};

/// The sessions and blobs of the registry.
#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) sessions: BTreeMap<String, Vec<u8>>,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    opened: usize,
}

impl Sessions {
    /// Returns the answer of a correct registry.
    pub(crate) fn reply(&mut self, asked: &Asked) -> Reply {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let digest = query.split('&').find_map(|pair| pair.strip_prefix("digest="));
        match asked.method.as_str() {
            "HEAD" => match self.blobs.contains_key(path.rsplit('/').next().unwrap_or_default()) {
                true => Reply::new(200),
                false => Reply::new(404),
            },
            "POST" => {
                let path = format!("/u{}", self.opened);
                self.opened += 1;
                self.sessions.insert(path.clone(), Vec::new());
                Reply::new(202).header("Location", path)
            }
            "DELETE" => Reply::new(if self.sessions.remove(path).is_some() { 204 } else { 404 }),
            method => match self.sessions.get_mut(path) {
                None => Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
                Some(_) if method == "PUT" => self.close(path, asked, digest.unwrap_or_default()),
                Some(bytes) => {
                    let start = asked.header("content-range").and_then(|range| range.split('-').next());
                    if start.is_some_and(|start| start != bytes.len().to_string()) {
                        return Reply::new(416);
                    }
                    bytes.extend_from_slice(&asked.body);
                    let range = format!("0-{}", bytes.len().saturating_sub(1));
                    Reply::new(if method == "GET" { 204 } else { 202 }).header("Range", range)
                }
            },
        }
    }

    fn close(&mut self, path: &str, asked: &Asked, digest: &str) -> Reply {
        let mut bytes = self.sessions.remove(path).unwrap_or_default();
        bytes.extend_from_slice(&asked.body);
        if Digest::sha256(&bytes).to_string() != digest {
            return Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
        }
        self.blobs.insert(digest.to_owned(), bytes);
        Reply::new(201)
    }
}

/// Starts a registry that passes each request to `fault` first, which may answer instead and change the state.
pub(crate) fn serve(
    fault: impl Fn(&Asked, &mut Sessions) -> Option<Reply> + Send + Sync + 'static,
) -> (Scripted, Arc<Mutex<Sessions>>) {
    let sessions = Arc::new(Mutex::new(Sessions::default()));
    let shared = Arc::clone(&sessions);
    let server = Scripted::start(move |asked: &Asked| {
        let mut sessions = shared.lock().unwrap();
        let reply = fault(asked, &mut sessions);
        reply.unwrap_or_else(|| sessions.reply(asked))
    });
    (server, sessions)
}

/// Returns an answer that breaks the connection when `taken` bytes of the body have arrived.
pub(crate) fn breaks_after(asked: &Asked, sessions: &mut Sessions, taken: usize) -> Reply {
    let path = asked.path.split('?').next().unwrap_or_default();
    if let Some(bytes) = sessions.sessions.get_mut(path) {
        bytes.extend_from_slice(&asked.body[..taken]);
    }
    Reply::new(200).cut_after(0).header("content-length", "x")
}
