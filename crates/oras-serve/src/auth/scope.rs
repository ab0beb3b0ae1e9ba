//! Scopes of tokens (distribution, "Token Scope Documentation"): `repository:NAME:ACTIONS` and `registry:catalog:*`.

use oras_spec::reference::check_repository;
use serde::{Deserialize, Serialize};

/// An action in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Read blobs, manifests, tags and referrers.
    Pull,
    /// Upload blobs, store manifests, set tags.
    Push,
    /// Delete blobs, manifests and tags.
    Delete,
}

impl Action {
    pub(crate) const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    /// Returns the name of the action in scopes and rules.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

/// What a token is issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// List the repositories.
    Catalog,
    Repository {
        name: String,
        actions: Vec<Action>,
    },
}

/// The maximum number of scopes of one token; further ones are ignored.
pub(crate) const MAX_SCOPES: usize = 32;

impl Scope {
    /// Parses a `scope` parameter, whose scopes are separated by spaces. Unknown and malformed scopes are ignored: a
    /// client that requests too much gets a token for less (distribution, "Requesting a Token").
    pub(crate) fn parse_all(text: &str) -> impl Iterator<Item = Self> {
        text.split(' ').filter_map(Self::parse)
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        match kind {
            "registry" if name == "catalog" && actions == "*" => Some(Self::Catalog),
            "repository" => {
                check_repository(name).ok()?;
                let wanted =
                    |action: &Action| actions.split(',').any(|word| word == action.name() || word == "*");
                let actions = Action::ALL.into_iter().filter(wanted).collect();
                Some(Self::Repository { name: name.to_owned(), actions })
            }
            _ => None,
        }
    }
}

/// Formats the scope of a challenge.
pub(crate) fn repository(name: &str, actions: &[Action]) -> String {
    let actions: Vec<_> = actions.iter().map(|action| action.name()).collect();
    format!("repository:{name}:{}", actions.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Delete, Pull, Push};

    #[test]
    fn ignores_unknown_scopes() {
        let read = |text| Scope::parse_all(text).collect::<Vec<_>>();
        let of = |name: &str, actions: &[Action]| Scope::Repository {
            name: name.to_owned(),
            actions: actions.to_vec(),
        };
        assert_eq!(read("repository:a/b:push,pull,x"), [of("a/b", &[Pull, Push])]);
        assert_eq!(
            read("repository:a:* registry:catalog:*"),
            [of("a", &[Pull, Push, Delete]), Scope::Catalog]
        );
        assert_eq!(read("repository:a:"), [of("a", &[])]);
        for bad in
            ["", "a", "repository:a", "repository:../a:pull", "repository:h:5000/a:pull", "registry:x:*"]
        {
            assert_eq!(read(bad), [], "{bad}");
        }
        assert_eq!(repository("a", &[Pull, Push]), "repository:a:pull,push");
    }
}
