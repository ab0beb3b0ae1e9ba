//! The names of restored repositories.

use oras_spec::reference::check_repository;
use oras_store::{Error, ErrorKind, Result};

/// How the full name of a bundled repository becomes a name at the receiver. The default removes the registry:
/// `ghcr.io/me/web` becomes `me/web`.
///
/// ```
/// use oras::bundle::NameMapping;
///
/// # fn main() -> oras::store::Result<()> {
/// let mapping = NameMapping::default().prefix("mirror").replace([("ghcr.io/me", "team")]);
/// assert_eq!(mapping.map("ghcr.io/me/web")?, "mirror/team/web");
/// assert_eq!(mapping.map("quay.io/other/tool")?, "mirror/other/tool");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameMapping {
    /// Stands before every name.
    pub prefix: String,
    /// Pairs of the start of a full name and its replacement. The first that matches whole parts of the name is used,
    /// and the registry is then not removed.
    pub replace: Vec<(String, String)>,
}

impl NameMapping {
    oras_store::setters! {
        prefix: impl Into<String> => prefix.into();
        replace: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>
            => replace.into_iter().map(|(from, to)| (from.into(), to.into())).collect();
    }

    /// Returns the name at the receiver.
    ///
    /// # Errors
    /// `InvalidInput` if the result is not the name of a repository.
    pub fn map(&self, source: &str) -> Result<String> {
        let replaced = self.replace.iter().find_map(|(from, to)| {
            let rest = source.strip_prefix(from.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", to.trim_end_matches('/')))
        });
        let name = replaced.unwrap_or_else(|| match source.split_once('/') {
            Some((_, repository)) => repository.to_owned(),
            None => source.to_owned(),
        });
        let parts = [self.prefix.trim_matches('/'), name.trim_matches('/')];
        let name = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        match check_repository(&name) {
            Ok(_) => Ok(name),
            Err(error) => {
                let message = format!("{source} would be restored as {name:?}: {error}");
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_whole_parts() {
        let mapping =
            NameMapping::default().replace([("ghcr.io/me", "x"), ("ghcr.io/me/web", "y"), ("a.io/b", "")]);
        let map = |name| mapping.map(name).unwrap();
        assert_eq!(map("ghcr.io/me"), "x");
        assert_eq!(map("ghcr.io/me/web"), "x/web");
        assert_eq!(map("ghcr.io/men/web"), "men/web");
        assert_eq!(map("a.io/b/c"), "c");
        assert_eq!(mapping.map("a.io/b").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(NameMapping::default().prefix("UPPER").map("a.io/b").is_err());
    }
}
