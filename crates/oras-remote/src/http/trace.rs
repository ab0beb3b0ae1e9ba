//! Debug log entries of requests and answers in the layout of the Go tool. Shows only headers and bodies that are
//! known to contain no secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use oras_store::Error;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, LINK, LOCATION, USER_AGENT,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::client::Client;
use crate::http::endpoint::Endpoint;
use crate::http::redact::redact;
use crate::http::request::Request;
use crate::http::response::ResponseBody;
use crate::http::response_error::reason;
use crate::http::retry::FailedAttempt;

/// The target of the `tracing` events for requests and responses, one event each. The level is `DEBUG`, or
/// `ERROR` if there was no response. The message has several lines and contains none of the client's secrets.
pub const TRACE_TARGET: &str = "oras_remote::http";

/// Bytes of the largest body that is logged.
const MAX_BODY: usize = 16 * 1024;
/// Replaces a hidden value.
const HIDDEN: &str = "*****";
/// Headers whose values are not secret. Addresses in them are shown without the values of their queries.
const SHOWN: [&str; 34] = [
    "accept",
    "accept-encoding",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "docker-content-digest",
    "docker-distribution-api-version",
    "docker-upload-uuid",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "oci-chunk-min-length",
    "oci-filters-applied",
    "oci-subject",
    "oci-tag",
    "range",
    "ratelimit-limit",
    "ratelimit-remaining",
    "retry-after",
    "server",
    "user-agent",
    "vary",
    "warning",
    "www-authenticate",
    "x-content-type-options",
];
/// Parts of the names of JSON members whose values may be secrets.
const SECRETS: [&str; 5] = ["token", "secret", "password", "credential", "authorization"];

/// A logged request. The log text is formatted only if a `tracing` subscriber is enabled for it.
#[derive(Debug)]
pub(crate) struct TraceEntry {
    /// `None` without a subscriber.
    number: Option<u64>,
    method: Method,
}

impl TraceEntry {
    /// Logs that a request is sent to `url`.
    pub(crate) fn begin(
        client: &Client,
        endpoint: &Endpoint,
        request: &Request,
        url: &Url,
        given: &HeaderMap,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let method = request.method.clone();
        if !tracing::enabled!(target: TRACE_TARGET, tracing::Level::DEBUG) {
            return Self { number: None, method };
        }
        // The number connects an answer with its request, because concurrent requests interleave in the log.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut headers = request.headers.clone();
        headers.extend(given.clone());
        // Omits headers about the framing and encoding of bodies.
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_ENCODING);
        if let Ok(agent) = client.options().user_agent.parse() {
            headers.insert(USER_AGENT, agent);
        }
        let own = |name: &HeaderName| endpoint.owns(url) && endpoint.has_own(name);
        tracing::debug!(
            target: TRACE_TARGET,
            "--> Request #{number}\n> Request URL: {:?}\n> Request method: {:?}\n> Request headers:\n{}",
            address(url),
            method.as_str(),
            lines(&headers, own)
        );
        Self { number: Some(number), method }
    }

    /// Logs an answer. A streamed body is not read.
    pub(crate) fn answered(
        &self,
        endpoint: &Endpoint,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Result<ResponseBody, FailedAttempt>,
    ) {
        let Some(number) = self.number else { return };
        let reason = reason(status).map(|reason| format!(" {reason}")).unwrap_or_default();
        tracing::debug!(
            target: TRACE_TARGET,
            "<-- Response #{number}\n< Response Status: \"{}{reason}\"\n< Response headers:\n{}\n< Response body:\n{}",
            status.as_str(),
            lines(headers, |name| endpoint.has_own(name)),
            self.body(status, headers, body)
        );
    }

    /// Logs why there was no response.
    pub(crate) fn failed(&self, error: &Error) {
        let Some(number) = self.number else { return };
        let text = error.chain();
        // The log entry of the request already shows the address, so it is removed from the error text.
        let cause = text.split_once("\": ").map_or(text.as_str(), |(_, cause)| cause);
        tracing::error!(
            target: TRACE_TARGET,
            "<-- Response #{number}\nError in getting response: {}",
            printable(cause)
        );
    }

    fn body(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Result<ResponseBody, FailedAttempt>,
    ) -> String {
        let is_absent = self.method == Method::HEAD
            || matches!(status.as_u16(), 204 | 304)
            || headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0");
        let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let omitted = match (content_type, body) {
            _ if is_absent => "No response body to print",
            _ if status.is_redirection() => "Response body for redirect is not printed",
            (None, _) => "Response body without a content type is not printed",
            (Some(content_type), _) if !is_text(&content_type) => {
                return format!("   Response body of content type {content_type:?} is not printed");
            }
            (_, Err(failed)) => {
                return format!("   Error reading response body: {}", printable(&failed.error.chain()));
            }
            (_, Ok(ResponseBody::Stream(_))) => "Response body of a blob is not printed",
            (_, Ok(ResponseBody::Whole(bytes))) if bytes.is_empty() => "Response body is empty",
            (_, Ok(ResponseBody::Whole(bytes))) if bytes.len() > MAX_BODY => {
                "Response body exceeding the trace size limit is not printed"
            }
            (_, Ok(ResponseBody::Whole(bytes))) if may_hold_secrets(bytes) => {
                "Response body redacted due to potential credentials"
            }
            (_, Ok(ResponseBody::Whole(bytes))) => return printable(&String::from_utf8_lossy(bytes)),
        };
        format!("   {omitted}")
    }
}

