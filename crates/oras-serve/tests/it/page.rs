//! The web page.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use oras_serve::{ServerOptions, User};
use oras_spec::{Descriptor, ImageIndex, ImageManifest, MediaType, annotation};
use oras_store::Content;
use oras_testkit::nodes::{blob, empty, index, manifest, referrer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, Registry, both, layouts, memory};

/// Text that would run or mislead in a browser if it were not escaped.
const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</bdi></code></pre><iframe src=//example.com>",
    "&lt;b&gt; &#60;script&#62;",
    "\u{202e}txt.exe\u{2066}\u{200f}\u{1b}[2J",
];

impl Answer {
    /// Returns a page, after checks that apply to all pages.
    #[track_caller]
    pub(crate) fn page(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        assert_protected(self);
        let text = String::from_utf8(self.body.to_vec()).unwrap();
        assert_harmless(&text);
        text
    }
}

fn assert_protected(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
}

/// Asserts that the page has only known elements, no handlers, no styles, no foreign links and no bidirectional
/// controls.
#[track_caller]
fn assert_harmless(page: &str) {
    let elements = "!DOCTYPE a bdi blockquote body br button code dd del details div dl dt em fieldset footer form h1 h2 \
                    h3 h4 h5 h6 head header hr html img input label legend li link main meta nav ol p pre script \
                    section span strong summary table tbody td th thead time title tr ul";
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("{part:?}"));
        let name = tag.trim_start_matches('/').split(' ').next().unwrap();
        assert!(elements.split_whitespace().any(|known| known == name), "{tag}");
        let mut rest = tag;
        while let Some((before, after)) = rest.split_once("=\"") {
            let attribute = before.rsplit(' ').next().unwrap();
            let (value, after) = after.split_once('"').unwrap();
            assert!(!attribute.starts_with("on") && attribute != "style", "{tag}");
            if ["href", "src", "action"].contains(&attribute) {
                let is_local = value.starts_with('/') && !value.starts_with("//") || value == "#content";
                // Descriptions link to other sites. Nothing is loaded from there.
                let is_link = name == "a"
                    && ["https://", "http://", "mailto:"].iter().any(|begin| value.starts_with(begin));
                assert!(is_local || is_link, "{tag}");
            }
            rest = after;
        }
        assert!(!rest.contains('='), "every value is quoted: {tag}");
    }
    assert!(!page.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{1b}']), "{page}");
}

pub(crate) async fn push(registry: &Registry, name: &str, reference: &str, content: &Content) {
    let reference =
        if reference.is_empty() { content.descriptor().digest.to_string() } else { reference.to_owned() };
    let answer = registry.put_manifest(name, &reference, content).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

pub(crate) fn titled(content: &Content, title: &str) -> Descriptor {
    let mut descriptor = content.descriptor().clone();
    descriptor.annotations.insert(annotation::TITLE.into(), title.into());
    descriptor
}

/// Sends bytes and returns the response.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn shows_repositories_tags_and_manifests() {
    for registry in both().await {
        assert!(registry.get("/").await.page(200).contains("There is nothing here yet"), "{}", registry.kind);
        let (one, two) = (blob("one"), blob("two"));
        for content in [&empty(), &one, &two] {
            registry.push_blob("team/app", content).await;
        }
        let mut image = ImageManifest::new(
            empty().descriptor().clone(),
            vec![titled(&one, "one.txt"), titled(&two, "dir/two words.txt")],
        );
        image.artifact_type = Some(MediaType::new("application/vnd.test.thing"));
        image.annotations.insert("key".into(), "value".into());
        let first = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
        let second = manifest("second", &[&two]);
        let all = index(&[&first, &second]);
        let signature = referrer("signature", "application/vnd.test.signature", &all);
        let again = referrer("again", "application/vnd.test.countersignature", &signature);
        for (reference, content) in
            [("v1", &first), ("", &second), ("all", &all), ("", &signature), ("", &again)]
        {
            push(&registry, "team/app", reference, content).await;
        }

        let home = registry.get("/").await.page(200);
        assert!(home.contains("href=\"/-/team/app\"") && home.contains("1 repository"), "{home}");
        let tags = registry.get("/-/team/app").await.page(200);
        for part in [
            "href=\"/-/team/app:v1\"",
            "href=\"/-/team/app:all\"",
            "application/vnd.test.thing",
            "8 bytes",
            "Index of 2 manifests",
        ] {
            assert!(tags.contains(part), "{part} in {tags}");
        }
        let digest = first.descriptor().digest.to_string();
        let by_tag = registry.get("/-/team/app:v1").await.page(200);
        let by_digest = registry.get(&format!("/-/team/app@{digest}")).await.page(200);
        for page in [&by_tag, &by_digest] {
            // Each word of a command is in an element of its own.
            let page = &page.replace("<span>", "").replace(" </span>", " ");
            for part in [
                digest.as_str(),
                "application/vnd.oci.image.manifest.v1+json",
                &format!("oras pull --plain-http x/team/app@{digest}"),
                &format!("oras cp -r --from-plain-http x/team/app@{digest} --to-oci-layout app:"),
                "<dt><bdi>key</bdi></dt><dd><bdi>value</bdi></dd>",
                &format!("href=\"/v2/team/app/blobs/{}\" download=\"one.txt\"", one.descriptor().digest),
                &format!("download=\"{}\"", two.descriptor().digest.encoded()),
                "dir/two words.txt",
                "Nothing refers to it",
                "&quot;schemaVersion&quot;: 2",
            ] {
                assert!(page.contains(part), "{part} in {page}");
            }
        }
        let page = registry.get("/-/team/app:all").await.page(200);
        for content in [&first, &second, &signature, &again] {
            let address = format!("href=\"/-/team/app@{}\"", content.descriptor().digest);
            assert!(page.contains(&address), "{address} in {page}");
        }
        assert!(page.contains("one.txt") && page.contains("application/vnd.test.countersignature"), "{page}");
        let page = registry.get(&format!("/-/team/app@{}", signature.descriptor().digest)).await.page(200);
        assert!(
            page.contains(&format!(
                "<dt>Subject</dt><dd><a href=\"/-/team/app@{}\"",
                all.descriptor().digest
            ))
        );
        // The targets of the links on the page exist.
        assert_eq!(
            registry.get(&format!("/v2/team/app/manifests/{digest}")).await.body,
            *first.in_memory().unwrap()
        );
    }
}

