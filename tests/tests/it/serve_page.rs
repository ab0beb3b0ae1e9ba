//! The web page of `oras serve` in a real browser, with and without scripts, and the commands that it offers to copy.

use std::path::Path;

use oras_testkit::peers;
use oras_testkit::registry::{HTPASSWD, PASSWORD, USER};

use crate::raw_connection::Wire;
use crate::sandbox::{Sandbox, texts};
use crate::serve::Served;

/// Texts that change the page if a browser interprets them as markup.
const ATTACKS: [&str; 4] = [
    "<script>document.body.append('OWN' + 'ED')</script>",
    "<img src=x onerror=\"document.body.append('OWN' + 'ED')\">",
    "\" autofocus onfocus=\"document.body.append('OWN' + 'ED')",
    "</bdi></pre><svg onload=\"document.body.append('OWN' + 'ED')\">",
];

/// Returns the document after Chromium has loaded `address` in a window of `width` pixels.
fn document(sandbox: &Sandbox, chromium: &Path, address: &str, width: u32, more: &[&str]) -> String {
    let profile = tempfile::tempdir_in(sandbox.work()).unwrap();
    let profile = format!("--user-data-dir={}", profile.path().display());
    let window = format!("--window-size={width},800");
    // Chromium has no sandbox for root. The other options disable all requests except those for the page.
    let words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=2000",
        &window,
        &profile,
    ];
    let words = [&words[..], more, &["--dump-dom", address]].concat();
    let output = sandbox.run(chromium, &words);
    let (out, err) = texts(&output);
    assert!(output.status.success() && out.contains("</html>"), "{address} {out} {err}");
    out
}

fn get(served: &Served, host: &str, path: &str) -> String {
    let mut wire = Wire::open(served.address()).unwrap();
    wire.write(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    let answer = wire.answer("GET").unwrap();
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.body).unwrap()
}

/// Returns the command lines that a page offers to copy.
fn commands(page: &str) -> Vec<String> {
    let found = page.split("<code id=\"command-").skip(1);
    let found = found.map(|part| part.split_once('>').unwrap().1.split_once("</code>").unwrap().0);
    // Each word is in an element of its own.
    let text = |line: &str| line.replace("<span>", "").replace("</span>", "");
    found.map(|line| text(line).replace("&quot;", "\"").replace("&amp;", "&")).collect()
}

/// Creates a repository with an artifact whose texts are all attacks. Returns the paths of its pages.
fn hostile(sandbox: &Sandbox, served: &Served) -> Vec<String> {
    sandbox.file("hi.txt", "hello");
    let reference = format!("{}/hostile:v1", served.host());
    let mut words = vec!["push".to_owned(), reference.clone(), "hi.txt".to_owned()];
    for (number, attack) in ATTACKS.iter().enumerate() {
        words.extend(["-a".to_owned(), format!("{number}{attack}={attack}")]);
    }
    sandbox.oras(&words.iter().map(String::as_str).collect::<Vec<_>>());
    // The server also accepts a manifest with media types that no tool would write.
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let digest = sandbox.oras(&["resolve", &reference]).trim().to_owned();
    let size = sandbox.oras(&["manifest", "fetch", &reference]).len();
    let mut layers = Vec::new();
    for (number, attack) in ATTACKS.iter().enumerate() {
        let file = sandbox.file(&format!("blob{number}"), attack);
        let name = format!("{}/hostile", served.host());
        sandbox.oras(&["blob", "push", &name, file.to_str().unwrap()]);
        let digest = oras_spec::Digest::sha256(attack.as_bytes());
        let (text, size) = (json(attack), attack.len());
        layers.push(format!(
            r#"{{"mediaType":{text},"digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.title":{text}}}}}"#
        ));
    }
    let subject = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size}}}"#
    );
    let referrer = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":{},"config":{},"layers":[{}],"subject":{subject}}}"#,
        json(ATTACKS[1]),
        layers[0],
        layers.join(",")
    );
    let file = sandbox.file("referrer.json", &referrer);
    sandbox.oras(&["manifest", "push", &format!("{}/hostile:v2", served.host()), file.to_str().unwrap()]);
    let query: String = ATTACKS[2].bytes().map(|byte| format!("%{byte:02x}")).collect();
    ["/", "/-/hostile", "/-/hostile:v1", "/-/hostile:v2", "/-/absent", &format!("/?q={query}")]
        .map(ToOwned::to_owned)
        .to_vec()
}

