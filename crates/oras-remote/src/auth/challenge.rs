//! The `WWW-Authenticate` header (RFC 9110, section 11.6.1). The reader is written by hand because it is lenient on
//! purpose: registries send headers that break the grammar, and one bad challenge must not hide a good one.

/// A way to authenticate that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user name and a password with each request.
    Basic {
        /// A description for people.
        realm: String,
    },
    /// A token from the server at `realm`.
    Bearer {
        /// The address of the token server.
        realm: String,
        /// The name by which the token server knows the registry.
        service: Option<String>,
        /// The scopes that the token needs.
        scope: Option<String>,
    },
}

/// Returns the challenges of all `headers` in order. Skips unknown schemes, and Bearer challenges without an address.
pub(crate) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Vec<Challenge> {
    headers.flat_map(|header| Parser { rest: header }.challenges()).filter_map(Raw::known).collect()
}

/// A challenge of any scheme.
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Raw {
    fn known(mut self) -> Option<Challenge> {
        match self.scheme.as_str() {
            "basic" => Some(Challenge::Basic { realm: self.take("realm").unwrap_or_default() }),
            // Without a realm there is no server to fetch a token from, so the challenge is skipped.
            "bearer" => Some(Challenge::Bearer {
                realm: self.take("realm").filter(|realm| !realm.is_empty())?,
                service: self.take("service"),
                scope: self.take("scope"),
            }),
            _ => None,
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.parameters.iter().position(|(key, _)| key == name)?;
        Some(self.parameters.remove(index).1)
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn challenges(mut self) -> Vec<Raw> {
        let mut challenges: Vec<Raw> = Vec::new();
        // An unquoted scope may be split at the comma between its actions.
        let mut open_scope = false;
        loop {
            // Only a comma without a space continues a scope. A space usually begins the next challenge or parameter.
            let directly = self.rest.strip_prefix(',').is_some_and(|rest| rest.starts_with(is_word));
            self.skip(|c| c == ',' || c.is_whitespace());
            if self.rest.is_empty() {
                return challenges;
            }
            let word = self.word();
            self.skip(char::is_whitespace);
            match challenges.last_mut() {
                Some(last) if self.rest.starts_with('=') => {
                    self.rest = &self.rest[1..];
                    self.skip(char::is_whitespace);
                    let (value, quoted) = self.value();
                    let name = word.to_ascii_lowercase();
                    open_scope = name == "scope" && !quoted;
                    last.parameters.push((name, value));
                    continue;
                }
                Some(last) if open_scope && directly && self.ended() && is_action(word) => {
                    if let Some((_, value)) = last.parameters.last_mut() {
                        *value = format!("{value},{word}");
                    }
                    continue;
                }
                _ => {}
            }
            open_scope = false;
            if word.is_empty() {
                // Skips a character that belongs to no scheme.
                let mut characters = self.rest.chars();
                characters.next();
                self.rest = characters.as_str();
                continue;
            }
            challenges.push(Raw { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            self.skip_token68();
        }
    }

    /// Skips the single value that some schemes have instead of parameters, as in `Negotiate YWJj==`.
    fn skip_token68(&mut self) {
        // The text may also be the first parameter. The position is restored if the text is not a single value.
        let before = self.rest;
        self.skip(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        let equals = self.rest.len();
        self.skip(|c| c == '=');
        let equals = equals - self.rest.len();
        self.skip(char::is_whitespace);
        // `name=` is a parameter; any other `=` here is padding.
        let name =
            before.starts_with("realm") || before.starts_with("service") || before.starts_with("scope");
        if !self.ended() || (equals == 1 && name) {
            self.rest = before;
        }
    }

    fn ended(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(',')
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(unwanted);
    }

    fn word(&mut self) -> &'a str {
        self.take_until(|c| !is_word(c))
    }

    fn take_until(&mut self, is_end: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Reads a value and whether it was quoted. Without a closing quote, the value ends with the header.
    fn value(&mut self) -> (String, bool) {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            return (self.take_until(|c| c == ',' || c.is_whitespace()).to_owned(), false);
        };
        let mut value = String::new();
        let mut characters = quoted.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                // A backslash quotes the next character (RFC 9110, section 5.6.4).
                '\\' => value.extend(characters.next()),
                other => value.push(other),
            }
        }
        self.rest = characters.as_str();
        (value, true)
    }
}

fn is_word(c: char) -> bool {
    c != ',' && c != '=' && c != '"' && !c.is_whitespace()
}

fn is_action(word: &str) -> bool {
    // Actions are words such as `pull` or `*`. The scheme names `basic` and `bearer` have the same form, so they are
    // excluded.
    word.chars().all(|c| c.is_ascii_lowercase() || c == '*') && word != "basic" && word != "bearer"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(realm: &str) -> Challenge {
        Challenge::Basic { realm: realm.into() }
    }

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Challenge::Bearer { realm: realm.into(), service: some(service), scope: some(scope) }
    }

    #[test]
    fn parses_one_header() {
        let full = bearer("https://a/t", "s", "repository:a/b:pull,push");
        for (header, expected) in [
            ("", vec![]),
            (",, ,", vec![]),
            ("Basic realm=\"x y\"", vec![basic("x y")]),
            ("basic", vec![basic("")]),
            ("BASIC REALM=x", vec![basic("x")]),
            ("Basic realm=\"a \\\"b\\\" c\"", vec![basic("a \"b\" c")]),
            ("Basic realm=\"never closed, x", vec![basic("never closed, x")]),
            (
                "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a/b:pull,push\"",
                vec![full.clone()],
            ),
            (
                " Bearer  realm = \"https://a/t\" , , service= s ,scope =\"repository:a/b:pull,push\",",
                vec![full.clone()],
            ),
            ("Bearer realm=https://a/t,scope=repository:a/b:pull,push,service=s", vec![full.clone()]),
            ("Bearer realm=https://a/t service=s scope=repository:a/b:pull,push", vec![full.clone()]),
            (
                "Bearer realm=https://a/t?x=y==,scope=z,basic",
                vec![bearer("https://a/t?x=y==", "", "z"), basic("")],
            ),
            ("Bearer", vec![]),
            ("Bearer realm=", vec![]),
            ("Bearer realm=\"\"", vec![]),
            ("Bearer abc", vec![]),
            ("Bearer error=\"x\", realm=\"r\"", vec![bearer("r", "", "")]),
            ("realm=\"x\", Basic realm=y", vec![basic("y")]),
            ("Basic realm=first, realm=second", vec![basic("first")]),
        ] {
            assert_eq!(parse([header].into_iter()), expected, "{header}");
        }
    }

    #[test]
    fn parses_several_challenges() {
        let both = vec![bearer("https://a/t", "s", ""), basic("b")];
        for headers in [
            vec!["Bearer realm=\"https://a/t\",service=\"s\", Basic realm=\"b\""],
            vec!["Bearer realm=\"https://a/t\",service=\"s\"", "Basic realm=\"b\""],
            vec!["Negotiate", "Bearer realm=\"https://a/t\",service=\"s\" Basic realm=\"b\""],
            vec!["Negotiate YWJj==, Bearer realm=\"https://a/t\",service=\"s\",NTLM abc=, Basic realm=\"b\""],
            vec![
                "Digest realm=\"d, Basic realm=no\", nonce=\"n\", Bearer realm=\"https://a/t\",service=\"s\"",
                "Basic realm=b",
            ],
        ] {
            assert_eq!(parse(headers.iter().copied()), both, "{headers:?}");
        }
    }

    #[test]
    fn terminates_on_malformed_headers() {
        for header in ["=", "\"", "\"\"\"", "= = =", "Basic =", "é=\u{a0}é", "a=b=c=,\\", "Basic \"x\" y"] {
            drop(parse([header].into_iter()));
        }
    }
}
