//! The web page of `oras serve` in a real browser, with and without scripts, and the commands that it offers to copy.

use oras_testkit::peers;
use oras_testkit::registry::{HTPASSWD, PASSWORD, USER};

use crate::browser::Browser;
use crate::raw_connection::Wire;
use crate::sandbox::{Sandbox, ours};
use crate::serve::Served;

/// Texts that change the page if a browser interprets them as markup.
const ATTACKS: [&str; 4] = [
    "<script>document.body.append('OWN' + 'ED')</script>",
    "<img src=x onerror=\"document.body.append('OWN' + 'ED')\">",
    "\" autofocus onfocus=\"document.body.append('OWN' + 'ED')",
    "</bdi></pre><svg onload=\"document.body.append('OWN' + 'ED')\">",
];

fn get(served: &Served, host: &str, path: &str) -> String {
    let mut wire = Wire::open(served.address()).unwrap();
    wire.write(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    let answer = wire.answer("GET").unwrap();
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.body).unwrap()
}

/// Returns the command lines that a page offers to copy, in the elements whose ids begin with `id`.
fn commands(page: &str, id: &str) -> Vec<String> {
    let begin = format!("<code id=\"{id}-");
    let found = page.split(begin.as_str()).skip(1);
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
    let mut browser = Browser::start(&sandbox, &chromium);
    // Without escaping, the browser executes the same text.
    let naive =
        sandbox.file("naive.html", format!("<html><body><bdi>{}</bdi></body></html>", ATTACKS.join("")));
    browser.open(&format!("file://{}", naive.display()));
    let shown = browser.html();
    assert!(shown.contains("OWNED"), "{shown}");

    let served = Served::start(&sandbox, &["root"]);
    for path in hostile(&sandbox, &served) {
        browser.open(&format!("http://{}{path}", served.host()));
        let shown = browser.html();
        assert!(!shown.contains("OWNED") && !shown.contains("<svg"), "{path} {shown}");
        assert!(shown.contains("<main id=\"content\""), "{path} {shown}");
        if path.contains(":v") {
            assert!(shown.contains("&lt;script&gt;document.body"), "{path} {shown}");
        }
    }
}

#[test]
fn page_works_without_scripts() {
    let test = "page_works_without_scripts";
    let Some(chromium) = peers::system_or_skip("chromium", test) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    let served = Served::start(&sandbox, &["root"]);
    let host = served.host();
    let reference = format!("{host}/team/app:v1");
    sandbox.oras(&["push", &reference, "hi.txt"]);
    sandbox.oras(&["tag", &reference, "v2"]);
    let mut browser = Browser::start(&sandbox, &chromium);
    for are_enabled in [true, false] {
        browser.set_scripts(are_enabled);
        browser.open(&format!("http://{host}/-/team/app:v1"));
        let buttons = |more: &str| format!("document.querySelectorAll('button[data-copy]{more}').length");
        let (all, hidden) = (browser.evaluate(&buttons("")), browser.evaluate(&buttons("[hidden]")));
        assert!(all.as_u64() > Some(2), "{all}");
        let expected = if are_enabled { 0.into() } else { all };
        assert_eq!(hidden, expected);
        let shown = browser.text();
        for part in ["team/app:v1", "oras pull localhost", "hi.txt", "5 bytes", "Show the JSON"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }

        // The style sheet alone switches between the commands by digest and by tag.
        let by_tag = format!("oras pull {reference}\n");
        assert!(shown.contains(&format!("oras pull {host}/team/app@sha256:")), "{shown}");
        assert!(!shown.contains(&by_tag), "{shown}");
        browser.evaluate("document.getElementById('by-tag').click()");
        let shown = browser.text();
        assert!(shown.contains(&by_tag) && !shown.contains("oras pull {host}/team/app@"), "{shown}");

        // Forms need no script to compare tags and to find one.
        let submit = |form: &str, field: &str, value: &str| {
            format!(
                "(() => {{ const form = document.querySelector('{form}'); form.elements.namedItem('{field}').value = '{value}'; form.requestSubmit() }})()"
            )
        };
        browser.follow(&submit("form.compare", "with", "v2"));
        let shown = browser.text();
        assert!(shown.contains("Both name the same manifest."), "{shown}");
        browser.open(&format!("http://{host}/-/team/app"));
        browser.follow(&submit("form.find", "q", "2"));
        let shown = browser.text();
        assert!(shown.contains("1 match in 2 tags"), "{shown}");
    }
}

