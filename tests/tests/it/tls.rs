//! TLS: trusted certificates, and messages for unusable servers and files.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oras_testkit::peers;
use oras_testkit::ports::ReservedPort;
use oras_testkit::registry::{Flavor, Options, Process};
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

pub(crate) const NAMES: [&str; 2] = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];

/// Runs `openssl` in the sandbox.
fn openssl(sandbox: &Sandbox, words: &[&str]) -> bool {
    Command::new("openssl")
        .args(words)
        .current_dir(sandbox.work())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Creates a self-signed certificate `NAME.crt` with its key `NAME.key`.
pub(crate) fn self_signed(sandbox: &Sandbox, name: &str, words: &[&str]) -> bool {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let made = ["req", "-x509", "-nodes", "-subj", "/CN=test", "-keyout", &key, "-out", &certificate];
    openssl(sandbox, &[&made, words].concat())
}

/// Creates a certificate from a request. It has version 1, unless `words` contain extensions.
pub(crate) fn signed_by_request(sandbox: &Sandbox, name: &str, words: &[&str]) -> bool {
    sandbox.file("names", "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    let [key, request, certificate] = ["key", "csr", "crt"].map(|kind| format!("{name}.{kind}"));
    let asked = [
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-keyout", &key, "-out",
        &request,
    ];
    let signed = ["x509", "-req", "-in", &request, "-signkey", &key, "-out", &certificate];
    openssl(sandbox, &asked) && openssl(sandbox, &[&signed, words].concat())
}

/// `openssl s_server`, which responds to every request with a page that differs from the responses of a
/// registry.
struct PageServer {
    child: Child,
    port: ReservedPort,
}

impl PageServer {
    fn start(sandbox: &Sandbox, name: &str, words: &[&str]) -> Self {
        let port = ReservedPort::take();
        let mut child = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{}", port.number())])
            .args(["-cert", &format!("{name}.crt"), "-key", &format!("{name}.key")])
            .args(["-cipher", "ALL:@SECLEVEL=0"])
            .args(words)
            .current_dir(sandbox.work())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port.number())).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "{name}: the server ended");
            assert!(begun.elapsed() < Duration::from_secs(30), "{name}: the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn trusts_server_certificate_listed_as_anchor() {
    let test = "trusts_server_certificate_listed_as_anchor";
    let sandbox = Sandbox::new();
    // As `openssl req -x509` creates it, with `CA:TRUE`.
    if !self_signed(&sandbox, "own", &[&["-newkey", "rsa:2048", "-days", "2"], &NAMES[..]].concat()) {
        return peers::skipped("openssl", test);
    }
    let p521 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-days", "2"];
    assert!(self_signed(&sandbox, "p521", &[&p521, &NAMES[..]].concat()));
    assert!(signed_by_request(&sandbox, "expired", &["-days", "-1", "-extfile", "names"]));
    let other = ["-newkey", "rsa:2048", "-days", "2", "-addext", "subjectAltName=DNS:other.test"];
    assert!(self_signed(&sandbox, "other", &other));

    for name in ["own", "p521"] {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let served = Served::start(&sandbox, &["--cert-file", &certificate, "--key-file", &key]);
        let host = served.address().to_owned();
        sandbox.oras(&["repo", "ls", &host, "--ca-file", &certificate]);
        sandbox.oras(&[
            "repo",
            "ls",
            &host,
            "--ca-file",
            &certificate,
            "--cert-file",
            &certificate,
            "--key-file",
            &key,
        ]);
        sandbox.oras(&["repo", "ls", &host, "--insecure"]);
        let mut command = sandbox.command(&ours(), &["repo", "ls", &host]);
        command.env("SSL_CERT_FILE", sandbox.path(&certificate));
        assert!(command.output().unwrap().status.success(), "{name}: SSL_CERT_FILE");
        // Another certificate with the same name is not trusted.
        let error = sandbox.fails(&["repo", "ls", &host, "--ca-file", "other.crt"]);
        assert!(error.contains("x509: "), "{name}: {error}");
        // A server with another TLS implementation.
        let tls = Some((sandbox.path(&certificate), sandbox.path(&key)));
        let options = Options { tls, ..Options::default() };
        let Some(registry) = Process::start(Flavor::Distribution, &options, test) else { continue };
        let host = format!("127.0.0.1:{}", registry.port());
        sandbox.oras(&["repo", "ls", &host, "--ca-file", &certificate]);
    }
    for (name, why) in [
        ("expired", "certificate has expired or is not yet valid"),
        ("other", "certificate is not valid for 127.0.0.1: it is valid for other.test"),
    ] {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let served = Served::start(&sandbox, &["--cert-file", &certificate, "--key-file", &key]);
        let error = sandbox.fails(&["repo", "ls", served.address(), "--ca-file", &certificate]);
        assert!(error.contains(why), "{error}");
        sandbox.oras(&["repo", "ls", served.address(), "--insecure"]);
    }
}

#[test]
fn trusts_anchor_in_certificate_directory() {
    let sandbox = Sandbox::new();
    if !self_signed(&sandbox, "own", &[&["-newkey", "rsa:2048", "-days", "2"], &NAMES[..]].concat()) {
        return peers::skipped("openssl", "trusts_anchor_in_certificate_directory");
    }
    let served = Served::start(&sandbox, &["--cert-file", "own.crt", "--key-file", "own.key"]);
    sandbox.fails(&["repo", "ls", served.address()]);
    let authority = std::fs::read(sandbox.path("own.crt")).unwrap();
    sandbox.file(&format!("../home/.config/containers/certs.d/{}/ca.crt", served.address()), authority);
    sandbox.oras(&["repo", "ls", served.address()]);
}

#[test]
fn insecure_accepts_any_certificate() {
    let sandbox = Sandbox::new();
    let kinds: [(&str, &[&str]); 5] = [
        ("ed25519", &["-newkey", "ed25519", "-days", "2"]),
        ("ed448", &["-newkey", "ed448", "-days", "2"]),
        ("short", &["-newkey", "rsa:1024", "-days", "2"]),
        ("sha1", &["-newkey", "rsa:2048", "-sha1", "-days", "2"]),
        ("md5", &["-newkey", "rsa:2048", "-md5", "-days", "2"]),
    ];
    if !kinds.iter().all(|(name, words)| self_signed(&sandbox, name, words)) {
        return peers::skipped("openssl", "insecure_accepts_any_certificate");
    }
    assert!(signed_by_request(&sandbox, "v1", &["-days", "2"]));
    assert!(signed_by_request(&sandbox, "expired", &["-days", "-1"]));
    for name in kinds.iter().map(|(name, _)| *name).chain(["v1", "expired"]) {
        for version in ["-tls1_2", "-tls1_3"] {
            // rustls has no TLS 1.2 cipher suite for such a key.
            if (name, version) == ("ed448", "-tls1_2") {
                continue;
            }
            let server = PageServer::start(&sandbox, name, &[version]);
            let error = sandbox.fails(&["repo", "ls", &server.host(), "--insecure"]);
            // An error about the page means that the handshake succeeded.
            let page = !["tls", "x509", "EOF", "reset", "handshake"].iter().any(|word| error.contains(word));
            assert!(page, "{name} {version}: {error}");
        }
    }
    let server = PageServer::start(&sandbox, "v1", &[]);
    let error = sandbox.fails(&["repo", "ls", &server.host(), "--ca-file", "v1.crt"]);
    assert!(error.contains("x509: a certificate of version 1 has no names to verify"), "{error}");
}

#[test]
fn reports_unsupported_options() {
    let sandbox = Sandbox::new();
    if !self_signed(&sandbox, "own", &["-newkey", "rsa:2048", "-days", "2"]) {
        return peers::skipped("openssl", "reports_unsupported_options");
    }
    for (words, said) in [
        (&["-tls1_1"][..], "remote error: tls: protocol version not supported: oras speaks TLS 1.2 and 1.3"),
        (
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"],
            "remote error: tls: handshake failure: oras speaks TLS 1.2 and 1.3",
        ),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "RSA key exchange are not supported"),
    ] {
        let server = PageServer::start(&sandbox, "own", words);
        let error = sandbox.fails(&["repo", "ls", &server.host(), "--insecure"]);
        assert!(error.contains(said), "{words:?}: {error}");
    }
}

