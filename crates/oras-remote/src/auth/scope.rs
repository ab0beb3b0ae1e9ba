//! The scopes of an access token.
//!
//! A scope is `type:name:action,action` (distribution's token specification); any other text is kept unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A set of scopes with one entry for each `type:name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scopes {
    resources: BTreeMap<String, BTreeSet<String>>,
    opaque: BTreeSet<String>,
}

impl Scopes {
    /// Parses scopes that are separated by spaces.
    pub(crate) fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        text.split_whitespace().for_each(|scope| scopes.add(scope));
        scopes
    }

    /// Returns the scope of `actions` ("pull", "push", "delete") on the repository `name`.
    pub(crate) fn repository(name: &str, actions: &[&str]) -> Self {
        let mut scopes = Self::default();
        scopes.allow(format!("repository:{name}"), actions.iter().copied());
        scopes
    }

    /// Returns the scope of listing the repositories of a registry.
    pub(crate) fn catalog() -> Self {
        let mut scopes = Self::default();
        scopes.allow("registry:catalog".to_owned(), ["*"].into_iter());
        scopes
    }

    /// Adds all scopes of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (resource, actions) in &other.resources {
            self.allow(resource.clone(), actions.iter().map(String::as_str));
        }
        self.opaque.extend(other.opaque.iter().cloned());
    }

    /// Returns true if a token for these scopes allows all that `other` does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.opaque.is_subset(&self.opaque)
            && other.resources.iter().all(|(resource, wanted)| {
                self.resources
                    .get(resource)
                    .is_some_and(|allowed| allowed.contains("*") || wanted.is_subset(allowed))
            })
    }

    /// Returns true if there are no scopes.
    pub(crate) fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.opaque.is_empty()
    }

    /// Returns every scope in its text form, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = String> {
        let resources = self.resources.iter().map(|(resource, actions)| {
            let actions: Vec<_> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        });
        // Sorting gives equal sets of scopes the same text in requests.
        let sorted: BTreeSet<String> = resources.chain(self.opaque.iter().cloned()).collect();
        sorted.into_iter()
    }

    /// Adds one scope. Its name may contain colons, as in a host with a port, so only the last colon separates the
    /// actions.
    fn add(&mut self, scope: &str) {
        match scope.rsplit_once(':') {
            Some((resource, actions)) if resource.contains(':') => {
                self.allow(resource.to_owned(), actions.split(','));
            }
            _ => {
                self.opaque.insert(scope.to_owned());
            }
        }
    }

    fn allow<'a>(&mut self, resource: String, actions: impl Iterator<Item = &'a str>) {
        let mut actions = actions.filter(|action| !action.is_empty()).peekable();
        // A resource without actions would allow nothing and would only lengthen the request.
        if actions.peek().is_none() {
            return;
        }
        let allowed = self.resources.entry(resource).or_default();
        allowed.extend(actions.map(str::to_owned));
        // `*` already contains all other actions.
        if allowed.contains("*") {
            allowed.retain(|action| action == "*");
        }
    }
}

impl fmt::Display for Scopes {
    /// Formats the scopes separated by spaces, as OAuth2 requests do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_formats_scopes() {
        for (text, expected) in [
            ("", ""),
            ("repository:a/b:push,pull", "repository:a/b:pull,push"),
            (
                "  repository:b:pull  repository:a:pull repository:b:push,,pull ",
                "repository:a:pull repository:b:pull,push",
            ),
            ("repository:a:pull,*,push repository:a:delete", "repository:a:*"),
            ("repository:host:5000/a:pull", "repository:host:5000/a:pull"),
            ("aws x:y aws", "aws x:y"),
            ("repository:a: repository:a:,", ""),
            ("repository:a:pull repository:a-b:pull", "repository:a-b:pull repository:a:pull"),
        ] {
            assert_eq!(Scopes::parse(text).to_string(), expected, "{text:?}");
        }
        assert_eq!(Scopes::repository("a/b", &["push", "pull"]), Scopes::parse("repository:a/b:pull,push"));
        assert_eq!(Scopes::catalog().to_string(), "registry:catalog:*");
        assert!(Scopes::default().is_empty() && !Scopes::catalog().is_empty());
    }

    #[test]
    fn merges_and_compares_scopes() {
        let pull = Scopes::repository("a", &["pull"]);
        let both = Scopes::repository("a", &["pull", "push"]);
        let all = Scopes::parse("repository:a:*");
        let opaque = Scopes::parse("x");
        assert!(both.covers(&pull) && all.covers(&both) && pull.covers(&Scopes::default()));
        assert!(!pull.covers(&both) && !both.covers(&all) && !all.covers(&opaque));
        assert!(!both.covers(&Scopes::repository("b", &["pull"])));
        let mut merged = pull.clone();
        merged.merge(&opaque);
        merged.merge(&Scopes::repository("b", &["pull"]));
        merged.merge(&all);
        assert_eq!(merged.to_string(), "repository:a:* repository:b:pull x");
        assert!(merged.covers(&both) && merged.covers(&opaque));
    }
}
