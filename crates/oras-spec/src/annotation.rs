//! Annotation keys that ORAS reads or writes (image-spec, annotations.md; the `io.deis.oras` keys are ORAS's own).

/// When the artifact was created, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// The path of a file, relative to where it is pulled.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The tag of an entry in a layout's `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Digest of the uncompressed tar of a directory layer.
pub const CONTENT_DIGEST: &str = "io.deis.oras.content.digest";
/// `"true"` on a directory layer: pull extracts it.
pub const UNPACK: &str = "io.deis.oras.content.unpack";
/// Name of the annotations' own type on attestations BuildKit adds to an index.
pub const DOCKER_REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// What the content is, for people.
pub const DESCRIPTION: &str = "org.opencontainers.image.description";