#[test]
fn detects_http_and_https_mismatch() {
    let sandbox = Sandbox::new();
    let plain = Served::start(&sandbox, &[]);
    let error = sandbox.fails(&["repo", "ls", plain.address()]);
    assert!(
        error.contains("server gave HTTP response to HTTPS client: the server speaks HTTP, not HTTPS"),
        "{error}"
    );
    assert!(error.contains("use --plain-http"), "{error}");
    if !self_signed(&sandbox, "own", &[&["-newkey", "rsa:2048", "-days", "2"], &NAMES[..]].concat()) {
        return peers::skipped("openssl", "detects_http_and_https_mismatch");
    }
    let served = Served::start(&sandbox, &["--cert-file", "own.crt", "--key-file", "own.key"]);
    let mut hosts = vec![served.address().to_owned()];
    let options =
        Options { tls: Some((sandbox.path("own.crt"), sandbox.path("own.key"))), ..Options::default() };
    let distribution = Process::start(Flavor::Distribution, &options, "detects_http_and_https_mismatch");
    hosts.extend(distribution.iter().map(|registry| format!("127.0.0.1:{}", registry.port())));
    sandbox.file("hi.txt", vec![7; 1 << 20]);
    for host in &hosts {
        for words in [
            &["repo", "ls", host, "--plain-http"][..],
            &["push", &format!("{host}/a:v1"), "hi.txt", "--plain-http"],
        ] {
            let error = sandbox.fails(words);
            assert!(
                error.contains("the server speaks HTTPS, not HTTP")
                    && error.contains("leave out --plain-http"),
                "{error}"
            );
        }
    }
    // Every client gets a readable response, regardless of its request.
    for request in [
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "PATCH /v2/a/blobs/uploads/x HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd",
    ] {
        let mut stream = TcpStream::connect(served.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.contains(" 400 Bad Request\r\n")
                && answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
            "{answer}"
        );
    }
    sandbox.oras(&["repo", "ls", served.address(), "--ca-file", "own.crt"]);
}

