//! Pushes and pulls of single blobs.

use sha2::{Digest as _, Sha256};

use super::client::{Client, Request};
use xtask::process::Result;

/// A blob of repeated bytes.
pub(super) struct Blob<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) times: u64,
    pub(super) digest: &'a str,
}

/// Returns the digest of `bytes`, repeated `times` times.
pub(super) fn digest(bytes: &[u8], times: u64) -> String {
    let mut hasher = Sha256::new();
    for _ in 0..times {
        hasher.update(bytes);
    }
    text(hasher)
}

fn text(hasher: Sha256) -> String {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Pushes a blob by POST and PUT.
///
/// # Errors
/// Fails if the connection breaks, or if the response is not the expected one.
pub(super) fn push(client: &mut Client, repository: &str, blob: &Blob<'_>, cut: Option<u64>) -> Result {
    let opened = client.send(&Request::new("POST", &format!("/v2/{repository}/blobs/uploads/")), |_| ())?;
    expect(202, opened.status)?;
    let location = opened.location.ok_or("an upload without location")?;
    // The location may be a URL or only a path.
    let path = location.find("/v2/").map(|at| &location[at..]).ok_or("a strange location")?;
    let separator = if path.contains('?') { '&' } else { '?' };
    let target = format!("{path}{separator}digest={}", blob.digest);
    send(client, &Request { body: (blob.bytes, blob.times), cut, ..Request::new("PUT", &target) })
}

/// Pushes a blob by a single POST.
///
/// # Errors
/// The errors of [`push`]. Also fails if the registry does not support single-POST uploads.
pub(super) fn push_at_once(client: &mut Client, repository: &str, blob: &Blob<'_>) -> Result {
    let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
    send(client, &Request { body: (blob.bytes, blob.times), ..Request::new("POST", &target) })
}

/// Pushes a manifest under `tag`.
///
/// # Errors
/// The errors of [`push`].
pub(super) fn put_manifest(client: &mut Client, repository: &str, tag: &str, manifest: &[u8]) -> Result {
    let target = format!("/v2/{repository}/manifests/{tag}");
    let headers = ["Content-Type: application/vnd.oci.image.manifest.v1+json"];
    send(client, &Request { headers: &headers, body: (manifest, 1), ..Request::new("PUT", &target) })
}

fn send(client: &mut Client, request: &Request<'_>) -> Result {
    expect(201, client.send(request, |_| ())?.status)
}

/// Pulls a blob or manifest and verifies `digest`, unless `trust` is set.
///
/// # Errors
/// The errors of [`push`]. Also fails if the bytes do not match `digest`.
pub(super) fn pull(client: &mut Client, target: &str, digest: &str, trust: bool, cut: Option<u64>) -> Result {
    let mut hasher = Sha256::new();
    let headers = ["Accept: */*, application/vnd.oci.image.manifest.v1+json"];
    let request = Request { headers: &headers, cut, ..Request::new("GET", target) };
    let reply = client.send(&request, |piece| {
        if !trust {
            hasher.update(piece);
        }
    })?;
    expect(200, reply.status)?;
    if trust || text(hasher) == digest { Ok(()) } else { Err(format!("{target}: other bytes").into()) }
}

fn expect(wanted: u16, status: u16) -> Result {
    if status == wanted { Ok(()) } else { Err(format!("status {status} instead of {wanted}").into()) }
}
