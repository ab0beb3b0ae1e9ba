//! Point 36: attempts to bypass the passwords and rules of `oras serve`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oras_spec::Digest;

use crate::case_sandbox::{Stage, check};
use crate::security_case::{Case, honest, hostile};
use crate::serve_sandbox::{Serving, password};

const SECRET: &[u8] = b"for the user alone";

pub(crate) fn cases() -> Vec<Case> {
    let cases = [tricks(), forgeries(), thefts(), honest_uses()];
    cases.into_iter().flatten().map(Case::ours_only).collect()
}

fn tricks() -> Vec<Case> {
    vec![
        hostile(
            36,
            "serve_path_tricks_need_a_password_too",
            "No way of writing an address gets past the password.",
            |stage| {
                let serving = guarded(stage)?;
                let (blob, host) = (Digest::sha256(SECRET), serving.address);
                for path in [
                    format!("/v2/private/app/blobs/{blob}"),
                    format!("//v2/private/app/blobs/{blob}"),
                    format!("/v2//private/app/blobs/{blob}"),
                    format!("/v2/%70rivate/app/blobs/{blob}"),
                    format!("/%76%32/private/app/blobs/{blob}"),
                    format!("/v2/private%2fapp%2fblobs%2f{blob}"),
                    format!("/v2/public/../private/app/blobs/{blob}"),
                    format!("/v2/public/x/%2e%2e/%2e%2e/private/app/blobs/{blob}"),
                    format!("/V2/private/app/blobs/{blob}"),
                    format!("/token/../v2/private/app/blobs/{blob}"),
                    format!("/healthz/../v2/private/app/blobs/{blob}"),
                    format!("http://{host}/v2/private/app/blobs/{blob}"),
                    format!("http://public/v2/private/app/blobs/{blob}"),
                    format!("/v2/private/app/blobs/{blob}?name=public/app&_method=GET"),
                    format!("/v2/private/app/blobs/{blob};/v2/"),
                ] {
                    for method in ["GET", "HEAD", "POST", "OPTIONS", "get", "TRACE"] {
                        let answer = serving.ask(method, &path, "", b"");
                        answer.is(&[400, 401, 404, 405])?;
                        check(!answer.text.contains("for the user"), || format!("{method} {path} reads it"))?;
                    }
                }
                check(serving.log().contains("status=401"), || "logs nothing".to_owned())
            },
        ),
        hostile(
            36,
            "serve_headers_change_nobody",
            "No header changes the path, method or user of a request.",
            |stage| {
                let serving = guarded(stage)?;
                let blob = format!("/v2/private/app/blobs/{}", Digest::sha256(SECRET));
                let right = password("user");
                for headers in [
                    "X-HTTP-Method-Override: DELETE\r\n".to_owned(),
                    "X-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz\r\n".to_owned(),
                    "X-Forwarded-User: user\r\nX-Remote-User: user\r\nRemote-User: user\r\n".to_owned(),
                    "X-Forwarded-For: 127.0.0.1\r\n".to_owned(),
                    "Authorization: Basic\r\n".to_owned(),
                    "Authorization: Basic Og==\r\n".to_owned(),
                    "Authorization: Basic dXNlcjo=\r\n".to_owned(),
                    format!("Authorization: Basic Og==\r\n{right}"),
                    format!("{right}{right}"),
                    format!("Proxy-{right}"),
                    right.replace("Basic", "Bearer"),
                    "Cookie: user=user\r\n".to_owned(),
                ] {
                    let answer = serving.ask("GET", &blob, &headers, b"");
                    answer.is(&[400, 401])?;
                    check(!answer.text.contains("for the user"), || format!("{headers} reads it"))?;
                }
                // A user with read permission cannot delete with these headers.
                let mut guest = password("guest");
                guest.push_str("X-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\n");
                serving.push("public/app", &right, b"x").is(&[201])?;
                let public = format!("/v2/public/app/blobs/{}", Digest::sha256(b"x"));
                serving.ask("GET", &public, &guest, b"").is(&[200])?;
                serving.ask("POST", &public, &guest, b"").is(&[403])?;
                serving.ask("GET", &public, &guest, b"").is(&[200]).map(drop)
            },
        ),
    ]
}

