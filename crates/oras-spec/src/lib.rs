//! Types of the OCI specifications as ORAS uses them; nothing here does I/O, is async or reads a clock.
//!
//! Everything ORAS moves is a graph of [`Descriptor`]s. A node whose [`MediaType`] says that it is a manifest
//! has children, and [`Manifest::parse`] is the only place in the workspace that decodes one: the bytes stay
//! as they came ([`Manifest::bytes`]), with a parsed view beside them.
//!
//! | module | holds | specification |
//! |---|---|---|
//! | [`digest`] | [`Digest`], [`Hasher`] | image-spec, descriptor.md "Digests" |
//! | [`media_type`] | [`MediaType`], one classification for all | image-spec, media-types.md |
//! | [`descriptor`] | [`Descriptor`] | image-spec, descriptor.md |
//! | [`manifest`] | image manifest, index, and their Docker and legacy twins | image-spec, manifest.md, image-index.md |
//! | [`platform`] | [`Platform`] and its selector | image-spec, image-index.md |
//! | [`reference`](mod@reference) | `registry/repository[:tag][@digest]` | distribution-spec, "Pulling manifests" |
//! | [`layout`] | `oci-layout`, `index.json` | image-spec, image-layout.md |
//! | [`wire`] | bodies that registries send | distribution-spec, "API" |
//! | [`json`] | JSON as the Go tool writes it, strict JSON reading | RFC 7493 |
//!
//! Written JSON is byte for byte what the Go tool writes, because a digest is taken of it:
//!
//! ```
//! use oras_spec::{Descriptor, ImageManifest, MediaType, annotation};
//!
//! let mut layer = Descriptor::of(MediaType::LAYER_TAR, b"hello world\n");
//! layer.annotations.insert(annotation::TITLE.into(), "hi.txt".into());
//! let mut manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer]);
//! manifest.artifact_type = Some("application/vnd.unknown.artifact.v1".into());
//! manifest.annotations.insert(annotation::CREATED.into(), "2026-11-24T02:01:39Z".into());
//! let node = Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest.to_bytes());
//! assert_eq!(
//!     node.digest.to_string(),
//!     "sha256:7a575bdcd4ac9d8c507da0e8aea1e8e1cef102038cbd78f94e4d03d1adbfff50"
//! );
//! ```

pub mod annotation;
pub mod descriptor;
pub mod digest;
pub mod edit;
mod index;
pub mod json;
pub mod layout;
pub mod manifest;
pub mod media_type;
#[cfg(feature = "oci-spec")]
mod oci;
pub mod platform;
pub mod reference;
pub mod wire;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use index::IndexDocument;
pub use manifest::{ArtifactManifest, ImageIndex, ImageManifest, Manifest, ManifestError, View};
pub use media_type::{Kind, MediaType};
pub use platform::Platform;
pub use reference::{Reference, ReferenceError};
