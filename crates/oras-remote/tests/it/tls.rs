//! HTTPS: which certificates are trusted, and the errors for others.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oras_remote::ClientOptions;
use oras_store::{ErrorKind, Source};

use crate::registry::{Flavor, Registry, skipped};
use crate::{options, repository};

/// Creates a self-signed certificate for `localhost` and its key.
fn certificate(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success()).then_some((certificate, key))
}

#[tokio::test]
async fn verifies_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(directory.path()) else {
        return skipped("skipped: needs openssl (certificates)");
    };
    let tls = format!("tls: {{certificate: {}, key: {}}}", certificate.display(), key.display());
    let Some(registry) = Registry::with(Flavor::Current, "certificates", &tls) else { return };
    let name = format!("{}/a", registry.host());
    let secure = ClientOptions { plain_http: Some(false), ..options() };

    let error = repository(secure.clone(), &name).resolve("v1").await.unwrap_err();
    let expected = format!(
        "Head \"https://{}/v2/a/manifests/v1\": tls: failed to verify certificate: x509: certificate signed by \
         unknown authority",
        registry.host()
    );
    assert_eq!((error.kind(), error.chain()), (ErrorKind::Network, expected));

    let trusting = ClientOptions { ca_file: Some(certificate.clone()), ..secure.clone() };
    let error = repository(trusting.clone(), &name).resolve("v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let other = format!("127.0.0.1:{}/a", registry.host().rsplit_once(':').unwrap().1);
    let error = repository(trusting.clone(), &other).resolve("v1").await.unwrap_err();
    assert!(error.chain().contains("x509: certificate is not valid for 127.0.0.1"), "{error:?}");

    let careless = ClientOptions { insecure: true, ..secure };
    let error = repository(careless, &other).resolve("v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let error = repository(options(), &name).resolve("v1").await.unwrap_err();
    let said = "response status code 400: Bad Request: the server speaks HTTPS, not HTTP";
    assert!(error.chain().ends_with(said), "{error:?}");

    let client_certificate = Some((certificate, key));
    let shown = ClientOptions { client_certificate, ..trusting };
    assert_eq!(repository(shown, &name).resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
}
