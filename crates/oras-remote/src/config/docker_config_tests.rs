//! Tests of [`super::DockerConfig`].

use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    path: PathBuf,
    store: DockerConfig,
}

fn fixture(text: &str) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    oras_fs::replace(&path, text.as_bytes(), 0o644).unwrap();
    let store = DockerConfig::open(vec![path.clone()]).with_helper_directory(directory.path());
    Fixture { directory, path, store }
}

impl Fixture {
    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }
}

fn user(username: &str, password: &str) -> Credential {
    Credential::Basic { username: username.into(), password: password.into() }
}

#[tokio::test]
async fn reads_every_form_of_entry() {
    let fixture = fixture(
        r#"{"auths": {
            "a": {"auth": "dXNlcjpwYXNz", "username": "other"},
            "b": {"username": "user", "password": "p:w"},
            "c": {"identitytoken": "tok", "auth": "dXNlcjo="},
            "d": {"registrytoken": "acc"},
            "e": {}, "f": null,
            "g": {"auth": "dXNlcjpwYXNzAAA"},
            "http://localhost:5105/v1/": {"auth": "dXNlcjpwYXNz"},
            "https://index.docker.io/v1/": {"auth": "aHViOnBhc3M="}
        }}"#,
    );
    for (server, expected) in [
        ("a", Some(user("user", "pass"))),
        ("b", Some(user("user", "p:w"))),
        ("c", Some(Credential::Refresh("tok".into()))),
        ("d", Some(Credential::Access("acc".into()))),
        ("e", None),
        ("f", None),
        ("g", Some(user("user", "pass"))),
        ("localhost:5105", Some(user("user", "pass"))),
        ("localhost", None),
        ("docker.io", Some(user("hub", "pass"))),
        ("registry-1.docker.io", Some(user("hub", "pass"))),
        ("index.docker.io", Some(user("hub", "pass"))),
    ] {
        assert_eq!(fixture.store.get(server, None).await.unwrap(), expected, "{server}");
    }
    assert_eq!(fixture.store.path(), Some(fixture.path.as_path()));
}

