//! A token server for real registries (distribution's token specification). It checks the credentials and the
//! scopes of a request, and signs the token.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::certificates::{self, Certificate};
use crate::registry::{PASSWORD, TokenAuthority, USER};
use crate::scripted::{Asked, Reply, Scripted};

/// The identity token that stands for [`USER`].
pub const IDENTITY_TOKEN: &str = "identity-of-user";
/// The issuer of the tokens.
const ISSUER: &str = "testkit";
/// The service name of the registry.
const SERVICE: &str = "registry.test";

/// The server. [`USER`] may do everything in `team/`, and read everywhere else; others may read in `public/`.
#[derive(Debug)]
pub struct TokenServer {
    server: Scripted,
    certificate: PathBuf,
}

/// The deviations of a token server.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenServerOptions {
    /// It supports `POST` only (OAuth2).
    pub only_post: bool,
    /// It supports `GET` only, like older servers.
    pub only_get: bool,
    /// Seconds that a token lives; 300 if it is 0.
    pub lifetime: u64,
}

impl TokenServer {
    /// Starts a server with its key in `directory`. Returns `None` without `openssl`.
    pub fn start(directory: &Path, options: TokenServerOptions) -> Option<Self> {
        let signer = certificates::self_signed(directory, "token-signer", &[])?;
        let certificate = signer.certificate.clone();
        let chain = der(&certificate);
        let count = AtomicU64::new(0);
        let server = Scripted::start(move |asked| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            answer(asked, options, &signer, &chain, number)
        });
        Some(Self { server, certificate })
    }

    /// Returns the configuration of a registry that trusts this server.
    pub fn authority(&self) -> TokenAuthority {
        TokenAuthority {
            realm: format!("http://{}/token", self.server.host()),
            issuer: ISSUER.to_owned(),
            service: SERVICE.to_owned(),
            certificate: self.certificate.clone(),
        }
    }

    /// Returns the requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }
}

fn answer(
    asked: &Asked,
    options: TokenServerOptions,
    signer: &Certificate,
    chain: &str,
    number: u64,
) -> Reply {
    let query = asked.path.split_once('?').map_or("", |(_, query)| query);
    let (text, absent) = match asked.method.as_str() {
        "GET" => (query.as_bytes(), options.only_post),
        "POST" => (asked.body.as_slice(), options.only_get),
        _ => return Reply::new(405),
    };
    if absent {
        return Reply::new(405);
    }
    let fields: Vec<(String, String)> = form_urlencoded::parse(text).into_owned().collect();
    let Ok(user) = who(asked, &fields) else {
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#;
        return Reply::new(401).body(body);
    };
    if field(&fields, "service") != Some(SERVICE) {
        return Reply::new(400).body(r#"{"error":"invalid_request","error_description":"unknown service"}"#);
    }
    let scopes = fields.iter().filter(|(name, _)| name == "scope").flat_map(|(_, text)| text.split(' '));
    let access: Vec<Value> = scopes.filter_map(|scope| grant(user.as_deref(), scope)).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    let lifetime = if options.lifetime == 0 { 300 } else { options.lifetime };
    let claims = json!({
        "iss": ISSUER, "sub": user.unwrap_or_default(), "aud": SERVICE, "jti": number.to_string(),
        "nbf": now - 10, "iat": now, "exp": now + lifetime, "access": access,
    });
    let token = sign(&json!({"typ": "JWT", "alg": "RS256", "x5c": [chain]}), &claims, signer);
    let name = if asked.method == "POST" { "access_token" } else { "token" };
    let body = json!({name: token, "expires_in": lifetime}).to_string();
    Reply::new(200).header("content-type", "application/json").body(body)
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Returns the user, or `None` for an anonymous request. Fails if the credentials are wrong.
fn who(asked: &Asked, fields: &[(String, String)]) -> Result<Option<String>, ()> {
    if asked.method == "POST" {
        let is_user = match field(fields, "grant_type") {
            Some("refresh_token") => field(fields, "refresh_token") == Some(IDENTITY_TOKEN),
            Some("password") => {
                field(fields, "username") == Some(USER) && field(fields, "password") == Some(PASSWORD)
            }
            _ => false,
        };
        return if is_user { Ok(Some(USER.to_owned())) } else { Err(()) };
    }
    let expected = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let by_token = format!("Basic {}", STANDARD.encode(format!(":{IDENTITY_TOKEN}")));
    match asked.header("authorization") {
        None => Ok(None),
        Some(given) if given == expected || given == by_token => Ok(Some(USER.to_owned())),
        Some(_) => Err(()),
    }
}

/// Returns the allowed part of `repository:name:actions` as a claim.
fn grant(user: Option<&str>, scope: &str) -> Option<Value> {
    let (resource, actions) = scope.rsplit_once(':')?;
    let (kind, name) = resource.split_once(':')?;
    let allowed = |action: &&str| match user {
        Some(_) => name.starts_with("team/") || *action == "pull" || kind == "registry",
        None => name.starts_with("public/") && *action == "pull",
    };
    let actions: Vec<&str> = actions.split(',').filter(allowed).collect();
    (!actions.is_empty()).then(|| json!({"type": kind, "name": name, "actions": actions}))
}

fn sign(header: &Value, claims: &Value, signer: &Certificate) -> String {
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-binary", "-sign"]).arg(&signer.key);
    let signature = pipe(&mut command, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The certificate in a PEM file, as base64 of its DER form.
fn der(certificate: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-outform", "der", "-in"]).arg(certificate);
    STANDARD.encode(pipe(&mut command, b""))
}

fn pipe(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("openssl starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("openssl reads");
    child.wait_with_output().expect("openssl ends").stdout
}
