//! Parses and writes URLs as Go's `net/url` does.
//!
//! The `url` crate does not fit: it normalizes URLs by the WHATWG standard, and Go's error messages are part of the
//! output of templates.

use std::net::Ipv6Addr;

use crate::strings::quote::quote;

/// The parts of a URL, decoded.
#[derive(Default)]
pub(crate) struct Url {
    pub(crate) scheme: Vec<u8>,
    pub(crate) opaque: Vec<u8>,
    pub(crate) user: Option<UserInfo>,
    pub(crate) host: Vec<u8>,
    pub(crate) path: Vec<u8>,
    /// The query as it was parsed, not decoded.
    pub(crate) query: Vec<u8>,
    pub(crate) fragment: Vec<u8>,
}

/// The user name and password of a URL.
pub(crate) struct UserInfo {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl UserInfo {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = escape(&self.name, Part::UserInfo);
        if let Some(password) = &self.password {
            out.push(b':');
            out.extend(escape(password, Part::UserInfo));
        }
        out
    }
}

/// A part of a URL. The part determines which characters are not escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    UserInfo,
    Host,
    Zone,
    Path,
    Fragment,
}

fn is_plain(byte: u8, part: Part) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => true,
        b'$' | b'&' | b'+' | b'=' | b',' | b';' => true,
        b'!' | b'\'' | b'(' | b')' | b'*' => matches!(part, Part::Host | Part::Zone | Part::Fragment),
        b'"' | b'<' | b'>' | b'[' | b']' => matches!(part, Part::Host | Part::Zone),
        b':' => !matches!(part, Part::UserInfo),
        b'/' | b'@' => matches!(part, Part::Path | Part::Fragment),
        b'?' => part == Part::Fragment,
        _ => false,
    }
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in text {
        if is_plain(byte, part) {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    out
}

fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let invalid = |bytes: &[u8]| Err(format!("invalid URL escape {}", quote(&bytes[..bytes.len().min(3)])));
    let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            if matches!(part, Part::Host | Part::Zone) && first.is_ascii() && !is_plain(first, part) {
                return Err(format!("invalid character {} in host name", quote(&[first])));
            }
            out.push(first);
            rest = after;
            continue;
        }
        let digits = match after {
            [high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let Some((high, low)) = digits else {
            return invalid(rest);
        };
        let byte = high << 4 | low;
        let is_percent = rest.starts_with(b"%25");
        // Go allows escapes in a host only for bytes outside of ASCII, and for `%` in the zone of an IPv6 address.
        if (part == Part::Host && high < 8 && !is_percent)
            || (part == Part::Zone && !is_percent && byte != b' ' && !is_plain(byte, Part::Host))
        {
            return invalid(rest);
        }
        out.push(byte);
        rest = &after[2..];
    }
    Ok(out)
}

fn cut(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == mark) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Parses a URL. The error is Go's complete message.
pub(crate) fn parse(text: &[u8]) -> Result<Url, String> {
    // Errors about the part before the fragment quote only that part.
    let (main, fragment) = cut(text, b'#');
    let failed = |text: &[u8], error: String| format!("parse {}: {error}", quote(text));
    let mut url = parse_main(main).map_err(|error| failed(main, error))?;
    let fragment = fragment.unwrap_or_default();
    url.fragment = unescape(fragment, Part::Fragment).map_err(|error| failed(text, error))?;
    Ok(url)
}

