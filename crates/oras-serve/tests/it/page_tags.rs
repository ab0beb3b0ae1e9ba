//! The list of tags on the web page: its order, and its speed with many tags.

use oras_serve::ServerOptions;
use oras_spec::{ImageIndex, ImageManifest, MediaType, annotation};
use oras_store::Content;
use oras_testkit::nodes::{blob, empty, index};

use crate::client::{Registry, both, memory};
use crate::page::push;

/// Returns the tags of the rows of a page, in order.
fn tags_of(page: &str) -> Vec<&str> {
    let rows = page.split("<th class=\"tag\" scope=\"row\"").skip(1);
    rows.map(|row| row.split_once("<bdi>").unwrap().1.split_once("</bdi>").unwrap().0).collect()
}

#[tokio::test]
async fn tags_are_sorted() {
    for registry in both().await {
        let (small, large) = (blob("1"), blob("1234567"));
        for content in [&empty(), &small, &large] {
            registry.push_blob("a", content).await;
        }
        for (tag, layer, created) in [
            ("v1.9", &large, Some("2026-01-03T10:20:30Z")),
            ("v1.10", &small, Some("2026-01-03T09:30:00-05:00")),
            ("v1.2", &small, Some("2025-06-01T00:00:00Z")),
            ("v2", &large, None),
            ("v2-rc.1", &small, Some("never")),
        ] {
            let mut image =
                ImageManifest::new(empty().descriptor().clone(), vec![layer.descriptor().clone()]);
            image.annotations.insert("tag".into(), tag.into());
            if let Some(created) = created {
                image.annotations.insert(annotation::CREATED.into(), created.into());
            }
            push(&registry, "a", tag, &Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes())).await;
        }
        // Equal values are in the order of versions, and tags without a value come last.
        for (query, expected) in [
            ("", ["v1.10", "v1.9", "v1.2", "v2", "v2-rc.1"]),
            ("?sort=created", ["v1.10", "v1.9", "v1.2", "v2", "v2-rc.1"]),
            ("?sort=created&order=asc", ["v1.2", "v1.9", "v1.10", "v2", "v2-rc.1"]),
            ("?sort=tag", ["v2", "v2-rc.1", "v1.10", "v1.9", "v1.2"]),
            ("?sort=tag&order=asc", ["v1.2", "v1.9", "v1.10", "v2-rc.1", "v2"]),
            ("?sort=size", ["v2", "v1.9", "v2-rc.1", "v1.10", "v1.2"]),
            ("?sort=size&order=asc", ["v2-rc.1", "v1.10", "v1.2", "v2", "v1.9"]),
            ("?sort=other&order=x&page=-1", ["v1.10", "v1.9", "v1.2", "v2", "v2-rc.1"]),
            ("?page=99999999999999999999999", ["v1.10", "v1.9", "v1.2", "v2", "v2-rc.1"]),
        ] {
            let page = registry.get(&format!("/-/a{query}")).await.page(200);
            assert_eq!(tags_of(&page), expected, "{query}");
            assert!(page.contains("5 tags") && !page.contains("not sorted yet"), "{page}");
        }
        let page = registry.get("/-/a?q=v1&sort=created").await.page(200);
        assert!(page.contains("<time datetime=\"2026-01-03T10:20:30Z\">2026-01-03 10:20</time>"), "{page}");
        assert!(
            page.contains("aria-sort=\"descending\"><a href=\"/-/a?q=v1&amp;sort=created&amp;order=asc\"")
        );
        assert!(page.contains("3 matches in 5 tags"), "{page}");
    }
}

