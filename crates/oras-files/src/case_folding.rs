//! Paths that differ only in case, which collide on a case-insensitive file system.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The paths that are in use, by their lower-case form.
#[derive(Debug, Default)]
pub(crate) struct CaseFoldedPaths(HashMap<String, PathBuf>);

impl CaseFoldedPaths {
    /// Adds a path and its parent directories. Returns an earlier path that differs from one of them only in case.
    pub(crate) fn add(&mut self, path: &Path) -> Option<PathBuf> {
        // `d/a` and `D/b` collide, too, because their directories do.
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
    fn finds_paths_that_differ_only_in_case() {
        let mut folded = CaseFoldedPaths::default();
        assert_eq!(folded.add(Path::new("d/Readme")), None);
        assert_eq!(folded.add(Path::new("d/Readme")), None);
        assert_eq!(folded.add(Path::new("d/README")), Some("d/Readme".into()));
        assert_eq!(folded.add(Path::new("É")), None);
        assert_eq!(folded.add(Path::new("é")), Some("É".into()));
        assert_eq!(folded.add(Path::new("e/Readme")), None);
        assert_eq!(folded.add(Path::new("D/other")), Some("d".into()));
    }
}
