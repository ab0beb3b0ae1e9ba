//! `urlParse` and `urlJoin`, which convert URLs to maps and back.

use crate::eval::call::Call;
use crate::eval::function::Type::{Dict, Str};
use crate::eval::function::{Answer, Function, NIL_POINTER, function};
use crate::sprig::url_parse::{Url, parse};
use crate::values::value::{Map, Value};

pub(crate) const FUNCTIONS: &[Function] =
    &[function("urlParse", &[Str], url_parse), function("urlJoin", &[Dict], url_join)];

fn url_parse(call: &Call<'_>) -> Answer {
    let url = parse(call.str(0)).map_err(|error| format!("unable to parse url: {error}"))?;
    let map = Map::new();
    let hostname = url.hostname().to_vec();
    map.insert("hostname", Value::text(hostname));
    map.insert("userinfo", Value::text(url.user.as_ref().map(|user| user.to_bytes()).unwrap_or_default()));
    map.insert("scheme", Value::text(url.scheme));
    map.insert("host", Value::text(url.host));
    map.insert("path", Value::text(url.path));
    map.insert("query", Value::text(url.query));
    map.insert("opaque", Value::text(url.opaque));
    map.insert("fragment", Value::text(url.fragment));
    Ok(Value::Map(map))
}

fn url_join(call: &Call<'_>) -> Answer {
    let part = |key: &str| match call.map(0).and_then(|map| map.get(key.as_bytes())) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.to_vec()),
        Some(Value::Nil) => Err(NIL_POINTER.to_owned()),
        Some(other) => {
            Err(format!("unable to parse {key} key, must be of type string, but {} found", other.kind_name()))
        }
    };
    let mut url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        user: None,
    };
    let userinfo = part("userinfo")?;
    if !userinfo.is_empty() {
        // Sprig parses the user information within a complete URL, so the same checks apply.
        let parsed = parse(&[b"proto://", &userinfo[..], b"@host"].concat());
        url.user = parsed.map_err(|error| format!("unable to parse userinfo in dict: {error}"))?.user;
    }
    Ok(Value::text(url.to_bytes()))
}
