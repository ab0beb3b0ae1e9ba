//! The `Link` header that names the next page of a list (RFC 8288). The reader is written by hand because it is
//! lenient on purpose: registries send links without brackets, quotes or relations, which strict parsers reject.

use url::Url;

/// Returns the target of the first link to the next page. A link without a relation counts as next, because some
/// registries send such links.
///
/// Accepts targets without brackets, values without quotes, and parameters in any order.
///
/// # Errors
/// Returns the header if it announces a next page without an address. Ignoring it would silently truncate the list.
pub(crate) fn next(headers: &[String]) -> Result<Option<&str>, &str> {
    let mut malformed = None;
    for header in headers {
        for link in split(header, ',').map(Link::parse).filter(Link::is_next) {
            match link.target {
                Some(target) => return Ok(Some(target)),
                None => malformed = Some(header.as_str()),
            }
        }
    }
    malformed.map_or(Ok(None), Err)
}

/// Resolves `target` against the address of its page. Fails if it is on another server.
pub(crate) fn resolve(target: &str, page: &Url) -> Result<Url, String> {
    let next = page.join(target).map_err(|error| format!("invalid next link {target:?}: {error}"))?;
    // The list of a registry must not make the client send requests to other servers.
    if next.origin() != page.origin() {
        return Err(format!(
            "invalid next link {target:?}: not the same origin as {:?}",
            crate::http::redact::redact(page)
        ));
    }
    Ok(next)
}

/// One link of a header.
struct Link<'a> {
    target: Option<&'a str>,
    relation: Option<&'a str>,
}

impl<'a> Link<'a> {
    fn parse(text: &'a str) -> Self {
        let mut link = Self { target: None, relation: None };
        for part in split(text, ';').map(str::trim) {
            let mut parameter = parameter(part);
            if parameter.is_none() && link.target.is_none() {
                let (target, rest) = address(part);
                link.target = target;
                parameter = self::parameter(rest);
            }
            if let Some((name, value)) = parameter
                && name.eq_ignore_ascii_case("rel")
            {
                // The first `rel` counts, and later ones are ignored (RFC 8288, section 3.3).
                link.relation = link.relation.or(Some(value));
            }
        }
        link
    }

    fn is_next(&self) -> bool {
        let is_separator = |c: char| c.is_whitespace() || ",;\"'".contains(c);
        self.relation
            .is_none_or(|relation| relation.split(is_separator).any(|word| word.eq_ignore_ascii_case("next")))
    }
}

/// Reads a parameter and removes quotes from its value. An address without brackets has characters that no parameter
/// name has, which distinguishes the two.
fn parameter(part: &str) -> Option<(&str, &str)> {
    let (name, value) = part.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_*".contains(c));
    is_name.then(|| (name, value.trim().trim_matches(['"', '\''])))
}

/// Returns the address in a part that is not a parameter, and the text after the address.
fn address(part: &str) -> (Option<&str>, &str) {
    let is_around = |c: char| c.is_whitespace() || "<>\"'".contains(c);
    let begin = part.trim_start_matches(is_around);
    let (address, rest) = begin.split_at(begin.find(is_around).unwrap_or(begin.len()));
    let address = address.trim_end_matches([';', ',']);
    ((!address.is_empty()).then_some(address), rest.trim_start_matches(is_around))
}

/// Splits `text` at separators outside of brackets and quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut bracketed) = (false, false);
    // A bracket without a closing bracket does not protect separators.
    let mut closing = text.matches('>').count();
    text.split(move |c| {
        match c {
            '"' => quoted ^= !bracketed,
            '<' if !quoted => bracketed = closing > 0,
            '>' => {
                closing -= 1;
                bracketed &= quoted;
            }
            _ => {}
        }
        c == separator && !quoted && !bracketed
    })
    .filter(|part| !part.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_page() {
        for (headers, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["</v2/a?last=b>; rel=\"next\""], Some("/v2/a?last=b")),
            (&["</a>; rel=prev, </b,c>; title=\"x, y\"; REL = NEXT"], Some("/b,c")),
            (&["</a>; rel=\"first prev\"", "</b>; rel=\"prev next\""], Some("/b")),
            (&["</a>"], Some("/a")),
            (&["</a>; rel=last"], None),
            (&["</a>; rel=\"prev-next\"", "</v2/next/tags/list>; title=next; rel=first"], None),
        ] {
            let headers: Vec<_> = headers.iter().map(|header| String::from(*header)).collect();
            assert_eq!(next(&headers), Ok(expected), "{headers:?}");
        }
    }

    #[test]
    fn accepts_malformed_links() {
        let page = "/v2/r/tags/list?last=b&n=2";
        for header in [
            "/v2/r/tags/list?last=b&n=2; rel=\"next\"",
            "/v2/r/tags/list?last=b&n=2;rel=next",
            "/v2/r/tags/list?last=b&n=2",
            "\"/v2/r/tags/list?last=b&n=2\"; rel=next",
            "</v2/r/tags/list?last=b&n=2; rel=next",
            "/v2/r/tags/list?last=b&n=2>; rel=next",
            "< /v2/r/tags/list?last=b&n=2 > ; rel='next'",
            "rel=\"next\"; </v2/r/tags/list?last=b&n=2>",
            "rel=next; /v2/r/tags/list?last=b&n=2",
            "</v2/r/tags/list?last=b&n=2>; title=\"a; b\"; type=text/plain; rel=Next",
            "</v2/r/tags/list?last=b&n=2>; rel=\"next",
            "</v2/r/tags/list?last=b&n=2>; rel=next; rel=last",
            "</v2/r/tags/list?last=b&n=2>; rel",
            "</v2/r/tags/list?last=b&n=2> rel=next",
            "</v2/r/tags/list?last=b&n=2>, rel=next",
            "/v2/r/tags/list?last=b&n=2 rel=next",
            ", ,</first>; rel=first,</v2/r/tags/list?last=b&n=2>;rel=next,",
            "/first; rel=first, /v2/r/tags/list?last=b&n=2; rel=next",
        ] {
            assert_eq!(next(&[header.to_owned()]), Ok(Some(page)), "{header}");
        }
    }

    #[test]
    fn rejects_next_link_without_address() {
        for header in ["rel=\"next\"", "<>; rel=next", "; rel=next", "</a>; rel=last, <>; rel=next"] {
            assert_eq!(next(&[header.to_owned()]), Err(header));
        }
    }

    #[test]
    fn rejects_links_to_other_servers() {
        let page = Url::parse("http://h:5000/v2/a/tags/list?n=1").unwrap();
        for (target, expected) in [
            ("/v2/a/tags/list?last=x", "http://h:5000/v2/a/tags/list?last=x"),
            ("?last=x", "http://h:5000/v2/a/tags/list?last=x"),
            ("http://h:5000/y", "http://h:5000/y"),
        ] {
            assert_eq!(resolve(target, &page).unwrap().as_str(), expected);
        }
        for target in
            ["http://h/y", "https://h:5000/y", "//evil/y", "http://evil:5000/", "file:///x", "http://"]
        {
            assert!(resolve(target, &page).unwrap_err().starts_with("invalid next link"), "{target}");
        }
    }
}
