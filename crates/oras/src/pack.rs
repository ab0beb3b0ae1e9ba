//! Builds the manifest of an artifact from its parts (image-spec, manifest.md "Guidelines for Artifact Usage").

use std::collections::BTreeMap;

use oras_spec::{Descriptor, ImageManifest, MediaType};
use oras_store::{Content, Error, ErrorKind, Result};

use crate::created_annotation;

/// The version of the image-spec whose rules a manifest follows. Registries that predate image-spec 1.1 need 1.0:
///
/// ```
/// use oras::{Artifact, ImageSpec};
///
/// let artifact = Artifact::new("application/vnd.me").image_spec(ImageSpec::V1_0);
/// # let _ = artifact;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageSpec {
    /// The artifact type is the media type of the config.
    V1_0,
    /// The artifact type is in the field `artifactType`.
    #[default]
    V1_1,
}

/// The parts of a manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pack {
    /// The version of the image-spec whose rules the manifest follows.
    pub(crate) version: ImageSpec,
    /// The type of the artifact. Image-spec 1.1 requires it, unless the config has a type of its own.
    pub(crate) artifact_type: Option<MediaType>,
    /// The config. `None` means the empty config.
    pub(crate) config: Option<Descriptor>,
    /// Annotations of the generated empty config. A given config has annotations of its own.
    pub(crate) config_annotations: BTreeMap<String, String>,
    /// The layers.
    pub(crate) layers: Vec<Descriptor>,
    /// The manifest that the artifact refers to.
    pub(crate) subject: Option<Descriptor>,
    /// Annotations of the manifest.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A packed manifest.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// The manifest; its descriptor carries the artifact type and annotations.
    pub(crate) manifest: Content,
    /// The generated blobs that the manifest lists: the empty config or layer.
    pub(crate) blobs: Vec<Content>,
}

impl Pack {
    /// Builds the manifest. Sets the annotation `org.opencontainers.image.created` to the current time unless it is
    /// given.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a missing or malformed artifact type, a malformed config type, a `created` that
    /// is not RFC 3339, or a subject under image-spec 1.0.
    pub(crate) fn manifest(mut self) -> Result<Packed> {
        created_annotation::set_or_check(&mut self.annotations)?;
        if let Some(config) = &self.config {
            check("invalid config mediaType format", &config.media_type)?;
        }
        match self.version {
            ImageSpec::V1_0 => self.pack_v1_0(),
            ImageSpec::V1_1 => self.pack_v1_1(),
        }
    }

    /// Packs by image-spec 1.0, which has neither `artifactType` nor `subject`.
    fn pack_v1_0(self) -> Result<Packed> {
        if self.subject.is_some() {
            let message = "subject is not supported for image manifest v1.0: unsupported";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let mut blobs = Vec::new();
        let config = match self.config {
            Some(config) => config,
            None => {
                let media_type = self.artifact_type.unwrap_or(MediaType::UNKNOWN_CONFIG);
                check("invalid artifactType format", &media_type)?;
                // Two bytes instead of none, because some registries reject an empty upload.
                let blob = Content::of(media_type, "{}");
                let mut config = blob.descriptor().clone();
                config.annotations = self.config_annotations;
                blobs.push(blob);
                config
            }
        };
        // Under image-spec 1.0, the type of the config stands for the type of the artifact.
        let artifact_type = Some(config.media_type.clone());
        let mut manifest = ImageManifest::new(config, self.layers);
        manifest.annotations = self.annotations;
        Ok(Packed { manifest: describe(&manifest, artifact_type), blobs })
    }

    /// Packs by image-spec 1.1.
    fn pack_v1_1(self) -> Result<Packed> {
        let own_config =
            self.config.as_ref().is_some_and(|config| config.media_type != MediaType::EMPTY_JSON);
        match &self.artifact_type {
            Some(artifact_type) => check("invalid artifactType format", artifact_type)?,
            None if own_config => {}
            None => return Err(Error::new(ErrorKind::InvalidInput, "missing artifact type")),
        }
        let mut layers = self.layers;
        let empty_config = self.config.is_none();
        let config = self.config.unwrap_or_else(|| {
            let mut config = Descriptor::empty_json();
            config.annotations = self.config_annotations;
            config
        });
        let mut blobs = Vec::new();
        // The descriptor embeds the bytes, but a registry may reject a manifest whose blobs it does not store.
        if empty_config || layers.is_empty() {
            blobs.push(Content::of(MediaType::EMPTY_JSON, "{}"));
        }
        // The image-spec recommends at least one layer for portability.
        if layers.is_empty() {
            layers.push(Descriptor::empty_json());
        }
        let mut manifest = ImageManifest::new(config, layers);
        manifest.artifact_type.clone_from(&self.artifact_type);
        manifest.subject = self.subject;
        manifest.annotations = self.annotations;
        Ok(Packed { manifest: describe(&manifest, self.artifact_type), blobs })
    }
}

/// Returns the manifest as content whose descriptor has the artifact type and annotations, as in a list of referrers.
fn describe(manifest: &ImageManifest, artifact_type: Option<MediaType>) -> Content {
    let bytes = manifest.to_bytes();
    let mut descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &bytes);
    descriptor.annotations.clone_from(&manifest.annotations);
    descriptor.artifact_type = artifact_type;
    Content::of(MediaType::IMAGE_MANIFEST, bytes).described_as(descriptor)
}

