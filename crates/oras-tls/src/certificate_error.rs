//! Reasons why a certificate was rejected, in the words of Go's `crypto/x509` if Go has the same reason.

use jiff::Timestamp;
use rustls::{CertificateError, ExtendedKeyPurpose};
use rustls_pki_types::UnixTime;
use webpki::Error as PathError;

use crate::error::variant_words;

const EXPIRED: &str = "certificate has expired or is not yet valid";
const INCOMPATIBLE: &str = "certificate specifies an incompatible key usage";

/// Returns the reason why the certificate of `host` was rejected.
pub(crate) fn reason(host: &str, error: &CertificateError) -> String {
    let text = match error {
        // A bad signature means that a trusted authority has the same name but another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority"
        }
        CertificateError::Expired | CertificateError::NotValidYet => EXPIRED,
        CertificateError::InvalidPurpose => INCOMPATIBLE,
        CertificateError::BadEncoding => "malformed certificate",
        CertificateError::Revoked => "certificate is revoked",
        CertificateError::UnhandledCriticalExtension => "unhandled critical extension",
        CertificateError::UnknownRevocationStatus => "it is unknown whether the certificate is revoked",
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "the certificate revocation list has expired"
        }
        CertificateError::InvalidOcspResponse => "invalid OCSP response",
        CertificateError::ApplicationVerificationFailure => "certificate was rejected",
        detailed => return detailed_reason(host, detailed),
    };
    text.to_owned()
}

fn detailed_reason(host: &str, error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            format!("{EXPIRED}: current time {} is after {}", date(*time), date(*not_after))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("{EXPIRED}: current time {} is before {}", date(*time), date(*not_before))
        }
        CertificateError::NotValidForName => format!("certificate is not valid for {host}"),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // Browsers and Go ignore the Common Name (RFC 9525), so a certificate without subjectAltName has no names.
            let names: Vec<_> = presented.iter().filter_map(|name| presented_name(name)).collect();
            let names = match names.is_empty() {
                true => "has no names to verify (subjectAltName); the Common Name does not count".to_owned(),
                false => format!("is valid for {}", names.join(", ")),
            };
            format!("certificate is not valid for {host}: it {names}")
        }
        CertificateError::InvalidPurposeContext { required, presented } => {
            let allowed: Vec<_> = presented.iter().map(purpose).collect();
            let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
            format!("{INCOMPATIBLE}: {} is required, and it allows {allowed}", purpose(required))
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id, ..
        } => unsupported_signature(Some(signature_algorithm_id)),
        // rustls has no variant for some errors of webpki, and wraps them in `Other`.
        CertificateError::Other(other) => other.0.downcast_ref().map_or_else(|| other.0.to_string(), path),
        // This arm matches the deprecated variant, which has no details.
        other if variant_words(other).starts_with("unsupported signature algorithm") => {
            unsupported_signature(None)
        }
        // The enum is non-exhaustive: the name of a new variant is a better message than none.
        other => variant_words(other),
    }
}

/// Returns the message for a fault in the chain of certificates.
fn path(error: &PathError) -> String {
    let text = match error {
        PathError::CaUsedAsEndEntity => {
            "the server shows a certificate of an authority as its own (CA:TRUE), and it is not one of the trusted \
             certificates"
        }
        PathError::EndEntityUsedAsCa => {
            "a certificate that is not of an authority signed the server's certificate"
        }
        PathError::UnsupportedCertVersion => {
            "a certificate of version 1 has no names to verify (subjectAltName)"
        }
        PathError::InvalidSerialNumber => "the serial number of the certificate is invalid",
        PathError::NameConstraintViolation => {
            "an authority is not authorized to sign a certificate for this name"
        }
        PathError::PathLenConstraintViolated => "too many intermediates for path length constraint",
        PathError::SignatureAlgorithmMismatch => "the certificate names two different signature algorithms",
        PathError::EmptyEkuExtension => "the certificate allows no key usage",
        PathError::ExtensionValueInvalid | PathError::MalformedExtensions => {
            "an extension of the certificate is malformed"
        }
        PathError::MaximumNameConstraintComparisonsExceeded
        | PathError::MaximumPathBuildCallsExceeded
        | PathError::MaximumPathDepthExceeded
        | PathError::MaximumSignatureChecksExceeded => {
            "the chain of certificates is too long or too intricate"
        }
        other => return variant_words(other),
    };
    text.to_owned()
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
