//! Builds the requests to a token server and parses its responses, without sending the requests.

use std::time::Duration;

use oras_store::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::auth::credential::Credential;
use crate::auth::scope::Scopes;
use crate::auth::secret::Secret;

/// The name of this client for token servers.
const CLIENT_ID: &str = "oras";

/// The maximum size in bytes of a response of a token server.
pub(crate) const MAX_RESPONSE: u64 = 128 * 1024;

/// An access token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// The text that is sent to the registry.
    pub(crate) secret: Secret,
    /// The lifetime, if the server states it.
    pub(crate) expires: Option<Duration>,
}

/// Parses the address in a challenge. Rejects those to which credentials must not be sent: see [`check_realm`].
///
/// # Errors
/// Fails if the text is not an address, or if the address is rejected.
pub(crate) fn realm(text: &str, registry: &Url) -> Result<Url> {
    let realm = Url::parse(text).map_err(|error| {
        Error::new(ErrorKind::InvalidContent, format!("invalid address of a token server {text:?}"))
            .with_source(error)
    })?;
    check_realm(&realm, registry)?;
    Ok(realm)
}

/// Returns the address of a `GET` for a token: the realm with its query, `service`, and one `scope` per scope.
pub(crate) fn get_url(realm: &Url, service: Option<&str>, scopes: &Scopes) -> Url {
    let own: Vec<(String, String)> = realm
        .query_pairs()
        // The service of the challenge replaces one in the realm's own query.
        .filter(|(name, _)| name != "service" || service.is_none())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = realm.clone();
    url.set_fragment(None);
    url.set_query(None);
    if own.is_empty() && scopes.is_empty() && service.is_none() {
        return url;
    }
    let mut query = url.query_pairs_mut();
    query.extend_pairs(own);
    query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
    query.extend_pairs(service.map(|service| ("service", service)));
    drop(query);
    url
}

/// Returns the form body of a `POST` for a token, or `None` for an access token.
pub(crate) fn form(credential: &Credential, service: Option<&str>, scopes: &Scopes) -> Option<Secret> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    match credential {
        Credential::Basic { username, password } => {
            form.append_pair("grant_type", "password");
            form.append_pair("username", username).append_pair("password", password.expose());
        }
        Credential::Refresh(token) => {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose());
        }
        Credential::Access(_) => return None,
    }
    form.append_pair("service", service.unwrap_or_default()).append_pair("client_id", CLIENT_ID);
    if !scopes.is_empty() {
        form.append_pair("scope", &scopes.to_string());
    }
    Some(Secret::from(form.finish()))
}

#[derive(Deserialize)]
struct Response {
    access_token: Option<String>,
    token: Option<String>,
    expires_in: Option<Value>,
}

/// Parses the response of a token server to a `GET` or `POST`.
///
/// # Errors
/// Fails if the response has no token. The message omits the response, which may contain secrets.
pub(crate) fn parse(body: &[u8]) -> Result<Token> {
    let response: Response = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Error::new(ErrorKind::InvalidContent, format!("invalid response of the token server at {place}"))
    })?;
    let secret = [response.access_token, response.token]
        .into_iter()
        .flatten()
        // Servers send either field or both (distribution's token specification). OAuth2 requires `access_token`.
        .find(|token| !token.is_empty())
        .ok_or_else(|| Error::new(ErrorKind::InvalidContent, "empty token returned"))?;
    let seconds = response.expires_in.and_then(|value| match value {
        Value::Number(number) => number.as_f64(),
        // A string that contains a number is accepted. Any other type counts as a missing lifetime.
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    let expires = seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Token { secret: Secret::from(secret), expires })
}