#[tokio::test]
async fn escapes_hostile_text() {
    let registry = layouts(ServerOptions::default().sparse(true)).await;
    let mut image = ImageManifest::new(empty().descriptor().clone(), Vec::new());
    for (number, text) in HOSTILE.iter().enumerate() {
        let mut layer = titled(&blob(format!("{number}")), text);
        layer.media_type = MediaType::new(*text);
        layer.urls = vec!["javascript:alert(1)".into()];
        layer.annotations.insert((*text).into(), (*text).into());
        layer.platform = Some(oras_spec::Platform { os: (*text).into(), ..Default::default() });
        image.layers.push(layer);
        image.annotations.insert((*text).into(), (*text).into());
    }
    image.artifact_type = Some(MediaType::new(HOSTILE[1]));
    image.config.media_type = MediaType::new(HOSTILE[0]);
    let image = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
    let refers = HOSTILE.map(|text| referrer(text, text, &image));
    push(&registry, "a", "v1", &image).await;
    for content in &refers {
        push(&registry, "a", "", content).await;
    }
    let page = registry.get("/-/a:v1").await.page(200);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("&amp;lt;b&amp;gt;") && page.contains("\\u202etxt.exe\\u2066"), "{page}");
    registry.get("/-/a").await.page(200);

    // A layout may contain malformed tags, and manifests with a wrong media type.
    let path = registry.root().join("a/index.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let hostile = serde_json::to_string(HOSTILE[1]).unwrap();
    let edited = text.replace("\"v1\"", &hostile);
    assert_ne!(text, edited);
    oras_fs::replace(&path, edited.as_bytes(), 0o644).unwrap();
    let tags = registry.get("/-/a").await.page(200);
    assert!(!tags.contains("img src=x") && tags.contains("no tag"), "{tags}");

    // Requests may be hostile, too.
    for text in HOSTILE {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        registry.get(&format!("/?q={encoded}&last={encoded}")).await.page(200);
        registry.get(&format!("/-/a?q={encoded}")).await.page(200);
        registry.get(&format!("/-/{encoded}")).await.page(404);
        registry.get(&format!("/-/a:{encoded}")).await.page(404);
        registry.get(&format!("/-/a@{encoded}")).await.page(404);
    }
    for host in ["a\"><script>", "a b", "user@a", "a/b", ""] {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = raw(registry.address, &request).await;
        let (_, page) = answer.split_once("\r\n\r\n").unwrap();
        // hyper refuses some of them.
        if !answer.starts_with("HTTP/1.1 400") {
            assert!(page.contains("<code>REGISTRY</code>"), "{answer}");
            assert_harmless(page);
        }
    }
}

