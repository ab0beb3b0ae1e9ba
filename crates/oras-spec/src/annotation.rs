//! Keys of annotations that ORAS reads or writes (image-spec, annotations.md). ORAS itself defines the `io.deis.oras`
//! keys.
//!
//! Use these constants as keys of [`Descriptor::annotations`](crate::Descriptor::annotations) and of the annotations of
//! manifests, so that other tools find the title, the creation time or the packed directory of a layer.

/// The creation time of the artifact (RFC 3339).
pub const CREATED: &str = "org.opencontainers.image.created";
/// The path of a file, relative to the output directory.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The tag of an entry in a layout's `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The digest of the uncompressed tar archive of a directory.
pub const CONTENT_DIGEST: &str = "io.deis.oras.content.digest";
/// `"true"` on a layer that pull extracts as a directory.
pub const UNPACK: &str = "io.deis.oras.content.unpack";
/// The digest of the image manifest that a BuildKit attestation in the same index describes.
pub const DOCKER_REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// A description of the content for people.
pub const DESCRIPTION: &str = "org.opencontainers.image.description";
