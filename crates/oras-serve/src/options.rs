//! What a server is told when it starts.

use std::fmt;

use oras_spec::Digest;
use oras_store::MAX_MANIFEST_SIZE;

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Offers the referrers API; without it clients fall back to the tag schema.
    pub referrers: bool,
    /// Refuses everything that changes a repository.
    pub read_only: bool,
    /// Takes manifests and indexes whose blobs and manifests are not all here.
    pub sparse: bool,
    /// Who may come in, by Basic authentication; when empty, everybody.
    pub users: Vec<User>,
    /// The largest manifest that is taken.
    pub max_manifest_size: u64,
}

impl Default for Options {
    /// Everything on, for everybody; complete manifests of at most 4 MiB.
    fn default() -> Self {
        Self {
            referrers: true,
            read_only: false,
            sparse: false,
            users: Vec::new(),
            max_manifest_size: MAX_MANIFEST_SIZE,
        }
    }
}

/// A name and a password, of which only a hash is kept.
#[derive(Clone)]
pub struct User {
    name: String,
    hash: String,
}

impl User {
    /// The user `name`, which has no colon (RFC 7617), with `password`.
    pub fn new(name: impl Into<String>, password: &str) -> Self {
        let name = name.into();
        let hash = hash(&format!("{name}:{password}"));
        Self { name, hash }
    }

    /// Whether `credentials` are `name:password` of this user; takes the same time for any wrong ones.
    pub(crate) fn is(&self, credentials: &str) -> bool {
        let given = hash(credentials);
        let differing = given.bytes().zip(self.hash.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differing) == 0
    }
}

/// Hashes are of one length, and what differs in them tells nothing of what differs in the passwords.
fn hash(credentials: &str) -> String {
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

    #[test]
    fn users_are_told_apart_and_kept_secret() {
        let user = User::new("ann", "s3cret");
        assert!(user.is("ann:s3cret"));
        assert!(!user.is("ann:s3cre") && !user.is("ann:") && !user.is("") && !user.is("bob:s3cret"));
        let shown = format!("{user:?}");
        assert!(shown.contains("ann") && !shown.contains("s3cret") && !shown.contains(&user.hash));
    }
}
