//! Reasons why a certificate was rejected, in the words of Go's `crypto/x509` if Go has the same reason.

use jiff::Timestamp;
use rustls::{CertificateError, ExtendedKeyPurpose};
use rustls_pki_types::UnixTime;
use webpki::Error as PathError;

use crate::error::words;

/// Returns the reason why the certificate of `host` was rejected.
pub(crate) fn reason(host: &str, error: &CertificateError) -> String {
    match error {
        // A bad signature means that a trusted authority has the same name but another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired | CertificateError::NotValidYet => {
            "certificate has expired or is not yet valid".to_owned()
        }
        CertificateError::ExpiredContext { time, not_after } => format!(
            "certificate has expired or is not yet valid: current time {} is after {}",
            date(*time),
            date(*not_after)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "certificate has expired or is not yet valid: current time {} is before {}",
            date(*time),
            date(*not_before)
        ),
        CertificateError::NotValidForName => format!("certificate is not valid for {host}"),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // Browsers and Go ignore the Common Name (RFC 9525), so a certificate without subjectAltName has no names.
            let names: Vec<_> = presented.iter().filter_map(|name| presented_name(name)).collect();
            match names.is_empty() {
                true => format!(
                    "certificate is not valid for {host}: it has no names to verify (subjectAltName); the \
                     Common Name does not count"
                ),
                false => format!("certificate is not valid for {host}: it is valid for {}", names.join(", ")),
            }
        }
        CertificateError::InvalidPurpose => "certificate specifies an incompatible key usage".to_owned(),
        CertificateError::InvalidPurposeContext { required, presented } => {
            let allowed: Vec<_> = presented.iter().map(purpose).collect();
            format!(
                "certificate specifies an incompatible key usage: {} is required, and it allows {}",
                purpose(required),
                if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") }
            )
        }
        CertificateError::BadEncoding => "malformed certificate".to_owned(),
        CertificateError::Revoked => "certificate is revoked".to_owned(),
        CertificateError::UnhandledCriticalExtension => "unhandled critical extension".to_owned(),
        CertificateError::UnknownRevocationStatus => {
            "it is unknown whether the certificate is revoked".to_owned()
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "the certificate revocation list has expired".to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            unsupported_signature(Some(signature_algorithm_id))
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id, ..
        } => unsupported_signature(Some(signature_algorithm_id)),
        CertificateError::InvalidOcspResponse => "invalid OCSP response".to_owned(),
        CertificateError::ApplicationVerificationFailure => "certificate was rejected".to_owned(),
        // rustls wraps the errors of webpki that have no variant of their own in `Other`.
        CertificateError::Other(other) => other.0.downcast_ref().map_or_else(|| other.0.to_string(), path),
        // This arm matches the deprecated variant, which has no details.
        other if words(&format!("{other:?}")).starts_with("unsupported signature algorithm") => {
            unsupported_signature(None)
        }
        // The enum is non-exhaustive: the name of a new variant is a better message than none.
        other => words(&format!("{other:?}")),
    }
}

/// Returns the message for a fault in the chain of certificates.
fn path(error: &PathError) -> String {
    match error {
        PathError::CaUsedAsEndEntity => {
            "the server shows a certificate of an authority as its own (CA:TRUE), and it \
                                         is not one of the trusted certificates"
                .to_owned()
        }
        PathError::EndEntityUsedAsCa => {
            "a certificate that is not of an authority signed the server's certificate".to_owned()
        }
        PathError::UnsupportedCertVersion => {
            "a certificate of version 1 has no names to verify (subjectAltName)".to_owned()
        }
        PathError::InvalidSerialNumber => "the serial number of the certificate is invalid".to_owned(),
        PathError::NameConstraintViolation => {
            "an authority is not authorized to sign a certificate for this name".to_owned()
        }
        PathError::PathLenConstraintViolated => {
            "too many intermediates for path length constraint".to_owned()
        }
        PathError::SignatureAlgorithmMismatch => {
            "the certificate names two different signature algorithms".to_owned()
        }
        PathError::EmptyEkuExtension => "the certificate allows no key usage".to_owned(),
        PathError::ExtensionValueInvalid | PathError::MalformedExtensions => {
            "an extension of the certificate is malformed".to_owned()
        }
        PathError::MaximumNameConstraintComparisonsExceeded
        | PathError::MaximumPathBuildCallsExceeded
        | PathError::MaximumPathDepthExceeded
        | PathError::MaximumSignatureChecksExceeded => {
            "the chain of certificates is too long or too intricate".to_owned()
        }
        other => words(&format!("{other:?}")),
    }
}

/// Object identifiers, in DER, of signature algorithms that servers still use and the provider does not verify.
const UNSUPPORTED: [(&[u8], &str); 6] = [
    (&[42, 134, 72, 134, 247, 13, 1, 1, 4], "MD5 with RSA"),
    (&[42, 134, 72, 134, 247, 13, 1, 1, 5], "SHA-1 with RSA"),
    (&[42, 134, 72, 206, 61, 4, 1], "ECDSA with SHA-1"),
    (&[42, 134, 72, 206, 56, 4, 3], "DSA with SHA-1"),
    (&[43, 101, 113], "Ed448"),
    (&[42, 134, 72, 206, 61, 4, 3, 1], "ECDSA with SHA-224"),
];

fn unsupported_signature(algorithm: Option<&[u8]>) -> String {
    let is_algorithm = |known: &&(&[u8], &str)| {
        algorithm.is_some_and(|der| {
            // The identifier may include its tag and length.
            der == known.0 || der.strip_prefix(&[6]).is_some_and(|rest| rest.get(1..) == Some(known.0))
        })
    };
    match UNSUPPORTED.iter().find(is_algorithm) {
        Some((_, name)) => format!("cannot verify signature: {name} is not supported"),
        None => "cannot verify signature: the signature algorithm is not supported".to_owned(),
    }
}

/// Returns the name in webpki's debug text, such as `DnsName("a.test")`; other kinds of names are skipped.
fn presented_name(debug: &str) -> Option<&str> {
    let (kind, value) = debug.strip_suffix(')')?.split_once('(')?;
    matches!(kind, "DnsName" | "IpAddress").then(|| value.trim_matches('"'))
}

fn purpose(purpose: &ExtendedKeyPurpose) -> String {
    match purpose {
        ExtendedKeyPurpose::ServerAuth => "server authentication".to_owned(),
        ExtendedKeyPurpose::ClientAuth => "client authentication".to_owned(),
        ExtendedKeyPurpose::Other(oid) => {
            let arcs: Vec<_> = oid.iter().map(ToString::to_string).collect();
            arcs.join(".")
        }
    }
}

fn date(time: UnixTime) -> String {
    // jiff can't represent every date that a certificate can contain. Then the message shows the seconds.
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| format!("{seconds} s"), |time| time.to_string())
}
