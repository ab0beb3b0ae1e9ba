//! Names that differ only in case, where the file system takes them for one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The names that were given, by what such a file system makes of them.
#[derive(Debug, Default)]
pub(crate) struct Folded(HashMap<String, PathBuf>);

impl Folded {
    /// Claims a name and those of the directories it is in. Returns the earlier name that a file system that folds case would
    /// take for one of them.
    pub(crate) fn clash(&mut self, path: &Path) -> Option<PathBuf> {
        for path in path.ancestors() {
            let folded = path.to_string_lossy().to_lowercase();
            let first = self.0.entry(folded).or_insert_with(|| path.to_owned());
            if first != path {
                return Some(first.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_clash() {
        let mut folded = Folded::default();
        assert_eq!(folded.clash(Path::new("d/Readme")), None);
        assert_eq!(folded.clash(Path::new("d/Readme")), None);
        assert_eq!(folded.clash(Path::new("d/README")), Some("d/Readme".into()));
        assert_eq!(folded.clash(Path::new("É")), None);
        assert_eq!(folded.clash(Path::new("é")), Some("É".into()));
        assert_eq!(folded.clash(Path::new("e/Readme")), None);
        assert_eq!(folded.clash(Path::new("D/other")), Some("d".into()));
    }
}
