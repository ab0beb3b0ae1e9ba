//! Limits of requests, connections and memory.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use oras_memory::{Memory, MemoryBound};
use oras_serve::{Misconfigured, PerRepository, Server, ServerOptions, User};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{memory, serve};

/// Sends `more` until the server stops reading, and returns the response.
async fn say(address: std::net::SocketAddr, begin: &str, more: &str, times: usize) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(begin.as_bytes()).await.unwrap();
    for _ in 0..times {
        if stream.write_all(more.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    // The server may reset the connection.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn rejects_too_many_headers() {
    let registry = memory(ServerOptions::default()).await;
    let begin = "GET /v2/ HTTP/1.1\r\nhost: x\r\n";
    let many = say(registry.address, begin, "x: y\r\n", 200_000).await;
    let long = say(registry.address, begin, &format!("x: {}\r\n", "y".repeat(100_000)), 1000).await;
    let endless = say(registry.address, "GET /v2/", &"y".repeat(100_000), 1000).await;
    for answer in [many, long, endless] {
        let refused = ["HTTP/1.1 431", "HTTP/1.1 414", "HTTP/1.1 400"];
        assert!(answer.is_empty() || refused.iter().any(|line| answer.starts_with(line)), "{answer}");
    }
    assert_eq!(registry.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn rejects_manifest_above_the_limit() {
    let registry = memory(ServerOptions::default().max_manifest_size(1000)).await;
    let typed = [("content-type", "application/vnd.oci.image.index.v1+json")];
    let large = registry.send("PUT", "a/manifests/v1", &typed, vec![b' '; 1001]).await;
    assert_eq!(large.status, 413, "{large:?}");
    assert_eq!(registry.get("a/tags/list").await.status, 404);
}

#[tokio::test]
async fn connection_serves_many_requests_with_and_without_bodies() {
    let request = |method: &str, path: &str, body: &str| {
        let padding = "y".repeat(500);
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\npadding: {padding}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let registry = memory(ServerOptions::default()).await;
    let upload = registry.open("a").await;
    let mut stream = TcpStream::connect(registry.address).await.unwrap();
    for number in 0..300 {
        // Every tenth request has a large body, which is sent together with its head.
        let body = "x".repeat(if number % 10 == 0 { 300_000 } else { 1 });
        stream.write_all(request("PATCH", &upload, &body).as_bytes()).await.unwrap();
        assert!(answered(&mut stream).await, "{number}");
    }
    let users = vec![oras_serve::User::new("a", "b")];
    let closed = memory(ServerOptions::default().users(users)).await;
    let mut stream = TcpStream::connect(closed.address).await.unwrap();
    for number in 0..300 {
        stream.write_all(request("GET", "/v2/", "").as_bytes()).await.unwrap();
        assert!(answered(&mut stream).await, "{number}");
    }
}

/// Reads a whole response.
async fn answered(stream: &mut TcpStream) -> bool {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            if body.len() >= length.parse().unwrap() {
                return true;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(1..) if all.len() > 100_000 => panic!("{text}"),
            Ok(count @ 1..) => all.extend_from_slice(&buffer[..count]),
            _ => return false,
        }
    }
}

/// Returns the response to a client that sends its whole request before it reads, or the error.
fn send_then_read(address: std::net::SocketAddr, head: &str, body: &[u8]) -> std::io::Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes())?;
    stream.write_all(body)?;
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn client_that_sends_everything_first_receives_the_error() {
    let users = vec![User::new("ann", "s3cret")];
    let closed = memory(ServerOptions::default().users(users)).await.leak();
    let read_only = memory(ServerOptions::default().read_only(true)).await.leak();
    let small = memory(ServerOptions::default().max_manifest_size(1000)).await.leak();
    let typed = "content-type: application/vnd.oci.image.index.v1+json";
    let sends = move || {
        let body = vec![b' '; 1_000_000];
        for (address, line, status) in [
            (closed, "PUT /v2/a/blobs/uploads/1?digest=x HTTP/1.1", 401),
            (closed, "POST /v2/a/blobs/uploads/ HTTP/1.1", 401),
            (closed, "PUT /anything HTTP/1.1", 401),
            (read_only, "POST /v2/a/blobs/uploads/ HTTP/1.1", 405),
            (small, "PUT /v2/a/manifests/v1 HTTP/1.1", 413),
            (small, "PUT /v2/a/manifests/.v1 HTTP/1.1", 400),
            (small, "PATCH /v2/a/blobs/uploads/none HTTP/1.1", 404),
            (small, "PUT /v2/A/x HTTP/1.1", 404),
            (small, "PUT /v2/ HTTP/1.1", 405),
            (small, "PUT /v2/a/manifests/v1?%ff=%ff%zz;&n HTTP/1.1", 413),
        ] {
            for _ in 0..20 {
                let answer = send_then_read(address, &format!("{line}\r\nhost: x\r\n{typed}"), &body);
                let expected = format!("HTTP/1.1 {status}");
                assert_eq!(answer.as_deref().ok(), Some(&*expected), "{line} {answer:?}");
            }
        }
    };
    tokio::task::spawn_blocking(sends).await.unwrap();
}

#[tokio::test]
async fn connection_survives_a_rejected_body_but_not_a_trickling_one() {
    let users = vec![User::new("ann", "s3cret")];
    let address = memory(ServerOptions::default().users(users)).await.leak();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        let head = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[b' '; 300_000]).await.unwrap();
        assert!(answered(&mut stream).await);
    }
    // A client that expects 100-continue gets the error at once.
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head =
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    // A client that sends the body slowly can't hold the connection.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "a drip holds the connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn deletes_free_memory_below_the_limit() {
    let bound = MemoryBound::new(100_000);
    let stores = PerRepository::new(move |_| {
        let memory = Memory::bounded(&bound);
        async move { Ok(Arc::new(memory) as _) }
    });
    let registry = serve("bounded", ServerOptions::default(), Arc::new(stores), None).await;
    let digest = |bytes: &[u8]| oras_spec::Digest::sha256(bytes).to_string();
    let put = async |name: &str, bytes: Vec<u8>| {
        let path = format!("{name}/blobs/uploads/?digest={}", digest(&bytes));
        registry.send("POST", &path, &[], bytes).await
    };
    assert_eq!(put("a", vec![b'x'; 60_000]).await.status, 201);
    // Other repositories and open uploads count, too.
    put("b", vec![b'y'; 60_000]).await.refused(507, "UNAVAILABLE");
    let upload = registry.open("b").await;
    assert_eq!(registry.send("PATCH", &upload, &[], vec![b'y'; 30_000]).await.status, 202);
    put("c", vec![b'z'; 20_000]).await.refused(507, "UNAVAILABLE");
    let typed = [("content-type", "application/vnd.oci.image.index.v1+json")];
    let index = format!("{{\"schemaVersion\":2,\"manifests\":[]}}{}", " ".repeat(20_000));
    registry.send("PUT", "c/manifests/v1", &typed, index.clone()).await.refused(507, "UNAVAILABLE");
    assert_eq!(registry.send("DELETE", &upload, &[], "").await.status, 204);
    assert_eq!(put("c", vec![b'z'; 20_000]).await.status, 201);
    let blob = format!("a/blobs/{}", digest(&vec![b'x'; 60_000]));
    assert_eq!(registry.send("DELETE", &blob, &[], "").await.status, 202);
    assert_eq!(put("b", vec![b'y'; 60_000]).await.status, 201);
    // An upload with a wrong digest frees its memory.
    for _ in 0..10 {
        let path = format!("c/blobs/uploads/?digest={}", digest(b"other"));
        registry.send("POST", &path, &[], vec![b'w'; 15_000]).await.refused(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn error_names_the_unusable_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let hash = bcrypt::hash("s3cret", 4).unwrap();
    let write = |name: &str, text: &[u8]| oras_fs::replace(&path(name), text, 0o666).unwrap();
    write("good", format!("\u{feff}ann:{hash}\r\n").as_bytes());
    write("empty", b"");
    write("malformed", b"one\0two\n");
    write("binary", &[0xff, 0xfe, 0]);
    std::fs::create_dir(path("directory")).unwrap();
    for bad in ["nosuch", "directory"] {
        let tls = oras_serve::Tls::new(path(bad), path("good"));
        let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
        let options = ServerOptions::default().tls(tls);
        let error = Server::bind("127.0.0.1:0", options, Arc::new(stores)).await.unwrap_err();
        assert!(error.to_string().contains(path(bad).to_str().unwrap()), "{error}");
    }
    for bad in ["nosuch", "empty", "malformed", "binary", "directory"] {
        let good = path("good");
        for options in [
            ServerOptions::default().htpasswd(path(bad)),
            ServerOptions::default().htpasswd(good.clone()).rules(path(bad)),
        ] {
            let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
            let error = Server::bind("127.0.0.1:0", options, Arc::new(stores)).await.unwrap_err();
            assert!(error.get_ref().is_some_and(|error| error.is::<Misconfigured>()), "{error:?}");
            assert!(error.to_string().contains(path(bad).to_str().unwrap()), "{error}");
        }
    }
}