/// The registry returns the addresses of a token server and of redirects, each with the wrong scheme.
#[test]
fn error_names_server_with_wrong_scheme() {
    let sandbox = Sandbox::new();
    let plain = Served::start(&sandbox, &[]);
    let mut servers = vec![(format!("https://{}", plain.address()), "speaks HTTP, not HTTPS")];
    let is_signed =
        self_signed(&sandbox, "own", &[&["-newkey", "rsa:2048", "-days", "2"], &NAMES[..]].concat());
    let served =
        is_signed.then(|| Served::start(&sandbox, &["--cert-file", "own.crt", "--key-file", "own.key"]));
    match &served {
        Some(served) => servers.push((format!("http://{}", served.address()), "speaks HTTPS, not HTTP")),
        None => peers::skipped("openssl", "error_names_server_with_wrong_scheme"),
    }
    for (address, said) in servers {
        let other = address.clone();
        let tokens = Scripted::start(move |_: &Asked| {
            Reply::new(401)
                .header("WWW-Authenticate", format!("Bearer realm=\"{other}/token\",service=\"x\""))
        });
        let other = address.clone();
        let redirects = Scripted::start(move |asked: &Asked| {
            Reply::new(307).header("Location", format!("{other}{}", asked.path))
        });
        for (registry, role) in [
            (tokens, "the token server that the registry names"),
            (redirects, "the server that the registry redirects to"),
        ] {
            let reference = format!("{}/a:v1", registry.host());
            for words in [&["manifest", "fetch", &reference][..], &["repo", "tags", &reference]] {
                let error = sandbox.fails(words);
                assert!(error.contains(&format!("{role} {said}")), "{words:?}: {error}");
                assert!(error.contains(&address) && !error.contains("plain-http"), "{words:?}: {error}");
            }
        }
    }
}

#[test]
fn error_names_proxy_that_speaks_http() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            drop(stream.read(&mut head));
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
        }
    });
    let mut command = sandbox.command(&ours(), &["repo", "ls", "registry.test"]);
    command.env("HTTPS_PROXY", format!("https://127.0.0.1:{port}"));
    let error = texts(&command.output().unwrap()).1;
    assert!(
        error.contains("through the proxy https://127.0.0.1")
            && error.contains("begin its address with http://"),
        "{error}"
    );
}

#[test]
fn reports_unusable_tls_files() {
    let sandbox = Sandbox::new();
    let made = self_signed(&sandbox, "own", &[&["-newkey", "rsa:2048", "-days", "2"], &NAMES[..]].concat());
    if !made {
        return peers::skipped("openssl", "reports_unusable_tls_files");
    }
    assert!(self_signed(&sandbox, "other", &["-newkey", "rsa:2048", "-days", "2"]));
    assert!(openssl(
        &sandbox,
        &["pkcs8", "-topk8", "-in", "own.key", "-out", "pkcs8.key", "-passout", "pass:secret"]
    ));
    let legacy =
        ["rsa", "-in", "own.key", "-aes128", "-traditional", "-out", "legacy.key", "-passout", "pass:secret"];
    assert!(openssl(&sandbox, &legacy));
    assert!(openssl(&sandbox, &["pkey", "-in", "own.key", "-outform", "der", "-out", "der.key"]));
    assert!(openssl(&sandbox, &["x509", "-in", "own.crt", "-outform", "der", "-out", "der.crt"]));
    sandbox.file("empty", "");
    let served = Served::start(&sandbox, &["--cert-file", "own.crt", "--key-file", "own.key"]);
    for (certificate, key, said) in [
        ("own.crt", "pkcs8.key", "pkcs8.key: the private key is encrypted: decrypt it by `openssl pkey"),
        ("own.crt", "legacy.key", "legacy.key: the private key is encrypted: decrypt it by `openssl pkey"),
        ("own.crt", "own.crt", "own.crt: has a certificate and no private key"),
        ("own.key", "own.key", "own.key: has a private key and no certificate"),
        ("own.crt", "empty", "empty: has no private key: it is empty"),
        ("empty", "own.key", "empty: has no certificate: it is empty"),
        ("own.crt", "der.key", "der.key: is binary (DER), and must be PEM"),
        ("der.crt", "own.key", "der.crt: is binary (DER), and must be PEM"),
        ("own.crt", "other.key", "other.key: tls: private key does not match public key"),
    ] {
        let files = ["--cert-file", certificate, "--key-file", key];
        let error =
            sandbox.fails(&[&["repo", "ls", served.address(), "--ca-file", "own.crt"], &files[..]].concat());
        assert!(error.contains(said), "client {certificate} {key}: {error}");
        let error = sandbox.fails(&[&["serve", "--addr", "127.0.0.1:0"], &files[..]].concat());
        assert!(error.contains(said), "server {certificate} {key}: {error}");
    }
}
