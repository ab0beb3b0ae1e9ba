//! The `Link` header that names the next page of a list (RFC 8288).

use url::Url;

/// The target of the first link to the next page; links without a relation count, as some registries send them.
pub(crate) fn next<'a>(headers: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    headers.flat_map(Links).find_map(|(target, parameters)| is_next(parameters).then_some(target))
}

/// The address `target` means on a page from `page`, if it is on the same server.
pub(crate) fn resolve(target: &str, page: &Url) -> Result<Url, String> {
    let next = page.join(target).map_err(|error| format!("invalid next link {target:?}: {error}"))?;
    if next.origin() != page.origin() {
        return Err(format!(
            "invalid next link {target:?}: not the same origin as {:?}",
            crate::response::redact(page)
        ));
    }
    Ok(next)
}

/// The links in one header: target and parameters. Ends at what can't be read.
struct Links<'a>(&'a str);

impl<'a> Iterator for Links<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches([',', ' ', '\t']);
        let (target, rest) = rest.strip_prefix('<')?.split_once('>')?;
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.0 = rest;
        Some((target, parameters))
    }
}

fn is_next(parameters: &str) -> bool {
    let relation = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
    });
    relation.is_none_or(|relation| relation.split_whitespace().any(|word| word.eq_ignore_ascii_case("next")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_page() {
        for (headers, expected) in [
            (&[][..], None),
            (&["</v2/a?last=b>; rel=\"next\""], Some("/v2/a?last=b")),
            (&["</a>; rel=prev, </b,c>; title=\"x, y\"; REL = NEXT"], Some("/b,c")),
            (&["</a>; rel=\"first prev\"", "</b>; rel=\"prev next\""], Some("/b")),
            (&["</a>"], Some("/a")),
            (&["</a>; rel=last"], None),
            (&["/a; rel=next"], None),
            (&["</a; rel=next"], None),
        ] {
            assert_eq!(next(headers.iter().copied()), expected, "{headers:?}");
        }
    }

    #[test]
    fn stays_on_the_server() {
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
