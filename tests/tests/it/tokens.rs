//! Login and tokens with real registries, which check tokens of a server, passwords and client certificates.

use oras_testkit::certificates;
use oras_testkit::registry::{Flavor, Options, PASSWORD, Process, USER};
use oras_testkit::scripted::Asked;
use oras_testkit::token_server::{IDENTITY_TOKEN, TokenServer, TokenServerOptions};

use crate::sandbox::{Sandbox, ours, texts};

/// A registry of distribution that accepts the tokens of a token server. Both use one directory.
struct Scene {
    sandbox: Sandbox,
    server: TokenServer,
    registry: Process,
}

fn scene(options: TokenServerOptions, test: &str) -> Option<Scene> {
    let sandbox = Sandbox::new();
    let Some(server) = TokenServer::start(&sandbox.work(), options) else {
        oras_testkit::peers::skipped("openssl", test);
        return None;
    };
    let options = Options { tokens: Some(server.authority()), ..Options::default() };
    let registry = Process::start(Flavor::Distribution, &options, test)?;
    sandbox.file("hi.txt", "hello world\n");
    Some(Scene { sandbox, server, registry })
}

impl Scene {
    fn login(&self, name: &str, flag: &str, secret: &str) {
        let words: &[&str] = match flag {
            "--password-stdin" => &["login", &self.registry.host(), "-u", name, flag],
            _ => &["login", &self.registry.host(), flag],
        };
        let output = self.sandbox.feed(&ours(), words, secret);
        let (out, err) = texts(&output);
        assert!(output.status.success() && out.contains("Login Succeeded"), "{out}{err}");
    }

    /// Returns the scopes of each token request since the last call.
    fn scopes(&self, seen: &mut usize) -> Vec<String> {
        let asked = self.server.asked();
        let scope = |asked: &Asked| {
            let text = format!("{}&{}", asked.path, String::from_utf8_lossy(&asked.body));
            let scopes = text.split(['?', '&']).filter_map(|field| field.strip_prefix("scope="));
            scopes.collect::<Vec<_>>().join(" ").replace("%3A", ":").replace("%2F", "/").replace("%2C", ",")
        };
        let new = asked[*seen..].iter().map(scope).collect();
        *seen = asked.len();
        new
    }
}

#[test]
fn requests_token_for_each_scope() {
    let Some(scene) = scene(TokenServerOptions::default(), "requests_token_for_each_scope") else { return };
    let (host, sandbox, mut seen) = (scene.registry.host(), &scene.sandbox, 0);
    scene.login(USER, "--password-stdin", PASSWORD);
    scene.scopes(&mut seen);
    sandbox.oras(&["push", &format!("{host}/team/a:v1"), "hi.txt"]);
    // The whole push uses one token, which has all required scopes.
    assert_eq!(scene.scopes(&mut seen), ["repository:team/a:pull,push"]);
    sandbox.oras(&["pull", &format!("{host}/team/a:v1"), "-o", "out"]);
    assert_eq!(std::fs::read(sandbox.path("out/hi.txt")).unwrap(), b"hello world\n");
    assert_eq!(scene.scopes(&mut seen), ["repository:team/a:pull"]);
    sandbox.oras(&["cp", &format!("{host}/team/a:v1"), &format!("{host}/team/b:v1")]);
    let scopes = scene.scopes(&mut seen);
    assert!(
        scopes.iter().any(|scope| scope.contains("team/a:pull") && scope.contains("team/b:pull,push")),
        "{scopes:?}"
    );
    sandbox.oras(&["attach", &format!("{host}/team/a:v1"), "hi.txt", "--artifact-type", "a/b"]);
    sandbox.oras(&["discover", &format!("{host}/team/a:v1")]);
    assert!(sandbox.oras(&["repo", "ls", &host]).contains("team/b"));
    sandbox.oras(&["manifest", "delete", "--force", &format!("{host}/team/b:v1")]);
    // The registry rejects an access that the token server does not grant.
    let error = sandbox.fails(&["push", &format!("{host}/other/a:v1"), "hi.txt"]);
    assert!(error.contains("denied") || error.contains("unauthorized"), "{error}");
    sandbox.oras(&["logout", &host]);
    let error = sandbox.fails(&["pull", &format!("{host}/team/a:v1"), "-o", "out2"]);
    assert!(error.contains("unauthorized") || error.contains("denied"), "{error}");
}

#[test]
fn anonymous_token_reads_public_repository() {
    let Some(scene) = scene(TokenServerOptions::default(), "anonymous_token_reads_public_repository") else {
        return;
    };
    let (host, sandbox) = (scene.registry.host(), &scene.sandbox);
    let error = sandbox.fails(&["repo", "tags", &format!("{host}/public/a")]);
    // The token server grants the token, but the repository does not exist.
    assert!(error.contains("name unknown") || error.contains("repository name not known"), "{error}");
    let error = sandbox.fails(&["push", &format!("{host}/public/a:v1"), "hi.txt"]);
    assert!(error.contains("unauthorized") || error.contains("denied"), "{error}");
    assert!(scene.server.asked().iter().all(|asked| asked.header("authorization").is_none()));
}