#[tokio::test]
async fn pages_are_bounded() {
    let registry = memory(ServerOptions::default().sparse(true)).await;
    let digest = |number: usize| oras_spec::Digest::sha256(&number.to_le_bytes());
    let layer = |number| {
        let mut layer = Descriptor::new(MediaType::LAYER_TAR, digest(number), 1);
        layer.annotations.insert(annotation::TITLE.into(), "\u{202e}\"".repeat(100));
        layer
    };
    let mut image = ImageManifest::new(empty().descriptor().clone(), (0..3500).map(layer).collect());
    image.annotations =
        (0..2000).map(|number| (format!("{number:04}"), "\"".repeat(400))).collect::<BTreeMap<_, _>>();
    let image = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
    assert!(image.descriptor().size > 3 << 20);
    push(&registry, "a", "large", &image).await;
    let page = registry.get("/-/a:large").await.page(200);
    assert!(page.contains("3,201 more are not shown") && page.contains("and 1,900 more"), "{}", page.len());
    assert!(page.contains("Only its beginning is shown"));
    assert!(page.len() < 2 << 20, "{}", page.len());

    // With indentation, this text would be a thousand times as long.
    let nested = format!("{}{}{}", "[".repeat(100), "0,".repeat(30_000) + "0", "]".repeat(100));
    let text = format!(r#"{{"schemaVersion":2,"manifests":[],"x":{nested}}}"#);
    push(&registry, "a", "nested", &Content::of(MediaType::IMAGE_INDEX, text)).await;
    let page = registry.get("/-/a:nested").await.page(200);
    assert!(page.contains("Only its beginning is shown") && page.len() < 2 << 20, "{}", page.len());

    // Nested indexes, each listed many times, and as many referrers.
    let mut content = image;
    for level in 0..10 {
        let mut all = ImageIndex::new(vec![content.descriptor().clone(); 200]);
        all.annotations.insert("level".into(), level.to_string());
        content = Content::of(MediaType::IMAGE_INDEX, all.to_bytes());
        push(&registry, "a", "deep", &content).await;
    }
    for number in 0..320 {
        push(&registry, "a", "", &referrer(&number.to_string(), "a/b", &content)).await;
    }
    let page = registry.get("/-/a:deep").await.page(200);
    assert!(
        page.contains("20 more are not shown") && page.contains("What it lists is on its own page"),
        "{}",
        page.len()
    );
    assert!(page.len() < 2 << 20, "{}", page.len());
    registry.get("/-/a").await.page(200);
}

#[tokio::test]
async fn lists_are_paged() {
    let registry = memory(ServerOptions::default()).await;
    registry.push_blob("a", &empty()).await;
    let content = manifest("x", &[]);
    for number in 0..120 {
        push(&registry, "a", &format!("v{number:03}"), &content).await;
    }
    for number in 0..230 {
        registry.push_blob(&format!("many/{number:03}"), &empty()).await;
    }
    for (begin, all, of_page, kind) in [("/-/a", 120_usize, 50, "/-/a:v"), ("/?q=many", 230, 100, "/-/many/")]
    {
        let (mut address, mut seen, mut pages) = (begin.to_owned(), Vec::new(), 0);
        loop {
            let page = registry.get(&address).await.page(200);
            let links = page.split("href=\"").skip(1).map(|part| part.split('"').next().unwrap().to_owned());
            let links: Vec<_> = links.filter(|link| link.starts_with(kind)).collect();
            assert!(links.len() <= of_page, "{}", links.len());
            seen.extend(links);
            pages += 1;
            let Some((_, next)) = page.split_once("rel=\"next\" href=\"") else { break };
            address = next.split('"').next().unwrap().replace("&amp;", "&");
        }
        assert_eq!((seen.len(), pages), (all, all.div_ceil(of_page)));
        // The highest version comes first among tags of the same age.
        match kind {
            "/-/a:v" => assert!(seen.is_sorted_by(|one, two| one > two)),
            _ => assert!(seen.is_sorted_by(|one, two| one < two)),
        }
    }
    // A form jumps to a page. A number beyond the end shows the last page.
    for page in [3, 99] {
        let page = registry.get(&format!("/-/a?q=v&sort=tag&page={page}")).await.page(200);
        assert!(page.contains("101–120 of 120 matches in 120 tags"), "{page}");
        let (_, form) = page.split_once("<form class=\"jump\" action=\"/-/a\" method=\"get\">").unwrap();
        let (form, _) = form.split_once("</form>").unwrap();
        for field in [
            "type=\"hidden\" name=\"q\" value=\"v\"",
            "type=\"hidden\" name=\"sort\" value=\"tag\"",
            "name=\"page\" value=\"3\" min=\"1\" max=\"3\"",
        ] {
            assert!(form.contains(field), "{field} in {form}");
        }
    }
    let found = registry.get("/?q=ny/22").await.page(200);
    assert!(
        found.contains("/-/many/229")
            && !found.contains("/-/many/219")
            && found.contains("10 matches in 231 repositories")
    );
    assert!(registry.get("/?q=nothing").await.page(200).contains("No repository has such a name"));
    assert!(registry.get("/-/a?q=11").await.page(200).contains("/-/a:v119"));
}

#[tokio::test]
async fn missing_content_shows_an_error_page() {
    let registry = memory(ServerOptions::default().sparse(true)).await;
    let (one, absent) = (manifest("here", &[]), manifest("absent", &[]));
    let all = index(&[&one, &absent]);
    registry.push_blob("a", &empty()).await;
    push(&registry, "a", "", &one).await;
    push(&registry, "a", "all", &all).await;
    let page = registry.get("/-/a:all").await.page(200);
    assert!(page.contains("It is not in this repository"), "{page}");
    assert!(!page.contains(&format!("href=\"/-/a@{}\"", absent.descriptor().digest)), "{page}");
    for path in [
        "/-/b".to_owned(),
        "/-/a:v2".to_owned(),
        format!("/-/a@{}", absent.descriptor().digest),
        format!("/-/a@{}", empty().descriptor().digest),
        "/-/".to_owned() + "a/../b",
        "/-/%2e%2e/a".to_owned(),
        "/-/_/page.css".to_owned(),
    ] {
        let page = registry.get(&path).await.page(404);
        assert!(page.contains("<h1>Not found</h1>"), "{path} {page}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/", "/-/a", "/-/a:all"] {
            assert_eq!(registry.send(method, path, &[], "").await.status, 405, "{method} {path}");
        }
    }
    let head = registry.head("/-/a:all").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), page.len().to_string());
}