#[test]
fn browser_runs_no_pushed_scripts() {
    let test = "browser_runs_no_pushed_scripts";
    let Some(chromium) = peers::system_or_skip("chromium", test) else { return };
    let sandbox = Sandbox::new();
    // Without escaping, the browser executes the same text.
    let naive =
        sandbox.file("naive.html", format!("<html><body><bdi>{}</bdi></body></html>", ATTACKS.join("")));
    let shown = document(&sandbox, &chromium, &format!("file://{}", naive.display()), 1200, &[]);
    assert!(shown.contains("OWNED"), "{shown}");

    let served = Served::start(&sandbox, &["root"]);
    for path in hostile(&sandbox, &served) {
        let shown = document(&sandbox, &chromium, &format!("http://{}{path}", served.host()), 1200, &[]);
        assert!(!shown.contains("OWNED") && !shown.contains("<svg"), "{path} {shown}");
        assert!(shown.contains("<main id=\"content\""), "{path} {shown}");
        if path.contains(":v") {
            assert!(shown.contains("&lt;script&gt;document.body"), "{path} {shown}");
        }
    }
}

/// Returns the value of the expression `asked` for a page that Chromium shows in a frame. `d` is the document
/// of the page.
fn framed(sandbox: &Sandbox, chromium: &Path, page: &str, frame: &str, asked: &str) -> String {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let script = format!("onload = () => {{ const d = frames[0].document; document.title = {asked} }}");
    let outer =
        format!("<!DOCTYPE html><iframe {frame} srcdoc=\"{page}\"></iframe><script>{script}</script>");
    let file = sandbox.file("framed.html", outer);
    let shown = document(sandbox, chromium, &format!("file://{}", file.display()), 1400, &[]);
    shown.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0.to_owned()
}

/// Returns the page with its style sheet and its script inside. A frame can show only this form, because the
/// server forbids frames.
fn whole(served: &Served, path: &str) -> String {
    let page = get(served, &served.host(), path);
    let asset = |extension: &str| {
        let mut paths = page.split('"').filter(|part| part.starts_with("/-/_/"));
        get(served, &served.host(), paths.find(|path| path.ends_with(extension)).unwrap())
    };
    let (style, script) = (asset(".css"), asset(".js"));
    page.replace("</body>", &format!("<style>{style}</style><script>{script}</script></body>"))
}

