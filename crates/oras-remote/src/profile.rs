//! What is known of a registry before it is asked: limits and habits that it does not announce.

/// What a registry takes; a client that finds out otherwise goes by what it found.
#[derive(Debug)]
pub(crate) struct Profile {
    /// What the registry is called in a debug log.
    pub(crate) name: &'static str,
    /// The largest body of a `PATCH`.
    pub(crate) max_patch: Option<u64>,
    /// The largest body of a `PUT`.
    pub(crate) max_put: Option<u64>,
    /// Whether blobs may come in pieces.
    pub(crate) takes_patch: bool,
    /// Whether a blob may come with the `POST`; `None` when that has to be found out.
    pub(crate) takes_single_post: Option<bool>,
    /// Whether it is worth asking for a mount.
    pub(crate) mounts: bool,
}

/// A registry that nobody has told anything about.
static UNKNOWN: Profile = Profile {
    name: "unknown",
    max_patch: None,
    max_put: None,
    takes_patch: true,
    takes_single_post: None,
    mounts: true,
};

impl Profile {
    /// The profile of the registry at `host`, which may have a port.
    pub(crate) fn of(_host: &str) -> &'static Self {
        &UNKNOWN
    }
}