#[test]
fn list_is_searched_while_typing() {
    let test = "list_is_searched_while_typing";
    let Some(chromium) = peers::system_or_skip("chromium", test) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    let served = Served::start(&sandbox, &["root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["push", &reference, "hi.txt"]);
    sandbox.oras(&["tag", &reference, "v2"]);
    let mut browser = Browser::start(&sandbox, &chromium);
    browser.open(&format!("http://{}/-/team/app", served.host()));
    browser.evaluate("document.body.dataset.kept = 'yes'");
    let typed = "new Promise(done => {
        const field = document.querySelector('form.find input');
        field.value = '2';
        field.dispatchEvent(new Event('input', { bubbles: true }));
        const wait = () => location.search === '?q=2' ? done(document.getElementById('status').textContent) : setTimeout(wait, 20);
        wait();
    })";
    assert_eq!(browser.evaluate(typed), "1 match in 2 tags");
    let tags = "[...document.querySelectorAll('tbody .tag')].map(tag => tag.innerText).join()";
    assert_eq!(browser.evaluate(tags), "v2");
    // The script replaces only the list.
    assert_eq!(browser.evaluate("document.body.dataset.kept"), "yes");
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
    let mut browser = Browser::start(&sandbox, &chromium);
    browser.open(&format!("http://{USER}:{PASSWORD}@{}/-/team/app:v1", served.host()));
    assert!(browser.html().contains("team/app:v1</h1>"), "{}", browser.html());
    // The browser also loaded the script, which shows the buttons.
    assert_eq!(browser.evaluate("document.querySelectorAll('button[hidden]').length"), 0);
    let answer = Wire::open(served.address()).unwrap().ask("GET", "/-/team/app:v1", "", b"").unwrap();
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").starts_with("Basic "));
    assert!(!String::from_utf8_lossy(&answer.body).contains("hi.txt"));
}

/// Each command line works unchanged.
#[test]
fn copyable_commands_of_page_work() {
    let test = "copyable_commands_of_page_work";
    let tools = [
        ("oras", Some(ours())),
        ("crane", peers::find_or_skip(peers::CRANE, test)),
        ("skopeo", peers::system_or_skip("skopeo", test)),
        ("curl", peers::system_or_skip("curl", test)),
    ];
    let sandbox = Sandbox::new();
    sandbox.tree();
    let served = Served::start(&sandbox, &["root"]);
    let reference = format!("{}/team/app:v1", served.host());
    sandbox.oras(&["push", &reference, "hi.txt", "d"]);
    let digest = sandbox.oras(&["resolve", &reference]);
    for host in [&served.host(), served.address()] {
        let page = get(&served, host, "/-/team/app:v1");
        for lines in [commands(&page, "command"), commands(&page, "tag-command")] {
            let programs: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
            assert_eq!(programs, ["oras", "oras", "crane", "skopeo", "curl"]);
            std::fs::remove_file(sandbox.path("hi.txt")).unwrap();
            for line in &lines {
                let (program, rest) = line.split_once(' ').unwrap();
                let tool = tools.iter().find(|(name, _)| *name == program).unwrap();
                let Some(program) = &tool.1 else { continue };
                let printed = sandbox.ok(program, &rest.split(' ').collect::<Vec<_>>());
                match rest.split_once(' ').unwrap().0 {
                    "pull" if tool.0 == "oras" => assert!(sandbox.path("hi.txt").is_file()),
                    "-f" => assert_eq!(printed, sandbox.oras(&["manifest", "fetch", &reference])),
                    _ => {
                        let copied = sandbox.oras(&[
                            "manifest",
                            "fetch",
                            "--oci-layout",
                            &format!("app@{}", digest.trim()),
                        ]);
                        assert_eq!(copied, sandbox.oras(&["manifest", "fetch", &reference]), "{line}");
                        std::fs::remove_dir_all(sandbox.path("app")).unwrap();
                    }
                }
            }
        }
    }
    if let Some(helm) = peers::find_or_skip(peers::HELM, test) {
        sandbox.ok(&helm, &["create", "hello"]);
        sandbox.ok(&helm, &["package", "hello"]);
        let charts = format!("oci://{}/charts", served.address());
        sandbox.ok(&helm, &["push", "--plain-http", "hello-0.1.0.tgz", &charts]);
        std::fs::rename(sandbox.path("hello-0.1.0.tgz"), sandbox.path("pushed.tgz")).unwrap();
        for host in [&served.host(), served.address()] {
            let lines = commands(&get(&served, host, "/-/charts/hello:0.1.0"), "command");
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