#[tokio::test]
async fn reads_the_first_file_that_has_the_host() {
    let (one, two) = (
        fixture(r#"{"auths":{"a":{"auth":"YTpvbmU="},"b":{}}}"#),
        fixture(r#"{"auths":{"a":{"auth":"YTp0d28="},"b":{"auth":"YTp0d28="}}}"#),
    );
    let missing = one.directory.path().join("none/config.json");
    let store = DockerConfig::open(vec![missing.clone(), one.path.clone(), two.path.clone()]);
    assert_eq!(store.get("a", None).await.unwrap(), Some(user("a", "one")));
    assert_eq!(store.get("b", None).await.unwrap(), Some(user("a", "two")));
    assert_eq!(store.get("c", None).await.unwrap(), None);
    assert_eq!(store.path(), None);
    assert!(!missing.exists());
    store.erase("a").await.unwrap();
    assert!(!missing.exists());
    store.put("c", &user("u", "p")).await.unwrap();
    assert!(missing.exists());
    assert!(DockerConfig::open(vec![]).put("c", &user("u", "p")).await.is_err());
}

#[tokio::test]
async fn keeps_unknown_fields_in_place() {
    let fixture = fixture(r#"{"z":{"y":1,"b":[1.0,{}]},"credsStore":"","HttpHeaders":{"X":"<&>"}}"#);
    fixture.store.put("localhost:5105", &user("user", "pass")).await.unwrap();
    fixture.store.put("docker.io", &Credential::Refresh("tok".into())).await.unwrap();
    let expected = "{\n\t\"z\": {\n\t\t\"y\": 1,\n\t\t\"b\": [\n\t\t\t1.0,\n\t\t\t{}\n\t\t]\n\t},\n\
        \t\"HttpHeaders\": {\n\t\t\"X\": \"<&>\"\n\t},\n\t\"auths\": {\n\
        \t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"identitytoken\": \"tok\"\n\t\t},\n\
        \t\t\"localhost:5105\": {\n\t\t\t\"auth\": \"dXNlcjpwYXNz\"\n\t\t}\n\t}\n}";
    assert_eq!(fixture.text(), expected);
    assert_eq!(fixture.store.get("localhost:5105", None).await.unwrap(), Some(user("user", "pass")));
    let colon = fixture.store.put("localhost:5101", &user("a:b", "p")).await.unwrap_err();
    assert_eq!(colon.chain(), "bad credential format: colons(:) are not allowed in username");
    assert_eq!(fixture.text(), expected);
}

#[tokio::test]
async fn inserts_in_order_into_sorted_keys() {
    let fixture = fixture(r#"{"HttpHeaders":{},"credHelpers":{}}"#);
    for server in ["m", "z", "a"] {
        fixture.store.put(server, &user("u", "p")).await.unwrap();
    }
    let text = fixture.text();
    let places: Vec<_> = ["HttpHeaders", "auths", "\"a\"", "\"m\"", "\"z\"", "credHelpers"]
        .map(|key| text.find(key).unwrap())
        .into();
    assert!(places.is_sorted(), "{text}");
}

#[tokio::test]
async fn prefers_the_longest_path() {
    let fixture = fixture(
        r#"{"auths": {
            "q.io": {"auth": "cTpx"}, "q.io/org": {"auth": "b3JnOnE="}, "q.io/org/app": {"auth": "YXBwOnE="},
            "https://q.io/v1/": {"auth": "b2xkOnE="}, "docker.io/library": {"auth": "bGliOnE="}, "only.io/x": {"auth": "eDpx"}
        }}"#,
    );
    let strict = DockerConfig::open(Vec::new()).with_fallbacks(vec![fixture.path.clone()]);
    assert_eq!(strict.get("only.io", Some("z")).await.unwrap(), None);
    assert_eq!(strict.get("only.io", Some("x")).await.unwrap(), Some(user("x", "q")));
    for (server, repository, expected) in [
        ("q.io", None, Some("q")),
        ("q.io", Some("other"), Some("q")),
        ("q.io", Some("org"), Some("org")),
        ("q.io", Some("org/tool"), Some("org")),
        ("q.io", Some("organ/tool"), Some("q")),
        ("q.io", Some("org/app"), Some("app")),
        ("q.io", Some("org/app/sub"), Some("app")),
        ("docker.io", Some("library/busybox"), Some("lib")),
        ("registry-1.docker.io", Some("library/busybox"), Some("lib")),
        ("docker.io", Some("me/app"), Some("lib")),
        ("only.io", Some("x/y"), Some("x")),
        ("only.io", None, Some("x")),
        ("x.only.io", Some("x"), None),
    ] {
        let found = fixture.store.get(server, repository).await.unwrap();
        assert_eq!(found, expected.map(|name| user(name, "q")), "{server} {repository:?}");
    }
}

#[tokio::test]
async fn falls_back_to_other_files() {
    let notices = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&notices);
    let first = fixture(r#"{"credHelpers":{"a":"missing","b":"missing"},"auths":{"b":{"auth":"Yjpv"}}}"#);
    let broken = fixture("{");
    let last = fixture(r#"{"auths":{"a":{"auth":"YTpv"},"b":{"auth":"eDp4"}}}"#);
    let store = DockerConfig::open(vec![first.path.clone()])
        .with_fallbacks(vec![broken.path.clone(), last.path.clone()])
        .with_helper_directory(first.directory.path())
        .with_notices(Arc::new(move |text: &str| told.lock().unwrap().push(text.to_owned())));
    store.check().unwrap();
    let located = store.locate("b", None).await.unwrap().unwrap();
    assert_eq!((located.credential, located.file), (user("b", "o"), first.path.clone()));
    assert_eq!(located.keeper, Keeper::Entry("b".to_owned()));
    assert_eq!(store.get("a", None).await.unwrap(), Some(user("a", "o")));
    assert_eq!(store.get("c", None).await.unwrap(), None);
    let notices = notices.lock().unwrap();
    assert!(notices[0].contains("docker-credential-missing, which is not installed"), "{notices:?}");
    assert!(notices.iter().any(|text| text.starts_with("passing over ")), "{notices:?}");
    assert_eq!(store.path(), Some(first.path.as_path()));
}

#[tokio::test]
async fn reports_the_file_without_encryption() {
    let fixture = fixture(r#"{"credHelpers":{"a":"x"}}"#);
    assert_eq!(fixture.store.plain_text_path("a").await.unwrap(), None);
    assert_eq!(fixture.store.plain_text_path("b").await.unwrap(), Some(fixture.path.clone()));
}

#[tokio::test]
async fn erases_entries() {
    let fixture = fixture(
        r#"{"auths":{"a":{"auth":"YTpvbmU="},"https://a/v1/":{"auth":"YTpvbmU="},"a/team":{"auth":"YTpvbmU="}}}"#,
    );
    let before = fixture.text();
    fixture.store.erase("other").await.unwrap();
    assert_eq!(fixture.text(), before);
    fixture.store.erase("a").await.unwrap();
    assert_eq!(
        fixture.text(),
        "{\n\t\"auths\": {\n\t\t\"a/team\": {\n\t\t\t\"auth\": \"YTpvbmU=\"\n\t\t}\n\t}\n}"
    );
    fixture.store.erase("a/team").await.unwrap();
    assert_eq!(fixture.text(), "{\n\t\"auths\": {}\n}");
}

#[tokio::test]
async fn keeps_all_concurrent_writes() {
    let fixture = fixture("");
    let servers: Vec<_> = (0..20).map(|number| format!("host{number}")).collect();
    let credential = user("u", "p");
    let writes = servers.iter().map(|server| fixture.store.put(server, &credential));
    futures::future::try_join_all(writes).await.unwrap();
    for server in &servers {
        assert!(fixture.store.get(server, None).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn rejects_malformed_files() {
    for (text, why) in [
        ("{\"auths\":", "unexpected EOF"),
        ("[]", "not an object"),
        ("{x", "key must be a string at line 1 column 2"),
        (r#"{"auths":[]}"#, "auths is not an object"),
        (r#"{"credHelpers":1}"#, "credHelpers is not an object"),
        (r#"{"credsStore":{}}"#, "credsStore doesn't name a helper"),
        (r#"{"auths":{"a":"secret"}}"#, "the entry of a: not an object"),
        (r#"{"auths":{"a":{"auth":"!secret"}}}"#, "the entry of a: auth is not the base64 of user:password"),
        (r#"{"auths":{"a":{"auth":7}}}"#, "the entry of a: a field is not a string"),
    ] {
        let fixture = fixture(text);
        let error = fixture.store.get("a", None).await.unwrap_err();
        let path = fixture.path.display();
        assert_eq!(
            error.chain(),
            format!("failed to decode config file {path}: invalid config format: {why}")
        );
    }
    assert_eq!(fixture(" \n").store.get("a", None).await.unwrap(), None);
    let directory = tempfile::tempdir().unwrap();
    let store = DockerConfig::open(vec![directory.path().to_owned()]);
    assert_eq!(store.get("a", None).await.unwrap_err().kind(), ErrorKind::Io);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::auth::credential_helper::tests::install;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn writes_privately_through_symbolic_links() {
        let fixture = fixture("{}");
        let path = fixture.directory.path().join("new/deep/config.json");
        DockerConfig::open(vec![path.clone()]).put("a", &user("u", "p")).await.unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let link = fixture.directory.path().join("link.json");
        symlink(&fixture.path, &link).unwrap();
        DockerConfig::open(vec![link.clone()]).put("a", &user("u", "p")).await.unwrap();
        assert!(link.is_symlink() && fixture.text().contains("auths"));
        assert_eq!(mode(&fixture.path), 0o600);
    }

    #[tokio::test]
    async fn prefers_credential_helpers() {
        let fixture = fixture(
            r#"{"credsStore":"all","credHelpers":{"one":"one","none":"missing","plain":""},
            "auths":{"one":{"auth":"YTpvbmU="},"two":{"auth":"YTpvbmU="}}}"#,
        );
        let before = fixture.text();
        let answer = |name: &str| format!(r#"cat >"$0.$1"; echo '{{"Username":"{name}","Secret":"s"}}'"#);
        install(fixture.directory.path(), "one", &answer("one"));
        install(fixture.directory.path(), "all", &answer("all"));
        for (server, helper) in [("one", "one"), ("two", "all"), ("plain", "all"), ("docker.io", "all")] {
            assert_eq!(fixture.store.get(server, None).await.unwrap(), Some(user(helper, "s")));
        }
        let asked = fixture.directory.path().join("docker-credential-all.get");
        assert_eq!(std::fs::read_to_string(asked).unwrap(), HUB);
        let error = fixture.store.put("none", &user("u", "p")).await.unwrap_err();
        assert!(error.chain().starts_with("exec: "), "{error:?}");
        fixture.store.put("two", &user("a:b", "p")).await.unwrap();
        fixture.store.erase("two").await.unwrap();
        let erased = fixture.directory.path().join("docker-credential-all.erase");
        assert_eq!(std::fs::read_to_string(erased).unwrap(), "two");
        assert_eq!(fixture.text(), before);
    }
}
