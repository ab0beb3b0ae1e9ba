//! What the web page shows of manifests: commands, descriptions, referrers and comparisons.

use oras_serve::{ServerOptions, User};
use oras_spec::{Descriptor, ImageManifest, MediaType, annotation};
use oras_store::Content;
use oras_testkit::nodes::{blob, empty, index, referrer};

use crate::client::{Registry, both, memory};
use crate::page::{push, titled};

/// Pushes an image manifest with these layers and annotations, and everything that it lists.
async fn push_image(
    registry: &Registry,
    tag: &str,
    config: &Content,
    layers: &[(Descriptor, &Content)],
    annotations: &[(&str, &str)],
) -> Content {
    registry.push_blob("a", config).await;
    for (_, content) in layers {
        registry.push_blob("a", content).await;
    }
    let layers = layers.iter().map(|(layer, _)| layer.clone()).collect();
    let mut image = ImageManifest::new(config.descriptor().clone(), layers);
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    image.annotations = annotations.iter().map(owned).collect();
    let image = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
    push(registry, "a", tag, &image).await;
    image
}

/// Returns the commands of a page by digest. Each word of a command is in an element of its own.
fn commands(page: &str) -> Vec<String> {
    let found = page.split("<code id=\"command-").skip(1);
    let found = found.map(|part| part.split_once('>').unwrap().1.split_once("</code>").unwrap().0);
    found.map(|words| words.replace("<span>", "").replace("</span>", "")).collect()
}

