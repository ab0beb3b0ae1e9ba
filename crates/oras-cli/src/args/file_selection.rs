//! `--include`, `--exclude` and `--media-type` of `pull`, which select the files to pull.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use oras::Selector;

use super::flags::{self, list};
use crate::failure::Failure;

flags::flags! {
    /// The flags that select the files to pull.
    struct FileSelectionArgs {
        include: Vec<String> = list("GLOB", "Only files whose name matches, such as 'docs/**' or '*.json'"),
        exclude: Vec<String> = list("GLOB", "No files whose name matches"),
        media_type: Vec<String> = list("TYPE", "Only files of this media type"),
    }
}

/// Returns the selector that the flags describe. Without flags, it selects every file.
pub(crate) fn selector(args: &FileSelectionArgs) -> Result<Selector, Failure> {
    let include = globs(&args.include)?;
    let exclude = globs(&args.exclude)?;
    let media_types = args.media_type.clone();
    Ok(Selector::new(move |layer| {
        // A layer without a title has the empty name, which only globs such as `*` match.
        let title = layer.title().unwrap_or_default();
        (include.is_empty() || include.is_match(title))
            && !exclude.is_match(title)
            && (media_types.is_empty()
                || media_types.iter().any(|wanted| wanted == layer.media_type.as_str()))
    }))
}

/// Compiles globs as git and shells read them: `*` stays within a directory, `**` does not.
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
    fn selects_files_by_name_and_media_type() {
        let wants = |words: &[&str], title: &str| {
            let command = clap::Command::new("pull").args(FileSelectionArgs::flags(""));
            let matches = command.get_matches_from(["pull"].iter().chain(words));
            let mut layer = Descriptor::of(MediaType::LAYER_TAR, b"");
            layer.annotations.insert(annotation::TITLE.to_owned(), title.to_owned());
            selector(&FileSelectionArgs::read(&matches, "")).unwrap().wants(&layer)
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
