//! The users of a server, and the verification of their passwords.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oras_fs::blocking;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::htpasswd::{User, hash};
use super::login_throttle::LoginThrottle;
use crate::ops::config_file::{read, unusable};
use crate::ops::reloaded_files::ReloadedFiles;

/// The maximum number of passwords that are hashed at the same time. A higher limit would leave less processor time
/// for the requests of verified users.
const MAX_CONCURRENT_HASHES: usize = 2;
/// Verified credentials are accepted for this long without hashing them again.
const CACHE_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// The maximum number of verified credentials in the cache.
const MAX_CACHED: usize = 1024;

/// The users of a server.
pub(super) struct Users {
    /// Returns the list: always the same one, or the one of the current file.
    current: Box<dyn Fn() -> Arc<UserList> + Send + Sync>,
    hashing: Arc<Semaphore>,
}

/// The users of one version of the file, and the cache of their verified credentials.
struct UserList {
    users: Vec<User>,
    /// Hashes of verified credentials, and when they were verified.
    verified: Mutex<HashMap<String, Instant>>,
}

impl Users {
    pub(super) fn new(users: Vec<User>) -> Self {
        let list = Arc::new(UserList::new(users));
        Self::of(move || Arc::clone(&list))
    }

    /// Reads the users of an htpasswd file, now and whenever it changes. A file without users is an error, because it
    /// would give every client access.
    pub(super) fn from_file(path: PathBuf) -> io::Result<Self> {
        let file = ReloadedFiles::new("the users", [path], |[path]| {
            let users = User::htpasswd(&read(path)?).map_err(|error| unusable(path, error))?;
            if users.is_empty() { Err(unusable(path, "no users")) } else { Ok(UserList::new(users)) }
        })?;
        Ok(Self::of(move || file.current()))
    }

    fn of(current: impl Fn() -> Arc<UserList> + Send + Sync + 'static) -> Self {
        Self { current: Box::new(current), hashing: Arc::new(Semaphore::new(MAX_CONCURRENT_HASHES)) }
    }

    /// Returns true if there are no users.
    pub(super) fn is_empty(&self) -> bool {
        (self.current)().users.is_empty()
    }

    /// Returns true if there is a user of that name.
    pub(super) fn contains(&self, name: &str) -> bool {
        (self.current)().users.iter().any(|user| user.name == name)
    }

    /// Returns true if `credentials` were verified within the last five minutes.
    pub(super) fn is_recently_verified(&self, credentials: &str) -> bool {
        let list = (self.current)();
        let verified = list.verified.lock();
        verified.get(&hash(credentials)).is_some_and(is_fresh)
    }

    /// Verifies `credentials`, which are `name:password`. An unknown name takes as long as a wrong password.
    ///
    /// Hashing continues when the client disconnects. The permit therefore belongs to the job and not to the request,
    /// and the attempt is counted against `client` before hashing begins. A correct password undoes the count.
    pub(super) async fn verify(
        &self,
        credentials: String,
        client: IpAddr,
        throttle: &Arc<LoginThrottle>,
    ) -> LoginOutcome {
        // Fails only if the semaphore is closed, which never happens.
        let Ok(permit) = Arc::clone(&self.hashing).acquire_owned().await else {
            return LoginOutcome::Rejected;
        };
        // Another attempt may have verified them while this one waited.
        if self.is_recently_verified(&credentials) {
            return LoginOutcome::Accepted;
        }
        if let Err(wait) = throttle.begin(client) {
            return LoginOutcome::Throttled(wait);
        }
        // Each list has its own cache, so credentials are verified again after a change of the file.
        let (list, throttle) = ((self.current)(), Arc::clone(throttle));
        let work = move || {
            let _permit = permit;
            let is_correct = is_user(&list.users, &credentials);
            if is_correct {
                list.cache(&credentials);
                throttle.uncount(client);
            } else {
                tracing::warn!(%client, "failed login");
            }
            Ok(is_correct)
        };
        if blocking(work).await.unwrap_or(false) { LoginOutcome::Accepted } else { LoginOutcome::Rejected }
    }
}

/// The result of an attempt to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginOutcome {
    Accepted,
    Rejected,
    /// The client sent too many wrong passwords and may retry after this time.
    Throttled(Duration),
}

impl UserList {
    fn new(users: Vec<User>) -> Self {
        Self { users, verified: Mutex::default() }
    }

