//! Basic and Bearer authentication. Credentials are never sent to another server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::future::try_join_all;
use oras_remote::{
    Credential, CredentialStore, MissingCredential, Registry as Whole, ResolveOverride, ResponseError,
    StaticCredentials,
};
use oras_spec::{Digest, Reference};
use oras_store::{ErrorKind, PushMode, Source, Target};

use crate::registry::{Flavor, Registry};
use crate::{blob, collect, manifest, options, repository, with_password};
use oras_testkit::scripted::{Asked, Reply, Scripted};

#[tokio::test]
async fn sends_basic_credentials() {
    for flavor in [Flavor::Current, Flavor::Debian] {
        let Some(registry) = Registry::closed(flavor, "passwords") else { continue };
        let host = registry.host();
        let name = format!("{host}/a");
        let store = repository(with_password(&host, "user", "pass"), &name);
        store.push(&blob("{}"), PushMode::Untagged).await.unwrap();
        store.push(&manifest("one", None), PushMode::Tagged("v1")).await.unwrap();
        assert!(store.resolve("v1").await.is_ok());

        let digest = Digest::sha256(b"x");
        let url = format!("http://{name}", name = name.replace("/a", "/v2/a"));
        let wrong = repository(with_password(&host, "user", "wrong"), &name);
        let error = wrong.resolve(&digest.to_string()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let expected = format!("HEAD \"{url}/manifests/{digest}\": response status code 401: Unauthorized");
        assert_eq!(error.chain(), expected);

        let error = repository(options(), &name).resolve("v1").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.chain().as_str()),
            (ErrorKind::Unauthorized, "basic credential not found")
        );
        assert!(error.find::<MissingCredential>().is_some());

        let error = repository(with_password(&host, "user", ""), &name).resolve("v1").await.unwrap_err();
        let expected = format!("HEAD \"{url}/manifests/v1\": missing username or password for basic auth");
        assert_eq!(error.chain(), expected);

        let client = oras_remote::Client::new(with_password(&host, "user", "wrong")).unwrap();
        let error = Whole::new(&client, &registry.host()).unwrap().ping().await.unwrap_err();
        assert!(error.chain().starts_with("unauthorized: authentication required"), "{error:?}");
        assert!(error.find::<ResponseError>().is_some());
        let client = oras_remote::Client::new(with_password(&host, "user", "pass")).unwrap();
        Whole::new(&client, &registry.host()).unwrap().ping().await.unwrap();
    }
}