#[tokio::test]
async fn commands_depend_on_kind_and_connection() {
    let user = User::new("ann", "s3cret");
    let public = ServerOptions::default().public_url("https://registry.example".to_owned());
    let (plain, public) = (ServerOptions::default(), public.users(vec![user]).anonymous_pull(true));
    let config = |media_type: &str| Content::of(MediaType::new(media_type), "{}");
    let image = config("application/vnd.oci.image.config.v1+json");
    let chart = config("application/vnd.cncf.helm.config.v1+json");
    let layer = blob("one");
    for (config, kind) in [(&image, "docker"), (&chart, "helm"), (&empty(), "")] {
        let registry = memory(plain.clone()).await;
        let layers = [(titled(&layer, "one.txt"), &layer)];
        let manifest = push_image(&registry, "v1", config, &layers, &[]).await;
        let name = format!("x/a@{}", manifest.descriptor().digest);
        let special = match kind {
            "docker" => Some(format!("docker pull {name}")),
            "helm" => Some(format!("helm pull --plain-http oci://{name}")),
            _ => None,
        };
        let mut expected = vec![format!("oras pull --plain-http {name}")];
        expected.extend(special);
        expected.extend([
            format!("oras cp -r --from-plain-http {name} --to-oci-layout a:v1"),
            format!("crane pull --insecure --format oci {name} a"),
            format!("skopeo copy --src-tls-verify=false docker://{name} oci:a:v1"),
            format!(
                "curl -f -H Accept:application/vnd.oci.image.manifest.v1+json http://x/v2/a/manifests/{}",
                manifest.descriptor().digest
            ),
        ]);
        let page = registry.get("/-/a:v1").await.page(200);
        assert_eq!(commands(&page), expected);
        assert!(page.contains("<span>x/a:v1</span>"), "{page}");

        // An index of images is an image, too, and skopeo needs a flag to copy all of it.
        if kind == "docker" {
            let mut all = oras_spec::ImageIndex::new(vec![manifest.descriptor().clone()]);
            all.manifests[0].platform = Some(oras_spec::Platform {
                os: "linux".into(),
                architecture: "arm".into(),
                ..Default::default()
            });
            push(&registry, "a", "all", &Content::of(MediaType::IMAGE_INDEX, all.to_bytes())).await;
            let found = commands(&registry.get("/-/a:all").await.page(200));
            assert!(found.iter().any(|line| line.starts_with("docker pull x/a@")), "{found:?}");
            assert!(found.iter().any(|line| line.starts_with("skopeo copy --all ")), "{found:?}");
        }
    }

    let registry = memory(public).await;
    let ann = [("authorization", "Basic YW5uOnMzY3JldA==")];
    for content in [&empty(), &layer] {
        let path = format!("a/blobs/uploads/?digest={}", content.descriptor().digest);
        let answer = registry.send("POST", &path, &ann, content.in_memory().unwrap()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let image = ImageManifest::new(empty().descriptor().clone(), vec![layer.descriptor().clone()]);
    let with_type = [ann[0], ("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let answer = registry.send("PUT", "a/manifests/v1", &with_type, image.to_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    for (headers, user) in [(&ann[..], "-u ann "), (&[], "")] {
        let found = commands(&registry.send("GET", "/-/a:v1", headers, "").await.page(200));
        let (host, digest) = ("registry.example", oras_spec::Digest::sha256(&image.to_bytes()));
        assert_eq!(
            found,
            [
                format!("oras cp -r {host}/a@{digest} --to-oci-layout a:v1"),
                format!("crane pull --format oci {host}/a@{digest} a"),
                format!("skopeo copy docker://{host}/a@{digest} oci:a:v1"),
                format!(
                    "curl -f {user}-H Accept:application/vnd.oci.image.manifest.v1+json https://{host}/v2/a/manifests/{digest}"
                ),
            ]
        );
    }
}

#[tokio::test]
async fn renders_descriptions_safely() {
    let hostile = "# Title\n\n<script>alert(1)</script> <b onclick=alert(1)>bold</b>\n\n\
                   [js](javascript:alert(1)) ![image](https://example.com/x.png)\n\n\
                   <iframe src=https://example.com></iframe>\n";
    let harmless = "# Title\n\n**bold** and a [link](https://example.com/)\n";
    for registry in both().await {
        let markdown = |text: &str| Content::of(MediaType::new("text/markdown"), text.to_owned());
        let (harmless, hostile) = (markdown(harmless), markdown(hostile));
        let nested = markdown(&">".repeat(60_000));
        let huge = markdown(&"word ".repeat(20_000));
        let directory = titled(&blob("tar"), "README.md");
        for (tag, content, shown, hidden) in [
            (
                "harmless",
                &harmless,
                "<p><strong>bold</strong> and a <a href=\"https://example.com/\">link</a></p>",
                "**",
            ),
            ("hostile", &hostile, "&lt;script&gt;alert(1)&lt;/script&gt;", "javascript:"),
            ("nested", &nested, "<blockquote>", "<h3>"),
            ("huge", &huge, "notes.md</bdi>", "word word"),
        ] {
            push_image(&registry, tag, &empty(), &[(titled(content, "notes.md"), content)], &[]).await;
            let page = registry.get(&format!("/-/a:{tag}")).await.page(200);
            let (_, page) = page.split_once("</header>").unwrap();
            assert!(page.contains(shown) && !page.contains(hidden), "{tag} {page}");
            assert!(
                !page.contains("<script") && !page.contains("<iframe") && !page.contains("<img"),
                "{page}"
            );
            assert!(page.matches("<blockquote>").count() <= 32, "{page}");
        }

        // A file is Markdown by its name, too, unless it is a packed directory.
        let readme = blob("# From a file\n");
        let content = blob("tar");
        let mut packed = directory;
        packed.annotations.insert(annotation::UNPACK.into(), "true".into());
        let layers = [(titled(&readme, "docs/README.md"), &readme), (packed, &content)];
        let annotations = [
            (annotation::DESCRIPTION, "first line\nsecond *line*"),
            ("org.opencontainers.image.url", "https://example.com/home"),
            ("org.opencontainers.image.source", "javascript:alert(1)"),
        ];
        push_image(&registry, "readme", &empty(), &layers, &annotations).await;
        let page = registry.get("/-/a:readme").await.page(200);
        for part in [
            "<h3>From a file</h3>",
            "<p>first line<br />\nsecond <em>line</em></p>",
            "<a href=\"https://example.com/home\" rel=\"nofollow noreferrer\">Home page</a>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("Source code") && !page.contains("<p>tar</p>"), "{page}");
    }
}

#[tokio::test]
async fn groups_referrers_by_kind() {
    for registry in both().await {
        let subject = push_image(&registry, "v1", &empty(), &[], &[]).await;
        for (name, artifact_type) in [
            ("1", "application/vnd.example.report"),
            ("2", "application/spdx+json"),
            ("3", "application/vnd.in-toto+json"),
            ("4", "application/vnd.cncf.notary.signature"),
            ("5", "application/vnd.cyclonedx+json"),
        ] {
            push(&registry, "a", "", &referrer(name, artifact_type, &subject)).await;
        }
        let page = registry.get("/-/a:v1").await.page(200);
        let headings: Vec<_> =
            page.split("<h3>").skip(1).map(|part| part.split_once("</h3>").unwrap().0).collect();
        assert_eq!(headings, ["Signatures (1)", "SBOMs (2)", "Attestations (1)", "Other referrers (1)"]);
        let (_, sboms) = page.split_once("SBOMs (2)").unwrap();
        let (sboms, _) = sboms.split_once("<h3>").unwrap();
        assert!(
            sboms.contains("spdx") && sboms.contains("cyclonedx") && !sboms.contains("in-toto"),
            "{sboms}"
        );
    }
}

#[tokio::test]
async fn compares_two_manifests() {
    for registry in both().await {
        let [kept, old, new, gone, added] = ["kept", "old", "new", "gone", "added"].map(blob);
        let config = empty();
        let first = [
            (titled(&kept, "kept.txt"), &kept),
            (titled(&old, "file.txt"), &old),
            (titled(&gone, "gone.txt"), &gone),
        ];
        push_image(&registry, "v1", &config, &first, &[("key", "1"), ("same", "x")]).await;
        let second = [
            (titled(&added, "<b>.txt"), &added),
            (titled(&new, "file.txt"), &new),
            (titled(&kept, "kept.txt"), &kept),
        ];
        let image =
            push_image(&registry, "v2", &config, &second, &[("key", "2"), ("same", "x"), ("new", "<i>")])
                .await;

        let page = registry.get("/-/a?compare=v1&with=v2").await.page(200);
        let rows: Vec<(&str, &str)> = page
            .split("role=\"rowheader\"><bdi>")
            .skip(1)
            .map(|row| {
                let (name, rest) = row.split_once("</bdi>").unwrap();
                let (_, rest) = rest.split_once("<span class=\"role ").unwrap();
                (name, rest.split_once('"').unwrap().0)
            })
            .collect();
        let content = [("&lt;b&gt;.txt", "added"), ("file.txt", "changed"), ("gone.txt", "removed")];
        assert_eq!(rows, [&content[..], &[("key", "changed"), ("new", "added")]].concat());
        assert!(
            page.contains("3 differences, 2 entries unchanged") && page.contains("2 differences"),
            "{page}"
        );
        assert!(page.contains("<bdi>&lt;i&gt;</bdi>"), "{page}");

        // Spaces around a pasted reference do not matter, and one of the two may be a digest.
        let digest = &image.descriptor().digest;
        let page = registry.get(&format!("/-/a?compare=+v2%20&with={digest}")).await.page(200);
        assert!(page.contains("Both name the same manifest") && !page.contains("<table"), "{page}");

        // The pages have forms for it.
        let form = "<form class=\"compare\" action=\"/-/a\" method=\"get\">";
        let hidden = "<input type=\"hidden\" name=\"compare\" value=\"v1\">";
        let page = registry.get("/-/a:v1").await.page(200);
        assert!(page.contains(&format!("{form}{hidden}")), "{page}");
        let page = registry.get("/-/a").await.page(200);
        assert!(page.contains(form) && page.contains("name=\"compare\" autocomplete"), "{page}");

        for query in [
            "compare=v1&with=v3".to_owned(),
            "compare=v3&with=v1".to_owned(),
            "compare=v1&with=%22%3E%3Cscript%3E".to_owned(),
            "compare=v1&with=..%2Fv1".to_owned(),
            format!("compare=v1&with={}", config.descriptor().digest),
        ] {
            let page = registry.get(&format!("/-/a?{query}")).await.page(404);
            assert!(page.contains("<h1>Not found</h1>"), "{query} {page}");
        }
        assert_eq!(registry.get("/-/other?compare=v1&with=v2").await.status, 404);
        // With one reference only, the page lists the tags.
        assert!(registry.get("/-/a?compare=v1").await.page(200).contains("2 tags"));
    }
}

#[tokio::test]
async fn comparison_is_bounded() {
    let registry = memory(ServerOptions::default().sparse(true)).await;
    let layer = |number: usize| {
        let mut layer = blob(format!("{number}")).descriptor().clone();
        layer.annotations.insert(annotation::TITLE.into(), format!("{number}"));
        layer
    };
    for (tag, numbers) in [("old", 0..1000), ("new", 500..4000)] {
        let image = ImageManifest::new(empty().descriptor().clone(), numbers.map(layer).collect());
        push(&registry, "a", tag, &Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes())).await;
    }
    let page = registry.get("/-/a?compare=old&with=new").await.page(200);
    assert!(page.contains("3,500 differences, 501 entries unchanged"), "{page}");
    assert!(page.contains("3,200 more are not shown") && page.len() < 512 << 10, "{}", page.len());
    // The manifests of an index are compared, too.
    let one = Content::of(MediaType::IMAGE_MANIFEST, ImageManifest::new(layer(1), Vec::new()).to_bytes());
    push(&registry, "a", "all", &index(&[&one])).await;
    let page = registry.get("/-/a?compare=all&with=old").await.page(200);
    assert!(page.contains("1,002 differences, 0 entries unchanged"), "{page}");
}