/// Formats one line per header, sorted by name.
fn lines(headers: &HeaderMap, hidden: impl Fn(&HeaderName) -> bool) -> String {
    if headers.is_empty() {
        return "   Empty header".to_owned();
    }
    let mut lines: Vec<_> = headers.keys().map(|name| line(headers, name, hidden(name))).collect();
    lines.sort();
    lines.join("\n")
}

fn line(headers: &HeaderMap, name: &HeaderName, hidden: bool) -> String {
    // Unknown headers are hidden: a registry or gateway may put a session or a token into any of them.
    let shown = !hidden && SHOWN.contains(&name.as_str());
    let values = headers.get_all(name).iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        match name {
            _ if value.is_sensitive() => HIDDEN.to_owned(),
            name if *name == LOCATION => relative(&text),
            name if *name == LINK => link(&text),
            _ => text.into_owned(),
        }
    });
    let value = if shown { values.collect::<Vec<_>>().join(", ") } else { HIDDEN.to_owned() };
    format!("   {:?}: {value:?}", canonical(name))
}

/// Formats `content-type` as `Content-Type`.
fn canonical(name: &HeaderName) -> String {
    let parts = name.as_str().split('-').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_uppercase() + rest
    });
    parts.collect::<Vec<_>>().join("-")
}

/// Formats an address without user and password. Query parameters are sorted by name, and their values are hidden.
fn address(url: &Url) -> String {
    let mut shown = url.clone();
    // These fail only for addresses that can't have a user.
    let _ = (shown.set_password(None), shown.set_username(""));
    if let Some(query) = url.query().filter(|query| !query.is_empty()) {
        shown.set_query(Some(&hide_values(query)));
    }
    shown.to_string()
}

/// Like [`address`], for an address that may be relative.
fn relative(text: &str) -> String {
    if let Ok(url) = Url::parse(text) {
        return address(&url);
    }
    match text.split_once('?') {
        Some((path, query)) => format!("{path}?{}", hide_values(query)),
        None => text.to_owned(),
    }
}

fn hide_values(query: &str) -> String {
    let mut names: Vec<_> = query
        .split('&')
        .map(|parameter| parameter.split('=').next().unwrap_or_default())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| format!("{name}=REDACTED")).collect::<Vec<_>>().join("&")
}

/// Formats `<address>; rel="next"`, and hides the values of all parameters except harmless ones such as `n` and
/// `last`.
fn link(text: &str) -> String {
    let (Some(start), Some(end)) = (text.find('<'), text.find('>')) else { return HIDDEN.to_owned() };
    let Some(inner) = text.get(start + 1..end) else { return HIDDEN.to_owned() };
    // A link may be relative, and only whole addresses can be parsed. The placeholder is removed below.
    let base = Url::parse("http://relative.invalid/").ok();
    let Some(url) = base.and_then(|base| base.join(inner).ok()) else { return HIDDEN.to_owned() };
    let shown = redact(&url);
    let shown = shown.strip_prefix("http://relative.invalid").unwrap_or(&shown);
    format!("{}<{shown}>{}", &text[..start], &text[end + 1..])
}

fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/plain" | "text/html") || essence.ends_with("+json")
}

/// Returns true if the name of a JSON member suggests a secret, or if text that is not JSON contains such a word. Also
/// returns true for JSON that is not an object, because it may be a token.
fn may_hold_secrets(body: &[u8]) -> bool {
    let speaks = |name: &str| {
        let name = name.to_ascii_lowercase();
        name == "auth" || SECRETS.iter().any(|secret| name.contains(secret))
    };
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        // Text that is not JSON may quote a secret in any form, so one suspicious word hides all of it.
        return speaks(&String::from_utf8_lossy(body));
    };
    if !value.is_object() {
        return true;
    }
    let mut next = vec![&value];
    while let Some(value) = next.pop() {
        match value {
            Value::Object(members) if members.keys().any(|name| speaks(name)) => return true,
            Value::Object(members) => next.extend(members.values()),
            Value::Array(items) => next.extend(items),
            _ => {}
        }
    }
    false
}

/// Escapes control characters, so that a server can't send commands to the terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_only_harmless_headers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Basic eDp5"),
            ("set-cookie", "a=b"),
            ("x-amz-security", "s3cret"),
            ("accept", "a/b"),
            ("accept", "c/d"),
            ("location", "/v2/x?_state=s3cret&a=b"),
            ("link", "</v2/_catalog?last=b&n=2&sig=s3cret>; rel=\"next\""),
            ("x-own", "s3cret"),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let text = lines(&headers, |name| name == "x-own");
        assert_eq!(
            text,
            r#"   "Accept": "a/b, c/d"
   "Authorization": "*****"
   "Link": "</v2/_catalog?last=b&n=2&sig=REDACTED>; rel=\"next\""
   "Location": "/v2/x?_state=REDACTED&a=REDACTED"
   "Set-Cookie": "*****"
   "X-Amz-Security": "*****"
   "X-Own": "*****""#
        );
        // A header that the user set is hidden, even if its name is usually harmless.
        assert!(lines(&headers, |name| name == "accept").contains(r#""Accept": "*****""#));
        assert_eq!(lines(&HeaderMap::new(), |_| false), "   Empty header");
    }

    #[test]
    fn hides_values_of_queries() {
        let shown = |url: &str| address(&Url::parse(url).unwrap());
        assert_eq!(shown("http://u:p@h/x?b=1&a=2&b=3&c"), "http://h/x?a=REDACTED&b=REDACTED&c=REDACTED");
        assert_eq!(shown("http://h/x"), "http://h/x");
        assert_eq!(relative("https://u:p@h/x?sig=s"), "https://h/x?sig=REDACTED");
    }

    #[test]
    fn detects_bodies_with_secrets() {
        for (body, expected) in [
            (r#"{"token":"x"}"#, true),
            (r#"{"a":[{"\u0074oken":"x"}]}"#, true),
            (r#"{"Access_Token":"x"}"#, true),
            (r#"{"auth":"x"}"#, true),
            (r#"{"token":"x"#, true),
            (r#"{"errors":[{"code":"UNAUTHORIZED","message":"token expired"}]}"#, false),
            (r#"{"author":"x"}"#, false),
            ("plain", false),
        ] {
            assert_eq!(may_hold_secrets(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(printable("a\x1b[31m\r\nb\tü\0"), "a\\u{1b}[31m\\r\nb\tü\\u{0}");
    }

    #[test]
    fn detects_text_types() {
        for (content_type, expected) in [
            ("application/json; charset=utf-8", true),
            ("application/vnd.oci.image.manifest.v1+json", true),
            ("Text/HTML", true),
            ("application/jsonwhatever", false),
            ("application/octet-stream", false),
            ("", false),
        ] {
            assert_eq!(is_text(content_type), expected, "{content_type}");
        }
    }
}
