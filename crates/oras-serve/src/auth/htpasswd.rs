//! A user, and the htpasswd file that lists users.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use oras_spec::Digest;
use oras_store::{Error, ErrorKind};

use crate::ops::config_file::without_bom;

/// bcrypt uses only this many bytes of a password. Longer ones are rejected: they would match every password with the
/// same beginning.
pub(super) const MAX_PASSWORD: usize = 72;

/// A name and the hash of a password. [`ServerOptions::users`](crate::ServerOptions::users) gives users access.
///
/// ```
/// use oras_serve::{ServerOptions, User};
///
/// # fn main() -> oras_serve::store::Result<()> {
/// // The second user is a line of an htpasswd file.
/// let mut users = vec![User::new("ann", "s3cret")];
/// users.extend(User::htpasswd("bob:$2y$05$wKzVVbHgkNjBrmD7jhMQrOMmdr29EWv2NTDG/yTGS8LHEnAkIu6qO\n")?);
/// let options = ServerOptions::default().users(users);
/// assert_eq!(options.users.len(), 2);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct User {
    pub(super) name: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    /// SHA-256 of `name:password`, for a password that the program itself knows.
    Sha256(String),
    /// A hash from an htpasswd file, and its cost.
    Bcrypt { hash: String, cost: u32 },
}

impl User {
    /// Creates the user `name`, which has no colon (RFC 7617), with `password`.
    pub fn new(name: impl Into<String>, password: &str) -> Self {
        let name = name.into();
        let secret = Secret::Sha256(hash(&format!("{name}:{password}")));
        Self { name, secret }
    }

    /// Parses an htpasswd file: one `name:hash` per line. Empty lines and lines that begin with `#` are ignored.
    ///
    /// # Errors
    /// `InvalidInput`, with the number of the line, for a line without a name, for a duplicate user, and for a hash
    /// that is not bcrypt (`htpasswd -B`).
    pub fn htpasswd(text: &str) -> Result<Vec<Self>, Error> {
        let lines = without_bom(text).lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let (mut users, mut seen) = (Vec::new(), HashMap::new());
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let invalid = |what| Error::new(ErrorKind::InvalidInput, format!("line {number}: {what}"));
            let (name, hash) = line.split_once(':').ok_or_else(|| invalid("no name and hash".to_owned()))?;
            if name.is_empty() {
                return Err(invalid("no user name before the colon".to_owned()));
            }
            let parts = bcrypt::HashParts::from_str(hash).map_err(|_| {
                let kind = hash_kind(hash);
                invalid(format!("the password of {name:?} is {kind}; only bcrypt is supported (htpasswd -B)"))
            })?;
            if let Some(first) = seen.insert(name, number) {
                return Err(invalid(format!("the user {name:?} is already on line {first}")));
            }
            let secret = Secret::Bcrypt { hash: hash.to_owned(), cost: parts.get_cost() };
            users.push(Self { name: name.to_owned(), secret });
        }
        Ok(users)
    }

    /// Returns true if `credentials` are `name:password` of this user. Slow for bcrypt hashes.
    pub(super) fn verify(&self, credentials: &str) -> bool {
        match &self.secret {
            Secret::Sha256(secret) => {
                verify_slices_are_equal(hash(credentials).as_bytes(), secret.as_bytes()).is_ok()
            }
            Secret::Bcrypt { hash, .. } => {
                let (name, password) = credentials.split_once(':').unwrap_or_default();
                let is_complete = password.len() <= MAX_PASSWORD;
                // `&` and not `&&`, so that the time does not depend on which check failed.
                bcrypt::verify(password, hash).unwrap_or(false) & (name == self.name) & is_complete
            }
        }
    }

    /// Returns the bcrypt cost, if the secret is a bcrypt hash.
    pub(super) fn cost(&self) -> Option<u32> {
        match &self.secret {
            Secret::Sha256(_) => None,
            Secret::Bcrypt { cost, .. } => Some(*cost),
        }
    }
}

/// Describes a password in an htpasswd file that is not a bcrypt hash.
fn hash_kind(hash: &str) -> &'static str {
    const KINDS: [(&str, &str); 8] = [
        ("$apr1$", "an Apache MD5 hash"),
        ("{SHA}", "a SHA-1 hash"),
        ("{SSHA}", "a salted SHA-1 hash"),
        ("$1$", "an MD5 hash"),
        ("$5$", "a SHA-256 crypt hash"),
        ("$6$", "a SHA-512 crypt hash"),
        ("$argon2", "an Argon2 hash"),
        ("$2", "a malformed bcrypt hash"),
    ];
    let known = KINDS.iter().find(|(prefix, _)| hash.starts_with(prefix));
    known.map_or("not a bcrypt hash", |(_, kind)| kind)
}

/// Returns the SHA-256 of `name:password`.
pub(super) fn hash(credentials: &str) -> String {
    Digest::sha256(credentials.as_bytes()).encoded()
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a file with `ann` (password `a:b`) and `bob` (empty password), hashed at the lowest cost.
    fn file() -> String {
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        format!("# people\n\nann:{}\nbob:{}\n", hash("a:b"), hash("").replacen("$2b$", "$2y$", 1))
    }

    #[test]
    fn reports_malformed_lines_with_their_number() {
        let plain = file();
        let names = |text: &str| {
            let users = User::htpasswd(text).unwrap();
            users.into_iter().map(|user| user.name).collect::<Vec<_>>()
        };
        for text in [
            plain.clone(),
            format!("\u{feff}{}", plain.replace("# people\n\n", "")),
            plain.replace('\n', "\r\n"),
            plain.replace('\n', " \t\n"),
            plain.trim_end().to_owned(),
        ] {
            assert_eq!(names(&text), ["ann", "bob"], "{text:?}");
        }
        assert!(names("").is_empty() && names("\u{feff}").is_empty() && names("# nobody\r\n\r\n").is_empty());
        for (bad, why) in [
            ("ann", "no name and hash"),
            ("eve:", "not a bcrypt hash"),
            (":x", "no user name"),
            ("eve:secret", "not a bcrypt hash"),
            ("eve:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "SHA-1"),
            ("eve:$apr1$a$b", "Apache MD5"),
            ("eve:$6$a$b", "SHA-512"),
            ("eve:$2y$05$short", "malformed bcrypt"),
            (plain.lines().nth(2).unwrap(), "\"ann\" is already on line 3"),
        ] {
            let error = User::htpasswd(&format!("{plain}{bad}")).unwrap_err().to_string();
            assert!(error.starts_with("line 5: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_secrets() {
        let user = User::new("ann", "s3cret");
        let shown = format!("{user:?}");
        assert!(shown.contains("ann") && !shown.contains("s3cret") && !shown.contains(&hash("ann:s3cret")));
    }
}
