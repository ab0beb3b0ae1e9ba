//! Types of the OCI specifications as ORAS uses them.
//!
//! Use this crate to parse or to make OCI documents: references, digests, descriptors and manifests. It does no I/O, is
//! not async and reads no clock.
//!
//! # A tour
//!
//! A [`Reference`] names an artifact in a registry. It has no default registry and no default tag:
//!
//! ```
//! use oras_spec::Reference;
//!
//! let reference: Reference = "localhost:5000/charts/web:v1".parse()?;
//! assert_eq!(reference.registry, "localhost:5000");
//! assert_eq!(reference.repository, "charts/web");
//! assert_eq!(reference.target().as_deref(), Some("v1"));
//! # Ok::<(), oras_spec::ReferenceError>(())
//! ```
//!
//! A [`Digest`] names content, and verifies it:
//!
//! ```
//! use oras_spec::Digest;
//!
//! let digest = Digest::sha256(b"{}");
//! assert_eq!(digest.short(), "44136fa355b3");
//! assert!(digest.verify(b"{}")?);
//! # Ok::<(), oras_spec::DigestError>(())
//! ```
//!
//! A [`Descriptor`] adds media type and size. An [`ImageManifest`] lists descriptors. Its JSON has the bytes that the
//! Go tool writes, because its digest depends on them:
//!
//! ```
//! use oras_spec::{Descriptor, ImageManifest, MediaType, annotation};
//!
//! let mut layer = Descriptor::of(MediaType::LAYER_TAR, b"hello world\n");
//! layer.annotations.insert(annotation::TITLE.into(), "hi.txt".into());
//! let mut manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer]);
//! manifest.artifact_type = Some(MediaType::UNKNOWN_ARTIFACT);
//! manifest.annotations.insert(annotation::CREATED.into(), "2026-11-24T02:01:39Z".into());
//! let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest.to_bytes());
//! assert_eq!(
//!     descriptor.digest.to_string(),
//!     "sha256:7a575bdcd4ac9d8c507da0e8aea1e8e1cef102038cbd78f94e4d03d1adbfff50"
//! );
//! ```
//!
//! [`Manifest::parse`] is the only function that decodes manifests. It keeps the original bytes and rejects ambiguous
//! documents. A manifest's children make an artifact a graph, which ORAS copies node by node:
//!
//! ```
//! use oras_spec::{Descriptor, ImageIndex, ImageManifest, Manifest, MediaType, Platform};
//!
//! let image = ImageManifest::new(Descriptor::empty_json(), Vec::new()).to_bytes();
//! let mut entry = Descriptor::of(MediaType::IMAGE_MANIFEST, &image);
//! entry.platform = Some("linux/arm64/v8".parse()?);
//! let bytes = ImageIndex::new(vec![entry]).to_bytes();
//!
//! let index = Manifest::parse(&MediaType::IMAGE_INDEX, bytes.clone())?;
//! assert_eq!(index.bytes(), &bytes);
//! let wanted: Platform = "linux/arm64".parse()?;
//! let matches = |child: &Descriptor| child.platform.as_ref().is_some_and(|offered| offered.satisfies(&wanted));
//! let child = index.children().into_iter().find(matches).ok_or("no image for the platform")?;
//! assert!(child.media_type.is_manifest());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | module | contents | specification |
//! |---|---|---|
//! | [`annotation`] | keys of annotations | image-spec, annotations.md |
//! | [`annotation_edit`] | changes to the annotations in the text of a manifest | |
//! | [`api_bodies`] | JSON bodies of the registry API | distribution-spec, "API" |
//! | [`descriptor`] | [`Descriptor`] | image-spec, descriptor.md |
//! | [`digest`] | [`Digest`], [`Hasher`] | image-spec, descriptor.md "Digests" |
//! | [`json`] | JSON as the Go tool writes it, strict check of JSON | RFC 7493 |
//! | [`layout`] | `oci-layout`, `index.json` | image-spec, image-layout.md |
//! | [`manifest`] | image manifests, indexes, Docker and withdrawn forms | image-spec, manifest.md, image-index.md |
//! | [`media_type`] | [`MediaType`] and its classification | image-spec, media-types.md |
//! | [`platform`] | [`Platform`] and its matching | image-spec, image-index.md |
//! | [`reference`](mod@reference) | [`Reference`] | distribution-spec, "Pulling manifests" |
//! | [`version_order`] | the order of tags by version | |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod annotation;
pub mod annotation_edit;
pub mod api_bodies;
pub mod descriptor;
pub mod digest;
mod index_document;
pub mod json;
pub mod layout;
pub mod manifest;
pub mod media_type;
#[cfg(feature = "oci-spec")]
mod oci_spec_conversions;
pub mod platform;
pub mod reference;
pub mod version_order;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use index_document::IndexDocument;
pub use manifest::{ArtifactManifest, ImageIndex, ImageManifest, Manifest, ManifestError, View};
pub use media_type::{MediaKind, MediaType, MediaTypeError};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
