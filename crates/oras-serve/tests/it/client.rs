//! A registry in this process, and a client that sends exactly the given bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use oras_layout::Layout;
use oras_memory::Memory;
use oras_serve::{PerRepository, Server, ServerOptions, Stores};
use oras_store::Content;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running server, which stops when it is dropped.
pub(crate) struct Registry {
    pub(crate) kind: &'static str,
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
    root: Option<TempDir>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

/// One registry over memory and one over layouts.
pub(crate) async fn both() -> [Registry; 2] {
    [memory(ServerOptions::default()).await, layouts(ServerOptions::default()).await]
}

pub(crate) async fn memory(options: ServerOptions) -> Registry {
    let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
    serve("memory", options, Arc::new(stores), None).await
}

pub(crate) async fn layouts(options: ServerOptions) -> Registry {
    let root = TempDir::new().unwrap();
    let path = root.path().to_owned();
    let stores = PerRepository::new(move |name| {
        let path = path.join(name);
        async move { Ok(Arc::new(Layout::open_or_create(path).await?) as _) }
    });
    serve("layouts", options, Arc::new(stores), Some(root)).await
}

pub(crate) async fn serve(
    kind: &'static str,
    options: ServerOptions,
    stores: Arc<dyn Stores>,
    root: Option<TempDir>,
) -> Registry {
    let server = Server::bind("127.0.0.1:0", options, stores).await.unwrap();
    let address = server.local_addr();
    let mut task = JoinSet::new();
    task.spawn(async move { server.run(std::future::pending()).await.unwrap() });
    Registry { kind, address, _server: task, root }
}

/// Serves the routes of a program.
pub(crate) async fn serve_app(app: axum::Router) -> Registry {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    task.spawn(async move { axum::serve(listener, app).await.unwrap() });
    Registry { kind: "embedded", address, _server: task, root: None }
}

impl Registry {
    /// Returns the address, and lets the server run until the test ends.
    pub(crate) fn leak(self) -> SocketAddr {
        let address = self.address;
        std::mem::forget(self);
        address
    }

    /// Returns host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns the directory of the layouts.
    pub(crate) fn root(&self) -> &Path {
        self.root.as_ref().unwrap().path()
    }

    /// Sends a request on a new connection. `path` is the part after `/v2/`, or a `Location`.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = head(method, path, headers, body.as_ref().len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that rejects the request early may not read the body.
        let _refused = stream.write_all(body.as_ref()).await;
        let answer = receive(stream).await;
        // Clients such as dockerd need it on errors, too.
        let is_api = !path.starts_with('/') || format!("{path}/").contains("/v2/");
        let version = answer.maybe("docker-distribution-api-version");
        assert_eq!(version, is_api.then_some("registry/2.0"), "{method} {path} {answer:?}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.send("HEAD", path, &[], "").await
    }

    /// Announces a body of `length` bytes, sends `part` and closes the connection.
    pub(crate) async fn cut(&self, method: &str, path: &str, part: &[u8], length: usize) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head(method, path, &[], length).as_bytes()).await.unwrap();
        stream.write_all(part).await.unwrap();
        stream.flush().await.unwrap();
        // The server receives the bytes before the end of the stream.
        stream.shutdown().await.unwrap();
        let _whatever = stream.read_to_end(&mut Vec::new()).await;
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push_blob(&self, name: &str, content: &Content) {
        let digest = &content.descriptor().digest;
        let path = format!("{name}/blobs/uploads/?digest={digest}");
        let answer = self.send("POST", &path, &[], content.in_memory().unwrap()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Pushes a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(&self, name: &str, reference: &str, content: &Content) -> Answer {
        let media_type = content.descriptor().media_type.as_str();
        let headers = [("content-type", media_type)];
        self.send("PUT", &format!("{name}/manifests/{reference}"), &headers, content.in_memory().unwrap())
            .await
    }

    /// Opens an upload and returns its location.
    pub(crate) async fn open(&self, name: &str) -> String {
        let answer = self.send("POST", &format!("{name}/blobs/uploads/"), &[], "").await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.header("location").to_owned()
    }
}

impl Answer {
    /// Returns a header that must exist.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.maybe(name).unwrap_or_else(|| panic!("{name} in {self:?}"))
    }

    pub(crate) fn maybe(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts an error with a code of the specification.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.json()["errors"][0]["code"], code, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
    }
}

fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/v2/{path}") };
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

async fn receive(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the response is no error.
    let read = stream.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end =
        end.unwrap_or_else(|| panic!("an answer instead of {read:?} {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    assert!(!headers.contains_key("transfer-encoding"), "every length is known: {head}");
    Answer { status, headers, body: Bytes::from(bytes.split_off(end + 4)) }
}
