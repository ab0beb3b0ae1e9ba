//! Users and their passwords.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oras_spec::Digest;
use oras_store::fsio::blocking;
use oras_store::{Error, Kind};
use tokio::sync::Semaphore;

use crate::reread::{Reread, read, unusable};

/// A name and a password, of which only a hash is kept.
#[derive(Clone)]
pub struct User {
    name: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    /// SHA-256 of `name:password`, of one that was given in the clear.
    Given(String),
    /// A hash of an htpasswd file.
    Bcrypt(String),
}

impl User {
    /// The user `name`, which has no colon (RFC 7617), with `password`.
    pub fn new(name: impl Into<String>, password: &str) -> Self {
        let name = name.into();
        let secret = Secret::Given(hash(&format!("{name}:{password}")));
        Self { name, secret }
    }

    /// The users of an htpasswd file, one `name:hash` a line; empty lines and those that begin with `#` are none.
    ///
    /// # Errors
    /// `InvalidInput`, with the number of the line, for one without a name and for a hash that is not bcrypt's: `htpasswd -B`
    /// makes them.
    pub fn htpasswd(text: &str) -> Result<Vec<Self>, Error> {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|(number, line)| {
                let invalid = |what| Error::new(Kind::InvalidInput, format!("line {number}: {what}"));
                let (name, hash) = line.split_once(':').ok_or_else(|| invalid("no name and hash"))?;
                let known = bcrypt::HashParts::from_str(hash).is_ok();
                match known && !name.is_empty() {
                    true => Ok(Self { name: name.to_owned(), secret: Secret::Bcrypt(hash.to_owned()) }),
                    false => Err(invalid("not a name and a hash of bcrypt (htpasswd -B)")),
                }
            })
            .collect()
    }

    /// Whether `credentials` are `name:password` of this user. May take as long as bcrypt is meant to.
    fn is(&self, credentials: &str) -> bool {
        match &self.secret {
            // Hashes are of one length, and what differs in them tells nothing of what differs in the passwords.
            Secret::Given(secret) => {
                let given = hash(credentials);
                let differing = given.bytes().zip(secret.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
                std::hint::black_box(differing) == 0
            }
            Secret::Bcrypt(secret) => {
                let (name, password) = credentials.split_once(':').unwrap_or_default();
                bcrypt::verify(password, secret).unwrap_or(false) & (name == self.name)
            }
        }
    }
}

fn hash(credentials: &str) -> String {
    Digest::sha256(credentials.as_bytes()).encoded()
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Passwords that are hashed at the same time: more would only take the processor from those who are known.
const AT_ONCE: usize = 2;
/// Credentials that were right are taken for so long without hashing them again.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// So many of them at most.
const MAX_REMEMBERED: usize = 1024;

/// Tells who may come in.
pub(crate) struct Users {
    known: Known,
    at_once: Semaphore,
}

enum Known {
    Given(Arc<List>),
    File(Reread<List>),
}

/// Users as they are until their file changes.
struct List {
    users: Vec<User>,
    /// Hashes of credentials that were right, and when that was found.
    right: Mutex<HashMap<String, Instant>>,
}

impl Users {
    pub(crate) fn new(users: Vec<User>) -> Self {
        Self::of(Known::Given(Arc::new(List::new(users))))
    }

    /// The users of an htpasswd file, now and whenever it changes. One without any would let everybody in, and is an error.
    pub(crate) fn file(path: PathBuf) -> io::Result<Self> {
        let file = Reread::new("the users", vec![path], |files| {
            let [path] = files else { return Err(io::ErrorKind::InvalidInput.into()) };
            let users = User::htpasswd(&read(path)?).map_err(|error| unusable(path, error))?;
            if users.is_empty() { Err(unusable(path, "no users")) } else { Ok(List::new(users)) }
        });
        Ok(Self::of(Known::File(file?)))
    }

    fn of(known: Known) -> Self {
        Self { known, at_once: Semaphore::new(AT_ONCE) }
    }

    fn current(&self) -> Arc<List> {
        match &self.known {
            Known::Given(list) => Arc::clone(list),
            Known::File(file) => file.current(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.known {
            Known::Given(list) => list.users.is_empty(),
            Known::File(_) => false,
        }
    }

    /// Whether there is a user of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.current().users.iter().any(|user| user.name == name)
    }

    /// Whether `credentials` were right a short while ago.
    pub(crate) fn remember(&self, credentials: &str) -> bool {
        let list = self.current();
        let right = list.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(&hash(credentials)).is_some_and(fresh)
    }

    /// Whether `credentials` are `name:password` of a user. A wrong name takes as long as a wrong password.
    pub(crate) async fn know(&self, credentials: String) -> bool {
        let hashed = hash(&credentials);
        let Ok(_turn) = self.at_once.acquire().await else { return false };
        let list = self.current();
        let asked = Arc::clone(&list);
        let known = blocking(move || Ok(known(&asked.users, &credentials))).await.unwrap_or(false);
        if known {
            let mut right = list.right.lock().unwrap_or_else(PoisonError::into_inner);
            right.retain(|_, since| fresh(since));
            if right.len() < MAX_REMEMBERED {
                right.insert(hashed, Instant::now());
            }
        }
        known
    }
}

impl List {
    fn new(users: Vec<User>) -> Self {
        Self { users, right: Mutex::default() }
    }
}

fn fresh(since: &Instant) -> bool {
    since.elapsed() < REMEMBERED
}

/// Asks every user who is cheap to ask, and one who is not: the one of that name, or any other in their place.
fn known(users: &[User], credentials: &str) -> bool {
    let name = credentials.split(':').next().unwrap_or_default();
    let (given, hashed): (Vec<_>, Vec<_>) =
        users.iter().partition(|user| matches!(user.secret, Secret::Given(_)));
    let one = hashed.iter().find(|user| user.name == name).or(hashed.first());
    given.into_iter().chain(one.copied()).fold(false, |known, user| user.is(credentials) | known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ann` with `a:b`, and `bob` with an empty password, of the lowest cost.
    fn file() -> String {
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        format!("# people\n\nann:{}\nbob:{}\n", hash("a:b"), hash("").replacen("$2b$", "$2y$", 1))
    }

    #[tokio::test]
    async fn only_users_come_in() {
        for users in [User::htpasswd(&file()).unwrap(), vec![User::new("ann", "a:b"), User::new("bob", "")]] {
            let users = Users::new(users);
            for _ in 0..2 {
                assert!(users.know("ann:a:b".into()).await && users.know("bob:".into()).await);
                assert!(users.remember("ann:a:b") && users.has("bob"));
                for bad in ["ann:a", "ann:", "ann", "", ":", "bob:a:b", "eve:a:b", "ANN:a:b"] {
                    assert!(!users.know(bad.into()).await && !users.remember(bad), "{bad:?}");
                }
            }
        }
        assert!(!Users::new(Vec::new()).know(String::new()).await);
    }

    #[test]
    fn other_hashes_are_refused_with_their_line() {
        for bad in
            ["ann", "ann:", ":x", "ann:secret", "ann:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "ann:$apr1$a$b"]
        {
            let error = User::htpasswd(&format!("{}{bad}", file())).unwrap_err();
            assert!(error.to_string().starts_with("line 5: "), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let user = User::new("ann", "s3cret");
        let shown = format!("{user:?}");
        assert!(shown.contains("ann") && !shown.contains("s3cret") && !shown.contains(&hash("ann:s3cret")));
    }
}
