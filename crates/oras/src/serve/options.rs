//! The options of a server and where it keeps its repositories.

use std::path::PathBuf;

use oras_serve::ServerOptions;

use super::garbage_collection::GarbageCollection;
use super::proxy::ProxyOptions;

/// Where a server keeps its repositories. It is the second argument of [`ServeOptions::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServeFrom {
    /// In memory, until the server ends.
    Memory {
        /// The maximum number of bytes of all repositories together, including open uploads; `None` for no limit.
        max_size: Option<u64>,
    },
    /// At a path: a directory with one OCI layout for each repository below it, or a single OCI layout in a directory
    /// or, read-only, in a tar archive. A bundle is served, read-only, with all of its repositories.
    Path(PathBuf),
}

/// The options of [`serve`](super::serve) and [`registry`](super::registry). They name the repositories, and contain
/// the options of the server.
///
/// ```no_run
/// use oras::server::{ServerOptions, User};
/// use oras::{ServeFrom, ServeOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = ServerOptions::default().users([User::new("alice", "secret")]).read_only(true);
/// let options = ServeOptions::new("127.0.0.1:0", ServeFrom::Path("./layouts".into())).server(server);
/// let server = oras::serve(options).await?;
/// println!("listening on {}", server.local_addr());
/// server.run(std::future::pending()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// The address to listen on, as `host:port`. Port 0 means any free port.
    pub address: String,
    /// Where the repositories are.
    pub from: ServeFrom,
    /// The name of the repository of a single layout; by default it is derived from the path.
    pub repository: Option<String>,
    /// Removes content that no manifest needs, from layouts in a directory.
    pub garbage_collection: Option<GarbageCollection>,
    /// Makes the server a proxy, which caches the content that clients pull through it, and accepts no pushes.
    pub proxy: Option<ProxyOptions>,
    /// The options of the server itself.
    pub server: ServerOptions,
}

impl ServeOptions {
    /// Returns options with the defaults of the server, without garbage collection.
    pub fn new(address: impl Into<String>, from: ServeFrom) -> Self {
        Self {
            address: address.into(),
            from,
            repository: None,
            garbage_collection: None,
            proxy: None,
            server: ServerOptions::default(),
        }
    }

    oras_store::setters! {
        repository: impl Into<Option<String>> => repository.into();
        garbage_collection: impl Into<Option<GarbageCollection>> => garbage_collection.into();
        proxy: impl Into<Option<ProxyOptions>> => proxy.into();
        server: ServerOptions;
    }
}
