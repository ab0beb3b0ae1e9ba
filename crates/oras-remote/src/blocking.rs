//! A repository for programs without async code.
//!
//! The functions block the calling thread. They use a private tokio runtime on that thread, so they start no threads
//! except for name resolution and files. A program that is async already uses [`crate::Repository`] instead:
//! the functions here return an error inside of a runtime.
//!
//! ```
//! use oras_remote::ClientOptions;
//! use oras_remote::blocking::Repository;
//! use oras_spec::MediaType;
//!
//! # fn main() -> oras_store::Result<()> {
//! let repository = Repository::open(ClientOptions::default(), "localhost:5000/hello")?;
//! # if false {
//! // With a registry at this address:
//! let layer = repository.push_blob(MediaType::OCTET_STREAM, "hello world\n")?;
//! assert_eq!(repository.blob(&layer)?, "hello world\n");
//! for tag in repository.tags()? {
//!     let manifest = repository.manifest(&tag)?;
//!     println!("{tag}: {}", manifest.media_type());
//! }
//! # }
//! # Ok(()) }
//! ```

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use oras_spec::{Descriptor, Manifest, MediaType};
use oras_store::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::client::Client;
use crate::client_options::ClientOptions;

/// A repository of a registry, whose functions block the calling thread. Use it to push and pull in a program without
/// async code. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Repository {
    repository: crate::Repository,
    runtime: Arc<PrivateRuntime>,
}

impl Repository {
    /// Creates a handle of the repository that `reference` names, such as `ghcr.io/example/web`. A tag or digest is
    /// ignored. Doesn't connect.
    ///
    /// # Errors
    /// `InvalidInput` if the text is not a reference; those of [`Client::new`] and [`crate::Repository::new`].
    pub fn open(options: ClientOptions, reference: &str) -> Result<Self> {
        let repository = crate::Repository::open(&Client::new(options)?, reference)?;
        Ok(Self { repository, runtime: Arc::new(PrivateRuntime::new()?) })
    }

    /// Returns the handle of another repository, which shares the connections and tokens of this one.
    ///
    /// # Errors
    /// Those of [`Repository::open`].
    pub fn sibling(&self, reference: &str) -> Result<Self> {
        let repository = crate::Repository::open(self.repository.client(), reference)?;
        Ok(Self { repository, runtime: Arc::clone(&self.runtime) })
    }

    /// Reads the manifest that a tag or digest names.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` for a malformed manifest.
    pub fn manifest(&self, reference: &str) -> Result<Manifest> {
        self.run(async |repository| repository.manifest(reference).await)
    }

    /// Returns the descriptor of the manifest that a tag or digest names.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.run(async |repository| repository.resolve(reference).await)
    }

    /// Reads and verifies a whole blob, which must fit into memory.
    ///
    /// # Errors
    /// `NotFound`; `DigestMismatch` and `SizeMismatch` for bytes that do not match the descriptor.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Bytes> {
        self.run(async |repository| repository.content(descriptor).bytes(descriptor.size).await)
    }

    /// Uploads a blob unless it exists, and returns its descriptor.
    ///
    /// # Errors
    /// `Unauthorized` and `Denied` if the registry does not accept the credentials for a push.
    pub fn push_blob(&self, media_type: MediaType, bytes: impl Into<Bytes>) -> Result<Descriptor> {
        self.run(async |repository| repository.push_blob(media_type, bytes).await)
    }

    /// Stores a manifest, with a tag or without, and returns its descriptor. Its blobs must exist already.
    ///
    /// # Errors
    /// `InvalidInput` for an invalid tag; `Unauthorized` and `Denied` like [`Repository::push_blob`].
    pub fn push_manifest(
        &self,
        media_type: MediaType,
        bytes: impl Into<Bytes>,
        tag: Option<&str>,
    ) -> Result<Descriptor> {
        self.run(async |repository| repository.push_manifest(media_type, bytes, tag).await)
    }

    /// Returns all tags, in the order of the registry.
    ///
    /// # Errors
    /// `NotFound` if the repository does not exist.
    pub fn tags(&self) -> Result<Vec<String>> {
        self.run(async |repository| repository.tags().await)
    }

    /// Runs async code with the repository, for everything that has no function here.
    ///
    /// # Errors
    /// Those of `work`; `Unsupported` in a tokio runtime, whose thread must not be blocked.
    pub fn run<T>(&self, work: impl AsyncFnOnce(&crate::Repository) -> Result<T>) -> Result<T> {
        if Handle::try_current().is_ok() {
            let message = "a blocking repository can't be used in a tokio runtime: use the async one there";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.runtime.get()?.block_on(work(&self.repository))
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)
    }
}

/// The runtime of a repository and its siblings; `None` only while it is dropped.
struct PrivateRuntime(Option<Runtime>);

impl PrivateRuntime {
    fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed = |error| Error::io("failed to start a runtime", error);
        runtime.map(|runtime| Self(Some(runtime))).map_err(failed)
    }

    fn get(&self) -> Result<&Runtime> {
        self.0.as_ref().ok_or_else(|| Error::new(ErrorKind::Other, "the runtime has ended"))
    }
}

impl Drop for PrivateRuntime {
    fn drop(&mut self) {
        // A plain drop panics if this happens in another runtime, because it waits for the threads of this one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