fn forgeries() -> Vec<Case> {
    vec![
        hostile(
            36,
            "serve_forged_tokens_are_refused",
            "A token that the server did not issue for this scope is rejected.",
            |stage| {
                let serving = guarded(stage)?;
                let blob = format!("/v2/private/app/blobs/{}", Digest::sha256(SECRET));
                let own = token(&serving, "guest", "repository:private/app:pull repository:guest/app:pull")?;
                let parts: Vec<&str> = own.split('.').collect();
                let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
                let claims = String::from_utf8(claims).unwrap();
                check(!claims.contains("private/app"), || format!("gives what the rules refuse: {claims}"))?;
                let more = URL_SAFE_NO_PAD
                    .encode(claims.replace("guest/app", "private/app").replace("guest", "user"));
                let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
                let other = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","jwk":{}}"#);
                for forged in [
                    own.clone(),
                    format!("{}.{more}.{}", parts[0], parts[2]),
                    format!("{none}.{more}."),
                    format!("{none}.{more}.{}", parts[2]),
                    format!("{other}.{more}.{}", parts[2]),
                    format!("{}.{more}.", parts[0]),
                    format!("{}.{}", parts[0], parts[2]),
                    "x".repeat(30_000),
                ] {
                    let answer =
                        serving.ask("GET", &blob, &format!("Authorization: Bearer {forged}\r\n"), b"");
                    answer.is(&[401, 403])?;
                }
                // A token of another server.
                let elsewhere = stage.path("elsewhere");
                std::fs::create_dir(&elsewhere).unwrap();
                let other = Serving::start(stage, &["--htpasswd", "users", "elsewhere"]);
                let others = token(&other, "user", "repository:private/app:pull")?;
                serving
                    .ask("GET", &blob, &format!("Authorization: Bearer {others}\r\n"), b"")
                    .is(&[401])
                    .map(drop)
            },
        ),
        hostile(
            36,
            "serve_names_no_other_token_server",
            "No header makes the server send its clients elsewhere for a token.",
            |stage| {
                let serving = guarded(stage)?;
                for headers in [
                    "X-Forwarded-Host: evil.example\r\n",
                    "Forwarded: host=evil.example;proto=http\r\n",
                    "X-Forwarded-Proto: evil\r\nX-Forwarded-Port: 99\r\n",
                    "X-Host: evil.example\r\n",
                ] {
                    let answer = serving.ask("GET", "/v2/", headers, b"");
                    let challenge = answer.is(&[401])?.header("www-authenticate")?;
                    check(!challenge.contains("evil"), || challenge.to_owned())?;
                }
                for host in ["a\" ,realm=\"http://evil.example", "evil.example/path", "u@evil.example", "a b"]
                {
                    let answer = serving.say(
                        format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
                    );
                    answer.is(&[400, 401])?;
                    check(!answer.text.contains("evil"), || answer.text.clone())?;
                }
                let two = format!(
                    "GET /v2/ HTTP/1.1\r\nHost: {}\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
                    serving.address
                );
                serving.say(two.as_bytes()).is(&[400]).map(drop)
            },
        ),
        hostile(
            36,
            "serve_passwords_can_not_be_guessed",
            "Password guessing is delayed, while other clients log in.",
            |stage| {
                let serving = guarded(stage)?;
                let mut last = 0;
                for _ in 0..60 {
                    last = serving
                        .ask("GET", "/v2/", "Authorization: Basic dXNlcjp4\r\n", b"")
                        .is(&[401, 429])?
                        .status;
                }
                check(last == 429, || "can go on".to_owned())?;
                serving.ask("GET", "/token", "Authorization: Basic dXNlcjp4\r\n", b"").is(&[429])?;
                serving.ask("GET", "/v2/", &password("user"), b"").is(&[200]).map(drop)
            },
        ),
    ]
}

fn thefts() -> Vec<Case> {
    vec![
        hostile(
            36,
            "serve_blobs_of_others_are_not_had",
            "What is in a repository is not had by way of another.",
            |stage| {
                let serving = guarded(stage)?;
                let (blob, guest) = (Digest::sha256(SECRET), password("guest"));
                serving.push("guest/app", &guest, b"own").is(&[201])?;
                for name in ["guest/app", "public/app", "private/app"] {
                    serving.ask("GET", &format!("/v2/{name}/blobs/{blob}"), &guest, b"").is(&[403, 404])?;
                    serving.ask("HEAD", &format!("/v2/{name}/blobs/{blob}"), &guest, b"").is(&[403, 404])?;
                }
                for from in ["&from=private/app", "", "&from=guest/../private/app", "&from=private%2fapp"] {
                    let path = format!("/v2/guest/app/blobs/uploads/?mount={blob}{from}");
                    serving.ask("POST", &path, &guest, b"").is(&[202, 400])?;
                    serving.ask("HEAD", &format!("/v2/guest/app/blobs/{blob}"), &guest, b"").is(&[404])?;
                }
                // A manifest that lists the blob would require it.
                let manifest = format!(
                    r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"a/b","digest":"{blob}","size":{}}},"layers":[]}}"#,
                    SECRET.len()
                );
                let typed = format!("{guest}Content-Type: application/vnd.oci.image.manifest.v1+json\r\n");
                serving.ask("PUT", "/v2/guest/app/manifests/v1", &typed, manifest.as_bytes()).is(&[404])?;
                let catalog = serving.ask("GET", "/v2/_catalog", &guest, b"");
                check(!catalog.is(&[200])?.text.contains("private"), || catalog.text.clone())?;
                let refused = serving.log();
                check(refused.contains("status=403") && refused.contains("user=guest"), || refused)
            },
        ),
        hostile(
            36,
            "serve_uploads_of_others_are_not_gone_on_with",
            "The upload of another user, or in another repository, is not there.",
            |stage| {
                let serving = guarded(stage)?;
                let (user, guest) = (password("user"), password("guest"));
                let opened = serving.ask("POST", "/v2/guest/app/blobs/uploads/", &user, b"");
                let upload = opened.is(&[202])?.header("location")?.to_owned();
                let close = |path: &str| format!("{path}?digest={}", Digest::sha256(b"evil"));
                for path in [upload.clone(), upload.replace("guest/app", "guest/other")] {
                    for (method, path) in [
                        ("GET", path.clone()),
                        ("PATCH", path.clone()),
                        ("PUT", close(&path)),
                        ("DELETE", path),
                    ] {
                        serving.ask(method, &path, &guest, b"evil").is(&[404])?;
                        serving.ask(method, &path, "", b"evil").is(&[401])?;
                    }
                }
                let elsewhere = upload.replace("guest/app", "private/app");
                serving.ask("PUT", &close(&elsewhere), &user, b"evil").is(&[404])?;
                let done = format!("{upload}?digest={}", Digest::sha256(b"good"));
                serving.ask("PUT", &done, &user, b"good").is(&[201]).map(drop)
            },
        ),
        hostile(
            36,
            "serve_metrics_are_for_users",
            "Who may read everything public may not read the metrics.",
            |stage| {
                let serving = guarded(stage)?;
                serving.ask("GET", "/metrics", "", b"").is(&[401])?;
                serving.ask("GET", "/%6detrics", "", b"").is(&[401])?;
                serving.ask("GET", "/metrics", &password("guest"), b"").is(&[200]).map(drop)
            },
        ),
    ]
}