    /// Caches verified credentials.
    fn cache(&self, credentials: &str) {
        let mut verified = self.verified.lock();
        verified.retain(|_, since| is_fresh(since));
        // When the cache is full, the credentials of further users are hashed for each request.
        if verified.len() < MAX_CACHED {
            verified.insert(hash(credentials), Instant::now());
        }
    }
}

fn is_fresh(since: &Instant) -> bool {
    since.elapsed() < CACHE_LIFETIME
}

/// Returns true if `credentials` are those of a user. Wrong credentials always take as long as the slowest hash of all
/// users, so that the time does not reveal which names exist.
fn is_user(users: &[User], credentials: &str) -> bool {
    let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (fast, hashed): (Vec<_>, Vec<_>) = users.iter().partition(|user| user.cost().is_none());
    let one = hashed.iter().find(|user| user.name == name);
    // `fold` verifies all candidates, so that the time does not depend on which one matches.
    if fast.into_iter().chain(one.copied()).fold(false, |found, user| user.verify(credentials) | found) {
        return true;
    }
    if let Some(most) = hashed.iter().filter_map(|user| user.cost()).max() {
        // Each step of the cost doubles the work. One hash with cost n, then hashes with costs n to m - 1, take as
        // long as one hash with cost m.
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
    use crate::auth::htpasswd::MAX_PASSWORD;

    /// `ann` with `a:b`, and `bob` with an empty password, at the lowest cost.
    fn file() -> String {
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        format!("# people\n\nann:{}\nbob:{}\n", hash("a:b"), hash("").replacen("$2b$", "$2y$", 1))
    }

    async fn log_in(users: &Users, credentials: &str) -> bool {
        let client = IpAddr::from([10, 0, 0, 9]);
        users.verify(credentials.to_owned(), client, &Arc::default()).await == LoginOutcome::Accepted
    }

    #[tokio::test]
    async fn accepts_only_users() {
        for users in [User::htpasswd(&file()).unwrap(), vec![User::new("ann", "a:b"), User::new("bob", "")]] {
            let users = Users::new(users);
            for _ in 0..2 {
                assert!(log_in(&users, "ann:a:b").await && log_in(&users, "bob:").await);
                assert!(users.is_recently_verified("ann:a:b") && users.contains("bob"));
                for bad in ["ann:a", "ann:", "ann", "", ":", "bob:a:b", "eve:a:b", "ANN:a:b"] {
                    assert!(!log_in(&users, bad).await && !users.is_recently_verified(bad), "{bad:?}");
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
    async fn abandoned_attempts_are_counted_and_keep_their_permit() {
        let text = format!("ann:{}", bcrypt::hash("right", 9).unwrap());
        let users = Users::new(User::htpasswd(&text).unwrap());
        let (throttle, client) = (Arc::<LoginThrottle>::default(), IpAddr::from([10, 0, 0, 1]));
        for number in 0..MAX_CONCURRENT_HASHES {
            let attempt = users.verify(format!("ann:{number}"), client, &throttle);
            drop(tokio::time::timeout(Duration::from_millis(5), attempt).await);
        }
        assert_eq!(users.hashing.available_permits(), 0, "hashing continues");
        // Many more, which disconnect before the response.
        for number in 0..100 {
            let attempt = users.verify(format!("eve:{number}"), client, &throttle);
            drop(tokio::time::timeout(Duration::from_millis(5), attempt).await);
        }
        while throttle.wait(client).is_none() {
            assert_ne!(users.verify("ann:wrong".into(), client, &throttle).await, LoginOutcome::Accepted);
        }
        assert!(matches!(users.verify("ann:x".into(), client, &throttle).await, LoginOutcome::Throttled(_)));
        let other = IpAddr::from([10, 0, 0, 2]);
        assert_eq!(users.verify("ann:right".into(), other, &throttle).await, LoginOutcome::Accepted);
    }

    #[test]
    fn unknown_users_take_as_long_as_the_slowest_hash() {
        let hash = |cost| bcrypt::hash("right", cost).unwrap();
        let users = User::htpasswd(&format!("ann:{}\nbob:{}\n", hash(4), hash(9))).unwrap();
        let time = |credentials: &str| {
            let once = || {
                let began = Instant::now();
                assert!(!is_user(&users, credentials));
                began.elapsed()
            };
            (0..3).map(|_| once()).min().unwrap()
        };
        let slowest = time("bob:wrong");
        for other in ["ann:wrong", "eve:wrong", "", "eve"] {
            assert!(time(other) > slowest / 3, "{other:?}");
        }
    }
}
