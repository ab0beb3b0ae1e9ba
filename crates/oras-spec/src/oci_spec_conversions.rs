//! Conversions between [`Descriptor`] and the descriptor of the `oci-spec` crate.
//!
//! ORAS never serializes the descriptors of that crate: they have no `data` bytes, keep annotations in random order
//! and lose `os.version` and `os.features`.

use std::str::FromStr;

use oci_spec::image as oci;

use crate::{Descriptor, Digest, DigestError, MediaType};

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = DigestError;

    /// Converts media type, digest, size, URLs, annotations and artifact type. Fails if the digest is malformed.
    fn try_from(descriptor: &oci::Descriptor) -> Result<Self, DigestError> {
        let mut converted = Self::new(
            MediaType::new(descriptor.media_type().to_string()),
            Digest::from_str(descriptor.digest().as_ref())?,
            descriptor.size(),
        );
        converted.urls = descriptor.urls().clone().unwrap_or_default();
        converted.annotations = descriptor.annotations().clone().unwrap_or_default().into_iter().collect();
        converted.artifact_type =
            descriptor.artifact_type().as_ref().map(|media_type| MediaType::new(media_type.to_string()));
        Ok(converted)
    }
}

impl TryFrom<&Descriptor> for oci::Descriptor {
    type Error = oci_spec::OciSpecError;

    /// Converts media type, digest, size, URLs, annotations and artifact type. Fails if `oci-spec` rejects the digest.
    fn try_from(descriptor: &Descriptor) -> Result<Self, oci_spec::OciSpecError> {
        let media_type = oci::MediaType::from(descriptor.media_type.as_str());
        let mut converted = oci::Descriptor::new(
            media_type,
            descriptor.size,
            oci::Digest::from_str(&descriptor.digest.to_string())?,
        );
        if !descriptor.urls.is_empty() {
            converted.set_urls(Some(descriptor.urls.clone()));
        }
        if !descriptor.annotations.is_empty() {
            converted.set_annotations(Some(descriptor.annotations.clone().into_iter().collect()));
        }
        converted.set_artifact_type(
            descriptor.artifact_type.as_ref().map(|media_type| oci::MediaType::from(media_type.as_str())),
        );
        Ok(converted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_descriptors() {
        let mut descriptor = Descriptor::of(MediaType::LAYER_TAR, b"x");
        descriptor.annotations.insert("a".into(), "b".into());
        descriptor.artifact_type = Some(MediaType::new("x/y"));
        let theirs = oci::Descriptor::try_from(&descriptor).unwrap();
        assert_eq!(Descriptor::try_from(&theirs).unwrap(), descriptor);
    }
}
