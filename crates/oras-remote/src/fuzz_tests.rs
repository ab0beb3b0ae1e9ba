//! Parses random headers and configurations, which must not panic, take long, or lead to another server.

use std::io::Write as _;
use std::time::{Duration, Instant};

use fastrand::Rng;
use url::Url;

use crate::auth::challenge;
use crate::http::link_header;
use crate::{Credential, CredentialStore as _, DockerConfig};

/// Duration of each test.
const DURATION: Duration = Duration::from_secs(3);
/// Time limit for one input.
const LIMIT: Duration = Duration::from_millis(500);

fn tries(seed: u64, mut work: impl FnMut(&mut Rng)) {
    let (begun, mut numbers) = (Instant::now(), Rng::with_seed(seed));
    while begun.elapsed() < DURATION {
        let one = Instant::now();
        work(&mut numbers);
        assert!(one.elapsed() < LIMIT, "takes {:?}", one.elapsed());
    }
}

/// Returns a concatenation of at most `most` random elements of `pieces`.
fn random_text(numbers: &mut Rng, pieces: &[&str], most: usize) -> String {
    (0..numbers.usize(..=most)).map(|_| pieces[numbers.usize(..pieces.len())]).collect()
}

const CHALLENGE: [&str; 24] = [
    "Basic",
    "Bearer",
    "bearer ",
    "Negotiate ",
    "realm",
    "service",
    "scope",
    "=",
    "\"",
    "\\",
    ",",
    " ",
    "\t",
    "é",
    "\u{1}",
    "https://a/t",
    "repository:a/b:pull,push",
    "x=y",
    "error=",
    "dG9rZW4==",
    ";",
    "realm=\"",
    "\",",
    "\u{fffd}",
];

const LINK: [&str; 22] = [
    "<",
    ">",
    ";",
    ",",
    " ",
    "rel",
    "=",
    "\"",
    "next",
    "prev",
    "/v2/a/tags/list?last=b",
    "?n=1",
    "http://evil/",
    "//evil/",
    "..",
    "\\",
    "@",
    "#",
    "javascript:",
    "é",
    "%2e%2e",
    "http://localhost:5000/",
];

#[test]
fn parses_or_skips_any_challenge() {
    tries(11, |numbers| {
        let headers: Vec<_> = (0..numbers.usize(..4)).map(|_| random_text(numbers, &CHALLENGE, 40)).collect();
        let found = challenge::parse(headers.iter().map(String::as_str));
        let bytes: usize = headers.iter().map(String::len).sum();
        assert!(found.len() <= bytes, "{headers:?}");
    });
}

#[test]
fn parses_what_was_written() {
    tries(12, |numbers| {
        let mut quoted = || {
            let text = format!("x{}", random_text(numbers, &CHALLENGE, 12));
            (format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")), text)
        };
        let ((realm, realm_text), (service, service_text)) = (quoted(), quoted());
        let header = format!("Negotiate, Bearer realm={realm} , service={service}");
        let found = challenge::parse([header.as_str()].into_iter());
        let expected =
            challenge::Challenge::Bearer { realm: realm_text, service: Some(service_text), scope: None };
        assert_eq!(found, [expected], "{header}");
    });
}

#[test]
fn parses_long_headers_quickly() {
    for piece in [",", "\"", "a=", "Basic ", "Bearer realm=\"x\",", "\\", " ", "a=\"\\"] {
        let (begun, header) = (Instant::now(), piece.repeat((64 << 10) / piece.len()));
        drop(challenge::parse([header.as_str()].into_iter()));
        let _ = link_header::next(&[header]);
        assert!(begun.elapsed() < LIMIT, "{piece:?} takes {:?}", begun.elapsed());
    }
}

#[test]
fn rejects_links_to_other_servers() {
    let page = Url::parse("http://localhost:5000/v2/a/tags/list?n=1").unwrap();
    tries(13, |numbers| {
        let headers: Vec<_> = (0..numbers.usize(..3)).map(|_| random_text(numbers, &LINK, 20)).collect();
        if let Ok(Some(target)) = link_header::next(&headers)
            && let Ok(next) = link_header::resolve(target, &page)
        {
            assert_eq!((next.host_str(), next.port()), (Some("localhost"), Some(5000)), "{headers:?}");
            assert_eq!(next.scheme(), "http", "{headers:?}");
        }
    });
}

/// Fragments of configurations.
const CONFIG: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"auths\"",
    "\"credHelpers\"",
    "\"credsStore\"",
    "\"a\"",
    "\"auth\"",
    "\"dTpw\"",
    "\"identitytoken\"",
    "\"registrytoken\"",
    "\"t\"",
    "null",
    "7",
    "\"\\ud800\"",
    "\"../x\"",
    "{\"auths\":{\"a\":",
    "{\"auth\":\"dTpw\"}",
    "}}",
];

#[tokio::test]
async fn reads_or_rejects_any_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let config = DockerConfig::open(vec![path.clone()]).with_helper_directory(directory.path());
    let (begun, mut numbers, mut found) = (Instant::now(), Rng::with_seed(14), 0_u32);
    let known = r#"{"auths":{"a":{"auth":"dTpw"}},"x":{"auths":[]}}"#;
    while begun.elapsed() < DURATION {
        let mut text = known.to_owned();
        for _ in 0..numbers.usize(..4) {
            let place = (0..=text.len()).filter(|place| text.is_char_boundary(*place)).collect::<Vec<_>>();
            let place = place[numbers.usize(..place.len())];
            text.insert_str(place, CONFIG[numbers.usize(..CONFIG.len())]);
        }
        let text = if numbers.usize(..4) == 0 { random_text(&mut numbers, &CONFIG, 16) } else { text };
        std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).unwrap();
        match config.get("a", Some("b/c")).await {
            Ok(credential) => found += u32::from(credential.is_some()),
            Err(error) => assert!(!error.chain().contains("dTpw"), "{text}: {}", error.chain()),
        }
        // An invalid file is not overwritten. A written file can be read and keeps its other fields.
        let credential = Credential::Basic { username: "u".to_owned(), password: "q".to_owned().into() };
        match config.put("b", &credential).await {
            Ok(()) => {
                let written: serde_json::Value =
                    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                assert_eq!(written["auths"]["b"]["auth"], "dTpx", "{text}");
            }
            Err(_) => assert_eq!(std::fs::read_to_string(&path).unwrap(), text),
        }
    }
    assert!(found > 10, "only {found} credentials were found");
}
