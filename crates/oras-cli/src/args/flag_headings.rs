//! The sections of flags on help pages, in the order in which people need them.

use clap::Arg;

/// A section of a page.
struct Section {
    heading: &'static str,
    /// The flags that `-h` and `--help` show, in their order on the page.
    common: &'static [&'static str],
    /// The flags that only `--help` shows.
    rare: &'static [&'static str],
}

/// A flag that is in no section is special to its command, and comes first.
const SECTIONS: [Section; 5] = [
    Section {
        heading: "Content",
        common: &[
            "artifact-type",
            "annotation",
            "config",
            "media-type",
            "platform",
            "include",
            "exclude",
            "recursive",
            "include-referrers",
            "exclude-referrers",
            "include-subject",
            "require-referrer",
            "compression",
            "force",
        ],
        rare: &[
            "annotation-file",
            "artifact-platform",
            "image-spec",
            "compression-level",
            "files-from",
            "stdin-file",
            "disable-path-validation",
            "allow-path-traversal",
            "preserve-permissions",
            "max-unpack-size",
            "max-unpack-ratio",
            "max-unpack-entries",
        ],
    },
    Section {
        heading: "Output",
        common: &[
            "output",
            "keep-old-files",
            "descriptor",
            "pretty",
            "format",
            "template",
            "jq",
            "progress",
            "quiet",
            "dry-run",
            "debug",
            "help",
        ],
        rare: &["full-reference", "export-manifest", "no-tty", "verbose"],
    },
    Section { heading: "OCI layout", common: &["oci-layout"], rare: &["oci-layout-path"] },
    Section {
        heading: "Transfer",
        common: &["concurrency", "limit-rate"],
        rare: &["connections", "connect-timeout", "idle-timeout", "max-manifest-size"],
    },
    Section {
        heading: "Registry",
        common: &["username", "password", "password-stdin", "plain-http", "insecure", "ca-file"],
        rare: &[
            "identity-token",
            "identity-token-stdin",
            "registry-config",
            "cert-file",
            "key-file",
            "header",
            "resolve",
            "allow-host",
            "http-version",
            "no-registries-conf",
            "distribution-spec",
        ],
    },
];

/// The sides of a copy, and the upstream of a proxy, which have all flags of a layout, a transfer and a registry.
const SIDES: [(&str, &str); 3] =
    [("from-", "Source"), ("to-", "Destination"), ("proxy-", "Upstream of a proxy")];

/// The place of a flag on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The heading; `None` for flags that are special to their command.
    pub(super) heading: Option<&'static str>,
    /// The position on the page.
    pub(super) rank: (usize, usize, usize),
    /// True if only `--help` shows the flag.
    pub(super) is_rare: bool,
}

/// Returns the place of the flag with this name.
pub(super) fn place(name: &str) -> Place {
    for (index, (prefix, heading)) in SIDES.iter().enumerate() {
        if let Some(inner) = name.strip_prefix(prefix) {
            let inner = place(inner);
            let rank = (SECTIONS.len() + 1 + index, inner.rank.0, inner.rank.1);
            return Place { heading: Some(heading), rank, is_rare: inner.is_rare };
        }
    }
    for (index, section) in SECTIONS.iter().enumerate() {
        let at = |names: &[&str]| names.iter().position(|candidate| *candidate == name);
        let position = at(section.common).or_else(|| Some(section.common.len() + at(section.rare)?));
        if let Some(position) = position {
            let is_rare = position >= section.common.len();
            return Place { heading: Some(section.heading), rank: (index + 1, position, 0), is_rare };
        }
    }
    Place { heading: None, rank: (0, 0, 0), is_rare: false }
}

/// Sorts flags by their place.
pub(super) fn sort(flags: &mut [Arg]) {
    flags.sort_by_key(|flag| flag.get_long().map(|name| place(name).rank));
}

/// Returns the names in all sections.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().flat_map(|section| section.common.iter().chain(section.rare).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_flags() {
        assert_eq!(place("last").heading, None);
        assert_eq!(place("quiet").heading, Some("Output"));
        assert!(place("resolve").is_rare && !place("username").is_rare);
        assert_eq!(place("to-oci-layout").heading, Some("Destination"));
        assert!(place("from-username").rank < place("to-oci-layout").rank);
        assert!(place("artifact-type").rank < place("format").rank);
    }
}
