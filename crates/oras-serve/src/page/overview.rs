//! What a manifest is, in a few words.

use oras_spec::{Manifest, View};

use super::text::{LABEL, count, shown};

/// The config of a Helm chart (helm.sh, "Registries").
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";

/// A manifest in one line.
pub(super) struct Overview {
    /// What people call it, or its artifact type.
    pub(super) what: String,
    /// The size of its config and layers together; of an index none, as it depends on what is pulled.
    pub(super) size: Option<u64>,
    /// Which tools are meant to pull it.
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Chart,
    Index,
    Artifact,
}

impl Overview {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let artifact_type = manifest.artifact_type().filter(|text| !text.as_str().is_empty());
        let is_image = manifest.config().is_some_and(|config| config.media_type.is_image_config());
        let (kind, what) = match (manifest.view(), artifact_type) {
            (View::Index(index), artifact_type) => {
                let manifests = count(index.manifests.len(), "manifest", "manifests");
                let artifact_type = artifact_type.map(|text| format!("{}, ", shown(text.as_str(), LABEL)));
                (Kind::Index, format!("{}Index of {manifests}", artifact_type.unwrap_or_default()))
            }
            (View::Image(image), _) if is_image && image.artifact_type.is_none() => {
                (Kind::Image, "Image".to_owned())
            }
            (_, Some(text)) if text.as_str() == HELM_CONFIG => (Kind::Chart, "Helm chart".to_owned()),
            (_, Some(text)) => (Kind::Artifact, shown(text.as_str(), LABEL)),
            (_, None) => (Kind::Artifact, "Artifact".to_owned()),
        };
        Self { what, size: size(manifest), kind }
    }
}

fn size(manifest: &Manifest) -> Option<u64> {
    let (config, blobs) = match manifest.view() {
        View::Image(image) => (image.config.size, &image.layers),
        View::Artifact(artifact) => (0, &artifact.blobs),
        View::Index(_) => return None,
    };
    // What a manifest claims may be more than there is in the world.
    Some(blobs.iter().fold(config, |sum, blob| sum.saturating_add(blob.size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use oras_spec::MediaType;

    fn of(media_type: MediaType, text: String) -> Overview {
        Overview::of(&Manifest::parse(&media_type, Bytes::from(text)).unwrap())
    }

    fn image(config: &str, more: &str) -> Overview {
        let digest = oras_spec::Digest::sha256(b"");
        let blob = |media_type: &str, size: u64| {
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        };
        let (config, layer) = (blob(config, 1), blob("a/b", u64::MAX - 1));
        let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]{more}}}"#);
        of(MediaType::IMAGE_MANIFEST, text)
    }

    #[test]
    fn manifests_in_a_few_words() {
        for (config, more, kind, what) in [
            (MediaType::IMAGE_CONFIG.as_str(), "", Kind::Image, "Image"),
            (MediaType::DOCKER_CONFIG.as_str(), "", Kind::Image, "Image"),
            (MediaType::IMAGE_CONFIG.as_str(), r#","artifactType":"x/y""#, Kind::Artifact, "x/y"),
            (HELM_CONFIG, "", Kind::Chart, "Helm chart"),
            ("c/d", "", Kind::Artifact, "c/d"),
            ("", "", Kind::Artifact, "Artifact"),
        ] {
            let overview = image(config, more);
            assert_eq!((overview.kind, overview.what.as_str()), (kind, what));
            assert_eq!(overview.size, Some(u64::MAX));
        }
        let index =
            of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[],"artifactType":"x/y"}"#.into());
        assert_eq!(
            (index.kind, index.what.as_str(), index.size),
            (Kind::Index, "x/y, Index of 0 manifests", None)
        );
    }
}