fn parse_main(text: &[u8]) -> Result<Url, String> {
    if text.iter().any(|&byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut url = Url::default();
    // `*` is a valid target of the HTTP method OPTIONS, so Go accepts it as a path.
    if text == b"*" {
        url.path = text.to_vec();
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (mut rest, query) = cut(rest, b'?');
    url.query = query.unwrap_or_default().to_vec();
    if !rest.starts_with(b"/") {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_vec();
            return Ok(url);
        }
        // A colon in the first segment could be the end of a scheme (RFC 3986, section 4.2).
        if cut(rest, b'/').0.contains(&b':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    // Without a scheme, three slashes start a path and not an empty host.
    if rest.starts_with(b"//") && (!url.scheme.is_empty() || !rest.starts_with(b"///")) {
        let authority = &rest[2..];
        let end = authority.iter().position(|&byte| byte == b'/').unwrap_or(authority.len());
        rest = &authority[end..];
        parse_authority(&mut url, &authority[..end])?;
    }
    url.path = unescape(rest, Part::Path)?;
    Ok(url)
}

fn split_scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok((b"", text))
}

fn parse_authority(url: &mut Url, authority: &[u8]) -> Result<(), String> {
    // The last `@` precedes the host, so a password may contain the character.
    let at = authority.iter().rposition(|&byte| byte == b'@');
    url.host = parse_host(at.map_or(authority, |at| &authority[at + 1..]))?;
    let Some(at) = at else {
        return Ok(());
    };
    let userinfo = &authority[..at];
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
    if !userinfo.iter().all(allowed) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = cut(userinfo, b':');
    let name = unescape(name, Part::UserInfo)?;
    let password = password.map(|password| unescape(password, Part::UserInfo)).transpose()?;
    url.user = Some(UserInfo { name, password });
    Ok(())
}

fn is_optional_port(text: &[u8]) -> bool {
    match text.split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn check_port(port: &[u8]) -> Result<(), String> {
    if is_optional_port(port) { Ok(()) } else { Err(format!("invalid port {} after host", quote(port))) }
}

fn parse_host(host: &[u8]) -> Result<Vec<u8>, String> {
    match host.iter().rposition(|&byte| byte == b'[') {
        Some(0) => return parse_ip_literal(host),
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {}
    }
    // The last colon precedes the port, because Go accepts lists of hosts with ports.
    if let Some(colon) = host.iter().rposition(|&byte| byte == b':') {
        check_port(&host[colon..])?;
    }
    unescape(host, Part::Host)
}

fn parse_ip_literal(host: &[u8]) -> Result<Vec<u8>, String> {
    let close = host.iter().rposition(|&byte| byte == b']').ok_or("missing ']' in host")?;
    let (inner, port) = (&host[1..close], &host[close + 1..]);
    check_port(port)?;
    let zone_at = inner.windows(3).position(|window| window == b"%25").unwrap_or(inner.len());
    let mut name = unescape(&inner[..zone_at], Part::Host)?;
    name.extend(unescape(&inner[zone_at..], Part::Zone)?);
    let text = String::from_utf8_lossy(&name);
    let (address, zone) =
        text.split_once('%').map_or((&*text, None), |(address, zone)| (address, Some(zone)));
    if address.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("invalid IP-literal".to_owned());
    }
    if address.parse::<Ipv6Addr>().is_err() || zone == Some("") {
        let shown = quote(&name);
        return Err(format!("invalid host: ParseAddr({shown}): unable to parse IP"));
    }
    Ok([b"[", &name[..], b"]", port].concat())
}

impl Url {
    /// Returns the host without port and brackets.
    pub(crate) fn hostname(&self) -> &[u8] {
        let colon = self.host.iter().rposition(|&byte| byte == b':');
        let end = colon.filter(|&colon| is_optional_port(&self.host[colon..])).unwrap_or(self.host.len());
        let host = &self.host[..end];
        host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(escape(&self.fragment, Part::Fragment));
        }
        out
    }

    fn write_hierarchy(&self, out: &mut Vec<u8>) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || (!self.scheme.is_empty() && !self.path.is_empty()) {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = &self.user {
            out.extend(user.to_bytes());
            out.push(b'@');
        }
        out.extend(escape(&self.host, Part::Host));
        let path = if self.path == b"*" { self.path.clone() } else { escape(&self.path, Part::Path) };
        if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
            out.push(b'/');
        }
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            // Without `./`, the segment before the colon would be a scheme.
            out.extend_from_slice(b"./");
        }
        out.extend(path);
    }
}