#[tokio::test]
async fn assets_can_be_cached() {
    let registry = memory(ServerOptions::default()).await;
    let page = registry.get("/").await.page(200);
    let paths: Vec<_> = page.split('"').filter(|part| part.starts_with("/-/_/")).collect();
    assert_eq!(paths.len(), 4);
    for path in paths {
        let asset = registry.get(path).await;
        assert_eq!(asset.status, 200, "{path}");
        let extension = path.rsplit('.').next().unwrap();
        let media_type = match extension {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(asset.header("content-type"), media_type);
        assert!(asset.header("cache-control").contains("immutable"));
        assert_protected(&asset);
    }
}

#[tokio::test]
async fn page_needs_the_same_rights_as_pulls() {
    let users = vec![User::new("ann", "s3cret")];
    let options = ServerOptions::default().users(users);
    let right = [("authorization", "Basic YW5uOnMzY3JldA==")];
    for anonymous_pull in [false, true] {
        let registry = memory(options.clone().anonymous_pull(anonymous_pull)).await;
        for path in ["/", "/-/a", "/-/_/page.css"] {
            let nobody = registry.get(path).await;
            if anonymous_pull {
                assert_ne!(nobody.status, 401, "{path}");
            } else {
                assert_eq!(nobody.status, 401, "{path}");
                assert!(
                    nobody.header("www-authenticate").starts_with("Basic"),
                    "browsers ask for a password"
                );
            }
            assert_ne!(registry.send("GET", path, &right, "").await.status, 401, "{path}");
            let wrong = [("authorization", "Basic YW5uOndyb25n")];
            assert_eq!(registry.send("GET", path, &wrong, "").await.status, 401, "{path}");
        }
    }
    let registry = memory(ServerOptions::default().page(false)).await;
    for path in ["/", "/-/a", "/-/_/page.css"] {
        registry.get(path).await.refused(404, "NAME_INVALID");
    }
}

#[tokio::test]
async fn damaged_content_shows_an_error_page() {
    let registry = layouts(ServerOptions::default()).await;
    registry.push_blob("a", &empty()).await;
    let content = manifest("x", &[]);
    push(&registry, "a", "v1", &content).await;
    let blobs = registry.root().join("a/blobs/sha256");
    let replace = |name: &str, bytes: &[u8]| {
        oras_fs::replace(&blobs.join(name), bytes, 0o644).unwrap();
    };

    // Another program stored a malformed manifest.
    let index = registry.root().join("a/index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    let digest = &content.descriptor().digest;
    let (none, size) = (oras_spec::Digest::sha256(b"[1,2]"), content.descriptor().size);
    replace(&none.encoded(), b"[1,2]");
    let edited = text.replace(&digest.to_string(), &none.to_string()).replace(&format!(":{size}"), ":5");
    oras_fs::replace(&index, edited.as_bytes(), 0o644).unwrap();
    let page = registry.get("/-/a:v1").await.page(200);
    assert!(page.contains("This manifest can't be shown: <bdi>malformed manifest"), "{page}");
    assert!(page.contains(&none.to_string()) && page.contains("  1,\n  2\n"), "{page}");
    assert!(registry.get("/-/a").await.page(200).contains("not read"));

    // The file on the disk is damaged.
    replace(&none.encoded(), b"[1,3]");
    let page = registry.get("/-/a:v1").await.page(500);
    assert!(page.contains("Something went wrong") && !page.contains("blobs/sha256"), "{page}");
}