#[tokio::test]
async fn created_comes_from_config_of_image() {
    let registry = memory(ServerOptions::default()).await;
    let config = |created: &str| {
        let text = format!(r#"{{"architecture":"amd64","os":"linux","created":"{created}"}}"#);
        Content::of(MediaType::IMAGE_CONFIG, text)
    };
    let mut images = Vec::new();
    for (tag, created) in [("old", "2024-05-06T07:08:09.123Z"), ("reproducible", "1970-01-01T00:00:00Z")] {
        let config = config(created);
        registry.push_blob("a", &config).await;
        let image = ImageManifest::new(config.descriptor().clone(), Vec::new());
        let image = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
        push(&registry, "a", tag, &image).await;
        images.push(image);
    }
    push(&registry, "a", "platforms", &index(&[&images[0]])).await;
    let page = registry.get("/-/a").await.page(200);
    assert_eq!(page.matches(">2024-05-06 07:08</time>").count(), 2, "{page}");
    assert!(!page.contains("1970"), "{page}");
    assert_eq!(tags_of(&page), ["platforms", "old", "reproducible"]);
}

/// Returns the tags and manifests of a repository with ten thousand tags.
fn many_tags() -> Vec<(String, Content)> {
    let manifests = (0..10_000).map(|number| {
        let mut image = ImageManifest::new(empty().descriptor().clone(), Vec::new());
        let created = format!("2026-{:02}-{:02}T00:00:00Z", number % 12 + 1, number % 28 + 1);
        image.annotations.insert(annotation::CREATED.into(), created);
        image.annotations.insert("number".into(), number.to_string());
        let content = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
        (format!("v1.{}.{}", number / 100, number % 100), content)
    });
    manifests.collect()
}

/// Returns a registry over a layout of these tags.
async fn layout_of(tags: &[(String, Content)]) -> Registry {
    let root = tempfile::tempdir().unwrap();
    let blobs = root.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let create = |path: &std::path::Path, bytes: &[u8]| {
        std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), bytes).unwrap();
    };
    let mut listed = Vec::new();
    for (tag, content) in tags {
        create(&blobs.join(content.descriptor().digest.encoded()), content.in_memory().unwrap());
        let mut node = content.descriptor().clone();
        node.annotations.insert(annotation::REF_NAME.into(), tag.clone());
        listed.push(node);
    }
    create(&root.path().join("index.json"), &ImageIndex::new(listed).to_bytes());
    create(&root.path().join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
    let path = root.path().to_owned();
    let stores = oras_serve::PerRepository::new(move |_| {
        let path = path.clone();
        async move { Ok(std::sync::Arc::new(oras_layout::Layout::open(path).await?) as _) }
    });
    let stores = std::sync::Arc::new(stores.with_existing(["a".to_owned()]));
    crate::client::serve("layouts", ServerOptions::default(), stores, Some(root)).await
}

/// Returns a registry over a store in memory with these tags.
async fn memory_of(tags: &[(String, Content)]) -> Registry {
    let store = std::sync::Arc::new(oras_memory::Memory::new());
    for (tag, content) in tags {
        let mode = oras_store::PushMode::Tagged(tag);
        oras_store::Target::push(&*store, content, mode).await.unwrap();
    }
    let stores = oras_serve::PerRepository::new(move |_| {
        let store = std::sync::Arc::clone(&store);
        async move { Ok(store as _) }
    });
    let stores = std::sync::Arc::new(stores.with_existing(["a".to_owned()]));
    crate::client::serve("memory", ServerOptions::default(), stores, None).await
}

/// Loads pages of a repository with ten thousand tags, each of another manifest, and prints the times.
#[tokio::test]
async fn ten_thousand_tags_load_quickly() {
    let tags = many_tags();
    let mut registries = vec![layout_of(&tags).await];
    // A build without optimization is too slow to test both kinds.
    if !cfg!(debug_assertions) {
        registries.push(memory_of(&tags).await);
    }
    for registry in registries {
        let get = async |path: &str| {
            let begun = std::time::Instant::now();
            let page = registry.get(path).await.page(200);
            let took = begun.elapsed();
            println!("{} {path}: {took:?}", registry.kind);
            // A build without optimization needs about ten times as long.
            let limit = if cfg!(debug_assertions) { 6000 } else { 300 };
            assert!(took < std::time::Duration::from_millis(limit), "{path} {took:?}");
            page
        };
        // Each request sorts more tags, until all manifests are cached.
        let mut unsorted = tags.len();
        for _ in 0..100 {
            let page = get("/-/a").await;
            assert!(page.contains("1–50 of 10,000 tags"), "{page}");
            let Some((_, rest)) = page.split_once("The last ") else {
                unsorted = 0;
                assert!(page.contains("2026-12-28"), "{page}");
                break;
            };
            let left = rest.split_once(' ').unwrap().0.replace(',', "").parse().unwrap();
            assert!(left <= unsorted, "{left} {unsorted}");
            unsorted = left;
        }
        assert_eq!(unsorted, 0);
        assert_eq!(tags_of(&get("/-/a?sort=tag").await)[0], "v1.99.99");
        assert_eq!(tags_of(&get("/-/a?sort=tag&page=200").await)[49], "v1.0.0");
        assert_eq!(tags_of(&get("/-/a?q=v1.77.7&sort=tag").await).len(), 11);
        get("/-/a?sort=size&order=asc&page=100").await;
    }
}
