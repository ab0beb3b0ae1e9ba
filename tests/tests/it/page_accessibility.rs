//! The web page of `oras serve` for people with different screens and abilities: axe-core finds no problem on any kind
//! of page, and no page needs horizontal scrolling, in light and dark colours.

use oras_testkit::peers;

use crate::browser::Browser;
use crate::sandbox::Sandbox;
use crate::serve::Served;

const README: &str = "\
# Hello

Text with *emphasis*, `code` and a [link](https://example.com/).

## Table

| name | a longer heading | third | fourth | fifth | sixth |
|------|-----------------:|-------|--------|-------|-------|
| one  | 1 | https://example.com/longer/than/a/narrow/screen | 4 | 5 | six words in one narrow cell |

> A quotation

1. First
2. Second
   - [x] done
   - [ ] not done

```sh
oras pull registry.example.com/a/name/that/is/longer/than/a/narrow/screen:v1
```
";

const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";

/// Pushes artifacts of all kinds. Returns the paths of the pages.
fn pages_of_all_kinds(sandbox: &Sandbox, host: &str) -> Vec<String> {
    sandbox.file("README.md", README);
    sandbox.file("hi.txt", "hello");
    let config = r#"{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z"}"#;
    sandbox.file("config.json", config);
    let oras = |line: &str| sandbox.oras(&line.replace("HOST", host).split(' ').collect::<Vec<_>>());

    let described = "org.opencontainers.image.description=Says_hello";
    let source = "org.opencontainers.image.source=https://example.com/source";
    oras(&format!("push HOST/team/app:v1 README.md hi.txt -a {described} -a {source}"));
    sandbox.file("hi.txt", "hello again");
    oras("push HOST/team/app:v2 hi.txt -a key=value");
    let mut attached = String::new();
    for artifact_type in [
        "application/vnd.cncf.notary.signature",
        "application/vnd.in-toto+json",
        "application/vnd.example.report",
        "application/spdx+json",
    ] {
        attached = oras(&format!("attach HOST/team/app:v1 hi.txt --artifact-type {artifact_type}"));
    }
    let sbom = attached.lines().find_map(|line| line.strip_prefix("Digest: ")).unwrap();

    let layer = "hi.txt:application/vnd.oci.image.layer.v1.tar+gzip";
    oras(&format!("push HOST/team/image:amd64 --config config.json:{IMAGE_CONFIG} {layer}"));
    oras("manifest index create HOST/team/image:all amd64");
    let chart = "hi.txt:application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    oras(&format!("push HOST/charts/hello:0.1.0 --config config.json:{HELM_CONFIG} {chart}"));

    let many: Vec<String> = (0..120).map(|number| format!("v1.{number}.0")).collect();
    oras("push HOST/team/many:latest hi.txt");
    oras(&format!("tag HOST/team/many:latest {}", many.join(" ")));
    oras("push HOST/team/untagged:v1 hi.txt");
    oras("untag HOST/team/untagged:v1");

    let long = "long".repeat(60);
    let (name, tag, key) = (&long[..180], &long[..120], &long[..]);
    oras(&format!(
        "push HOST/{name}:{tag} hi.txt -a {key}={key} --artifact-type application/{}",
        &long[..100]
    ));
    oras(&format!("attach HOST/{name}:{tag} hi.txt --artifact-type a/{}", &long[..120]));
    oras(&format!("tag HOST/{name}:{tag} v1"));

    [
        "/",
        "/?q=nothing",
        "/-/team/app",
        "/-/team/app?q=nothing",
        "/-/team/many?page=2&sort=tag&order=asc",
        "/-/team/untagged",
        "/-/team/app:v1",
        "/-/team/image:amd64",
        "/-/team/image:all",
        "/-/charts/hello:0.1.0",
        &format!("/-/team/app@{sbom}"),
        "/-/team/app?compare=v1&with=v2",
        "/-/team/app?compare=v1&with=v1",
        "/-/absent",
        &format!("/-/{name}"),
        &format!("/-/{name}:{tag}"),
        &format!("/-/{name}?compare={tag}&with=v1"),
    ]
    .map(ToOwned::to_owned)
    .to_vec()
}

/// Returns the violations that axe-core finds on the page.
fn violations(browser: &mut Browser) -> String {
    let summary = "violation => violation.id + ': ' + violation.nodes.map(node => node.html + ' ' + node.failureSummary)";
    let run = format!(
        "axe.run({{ resultTypes: ['violations'] }}).then(found => found.violations.map({summary}).join('\\n'))"
    );
    browser.evaluate(&run).as_str().unwrap().to_owned()
}

/// Returns true if commands wrap only between words. A broken digest would look like two arguments.
fn words_are_whole(browser: &mut Browser) -> bool {
    let is_whole = "word => { const range = document.createRange(); range.selectNodeContents(word); return range.getClientRects().length <= 1 }";
    let words = "[...document.querySelectorAll('.command span')]";
    browser.evaluate(&format!("{words}.every({is_whole})")).as_bool().unwrap()
}

fn content_width(browser: &mut Browser) -> u64 {
    browser.evaluate("document.scrollingElement.scrollWidth").as_u64().unwrap()
}

#[test]
fn pages_are_accessible_and_fit_the_screen() {
    let test = "pages_are_accessible_and_fit_the_screen";
    let Some(chromium) = peers::system_or_skip("chromium", test) else { return };
    let Some(axe) = peers::find_or_skip(peers::AXE_CORE, test) else { return };
    let sandbox = Sandbox::new();
    let (served, empty) = (Served::start(&sandbox, &["root"]), Served::start(&sandbox, &[]));
    let mut addresses = vec![format!("http://{}/", empty.host())];
    let paths = pages_of_all_kinds(&sandbox, &served.host());
    addresses.extend(paths.iter().map(|path| format!("http://{}{path}", served.host())));

    let mut browser = Browser::start(&sandbox, &chromium);
    browser.run_in_every_page(&std::fs::read_to_string(axe).unwrap());
    // The widths differ only in the layout and the schemes only in the colours, so two of the four combinations show all.
    for (width, colors) in [(1200, "light"), (360, "dark")] {
        browser.set_width(width);
        browser.set_colors(colors);
        for address in &addresses {
            browser.open(address);
            let place = format!("{address} at {width} pixels in {colors} colours");
            assert!(content_width(&mut browser) <= u64::from(width), "{place}");
            browser.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)");
            assert!(content_width(&mut browser) <= u64::from(width), "{place}, unfolded");
            assert!(words_are_whole(&mut browser), "{place}");
            let found = violations(&mut browser);
            assert!(found.is_empty(), "{place}:\n{found}");
        }
    }

    // The checks find what is wrong.
    let text = "'<p class=\"command\"><span>two <br>lines</span></p>'";
    browser.evaluate(&format!("document.querySelector('main').insertAdjacentHTML('beforeend', {text})"));
    assert!(!words_are_whole(&mut browser));
    browser.evaluate("document.body.append(document.createElement('img'))");
    assert!(violations(&mut browser).starts_with("image-alt: <img>"));
    browser.evaluate("document.querySelector('main').style.width = '400px'");
    assert!(content_width(&mut browser) > 360);
    browser.evaluate("document.querySelector('main').style.color = '#444'");
    assert!(violations(&mut browser).contains("color-contrast"));
}
