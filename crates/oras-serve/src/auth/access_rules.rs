//! Access rules: a TOML file lists the actions that users may perform in repositories.

use std::io;
use std::path::PathBuf;

use globset::{GlobBuilder, GlobMatcher};
use oras_store::{Error, ErrorKind};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::scope::Action;
use crate::ops::config_file::{read, unusable, without_bom};
use crate::ops::reloaded_files::ReloadedFiles;

/// The name in rules for all clients, including clients without credentials.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// The name in rules for every user.
const ANY_USER: &str = "*";

/// A list of rules. An action that no rule allows is denied.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessRules {
    #[serde(default)]
    rule: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    repositories: Vec<Pattern>,
    users: Vec<String>,
    allow: Vec<Action>,
}

/// A pattern for names of repositories: `*` matches one part between slashes, `**` any number of parts.
#[derive(Debug)]
struct Pattern(GlobMatcher);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Without `literal_separator`, the pattern `team/*` would also match `team/a/b`.
        let glob = GlobBuilder::new(&text).literal_separator(true).build();
        glob.map(|glob| Self(glob.compile_matcher())).map_err(D::Error::custom)
    }
}

impl AccessRules {
    /// Parses rules.
    ///
    /// # Errors
    /// `InvalidInput`, with the line, for malformed TOML, an unknown key or word, or a malformed pattern; and for a
    /// file without a rule.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |what: String| Error::new(ErrorKind::InvalidInput, what);
        let text = without_bom(text);
        let rules: Self = toml::from_str(text).map_err(|error| {
            let line = 1 + text[..error.span().map_or(0, |span| span.start)].matches('\n').count();
            invalid(format!("line {line}: {}", error.message()))
        })?;
        // An empty file is more likely a mistake than the intention to deny everything.
        if rules.rule.is_empty() {
            return Err(invalid("no [[rule]], so nobody could do anything".to_owned()));
        }
        Ok(rules)
    }

    /// Reads the rules in a file, now and whenever it changes.
    pub(super) fn file(path: PathBuf) -> io::Result<ReloadedFiles<Self>> {
        ReloadedFiles::new("the rules", [path], |[path]| {
            Self::parse(&read(path)?).map_err(|error| unusable(path, error))
        })
    }

    /// Returns true if a rule allows `user`, or an anonymous client, to perform `action` in `repository`.
    pub(crate) fn allow(&self, user: Option<&str>, repository: &str, action: Action) -> bool {
        self.applying_to(user).any(|rule| {
            rule.allow.contains(&action)
                && rule.repositories.iter().any(|pattern| pattern.0.is_match(repository))
        })
    }

    /// Returns true if `user` may read at least one repository.
    pub(crate) fn allow_reading(&self, user: Option<&str>) -> bool {
        self.applying_to(user).any(|rule| rule.allow.contains(&Action::Pull))
    }

    /// Returns the users that the rules name.
    pub(crate) fn users(&self) -> impl Iterator<Item = &str> {
        let names = self.rule.iter().flat_map(|rule| &rule.users).map(String::as_str);
        names.filter(|name| !matches!(*name, ANONYMOUS | ANY_USER))
    }

    fn applying_to<'a>(&'a self, user: Option<&'a str>) -> impl Iterator<Item = &'a Rule> {
        let matches = move |name: &String| match name.as_str() {
            // Every user may do what an anonymous client may do.
            ANONYMOUS => true,
            ANY_USER => user.is_some(),
            name => user == Some(name),
        };
        self.rule.iter().filter(move |rule| rule.users.iter().any(matches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Delete, Pull, Push};

    const RULES: &str = r#"
[[rule]]
repositories = ["public/**"]
users = ["anonymous"]
allow = ["pull"]

[[rule]]
repositories = ["team/*", "shared"]
users = ["ann", "bob"]
allow = ["pull", "push"]

[[rule]]
repositories = ["**"]
users = ["root"]
allow = ["pull", "push", "delete"]

[[rule]]
repositories = ["lounge"]
users = ["*"]
allow = ["pull"]
"#;

    #[test]
    fn denies_what_no_rule_allows() {
        let rules = AccessRules::parse(RULES).unwrap();
        for (user, repository, action, allowed) in [
            (None, "public/a", Pull, true),
            (None, "public/a/b", Pull, true),
            (Some("ann"), "public/a/b", Pull, true),
            (None, "public", Pull, false),
            (None, "publica", Pull, false),
            (None, "public/a", Push, false),
            (None, "a/public/a", Pull, false),
            (None, "lounge", Pull, false),
            (Some("eve"), "lounge", Pull, true),
            (Some("ann"), "team/app", Push, true),
            (Some("ann"), "team/app", Delete, false),
            (Some("ann"), "team/app/deep", Pull, false),
            (Some("ann"), "team", Pull, false),
            (Some("bob"), "shared", Pull, true),
            (Some("eve"), "shared", Pull, false),
            (None, "team/app", Pull, false),
            (Some("root"), "any/thing/at/all", Delete, true),
            (Some("root"), "one", Delete, true),
            (Some("Root"), "one", Delete, false),
            (Some("*"), "one", Pull, false),
            (Some(""), "one", Pull, false),
        ] {
            assert_eq!(rules.allow(user, repository, action), allowed, "{user:?} {repository} {action:?}");
        }
        assert!(rules.allow_reading(None) && rules.allow_reading(Some("eve")));
        assert_eq!(rules.users().collect::<Vec<_>>(), ["ann", "bob", "root"]);
    }

    #[test]
    fn reports_the_line_of_a_malformed_rule() {
        let rule = |line: &str| {
            format!("{RULES}[[rule]]\nrepositories = [\"a\"]\nusers = [\"*\"]\nallow = [\"push\"]\n{line}\n")
        };
        let line = |offset: usize| format!("line {}: ", RULES.lines().count() + offset);
        let replaced = |old: &str, new: &str| rule("").replace(old, new);
        for (text, said) in [
            (replaced("[\"push\"]", "[\"pul\"]"), line(4).as_str()),
            (replaced("[\"push\"]", "[\"pul\"]"), "`pul`, expected one of `pull`, `push`, `delete`"),
            (replaced("[\"a\"]", "[\"a[\"]"), &line(2)),
            (replaced("[\"a\"]", "\"a\""), &line(2)),
            (replaced("[\"a\"]", "[\"a]"), &line(3)),
            (rule("deny = []"), "deny"),
            (rule("[[rules]]"), "rules"),
            (replaced("users", "user"), "user"),
            ("rule".to_owned(), "line 1"),
            (String::new(), "nobody could do anything"),
        ] {
            let error = AccessRules::parse(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}\n{error}");
            assert!(error.matches("line ").count() <= 1 && error.lines().count() == 1, "{text}\n{error}");
        }
    }
}