#[test]
fn page_works_without_scripts() {
    let test = "page_works_without_scripts";
    let Some(chromium) = peers::system_or_skip("chromium", test) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    let served = Served::start(&sandbox, &["root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["push", &reference, "hi.txt"]);
    let page = whole(&served, "/-/team/app:v1");
    let asked = "d.querySelectorAll('button[data-copy]').length + ' buttons, hidden: ' + \
                 d.querySelectorAll('button[hidden]').length + ' ' + d.body.innerText";
    let with = framed(&sandbox, &chromium, &page, "width=1200", asked);
    let without = framed(&sandbox, &chromium, &page, "width=1200 sandbox=allow-same-origin", asked);
    assert!(with.starts_with("3 buttons, hidden: 0 "), "{with}");
    assert!(without.starts_with("3 buttons, hidden: 3 "), "{without}");
    for shown in [&with, &without] {
        for part in [
            "team/app:v1",
            "oras pull localhost",
            "oras cp -r localhost",
            "hi.txt",
            "5 bytes",
            "Show the JSON",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}

#[test]
fn browser_logs_in() {
    let test = "browser_logs_in";
    let Some(chromium) = peers::system_or_skip("chromium", test) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    sandbox.file("users", HTPASSWD);
    let served = Served::start(&sandbox, &["--htpasswd", "users", "root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["push", "-u", USER, "-p", PASSWORD, &reference, "hi.txt"]);
    let address = format!("http://{USER}:{PASSWORD}@{}/-/team/app:v1", served.host());
    let shown = document(&sandbox, &chromium, &address, 1200, &[]);
    assert!(shown.contains("team/app:v1</h1>") && shown.contains("data-copy"), "{shown}");
    // The browser also loaded the script.
    assert!(!shown.contains("hidden"), "{shown}");
    let answer = Wire::open(served.address()).unwrap().ask("GET", "/-/team/app:v1", "", b"").unwrap();
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").starts_with("Basic "));
    assert!(!String::from_utf8_lossy(&answer.body).contains("hi.txt"));
}

/// On a narrow screen, the page needs no horizontal scrolling.
#[test]
fn page_fits_window_width() {
    let test = "page_fits_window_width";
    let Some(chromium) = peers::system_or_skip("chromium", test) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    let served = Served::start(&sandbox, &["root"]);
    let long = "long".repeat(60);
    let name = format!("{}/{}", served.host(), &long[..180]);
    let tag = &long[..120];
    let annotation = format!("{long}={long}");
    let words = ["push", &format!("{name}:{tag}"), "hi.txt", "-a", &annotation, "--artifact-type"];
    sandbox.oras(&[&words[..], &[&format!("application/{}", &long[..100])]].concat());
    sandbox.oras(&["attach", &format!("{name}:{tag}"), "hi.txt", "--artifact-type", "a/b"]);
    let repository = format!("/-/{}", &long[..180]);
    for path in ["/", &repository, &format!("{repository}:{tag}")] {
        let page = whole(&served, path).replace("<details>", "<details open>");
        for (width, of_content) in [(1200, "992px"), (360, "328px")] {
            let asked =
                "d.documentElement.scrollWidth + ' ' + getComputedStyle(d.querySelector('.top')).width";
            let frame = format!("style='border: 0; width: {width}px; height: 20000px'");
            let measured = framed(&sandbox, &chromium, &page, &frame, asked);
            assert_eq!(measured, format!("{width} {of_content}"), "{path}");
        }
    }
}

/// Each command line works unchanged.
#[test]
fn copyable_commands_of_page_work() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    let served = Served::start(&sandbox, &["root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["push", &reference, "hi.txt", "d"]);
    for host in [&served.host(), served.address()] {
        let lines = commands(&get(&served, host, "/-/team/app:v1"));
        assert_eq!(lines.len(), 2, "{lines:?}");
        std::fs::remove_file(sandbox.path("hi.txt")).unwrap();
        for line in &lines {
            let words: Vec<&str> = line.strip_prefix("oras ").unwrap().split(' ').collect();
            sandbox.oras(&words);
        }
        assert!(sandbox.path("hi.txt").is_file());
        let copied = sandbox.oras(&["resolve", "--oci-layout", "app:v1"]);
        assert_eq!(copied, sandbox.oras(&["resolve", &reference]));
        std::fs::remove_dir_all(sandbox.path("app")).unwrap();
    }
    let test = "copyable_commands_of_page_work";
    if let Some(helm) = peers::find_or_skip(peers::HELM, test) {
        sandbox.ok(&helm, &["create", "hello"]);
        sandbox.ok(&helm, &["package", "hello"]);
        let charts = format!("oci://{}/charts", served.address());
        sandbox.ok(&helm, &["push", "--plain-http", "hello-0.1.0.tgz", &charts]);
        std::fs::rename(sandbox.path("hello-0.1.0.tgz"), sandbox.path("pushed.tgz")).unwrap();
        for host in [&served.host(), served.address()] {
            let lines = commands(&get(&served, host, "/-/charts/hello:0.1.0"));
            let line = lines.iter().find_map(|line| line.strip_prefix("helm ")).unwrap();
            sandbox.ok(&helm, &line.split(' ').collect::<Vec<_>>());
            let pulled = std::fs::read_dir(sandbox.work()).unwrap().find_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                (name.starts_with("hello") && name.ends_with(".tgz")).then_some(name)
            });
            let pulled = sandbox.path(&pulled.unwrap());
            assert_eq!(std::fs::read(&pulled).unwrap(), std::fs::read(sandbox.path("pushed.tgz")).unwrap());
            std::fs::remove_file(pulled).unwrap();
        }
    }
}

#[test]
fn page_can_be_disabled() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["--no-page"]);
    let mut wire = Wire::open(served.address()).unwrap();
    for (path, status) in [("/", 404), ("/-/a", 404), ("/v2/", 200)] {
        assert_eq!(wire.ask("GET", path, "", b"").unwrap().status, status, "{path}");
    }
}