fn check(what: &str, media_type: &MediaType) -> Result<()> {
    match media_type.is_well_formed() {
        true => Ok(()),
        false => {
            Err(Error::new(ErrorKind::InvalidInput, format!("{what}: {media_type}: invalid media type")))
        }
    }
}

#[cfg(test)]
mod tests {
    use oras_spec::annotation;

    use super::*;

    fn pack(version: ImageSpec) -> Pack {
        let annotations =
            BTreeMap::from([(annotation::CREATED.to_owned(), "2026-11-24T02:01:39Z".to_owned())]);
        Pack { version, annotations, ..Pack::default() }
    }

    fn json(pack: Pack) -> String {
        let packed = pack.manifest().unwrap();
        String::from_utf8(packed.manifest.in_memory().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn v1_1_without_files_has_one_empty_layer() {
        let pack = Pack { artifact_type: Some(MediaType::new("a/b")), ..pack(ImageSpec::V1_1) };
        let empty = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="}"#;
        assert_eq!(
            json(pack),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":{empty},"layers":[{empty}],"annotations":{{"org.opencontainers.image.created":"2026-11-24T02:01:39Z"}}}}"#
            )
        );
    }

    #[test]
    fn v1_0_stores_the_artifact_type_in_the_config() {
        let text = json(pack(ImageSpec::V1_0));
        assert!(text.contains(r#""config":{"mediaType":"application/vnd.unknown.config.v1+json""#), "{text}");
        assert!(text.contains(r#""size":2},"layers":[],"annotations""#), "{text}");
        assert!(!text.contains("artifactType"), "{text}");
    }

    #[test]
    fn rejects_malformed_types_and_dates() {
        let message = |pack: Pack| pack.manifest().unwrap_err().to_string();
        assert_eq!(message(pack(ImageSpec::V1_1)), "missing artifact type");
        let bad = Pack { artifact_type: Some(MediaType::new("bad")), ..pack(ImageSpec::V1_1) };
        assert_eq!(message(bad), "invalid artifactType format: bad: invalid media type");
        let config = Some(Descriptor::of(MediaType::new("bad"), b"{}"));
        let bad = Pack { config, ..pack(ImageSpec::V1_0) };
        assert_eq!(message(bad), "invalid config mediaType format: bad: invalid media type");
        let mut bad = pack(ImageSpec::V1_0);
        bad.annotations.insert(annotation::CREATED.into(), "bad".into());
        assert!(message(bad).starts_with("invalid date and time format: parsing time \"bad\""));
    }
}
