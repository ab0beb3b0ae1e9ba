//! Messages for errors of rustls, in the words of Go's `crypto/tls` if Go has the same error.

use std::fmt::Debug;

use rustls::{AlertDescription, Error, InconsistentKeys, InvalidMessage, PeerIncompatible};

use crate::certificate_error;

/// The versions and algorithms that this client and server support, for messages about failed handshakes.
pub const LIMITS: &str = "oras speaks TLS 1.2 and 1.3 with ECDHE and AES-GCM or ChaCha20-Poly1305; TLS 1.0 and 1.1, \
                          CBC cipher suites and RSA key exchange are not supported";

/// Returns the message for a failed connection to `host`.
pub fn describe(host: &str, error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => {
            format!("tls: failed to verify certificate: x509: {}", certificate_error::reason(host, why))
        }
        Error::AlertReceived(alert) => {
            // These three alerts mean that both sides have no version or algorithm in common, so the message lists
            // ours.
            let text = format!("remote error: tls: {}", alert_text(*alert));
            match alert {
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity => format!("{text}: {LIMITS}"),
                _ => text,
            }
        }
        Error::PeerIncompatible(why) => format!("tls: {}: {LIMITS}", incompatible(why)),
        Error::PeerMisbehaved(why) => {
            format!("tls: the other side broke the protocol: {}", variant_words(why))
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "tls: first record does not look like a TLS handshake".to_owned()
        }
        Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => {
            format!("tls: unknown protocol version: {LIMITS}")
        }
        Error::InvalidMessage(why) => format!("tls: invalid message: {}", variant_words(why)),
        Error::InappropriateMessage { got_type, .. } => {
            format!("tls: unexpected message: {}", variant_words(got_type))
        }
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            format!("tls: unexpected handshake message: {}", variant_words(got_type))
        }
        Error::NoCertificatesPresented => "tls: the other side showed no certificate".to_owned(),
        Error::UnsupportedNameType => format!("tls: {host} is not a name that a certificate can have"),
        Error::DecryptError => "tls: bad record MAC".to_owned(),
        Error::EncryptError => "tls: message too large to encrypt".to_owned(),
        Error::PeerSentOversizedRecord => "tls: oversized record received".to_owned(),
        Error::NoApplicationProtocol => "tls: no application protocol in common".to_owned(),
        Error::FailedToGetCurrentTime => "tls: the time of this machine is unknown".to_owned(),
        Error::FailedToGetRandomBytes => "tls: this machine gives no random numbers".to_owned(),
        Error::HandshakeNotComplete => "tls: handshake not complete".to_owned(),
        Error::BadMaxFragmentSize => "tls: bad maximum fragment size".to_owned(),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "tls: private key does not match public key".to_owned()
        }
        Error::InconsistentKeys(_) => "tls: private key can't be compared with the certificate".to_owned(),
        Error::InvalidCertRevocationList(_) => "tls: invalid certificate revocation list".to_owned(),
        Error::InvalidEncryptedClientHello(why) => {
            format!("tls: invalid encrypted client hello: {}", variant_words(why))
        }
        Error::General(text) => format!("tls: {text}"),
        Error::Other(other) => format!("tls: {}", other.0),
        other => format!("tls: {}", variant_words(other)),
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    let text = match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired => "protocol version not supported",
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite in common",
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired => "no key exchange group in common",
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => "no signature algorithm in common",
        // The debug form contains a list of configurations.
        PeerIncompatible::ServerRejectedEncryptedClientHello(_) => {
            "the server rejected the encrypted client hello"
        }
        other => return variant_words(other),
    };
    text.to_owned()
}

/// Returns the text of an alert, without a prefix. The texts equal those of the Go tool, so that users can search for
/// them.
fn alert_text(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let text = match alert {
        A::BadRecordMac => "bad record MAC",
        A::CertificateRevoked => "revoked certificate",
        A::CertificateExpired => "expired certificate",
        A::CertificateUnknown => "unknown certificate",
        A::UnknownCA => "unknown certificate authority",
        A::DecodeError => "error decoding message",
        A::DecryptError => "error decrypting message",
        A::ProtocolVersion => "protocol version not supported",
        A::InsufficientSecurity => "insufficient security level",
        A::UnrecognisedName => "unrecognized name",
        A::UnknownPSKIdentity => "unknown PSK identity",
        other => {
            // Go uses the same words as rustls for all other names, and this form for an alert without a name.
            let is_unnamed = format!("{other:?}").starts_with("AlertDescription(");
            return if is_unnamed { format!("alert({})", u8::from(other)) } else { variant_words(&other) };
        }
    };
    text.to_owned()
}

/// Returns the name of an enum's variant as words.
pub(crate) fn variant_words(value: &impl Debug) -> String {
    words(&format!("{value:?}"))
}

