//! `--include`, `--exclude` and `--media-type` of `pull`: which files are wanted.

use clap::{Arg, ArgMatches};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use oras::Selector;

use crate::args::flags::{self, EXTENSIONS, Matches};
use crate::error::Failure;

/// The flags.
pub(crate) fn flags() -> [Arg; 3] {
    [
        flags::list("include", "GLOB", "Only files whose name matches, such as 'docs/**' or '*.json'"),
        flags::list("exclude", "GLOB", "No files whose name matches"),
        flags::list("media-type", "TYPE", "Only files of this media type"),
    ]
    .map(|flag| flag.help_heading(EXTENSIONS))
}

/// Reads the flags; without any, everything is wanted.
pub(crate) fn read(matches: &ArgMatches) -> Result<Selector, Failure> {
    let include = globs(&matches.list("include"))?;
    let exclude = globs(&matches.list("exclude"))?;
    let media_types = matches.list("media-type");
    Ok(Selector::new(move |layer| {
        let title = layer.title().unwrap_or_default();
        (include.is_empty() || include.is_match(title))
            && !exclude.is_match(title)
            && (media_types.is_empty()
                || media_types.iter().any(|wanted| wanted == layer.media_type.as_str()))
    }))
}

/// Globs as git and shells read them: `*` stays within a directory, `**` does not.
fn globs(texts: &[String]) -> Result<GlobSet, Failure> {
    let failed = |error: globset::Error| Failure::new(format!("invalid glob: {error}"));
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(GlobBuilder::new(text).literal_separator(true).build().map_err(failed)?);
    }
    set.build().map_err(failed)
}

#[cfg(test)]
mod tests {
    use oras::spec::{Descriptor, MediaType, annotation};

    use super::*;

    #[test]
    fn names_and_types_are_matched() {
        let wants = |words: &[&str], title: &str| {
            let command = clap::Command::new("pull").args(flags());
            let matches = command.get_matches_from(["pull"].iter().chain(words));
            let mut layer = Descriptor::of(MediaType::LAYER_TAR, b"");
            layer.annotations.insert(annotation::TITLE.to_owned(), title.to_owned());
            read(&matches).unwrap().wants(&layer)
        };
        for (words, title, wanted) in [
            (&[][..], "a", true),
            (&["--include", "*.txt"], "a.txt", true),
            (&["--include", "*.txt"], "d/a.txt", false),
            (&["--include", "**/*.txt"], "d/a.txt", true),
            (&["--include", "*.txt", "--include", "b"], "b", true),
            (&["--exclude", "*.txt"], "a.txt", false),
            (&["--include", "*", "--exclude", "a"], "a", false),
            (&["--media-type", "text/plain"], "a", false),
            (&["--media-type", "application/vnd.oci.image.layer.v1.tar"], "a", true),
        ] {
            assert_eq!(wants(words, title), wanted, "{words:?} {title}");
        }
    }
}
