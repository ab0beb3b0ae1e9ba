//! What a token allows, by its own claims. Only a diagnosis reads them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The size in characters of the longest token whose claims are read.
const MAX_TOKEN: usize = 64 << 10;

/// The claims of a token that state what it allows (distribution's token specification).
#[derive(Deserialize)]
struct Claims {
    access: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    r#type: String,
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

/// Returns the scopes in the claims of a JSON Web Token, or `None` if the token is opaque. The signature is not verified,
/// because only the registry must trust the token.
pub(crate) fn granted_scopes(token: &str) -> Option<Vec<String>> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    if claims.len() > MAX_TOKEN {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&bytes).ok()?;
    let scopes = claims.access.into_iter();
    Some(scopes.map(|scope| format!("{}:{}:{}", scope.r#type, scope.name, scope.actions.join(","))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scopes_of_web_tokens_only() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let claims = r#"{"access":[{"type":"repository","name":"a/b","actions":["pull","push"]}]}"#;
        assert_eq!(granted_scopes(&token(claims)).unwrap(), ["repository:a/b:pull,push"]);
        assert_eq!(granted_scopes(&token(r#"{"access":[]}"#)).unwrap(), [""; 0]);
        for opaque in ["", "opaque", "a.b", "a.b.c.d", "e30.!.x", &token("{}"), &token("x")] {
            assert_eq!(granted_scopes(opaque), None, "{opaque}");
        }
    }
}
