//! Answers with a `Content-Encoding` are decoded within the limits of the client.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures::TryStreamExt;
use oras_store::{ErrorKind, ReadStore, Source};

use crate::{blob, collect, manifest, options, repository};
use oras_testkit::scripted::{Asked, Reply, Scripted};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 0).unwrap()
}

type Encode = fn(&[u8]) -> Vec<u8>;

const ENCODINGS: [(&str, Encode); 9] = [
    ("gzip", gzip),
    ("GZIP", gzip),
    ("x-gzip", gzip),
    ("identity, gzip", gzip),
    ("deflate", zlib),
    ("deflate", deflate),
    ("zstd", zstd),
    ("gzip, zstd", |bytes| zstd(&gzip(bytes))),
    // Announced but not applied.
    ("gzip", <[u8]>::to_vec),
];

#[tokio::test]
async fn decodes_manifests_and_lists() {
    let content = manifest("one", None);
    for (name, encode) in ENCODINGS {
        let body = encode(content.in_memory().unwrap());
        let tags = encode(br#"{"name":"a","tags":["v1","v2"]}"#);
        let told = content.descriptor().digest.clone();
        let server = Scripted::start(move |asked: &Asked| {
            let body = if asked.path.ends_with("/list") { &tags } else { &body };
            Reply::new(200)
                .header("content-type", "application/vnd.oci.image.manifest.v1+json")
                .header("docker-content-digest", &told)
                .header("content-encoding", name)
                .body(body.clone())
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        // The length in the answer to `HEAD` is that of the encoded bytes.
        assert_eq!(store.resolve("v1").await.unwrap(), *content.descriptor(), "{name}");
        let digest = content.descriptor().digest.to_string();
        for reference in ["v1", &digest] {
            let (node, bytes) = store.resolve_with_bytes(reference).await.unwrap();
            assert_eq!((&node, bytes.as_ref()), (content.descriptor(), content.in_memory()), "{name}");
        }
        let fetched = store.fetch(content.descriptor(), 0..content.descriptor().size).await.unwrap();
        assert_eq!(collect(fetched).await.unwrap(), content.in_memory().unwrap());
        let tags: Vec<_> = store.tags_after(None).try_collect().await.unwrap();
        assert_eq!(tags, ["v1", "v2"], "{name}");
        assert!(server.asked().iter().all(|asked| asked.header("accept-encoding") == Some("identity")));
    }
}

#[tokio::test]
async fn decodes_errors() {
    let body = br#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;
    for (name, encode) in ENCODINGS {
        let body = encode(body);
        let server = Scripted::start(move |_: &Asked| {
            Reply::new(403).header("content-encoding", name).body(body.clone())
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let error = store.resolve_with_bytes("v1").await.unwrap_err();
        assert_eq!(error.chain(), "denied: not for you", "{name}");
    }
}

#[tokio::test]
async fn names_unsupported_encodings() {
    let small = gzip(b"{}");
    for (name, body, kind, text) in [
        (
            "br",
            vec![0x5b, 1, 2, 3],
            ErrorKind::Unsupported,
            "the content encoding \"br\", which is not supported",
        ),
        (
            "foo",
            vec![1, 2, 3, 4],
            ErrorKind::Unsupported,
            "the content encoding \"foo\", which is not supported",
        ),
        ("gzip", vec![1, 2, 3, 4], ErrorKind::InvalidContent, "the answer is not valid gzip"),
        (
            "gzip",
            small[..small.len() - 9].to_vec(),
            ErrorKind::InvalidContent,
            "the answer is not valid gzip",
        ),
        ("zstd", zstd(&[b'x'; 999])[..9].to_vec(), ErrorKind::InvalidContent, "the answer is not valid zstd"),
        ("gzip, gzip, gzip, gzip, gzip", gzip(b"{}"), ErrorKind::Unsupported, "5 content encodings"),
        // A few KiB that decode to more than the manifest limit.
        ("gzip", gzip(&vec![b' '; 5 << 20]), ErrorKind::TooLarge, "exceeds the limit of 4194304 bytes"),
        ("zstd", zstd(&vec![b' '; 5 << 20]), ErrorKind::TooLarge, "exceeds the limit of 4194304 bytes"),
        ("gzip, gzip", gzip(&gzip(&vec![b' '; 64 << 20])), ErrorKind::TooLarge, "exceeds the limit"),
        // Many bytes that decode to nothing.
        ("gzip", gzip(b"").repeat(300_000), ErrorKind::InvalidContent, "the encoded answer exceeds"),
    ] {
        let server = Scripted::start(move |_: &Asked| {
            Reply::new(200).header("content-encoding", name).body(body.clone())
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let error = store.resolve_with_bytes("v1").await.unwrap_err();
        assert!(error.kind() == kind && error.chain().contains(text), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn decodes_blobs_only_if_that_matches_their_length() {
    let plain: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let packed = gzip(&plain);
    // Either the server encodes the body, or the blob was stored with its encoding.
    for (content, body) in [(blob(plain.clone()), packed.clone()), (blob(packed.clone()), packed.clone())] {
        let server = Scripted::start(move |_: &Asked| {
            Reply::new(200).header("content-encoding", "gzip").body(body.clone())
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let (node, bytes) = (content.descriptor(), content.in_memory().unwrap());
        let whole = store.fetch(node, 0..node.size).await.unwrap();
        assert_eq!(collect(whole).await.unwrap(), bytes);
        let part = store.fetch(node, 100..70_000).await.unwrap();
        assert_eq!(collect(part).await.unwrap(), bytes.slice(100..70_000));
    }
}

#[tokio::test]
async fn rejects_ranges_of_an_encoded_body() {
    let plain: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let (content, packed) = (blob(plain.clone()), gzip(&plain));
    let length = packed.len();
    let server = Scripted::start(move |asked: &Asked| {
        let reply = |status| Reply::new(status).header("content-encoding", "gzip");
        match asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.split('-').next()) {
            // A range of the encoded bytes can't be decoded.
            Some(start) => {
                let start: usize = start.parse().unwrap();
                let part = packed.get(start..).unwrap_or_default().to_vec();
                let told = format!("bytes {start}-{}/{length}", length - 1);
                if part.is_empty() {
                    return Reply::new(416);
                }
                reply(206).header("content-range", told).body(part)
            }
            None => reply(200).body(packed.clone()),
        }
    });
    let cut = Scripted::start({
        let port = server.port();
        move |_: &Asked| Reply::new(307).header("location", format!("http://localhost:{port}/x"))
    });
    let store = repository(options(), &format!("{}/a", cut.host()));
    let node = content.descriptor();
    let part = store.fetch(node, 300_000..node.size).await.unwrap();
    assert_eq!(collect(part).await.unwrap(), content.in_memory().unwrap().slice(300_000..));
}
