//! Users and their passwords.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oras_spec::Digest;
use oras_store::fsio::blocking;
use oras_store::{Error, Kind};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::failures::Failures;
use crate::reread::{Reread, read, unusable, without_bom};

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
    /// A hash of an htpasswd file, and its cost.
    Bcrypt { hash: String, cost: u32 },
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
    /// `InvalidInput`, with the number of the line, for a line without a name, for a user who has an earlier line, and for
    /// a hash that is not bcrypt's: `htpasswd -B` makes those.
    pub fn htpasswd(text: &str) -> Result<Vec<Self>, Error> {
        let lines = without_bom(text).lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let (mut users, mut seen) = (Vec::new(), HashMap::new());
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let invalid = |what| Error::new(Kind::InvalidInput, format!("line {number}: {what}"));
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

    /// Whether `credentials` are `name:password` of this user. May take as long as bcrypt is meant to.
    fn is(&self, credentials: &str) -> bool {
        match &self.secret {
            // Hashes are of one length, and what differs in them tells nothing of what differs in the passwords.
            Secret::Given(secret) => {
                let given = hash(credentials);
                let differing = given.bytes().zip(secret.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
                std::hint::black_box(differing) == 0
            }
            Secret::Bcrypt { hash, .. } => {
                let (name, password) = credentials.split_once(':').unwrap_or_default();
                let is_whole = password.len() <= MAX_PASSWORD;
                bcrypt::verify(password, hash).unwrap_or(false) & (name == self.name) & is_whole
            }
        }
    }

    /// The cost of checking a password, if it is meant to be slow.
    fn cost(&self) -> Option<u32> {
        match &self.secret {
            Secret::Given(_) => None,
            Secret::Bcrypt { cost, .. } => Some(*cost),
        }
    }
}

/// Names the kind of a password in an htpasswd file that is not a bcrypt hash.
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

fn hash(credentials: &str) -> String {
    Digest::sha256(credentials.as_bytes()).encoded()
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// bcrypt reads so many bytes of a password. Longer ones are refused, or two that differ only behind would be one.
const MAX_PASSWORD: usize = 72;
/// Passwords that are hashed at the same time: more would only take the processor from those who are known.
const AT_ONCE: usize = 2;
/// Credentials that were right are taken for so long without hashing them again.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// So many of them at most.
const MAX_REMEMBERED: usize = 1024;

/// Tells who may come in.
pub(crate) struct Users {
    known: Known,
    at_once: Arc<Semaphore>,
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
        Self { known, at_once: Arc::new(Semaphore::new(AT_ONCE)) }
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
        let right = list.right.lock();
        right.get(&hash(credentials)).is_some_and(fresh)
    }

    /// Checks `credentials`, which are `name:password`. A wrong name takes as long as a wrong password.
    ///
    /// Hashing can't be cancelled, so a client that disconnects must not free its turn: the turn belongs to the work. For
    /// the same reason the attempt is counted against `client` before the work begins; the count is taken back if the password
    /// was right.
    pub(crate) async fn know(
        &self,
        credentials: String,
        client: Option<IpAddr>,
        failures: &Arc<Failures>,
    ) -> LogIn {
        let Ok(turn) = Arc::clone(&self.at_once).acquire_owned().await else { return LogIn::Wrong };
        // Both may have changed while this attempt waited.
        if self.remember(&credentials) {
            return LogIn::Right;
        }
        if let Some(client) = client
            && let Err(wait) = failures.begin(client)
        {
            return LogIn::Wait(wait);
        }
        let (list, failures) = (self.current(), Arc::clone(failures));
        let work = move || {
            let _turn = turn;
            let is_known = known(&list.users, &credentials);
            if is_known {
                list.note_right(&credentials);
                if let Some(client) = client {
                    failures.take_back(client);
                }
            } else {
                let client = client.map(tracing::field::display);
                tracing::warn!(client, "failed login");
            }
            Ok(is_known)
        };
        if blocking(work).await.unwrap_or(false) { LogIn::Right } else { LogIn::Wrong }
    }
}

/// What came of an attempt to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogIn {
    Right,
    Wrong,
    /// The client has sent too many wrong passwords and may try again after this time.
    Wait(Duration),
}

impl List {
    fn new(users: Vec<User>) -> Self {
        Self { users, right: Mutex::default() }
    }

    /// Notes that `credentials` are right.
    fn note_right(&self, credentials: &str) {
        let mut right = self.right.lock();
        right.retain(|_, since| fresh(since));
        if right.len() < MAX_REMEMBERED {
            right.insert(hash(credentials), Instant::now());
        }
    }
}

fn fresh(since: &Instant) -> bool {
    since.elapsed() < REMEMBERED
}