/// Checks that the token server `realm`, which `registry` named, may receive a credential.
///
/// Otherwise a registry could make the client send credentials unencrypted. Whether the registry may name this host
/// is checked on connecting: see [`AddressGuard`](crate::connection::address_guard::AddressGuard).
///
/// # Errors
/// `Denied` for schemes other than HTTP and HTTPS, for HTTP if the registry uses HTTPS, and for addresses with a user
/// or a password.
pub(crate) fn check_realm(realm: &Url, registry: &Url) -> Result<()> {
    let refuse = |why: &str| {
        let mut shown = realm.clone();
        // These calls fail only for an address that cannot have a user.
        let _ = (shown.set_username(""), shown.set_password(None));
        // The query may contain a secret of the registry, so the message omits it.
        shown.set_query(None);
        Err(Error::new(ErrorKind::Denied, format!("refusing the token server {shown}: {why}")))
    };
    match realm.scheme() {
        "https" => {}
        // A registry with TLS must not make the client send a password without TLS.
        "http" if registry.scheme() == "https" => {
            return refuse("it is not secure, and the registry is");
        }
        "http" => {}
        _ => return refuse("its address is neither http nor https"),
    }
    if !realm.username().is_empty() || realm.password().is_some() {
        return refuse("its address has a user or a password");
    }
    if realm.host().is_none() {
        return refuse("its address has no host");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn builds_get_addresses() {
        let scopes = Scopes::parse("repository:a/b:pull,push x");
        for (realm, service, scopes, expected) in [
            ("https://a/t", None, &Scopes::default(), "https://a/t"),
            (
                "https://a/t#f",
                Some("s p"),
                &scopes,
                "https://a/t?scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=x&service=s+p",
            ),
            ("https://a/t?k=v&service=old", Some("s"), &Scopes::default(), "https://a/t?k=v&service=s"),
            ("https://a/t?service=own", None, &Scopes::parse("x"), "https://a/t?service=own&scope=x"),
        ] {
            assert_eq!(get_url(&url(realm), service, scopes).as_str(), expected);
        }
    }

    #[test]
    fn builds_post_forms() {
        let scopes = Scopes::parse("repository:a:pull repository:b:pull");
        let refresh = Credential::Refresh("t&t".into());
        assert_eq!(
            form(&refresh, Some("s"), &scopes).unwrap().expose(),
            "grant_type=refresh_token&refresh_token=t%26t&service=s&client_id=oras\
             &scope=repository%3Aa%3Apull+repository%3Ab%3Apull"
        );
        let basic = Credential::Basic { username: "u".into(), password: "p w".into() };
        assert_eq!(
            form(&basic, None, &Scopes::default()).unwrap().expose(),
            "grant_type=password&username=u&password=p+w&service=&client_id=oras"
        );
        assert_eq!(form(&Credential::Access("a".into()), None, &scopes), None);
    }

    #[test]
    fn parses_answers() {
        for (body, secret, expires) in [
            (r#"{"token":"a"}"#, "a", None),
            (r#"{"token":"a","access_token":"b","expires_in":300}"#, "b", Some(300)),
            (r#"{"token":"a","access_token":"","expires_in":"60"}"#, "a", Some(60)),
            (r#"{"token":"a","access_token":null,"expires_in":-1,"x":{}}"#, "a", None),
            (r#"{"token":"a","expires_in":1e300}"#, "a", None),
            (r#"{"token":"a","expires_in":[]}"#, "a", None),
        ] {
            let expected = Token { secret: secret.into(), expires: expires.map(Duration::from_secs) };
            assert_eq!(parse(body.as_bytes()).unwrap(), expected, "{body}");
        }
        for (body, message) in [
            ("{}", "empty token returned"),
            (r#"{"token":""}"#, "empty token returned"),
            (r#""hunter2""#, "invalid response of the token server at line 1 column 9"),
            ("", "invalid response of the token server at line 1 column 0"),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err().chain(), message);
        }
    }

    #[test]
    fn rejects_unsafe_realms() {
        let secure = url("https://registry.example");
        for good in ["https://auth.example/t", "https://8.8.8.8/t", "https://[2001:db8::1]/t"] {
            realm(good, &secure).unwrap();
        }
        realm("http://auth.example/t", &url("http://registry.example")).unwrap();
        for bad in ["ftp://auth.example", "file:///etc/passwd", "data:x", "https://u:p@auth.example/t"] {
            assert_eq!(realm(bad, &secure).unwrap_err().kind(), ErrorKind::Denied, "{bad}");
        }
        assert_eq!(realm("/token", &secure).unwrap_err().kind(), ErrorKind::InvalidContent);
        assert_eq!(
            realm("http://u:pass@auth.example/t?k=v", &secure).unwrap_err().chain(),
            "refusing the token server http://auth.example/t: it is not secure, and the registry is"
        );
    }
}
