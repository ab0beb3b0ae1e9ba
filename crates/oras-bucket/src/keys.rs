//! The keys of the objects of one repository.

use object_store::path::Path;
use oras_spec::Digest;
use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE};

// A component of a repository's name begins with a letter or a digit (distribution-spec, "Pulling manifests"). A name
// with an underscore can therefore not belong to another repository below this one.
const TAGS: &str = "_tags";
const MANIFESTS: &str = "_manifests";
const REFERRERS: &str = "_referrers";
const UPLOADS: &str = "_uploads";
const PROBES: &str = "_probe";

/// The keys of a repository under a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: Path,
}

impl Keys {
    pub(crate) fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    fn below(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    fn of_digest(&self, kind: &str, digest: &Digest) -> Path {
        self.below(kind).join(digest.algorithm_name()).join(digest.encoded())
    }

    /// The prefix of all keys.
    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The marker file of the layout.
    pub(crate) fn marker(&self) -> Path {
        self.below(MARKER_FILE)
    }

    /// The derived index of the layout.
    pub(crate) fn index(&self) -> Path {
        self.below(INDEX_FILE)
    }

    /// The bytes of a blob or manifest.
    pub(crate) fn blob(&self, digest: &Digest) -> Path {
        self.of_digest(BLOBS_DIR, digest)
    }

    /// The prefix of the records of all manifests.
    pub(crate) fn manifests(&self) -> Path {
        self.below(MANIFESTS)
    }

    /// The record of a manifest, which states its media type.
    pub(crate) fn manifest(&self, digest: &Digest) -> Path {
        self.of_digest(MANIFESTS, digest)
    }

    /// The prefix of all tags.
    pub(crate) fn tags(&self) -> Path {
        self.below(TAGS)
    }

    /// A tag, which follows the grammar of tags and therefore needs no escapes.
    pub(crate) fn tag(&self, tag: &str) -> Path {
        self.tags().join(tag)
    }

    /// The prefix of the referrers of a subject.
    pub(crate) fn referrers(&self, subject: &Digest) -> Path {
        self.of_digest(REFERRERS, subject)
    }

    /// The entry of a referrer in the list of its subject.
    pub(crate) fn referrer(&self, subject: &Digest, referrer: &Digest) -> Path {
        let name = format!("{}-{}", referrer.algorithm_name(), referrer.encoded());
        self.referrers(subject).join(name)
    }

    /// Content whose digest is not known yet. `name` is unique.
    pub(crate) fn upload(&self, name: &str) -> Path {
        self.below(UPLOADS).join(name)
    }

    /// The prefix of the objects of one probe. `name` is unique.
    pub(crate) fn probe(&self, name: &str) -> Path {
        self.below(PROBES).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_a_layout_and_of_no_other_repository() {
        let keys = Keys::new(Path::from("mirror/app"));
        let digest = Digest::sha256(b"{}");
        let hex = digest.encoded();
        assert_eq!(keys.marker().as_ref(), "mirror/app/oci-layout");
        assert_eq!(keys.blob(&digest).as_ref(), format!("mirror/app/blobs/sha256/{hex}"));
        let referrer = keys.referrer(&digest, &digest);
        assert_eq!(referrer.as_ref(), format!("mirror/app/_referrers/sha256/{hex}/sha256-{hex}"));
        // The repository mirror/app/tags has no key below the tags of mirror/app.
        let nested = Keys::new(Path::from("mirror/app/tags"));
        assert!(!nested.marker().as_ref().starts_with(keys.tags().as_ref()));
        assert_eq!(Keys::new(Path::default()).tag("v1").as_ref(), "_tags/v1");
    }
}