/// Returns true if `credentials` are those of a user. Whatever is wrong takes as long as the slowest hash of all users.
fn known(users: &[User], credentials: &str) -> bool {
    let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (given, hashed): (Vec<_>, Vec<_>) = users.iter().partition(|user| user.cost().is_none());
    let one = hashed.iter().find(|user| user.name == name);
    if given.into_iter().chain(one.copied()).fold(false, |known, user| user.is(credentials) | known) {
        return true;
    }
    if let Some(most) = hashed.iter().filter_map(|user| user.cost()).max() {
        // Each step of the cost doubles the work: a hash of cost n and those of the costs n to m - 1 are the work of one of m.
        let costs = one.and_then(|user| user.cost()).map_or(most..most + 1, |cost| cost..most);
        for cost in costs {
            std::hint::black_box(bcrypt::hash_with_salt(password, cost, [0; 16]).ok());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ann` with `a:b`, and `bob` with an empty password, of the lowest cost.
    fn file() -> String {
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        format!("# people\n\nann:{}\nbob:{}\n", hash("a:b"), hash("").replacen("$2b$", "$2y$", 1))
    }

    async fn log_in(users: &Users, credentials: &str) -> bool {
        users.know(credentials.to_owned(), None, &Arc::default()).await == LogIn::Right
    }

    #[tokio::test]
    async fn only_users_come_in() {
        for users in [User::htpasswd(&file()).unwrap(), vec![User::new("ann", "a:b"), User::new("bob", "")]] {
            let users = Users::new(users);
            for _ in 0..2 {
                assert!(log_in(&users, "ann:a:b").await && log_in(&users, "bob:").await);
                assert!(users.remember("ann:a:b") && users.has("bob"));
                for bad in ["ann:a", "ann:", "ann", "", ":", "bob:a:b", "eve:a:b", "ANN:a:b"] {
                    assert!(!log_in(&users, bad).await && !users.remember(bad), "{bad:?}");
                }
            }
        }
        assert!(!log_in(&Users::new(Vec::new()), "").await);
    }

    #[tokio::test]
    async fn refuses_passwords_longer_than_bcrypt_reads() {
        let longest = "x".repeat(MAX_PASSWORD);
        let text = format!("ann:{}", bcrypt::hash(&longest, 4).unwrap());
        let users = Users::new(User::htpasswd(&text).unwrap());
        assert!(log_in(&users, &format!("ann:{longest}")).await);
        assert!(!log_in(&users, &format!("ann:{longest}y")).await);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn abandoned_attempts_are_counted_and_keep_their_turn() {
        let text = format!("ann:{}", bcrypt::hash("right", 9).unwrap());
        let users = Users::new(User::htpasswd(&text).unwrap());
        let (failures, client) = (Arc::<Failures>::default(), IpAddr::from([10, 0, 0, 1]));
        for number in 0..AT_ONCE {
            let attempt = users.know(format!("ann:{number}"), Some(client), &failures);
            drop(tokio::time::timeout(Duration::from_millis(5), attempt).await);
        }
        assert_eq!(users.at_once.available_permits(), 0, "the work goes on");
        // Many more, none of which waits for its answer.
        for number in 0..100 {
            let attempt = users.know(format!("eve:{number}"), Some(client), &failures);
            drop(tokio::time::timeout(Duration::from_millis(5), attempt).await);
        }
        while failures.wait(client).is_none() {
            assert_ne!(users.know("ann:wrong".into(), Some(client), &failures).await, LogIn::Right);
        }
        assert!(matches!(users.know("ann:x".into(), Some(client), &failures).await, LogIn::Wait(_)));
        let other = Some(IpAddr::from([10, 0, 0, 2]));
        assert_eq!(users.know("ann:right".into(), other, &failures).await, LogIn::Right);
    }

    #[test]
    fn unknown_users_take_as_long_as_the_slowest_known_one() {
        let hash = |cost| bcrypt::hash("right", cost).unwrap();
        let users = User::htpasswd(&format!("ann:{}\nbob:{}\n", hash(4), hash(9))).unwrap();
        let time = |credentials: &str| {
            let once = || {
                let began = Instant::now();
                assert!(!known(&users, credentials));
                began.elapsed()
            };
            (0..3).map(|_| once()).min().unwrap()
        };
        let slowest = time("bob:wrong");
        for other in ["ann:wrong", "eve:wrong", "", "eve"] {
            assert!(time(other) > slowest / 3, "{other:?}");
        }
    }

    #[test]
    fn unusual_lines_are_read_or_refused_with_their_number() {
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
    fn secrets_are_not_shown() {
        let user = User::new("ann", "s3cret");
        let shown = format!("{user:?}");
        assert!(shown.contains("ann") && !shown.contains("s3cret") && !shown.contains(&hash("ann:s3cret")));
    }
}