/// Splits a name in camel case into words, for errors without a message: `MissingKeyShare` becomes `missing key
/// share`. Text in parentheses is dropped.
fn words(name: &str) -> String {
    // The fields in parentheses are Rust debug text, which users can't read.
    let name = name.split(['(', '{', ' ']).next().unwrap_or_default();
    let mut words = String::new();
    let mut before_is_small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before_is_small {
            words.push(' ');
        }
        before_is_small = !c.is_ascii_uppercase();
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::{CertificateError, OtherError, PeerMisbehaved};
    use rustls_pki_types::{ServerName, UnixTime};

    use super::*;

    fn rejected(error: CertificateError) -> String {
        let text = describe("h.test", &Error::InvalidCertificate(error));
        text.strip_prefix("tls: failed to verify certificate: x509: ").unwrap().to_owned()
    }

    fn path(error: webpki::Error) -> CertificateError {
        CertificateError::Other(OtherError(Arc::new(error)))
    }

    fn not_for(presented: &[&str]) -> CertificateError {
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("h.test").unwrap(),
            presented: presented.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn describes_rejected_certificates() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let unsupported = |oid: &[u8]| CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: oid.to_vec(),
            supported_algorithms: Vec::new(),
        };
        for (error, expected) in [
            (CertificateError::UnknownIssuer, "certificate signed by unknown authority"),
            (CertificateError::BadSignature, "certificate signed by unknown authority"),
            (
                CertificateError::ExpiredContext { time: time(86400), not_after: time(1) },
                "certificate has expired or is not yet valid: current time 1970-01-02T00:00:00Z is after \
                 1970-01-01T00:00:01Z",
            ),
            (
                CertificateError::NotValidYetContext { time: time(1), not_before: time(86400) },
                "certificate has expired or is not yet valid: current time 1970-01-01T00:00:01Z is before \
                 1970-01-02T00:00:00Z",
            ),
            (
                not_for(&[
                    "DnsName(\"a.test\")",
                    "IpAddress(127.0.0.1)",
                    "DirectoryName",
                    "Unsupported(0x01)",
                ]),
                "certificate is not valid for h.test: it is valid for a.test, 127.0.0.1",
            ),
            (
                not_for(&[]),
                "certificate is not valid for h.test: it has no names to verify (subjectAltName); the Common Name \
                 does not count",
            ),
            (
                CertificateError::InvalidPurposeContext {
                    required: rustls::ExtendedKeyPurpose::ServerAuth,
                    presented: vec![rustls::ExtendedKeyPurpose::ClientAuth],
                },
                "certificate specifies an incompatible key usage: server authentication is required, and it allows \
                 client authentication",
            ),
            (
                unsupported(&[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5]),
                "cannot verify signature: SHA-1 with RSA is not supported",
            ),
            (unsupported(&[43, 101, 113]), "cannot verify signature: Ed448 is not supported"),
            (unsupported(&[1]), "cannot verify signature: the signature algorithm is not supported"),
            (
                path(webpki::Error::CaUsedAsEndEntity),
                "the server shows a certificate of an authority as its own (CA:TRUE), and it is not one of the \
                 trusted certificates",
            ),
            (
                path(webpki::Error::UnsupportedCertVersion),
                "a certificate of version 1 has no names to verify (subjectAltName)",
            ),
            (path(webpki::Error::UnsupportedNameType), "unsupported name type"),
        ] {
            assert_eq!(rejected(error), expected);
        }
    }

    #[test]
    fn describes_failed_handshakes() {
        for (error, expected) in [
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                "remote error: tls: unknown certificate authority",
            ),
            (
                Error::AlertReceived(AlertDescription::NoApplicationProtocol),
                "remote error: tls: no application protocol",
            ),
            (Error::AlertReceived(AlertDescription::from(200)), "remote error: tls: alert(200)"),
            (Error::DecryptError, "tls: bad record MAC"),
            (
                Error::InvalidMessage(InvalidMessage::MissingData("ServerName")),
                "tls: invalid message: missing data",
            ),
            (
                Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite),
                "tls: the other side broke the protocol: selected unoffered cipher suite",
            ),
            (
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
                "tls: private key does not match public key",
            ),
            (Error::Other(OtherError(Arc::new(std::io::Error::other("why")))), "tls: why"),
        ] {
            assert_eq!(describe("h.test", &error), expected);
        }
        for error in [
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Error::AlertReceived(AlertDescription::ProtocolVersion),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(None)),
        ] {
            let text = describe("h.test", &error);
            assert!(text.ends_with(&format!(": {LIMITS}")) && !text.contains("PeerIncompatible"), "{text}");
        }
    }

    #[test]
    fn splits_camel_case_into_words() {
        assert_eq!(words("ServerDoesNotSupportTls12Or13"), "server does not support tls12 or13");
        assert_eq!(words("TrailingData(Certificate)"), "trailing data");
    }
}
