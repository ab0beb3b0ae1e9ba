//! HTTPS: which certificates are trusted, and the errors for others.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oras_remote::RootCertificates;
use oras_store::ErrorKind;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

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
    let secure = options().plain_http(false);

    let error = repository(secure.clone(), &name).resolve("v1").await.unwrap_err();
    let expected = format!(
        "Head \"https://{}/v2/a/manifests/v1\": tls: failed to verify certificate: x509: certificate signed by \
         unknown authority",
        registry.host()
    );
    assert_eq!((error.kind(), error.chain()), (ErrorKind::Network, expected));

    let trusting = secure.clone().roots(RootCertificates::none().pem(&certificate));
    let error = repository(trusting.clone(), &name).resolve("v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let other = format!("127.0.0.1:{}/a", registry.host().rsplit_once(':').unwrap().1);
    let error = repository(trusting.clone(), &other).resolve("v1").await.unwrap_err();
    assert!(error.chain().contains("x509: certificate is not valid for 127.0.0.1"), "{error:?}");

    let careless = secure.clone().insecure(true);
    let error = repository(careless, &other).resolve("v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let error = repository(options(), &name).resolve("v1").await.unwrap_err();
    let said = "response status code 400: Bad Request: the server speaks HTTPS, not HTTP";
    assert!(error.chain().ends_with(said), "{error:?}");

    let shown = trusting.client_certificate(&certificate, &key);
    assert_eq!(repository(shown, &name).resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);

    // All of it works from memory, too.
    let pem = std::fs::read(&certificate).unwrap();
    let der = CertificateDer::pem_slice_iter(&pem).map(Result::unwrap);
    for roots in [RootCertificates::system().pem(pem.clone()), RootCertificates::none().der(der)] {
        let trusting = secure.clone().roots(roots);
        let error = repository(trusting.clone(), &name).resolve("v1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        let shown = trusting.client_certificate(pem.clone(), std::fs::read(&key).unwrap());
        assert_eq!(repository(shown, &name).resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
