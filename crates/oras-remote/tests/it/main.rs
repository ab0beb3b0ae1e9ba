//! Tests of the crate against real registries and a scripted server.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail and speak like tests")]

mod auth;
#[cfg(feature = "blocking")]
mod blocking;
mod chunked_ingest;
mod cutting_proxy;
mod delete_tag;
mod encoding;
mod head_fallback;
mod malformed_answers;
mod mirrored;
mod overload;
mod parallel_download;
mod referrers;
mod refusals;
mod registry;
mod retry_and_resume;
mod scripted_registry;
mod stalled_connection;
mod store;
mod tls;
mod transport_options;
mod upload;

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use oras_remote::{Client, ClientOptions, Credential, Repository, RetryPolicy, StaticCredentials};
use oras_spec::{Descriptor, ImageManifest, MediaType};
use oras_store::{ByteStream, Content, Result};

/// Options with short delays.
fn options() -> ClientOptions {
    let retry = RetryPolicy::default().base(Duration::from_millis(1)).outage(Duration::ZERO);
    ClientOptions::default().retry(retry).idle_timeout(Duration::from_secs(20))
}

fn repository(options: ClientOptions, reference: &str) -> Repository {
    Repository::new(&Client::new(options).unwrap(), &reference.parse().unwrap()).unwrap()
}

/// Options with the user and password of the registry `server`, which requires them.
fn with_password(server: &str, username: &str, password: &str) -> ClientOptions {
    let credential = Credential::basic(username, password);
    options().credentials(StaticCredentials::for_server(server, credential))
}

async fn collect(stream: ByteStream) -> Result<Bytes> {
    let chunks: Vec<_> = stream.try_collect().await?;
    Ok(chunks.concat().into())
}

fn blob(bytes: impl Into<Bytes>) -> Content {
    Content::of(MediaType::OCTET_STREAM, bytes)
}

/// A manifest that differs by `mark`, referring to `subject` if given. Needs the empty JSON blob.
fn manifest(mark: &str, subject: Option<&Descriptor>) -> Content {
    let mut empty = Descriptor::empty_json();
    empty.data = None;
    let mut manifest = ImageManifest::new(empty.clone(), vec![empty]);
    manifest.artifact_type = Some(MediaType::new(format!("test/{mark}")));
    manifest.annotations.insert("mark".into(), mark.into());
    manifest.subject = subject.map(Descriptor::plain);
    Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes())
}
