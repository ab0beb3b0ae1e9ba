//! Describes the certificates that a registry sends.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::Check;

const NAME: &str = "tls-certificate";
/// The remaining time below which a certificate is reported.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Checks the dates of the certificates in DER, the registry's own first. The caller verifies the trust in another way.
pub(super) fn describe(chain: &[Vec<u8>], now: SystemTime) -> Check {
    let parsed: Result<Vec<_>, _> = chain.iter().map(|der| Certificate::from_der(der)).collect();
    let certificates = match parsed {
        Ok(certificates) => certificates,
        Err(error) => {
            let message = format!("the registry sent a malformed certificate: {error}");
            return Check::fail(NAME, message, "Ask those who run the registry to renew its certificate");
        }
    };
    let Some(own) = certificates.first() else {
        return Check::fail(
            NAME,
            "the registry sent no certificate",
            "Ask those who run the registry to correct it",
        );
    };
    let (subject, issuer) = (own.tbs_certificate().subject(), own.tbs_certificate().issuer());
    let subject = match subject.is_empty() {
        true => "no subject".to_owned(),
        false => subject.to_string(),
    };
    let is_self_signed = own.tbs_certificate().subject().to_der().ok() == issuer.to_der().ok();
    let issuer = if is_self_signed { "itself".to_owned() } else { issuer.to_string() };
    let until = expiry(own);
    let mut message = format!("{subject}, issued by {issuer}, valid until {}", date(until));
    if certificates.len() > 1 {
        message += &format!(" ({} certificates)", certificates.len());
    }
    let renew = "Ask those who run the registry to renew it";
    // Any certificate of the chain ends the trust when it expires.
    let first = certificates.iter().map(expiry).min().unwrap_or(until);
    let begins = SystemTime::UNIX_EPOCH + own.tbs_certificate().validity().not_before.to_unix_duration();
    if first <= now {
        let message = format!("{message}; a certificate expired on {}", date(first));
        return Check::fail(NAME, message, format!("{renew}, and check the clock of this machine"));
    }
    if begins > now {
        let message = format!("{message}; it is valid only from {}", date(begins));
        return Check::fail(NAME, message, "Check the clock of this machine");
    }
    match first.duration_since(now) {
        Ok(left) if left < SOON => {
            let days = left.as_secs() / (24 * 3600);
            Check::warn(NAME, format!("{message}; a certificate expires in {days} days"), renew)
        }
        _ => Check::ok(NAME, message),
    }
}

fn expiry(certificate: &Certificate) -> SystemTime {
    SystemTime::UNIX_EPOCH + certificate.tbs_certificate().validity().not_after.to_unix_duration()
}

fn date(time: SystemTime) -> String {
    Timestamp::try_from(time)
        .map_or_else(|_| "an unknown date".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}