/// Starts a registry that is also its token server. A token is `t` and the number of earlier tokens.
async fn bearer(valid_from: usize, post: bool) -> Scripted {
    let issued = AtomicUsize::new(0);
    Scripted::start(move |asked: &Asked| {
        if asked.path.starts_with("/token") {
            if asked.method == "POST" && !post {
                return Reply::new(405);
            }
            let number = issued.fetch_add(1, Ordering::SeqCst);
            return Reply::new(200).body(format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        let token = asked.header("authorization").and_then(|text| text.strip_prefix("Bearer t"));
        let good = token.and_then(|text| text.parse().ok()).is_some_and(|number: usize| number >= valid_from);
        if !good {
            let host = asked.header("host").unwrap_or_default();
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
            return Reply::new(401)
                .header("WWW-Authenticate", "Negotiate")
                .header("WWW-Authenticate", challenge);
        }
        match asked.method.as_str() {
            "POST" => Reply::new(202).header("Location", "/upload?state=1"),
            "PUT" => Reply::new(201),
            "GET" => Reply::new(200).body("hello"),
            _ => Reply::new(404),
        }
    })
}

#[tokio::test]
async fn shares_tokens_among_requests() {
    let server = bearer(0, true).await;
    let store = repository(with_password(&server.host(), "user", "pass"), &format!("{}/a/b", server.host()));
    let blobs: Vec<_> = (0..8).map(|n| blob(format!("blob {n}"))).collect();
    try_join_all(blobs.iter().map(async |blob| {
        assert!(!store.exists(blob.descriptor()).await?);
        store.push(blob, PushMode::Untagged).await
    }))
    .await
    .unwrap();
    // A token for pushing also allows pulling.
    let hello = blob("hello");
    collect(store.fetch(hello.descriptor(), 0..5).await.unwrap()).await.unwrap();
    let asked = server.asked();
    let tokens: Vec<_> = asked.iter().filter(|asked| asked.path.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].path, "/token?scope=repository%3Aa%2Fb%3Apull%2Cpush&service=s");
    assert_eq!(tokens[0].header("authorization"), Some("Basic dXNlcjpwYXNz"));
    assert!(
        asked.iter().all(|asked| asked.header("user-agent").is_some_and(|agent| agent.starts_with("oras/")))
    );
    // Uploads send the token with the first request.
    let uploads = asked.iter().filter(|asked| asked.method == "PUT").collect::<Vec<_>>();
    assert_eq!(uploads.len(), 8);
    assert!(uploads.iter().all(|asked| asked.path.starts_with("/upload?state=1&digest=sha256:")));
}

#[tokio::test]
async fn refreshes_rejected_tokens_once() {
    let hello = blob("hello");
    for (valid_from, tokens, succeeds) in [(0, 1, true), (1, 1, false)] {
        let server = bearer(valid_from, true).await;
        let store = repository(options(), &format!("{}/a", server.host()));
        let result = store.fetch(hello.descriptor(), 0..5).await;
        assert_eq!(result.is_ok(), succeeds);
        assert_eq!(server.lines().iter().filter(|line| line.contains("/token")).count(), tokens);
        if !succeeds {
            // The next request does not use the rejected token.
            assert!(store.fetch(hello.descriptor(), 0..5).await.is_ok());
        }
    }
}

#[tokio::test]
async fn exchanges_identity_tokens() {
    let hello = blob("hello");
    for (post, expected) in [(true, &["POST /token"][..]), (false, &["POST /token", "GET /token?"])] {
        let server = bearer(0, post).await;
        let credentials = StaticCredentials::for_server(&server.host(), Credential::Refresh("r&t".into()));
        let options = options().credentials(credentials);
        let store = repository(options, &format!("{}/a", server.host()));
        collect(store.fetch(hello.descriptor(), 0..5).await.unwrap()).await.unwrap();
        let asked = server.asked();
        let tokens: Vec<_> = asked.iter().filter(|asked| asked.path.starts_with("/token")).collect();
        assert_eq!(tokens.len(), expected.len());
        assert!(
            tokens.iter().zip(expected).all(|(asked, line)| asked.line().starts_with(line)),
            "{tokens:?}"
        );
        let form = String::from_utf8(tokens[0].body.clone()).unwrap();
        assert!(form.contains("grant_type=refresh_token&refresh_token=r%26t&service=s"), "{form}");
    }
    let server = bearer(7, true).await;
    let access = StaticCredentials::for_server(&server.host(), Credential::Access("t7".into()));
    let options = options().credentials(access);
    let store = repository(options, &format!("{}/a", server.host()));
    collect(store.fetch(hello.descriptor(), 0..5).await.unwrap()).await.unwrap();
    assert!(!server.lines().iter().any(|line| line.contains("/token")));
}

#[tokio::test]
async fn sends_nothing_to_unsafe_token_servers() {
    for realm in ["http://10.0.0.1/token", "http://169.254.169.254/latest", "ftp://x/"] {
        let server = Scripted::start(move |_: &Asked| {
            Reply::new(401).header("WWW-Authenticate", format!("Bearer realm=\"{realm}\""))
        });
        let store =
            repository(with_password(&server.host(), "user", "pass"), &format!("{}/a", server.host()));
        let error = store.resolve("v1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        assert!(error.chain().contains(": refusing "), "{error:?}");
        assert!(server.asked().iter().all(|asked| asked.header("authorization").is_none()));
    }
}

#[tokio::test]
async fn reports_and_retries_token_server_errors() {
    let tries = AtomicUsize::new(0);
    let server = Scripted::start(move |asked: &Asked| match asked.path.as_str() {
        path if path.starts_with("/token") => match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::new(503),
            1 => Reply::new(403).body(r#"{"errors":[{"code":"DENIED","message":"go away"}]}"#),
            2 => Reply::new(200).body("<html>secret"),
            _ => Reply::new(200).body(vec![b' '; 200_000]),
        },
        _ => {
            let host = asked.header("host").unwrap_or_default();
            Reply::new(401).header("WWW-Authenticate", format!("Bearer realm=\"http://{host}/token\""))
        }
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let error = store.resolve("v1").await.unwrap_err();
    assert_eq!((error.kind(), error.chain().as_str()), (ErrorKind::Denied, "denied: go away"));
    let error = store.resolve("v1").await.unwrap_err();
    assert!(error.chain().ends_with("invalid response of the token server at line 1 column 1"), "{error:?}");
    assert_eq!(store.resolve("v1").await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn never_sends_credentials_to_another_origin() {
    let other = Scripted::start(|asked: &Asked| match asked.method.as_str() {
        "PUT" => Reply::new(201),
        // The other server may ask for credentials, but gets none.
        _ if asked.path == "/ask" => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
        _ => Reply::new(200).body("hello"),
    });
    let elsewhere = format!("http://{}", other.host());
    let asking = blob("asks");
    let ask = asking.descriptor().digest.to_string();
    let server = Scripted::start(move |asked: &Asked| {
        if asked.header("authorization").is_none() {
            return Reply::new(401).header("WWW-Authenticate", "Basic realm=x");
        }
        match asked.method.as_str() {
            "POST" => Reply::new(202).header("Location", format!("{elsewhere}/store?sig=1")),
            _ if asked.path.contains(&ask) => Reply::new(302).header("Location", format!("{elsewhere}/ask")),
            _ => Reply::new(307).header("Location", format!("{elsewhere}/data?sig=1")),
        }
    });
    let options = with_password(&server.host(), "user", "pass").header("X-Own", "secret");
    let store = repository(options, &format!("{}/a", server.host()));
    let hello = blob("hello");
    let got = collect(store.fetch(hello.descriptor(), 0..5).await.unwrap()).await.unwrap();
    assert_eq!(got, "hello");
    store.push(&hello, PushMode::Untagged).await.unwrap();
    assert_eq!(store.fetch(asking.descriptor(), 0..4).await.err().unwrap().kind(), ErrorKind::Unauthorized);
    assert!(server.asked().iter().all(|asked| asked.header("x-own") == Some("secret")));
    let asked = other.asked();
    assert_eq!(asked.len(), 3);
    for asked in &asked {
        assert_eq!((asked.header("authorization"), asked.header("x-own")), (None, None));
    }
    assert_eq!(asked[1].path, format!("/store?sig=1&digest={}", hello.descriptor().digest));
    assert_eq!(asked[1].body, b"hello");
}

/// Records the servers whose credentials are looked up.
#[derive(Default)]
struct LookedUp(Mutex<Vec<String>>);

#[async_trait]
impl CredentialStore for LookedUp {
    async fn get(&self, server: &str, _: Option<&str>) -> oras_store::Result<Option<Credential>> {
        self.0.lock().unwrap().push(server.to_owned());
        Ok(Some(Credential::basic("user", "pass")))
    }
}

#[tokio::test]
async fn looks_up_credentials_by_the_host_of_the_reference() {
    let server = Scripted::start(|asked: &Asked| match asked.header("authorization") {
        None => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
        Some(_) => Reply::new(200).body("hello"),
    });
    for name in ["docker.io/library/a", "registry-1.docker.io/library/a", "h.test/a", "h.test:81/a"] {
        let reference: Reference = name.parse().unwrap();
        let host = reference.host();
        let (domain, port) = host.split_once(':').unwrap_or((host, "80"));
        let address = ([127, 0, 0, 1], server.port()).into();
        let resolve = vec![ResolveOverride::new(domain, port.parse().unwrap(), address)];
        let looked_up = Arc::new(LookedUp::default());
        let options = options().plain_http(true).resolve(resolve).credentials(Arc::clone(&looked_up));
        let hello = blob("hello");
        let got = repository(options.clone(), name).fetch(hello.descriptor(), 0..5).await.unwrap();
        assert_eq!(collect(got).await.unwrap(), "hello");
        assert_eq!(*looked_up.0.lock().unwrap(), [host]);

        let listed = StaticCredentials::for_server(&reference.registry, Credential::basic("user", "pass"));
        let listed = options.clone().credentials(listed);
        assert!(repository(listed, name).fetch(hello.descriptor(), 0..5).await.is_ok());
        let other = StaticCredentials::for_server("other.test", Credential::basic("user", "pass"));
        let other = options.credentials(other);
        let error = repository(other, name).fetch(hello.descriptor(), 0..5).await.err().unwrap();
        assert!(error.find::<MissingCredential>().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn uploads_after_a_denied_mount() {
    let server = Scripted::start(|asked: &Asked| match asked.method.as_str() {
        "POST" if asked.path.contains("mount=") => Reply::new(403),
        "POST" => Reply::new(202).header("Location", "/u"),
        "PUT" => Reply::new(201),
        "HEAD" => Reply::new(404),
        _ => Reply::new(200).body("hello"),
    });
    let from = repository(options(), &format!("{}/from", server.host()));
    let to = repository(options(), &format!("{}/to", server.host()));
    let content = oras_store::Content::from_source(Arc::new(from), blob("hello").descriptor().clone());
    assert_eq!(to.push(&content, PushMode::Untagged).await.unwrap(), oras_store::Pushed::Copied);
    let digest = &content.descriptor().digest;
    assert_eq!(
        server.lines(),
        [
            format!("POST /v2/to/blobs/uploads/?mount={digest}&from=from"),
            // The push leaves the existence check to the mount.
            format!("HEAD /v2/to/blobs/{digest}"),
            "POST /v2/to/blobs/uploads/".to_owned(),
            format!("GET /v2/from/blobs/{digest}"),
            format!("PUT /u?digest={digest}"),
        ]
    );
    assert_eq!(server.asked()[2].header("content-length"), Some("0"));
}