#[test]
fn identity_tokens_work_with_get_only_and_post_only_servers() {
    let test = "identity_tokens_work_with_get_only_and_post_only_servers";
    let options = [
        TokenServerOptions::default(),
        TokenServerOptions { only_post: true, ..TokenServerOptions::default() },
        TokenServerOptions { only_get: true, ..TokenServerOptions::default() },
    ];
    for options in options {
        let Some(scene) = scene(options, test) else { return };
        let reference = format!("{}/team/a:v1", scene.registry.host());
        scene.login("", "--identity-token-stdin", IDENTITY_TOKEN);
        scene.sandbox.oras(&["push", &reference, "hi.txt"]);
        scene.login(USER, "--password-stdin", PASSWORD);
        scene.sandbox.oras(&["pull", &reference, "-o", "out"]);
        let words = ["login", &scene.registry.host(), "-u", USER, "--password-stdin"];
        let output = scene.sandbox.feed(&ours(), &words, "wrong");
        let (_, err) = texts(&output);
        assert!(
            !output.status.success() && err.contains("incorrect username or password"),
            "{options:?}: {err}"
        );
    }
}

#[test]
fn basic_auth_works_on_both_real_registries() {
    let test = "basic_auth_works_on_both_real_registries";
    for flavor in [Flavor::Distribution, Flavor::Debian] {
        let options = Options { password: true, ..Options::default() };
        let Some(registry) = Process::start(flavor, &options, test) else { continue };
        let sandbox = Sandbox::new();
        sandbox.file("hi.txt", "hello world\n");
        let (host, reference) = (registry.host(), format!("{}/a:v1", registry.host()));
        assert!(sandbox.fails(&["push", &reference, "hi.txt"]).contains("basic credential not found"));
        let output = sandbox.feed(&ours(), &["login", &host, "-u", USER, "--password-stdin"], PASSWORD);
        assert!(output.status.success(), "{}", texts(&output).1);
        sandbox.oras(&["push", &reference, "hi.txt"]);
        sandbox.oras(&["pull", &reference, "-o", "out"]);
        assert_eq!(
            sandbox.oras(&["login", "--check", &host]),
            format!(
                "{host}: password of \"user\" in {}, under \"{host}\"\n",
                sandbox.work().parent().unwrap().join("home/.docker/config.json").display()
            )
        );
        sandbox.oras(&["logout", &host]);
        assert!(sandbox.fails(&["login", "--check", &host]).contains("no credential for"));
        assert!(sandbox.fails(&["pull", &reference, "-o", "out"]).contains("basic credential not found"));
    }
}

#[test]
fn mutual_tls_works() {
    let test = "mutual_tls_works";
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello world\n");
    let directory = sandbox.work();
    let made = (|| {
        let server = certificates::self_signed(&directory, "server", &[])?;
        let authority = certificates::authority(&directory, "authority")?;
        let client = authority.sign_client(&directory, "client")?;
        let old = authority.sign_client_of_version_1(&directory, "old")?;
        let stranger = certificates::authority(&directory, "stranger")?.sign_client(&directory, "other")?;
        Some((server, authority, client, old, stranger))
    })();
    let Some((server, authority, client, old, stranger)) = made else {
        return oras_testkit::peers::skipped("openssl", test);
    };
    let options = Options {
        password: true,
        tls: Some((server.certificate.clone(), server.key)),
        client_authority: Some(authority.certificate),
        ..Options::default()
    };
    let Some(registry) = Process::start(Flavor::Distribution, &options, test) else { return };
    let path = |path: &std::path::Path| path.display().to_string();
    let ca = path(&server.certificate);
    let (cert, key) = (path(&client.certificate), path(&client.key));
    let host = registry.host();
    let secure = ["--plain-http=false", "--ca-file", &ca, "--cert-file", &cert, "--key-file", &key];
    let login = [&["login", &host, "-u", USER, "--password-stdin"], &secure[..]].concat();
    let output = sandbox.feed(&ours(), &login, PASSWORD);
    assert!(output.status.success(), "{}", texts(&output).1);
    let reference = format!("{host}/a:v1");
    sandbox.oras(&[&["push", &reference, "hi.txt"], &secure[..]].concat());
    sandbox.oras(&[&["pull", &reference, "-o", "out"], &secure[..]].concat());
    assert_eq!(std::fs::read(sandbox.path("out/hi.txt")).unwrap(), b"hello world\n");
    let (cert, key) = (path(&old.certificate), path(&old.key));
    let version_1 = ["--plain-http=false", "--ca-file", &ca, "--cert-file", &cert, "--key-file", &key];
    sandbox.oras(&[&["pull", &reference, "-o", "out"], &version_1[..]].concat());
    // A key that does not match the certificate is an error before anything is sent.
    let mixed = [&path(&client.certificate), "--key-file", &path(&old.key)];
    let mixed = [&["--plain-http=false", "--ca-file", &ca, "--cert-file"], &mixed[..]].concat();
    let error = sandbox.fails(&[&["pull", &reference, "-o", "out2"], &mixed[..]].concat());
    assert!(error.contains("failed to set up TLS"), "{error}");
    // The pull fails without a certificate, with the certificate of another client, and without trust in the
    // server.
    let pull = ["pull", &reference, "-o", "out2"];
    sandbox.fails(&[&pull[..], &["--plain-http=false", "--ca-file", &ca]].concat());
    let (cert, key) = (path(&stranger.certificate), path(&stranger.key));
    let other = ["--plain-http=false", "--ca-file", &ca, "--cert-file", &cert, "--key-file", &key];
    sandbox.fails(&[&pull[..], &other].concat());
    let error = sandbox.fails(&[&pull[..], &["--plain-http=false"]].concat());
    assert!(error.contains("certificate signed by unknown authority"), "{error}");
    assert!(!sandbox.path("out2").exists());
}
