//! A one-line summary of a manifest.

use oras_spec::{Manifest, View};

use super::format::{LABEL, count, shown};

/// The media type of the config of a Helm chart (helm.sh, "Registries").
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";

/// A one-line summary of a manifest.
pub(super) struct Overview {
    /// A common name, or the artifact type.
    pub(super) description: String,
    /// The size of the config and the layers together; `None` for an index, whose size depends on the platforms that a
    /// client pulls.
    pub(super) size: Option<u64>,
    /// Decides which pull commands are shown.
    pub(super) kind: OverviewKind,
}

/// The kind of a manifest, which determines the pull commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OverviewKind {
    Image,
    Chart,
    Index,
    Artifact,
}

impl Overview {
    /// Summarizes a manifest.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let artifact_type = manifest.artifact_type().filter(|text| !text.as_str().is_empty());
        let is_image = manifest.config().is_some_and(|config| config.media_type.is_image_config());
        let (kind, description) = match (manifest.view(), artifact_type) {
            (View::Index(index), artifact_type) => {
                let manifests = count(index.manifests.len(), "manifest", "manifests");
                let artifact_type = artifact_type.map(|text| format!("{}, ", shown(text.as_str(), LABEL)));
                (OverviewKind::Index, format!("{}Index of {manifests}", artifact_type.unwrap_or_default()))
            }
            (View::Image(image), _) if is_image && image.artifact_type.is_none() => {
                (OverviewKind::Image, "Image".to_owned())
            }
            (_, Some(text)) if text.as_str() == HELM_CONFIG => (OverviewKind::Chart, "Helm chart".to_owned()),
            (_, Some(text)) => (OverviewKind::Artifact, shown(text.as_str(), LABEL)),
            (_, None) => (OverviewKind::Artifact, "Artifact".to_owned()),
        };
        Self { description, size: size(manifest), kind }
    }
}

fn size(manifest: &Manifest) -> Option<u64> {
    let (config, blobs) = match manifest.view() {
        View::Image(image) => (image.config.size, &image.layers),
        View::Artifact(artifact) => (0, &artifact.blobs),
        View::Index(_) => return None,
    };
    // The addition saturates, because a manifest may contain any sizes.
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
    fn names_common_kinds_of_manifests() {
        for (config, more, kind, what) in [
            (MediaType::IMAGE_CONFIG.as_str(), "", OverviewKind::Image, "Image"),
            (MediaType::DOCKER_CONFIG.as_str(), "", OverviewKind::Image, "Image"),
            (MediaType::IMAGE_CONFIG.as_str(), r#","artifactType":"x/y""#, OverviewKind::Artifact, "x/y"),
            (HELM_CONFIG, "", OverviewKind::Chart, "Helm chart"),
            ("c/d", "", OverviewKind::Artifact, "c/d"),
            ("", "", OverviewKind::Artifact, "Artifact"),
        ] {
            let overview = image(config, more);
            assert_eq!((overview.kind, overview.description.as_str()), (kind, what));
            assert_eq!(overview.size, Some(u64::MAX));
        }
        let index =
            of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[],"artifactType":"x/y"}"#.into());
        assert_eq!(
            (index.kind, index.description.as_str(), index.size),
            (OverviewKind::Index, "x/y, Index of 0 manifests", None)
        );
    }
}