fn honest_uses() -> Vec<Case> {
    vec![
        honest(
            36,
            "serve_lets_in_who_may",
            "Users with passwords and with tokens do what they may; everybody reads what is public.",
            |stage| {
                let serving = guarded(stage)?;
                let (user, guest) = (password("user"), password("guest"));
                let token = token(&serving, "guest", "repository:guest/app:pull,push")?;
                serving.push("public/app", &user, b"x").is(&[201])?;
                serving.push("guest/app", &guest, b"x").is(&[201])?;
                serving.push("guest/app", &format!("Authorization: Bearer {token}\r\n"), b"y").is(&[201])?;
                let blob = Digest::sha256(b"x");
                serving.ask("GET", &format!("/v2/public/app/blobs/{blob}"), "", b"").is(&[200])?;
                serving
                    .ask("GET", &format!("http://{}/v2/public/app/blobs/{blob}", serving.address), "", b"")
                    .is(&[200])?;
                serving.ask("GET", &format!("/v2/%70ublic/app/blobs/{blob}"), "", b"").is(&[200])?;
                serving.ask("GET", "/healthz", "", b"").is(&[200])?;
                serving.ask("GET", "/readyz", "", b"").is(&[200]).map(drop)
            },
        ),
        honest(
            36,
            "serve_mounts_what_may_be_read",
            "A blob is mounted from where its user may read it.",
            |stage| {
                let serving = guarded(stage)?;
                serving.push("public/app", &password("user"), b"x").is(&[201])?;
                let path =
                    format!("/v2/guest/app/blobs/uploads/?mount={}&from=public/app", Digest::sha256(b"x"));
                serving.ask("POST", &path, &password("guest"), b"").is(&[201]).map(drop)
            },
        ),
        honest(36, "serve_logs_in_oras", "`oras login`, push, pull and logout work as anywhere.", |stage| {
            let serving = guarded(stage)?;
            let host = serving.address.to_string();
            let words = ["--plain-http", "-u", "guest", "-p", oras_testkit::registry::PASSWORD];
            stage.oras(&[&["login", &host], &words[..]].concat()).works()?;
            stage.file("hi.txt", "hello");
            let reference = format!("{host}/guest/app:v1");
            stage.oras(&["push", "--plain-http", &reference, "hi.txt"]).works()?;
            stage.oras(&["pull", "--plain-http", "-o", "out", &reference]).works()?;
            stage
                .oras(&["push", "--plain-http", &format!("{host}/private/app:v2"), "hi.txt"])
                .fails_with("denied: guest may not pull from private/app")?;
            stage.oras(&["logout", &host]).works()?;
            stage.oras(&["pull", "--plain-http", "-o", "out", &reference]).fails()?;
            check(!serving.log().contains(oras_testkit::registry::PASSWORD), || {
                "logs the password".to_owned()
            })
        }),
    ]
}

/// Starts a server with [`SECRET`] in `private/app`.
fn guarded(stage: &Stage) -> Result<Serving, String> {
    let serving = Serving::guarded(stage, &[]);
    serving.push("private/app", &password("user"), SECRET).is(&[201])?;
    Ok(serving)
}

fn token(serving: &Serving, user: &str, scopes: &str) -> Result<String, String> {
    let path = format!("/token?service=oras&scope={}", scopes.replace(' ', "%20"));
    let answer = serving.ask("GET", &path, &password(user), b"");
    let body = answer.is(&[200])?.text.split("\r\n\r\n").nth(1).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
    Ok(json["token"].as_str().unwrap_or_default().to_owned())
}
