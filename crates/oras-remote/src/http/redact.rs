//! Removes secrets from addresses that are shown.

use url::Url;

/// Query parameters whose values are shown. All others are redacted, because signed addresses contain secrets.
const SHOWN: [&str; 9] =
    ["n", "last", "artifactType", "mount", "from", "digest", "digest-algorithm", "scope", "service"];

/// Returns the address without user, password and the values of most query parameters.
pub(crate) fn redact(url: &Url) -> String {
    let mut shown = url.clone();
    // These fail only for addresses that can't have a user.
    let _ = (shown.set_password(None), shown.set_username(""));
    let query = url.query().map(|query| {
        let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
            // Lists the harmless names, because the names of secret parameters differ among storage services.
            Some((name, _)) if !SHOWN.contains(&name) => format!("{name}=REDACTED"),
            _ => parameter.to_owned(),
        });
        parameters.collect::<Vec<_>>().join("&")
    });
    shown.set_query(query.as_deref());
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redacts_users_and_signed_parameters() {
        for (url, shown) in [
            ("http://u:p@h/x", "http://h/x"),
            ("http://h/x?last=a%20b&digest=sha256:1", "http://h/x?last=a%20b&digest=sha256:1"),
            (
                "http://h/x?_state=s3cret&X-Amz-Signature=t&n=1&flag",
                "http://h/x?_state=REDACTED&X-Amz-Signature=REDACTED&n=1&flag",
            ),
        ] {
            assert_eq!(redact(&Url::parse(url).unwrap()), shown);
        }
    }
}
