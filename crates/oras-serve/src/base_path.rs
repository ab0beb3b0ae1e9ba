//! The addresses under which clients reach the registry: the base path and the public URL.

use http::Uri;

/// The first parts of paths that the registry uses itself. A base path that begins with one of them would be ambiguous.
const RESERVED: [&str; 2] = ["v2", "-"];

/// Returns true for the empty base path, and for one such as `/registry` or `/team/registry`.
pub(crate) fn is_valid(base: &str) -> bool {
    let is_part = |part: &str| {
        // Only characters that are never percent-encoded, so that links and requests can be compared as text.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        !matches!(part, "" | "." | "..") && part.chars().all(is_plain)
    };
    let Some(rest) = base.strip_prefix('/') else { return base.is_empty() };
    rest.split('/').all(is_part) && !rest.split('/').next().is_some_and(|first| RESERVED.contains(&first))
}

/// Returns the path of a request without the base path. A path without the base path stays as it is.
pub(crate) fn strip<'a>(base: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(base) {
        Some("") if !base.is_empty() => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// Returns true if a URL can be sent to clients: `http` or `https`, a host, and optionally a path.
pub(crate) fn is_public_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    // Quotes and backslashes would end the quoted `realm`, and commas separate challenges.
    scheme && authority && uri.query().is_none() && !text.contains(['"', '\\', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_path_begins_with_a_slash_and_does_not_end_with_one() {
        for good in ["", "/registry", "/a/b-c_d.e~f", "/v2x", "/a/v2"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in
            ["registry", "/", "/a/", "//a", "/a//b", "/a/../b", "/.", "/a b", "/%61", "/a?b", "/v2", "/-/a"]
        {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn strips_base_path_from_whole_parts_only() {
        for (path, stripped) in [
            ("/registry/v2/", "/v2/"),
            ("/registry", "/"),
            ("/registry/", "/"),
            ("/v2/registry/tags/list", "/v2/registry/tags/list"),
            ("/registryv2/", "/registryv2/"),
        ] {
            assert_eq!(strip("/registry", path), stripped);
            assert_eq!(strip("", path), path);
        }
        assert_eq!(strip("", ""), "");
    }

    #[test]
    fn public_url_has_a_host_and_at_most_a_path() {
        for good in ["https://registry.example", "http://localhost:5000/", "https://a.example/registry"] {
            assert!(is_public_url(good), "{good}");
        }
        for bad in [
            "registry.example",
            "ftp://a",
            "https://",
            "/",
            "https://a?b",
            "https://u:p@a",
            "https://a\"",
            "",
        ] {
            assert!(!is_public_url(bad), "{bad}");
        }
    }
}
