//! What an artifact is, by the media types and annotations that known tools write.
//!
//! No other file of this crate lists the media types of signatures, SBOMs, charts and the like.

use std::fmt;

use oras_spec::reference::is_digest_tag;
use oras_spec::{Descriptor, Digest, Manifest, MediaKind, MediaType, View};
use serde::Serialize;

use ArtifactKind as Kind;

/// What an artifact is. A display chooses a word or a symbol by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ArtifactKind {
    /// A container image.
    Image,
    /// A list of manifests, usually one image for each platform.
    Index,
    /// A Helm chart.
    HelmChart,
    /// A WebAssembly module or component.
    Wasm,
    /// A software bill of materials.
    Sbom,
    /// A signature.
    Signature,
    /// A signed or unsigned statement about another artifact, such as its provenance.
    Attestation,
    /// A report of vulnerabilities, or a statement about them (VEX).
    VulnerabilityReport,
    /// A machine-learning model.
    Model,
    /// Rules of a policy engine.
    Policy,
    /// Any other artifact.
    Artifact,
}

impl ArtifactKind {
    /// Returns the name for people, such as `Helm chart`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Index => "index",
            Self::HelmChart => "Helm chart",
            Self::Wasm => "WebAssembly",
            Self::Sbom => "SBOM",
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::VulnerabilityReport => "vulnerability report",
            Self::Model => "model",
            Self::Policy => "policy",
            Self::Artifact => "artifact",
        }
    }
}

/// The kind of an artifact, and the format or tool if the kind has several. Its text is for people.
///
/// ```
/// use oras::spec::MediaType;
/// use oras::{ArtifactClass, ArtifactKind};
///
/// let class = ArtifactClass::of_media_type(&MediaType::new("application/spdx+json")).unwrap();
/// assert_eq!((class.kind, class.format), (ArtifactKind::Sbom, Some("SPDX")));
/// assert_eq!(class.to_string(), "SBOM (SPDX)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ArtifactClass {
    /// The kind.
    pub kind: ArtifactKind,
    /// The format or the tool, such as `SPDX` or `cosign`.
    pub format: Option<&'static str>,
}

/// Writes the kind for people, with the format in parentheses.
impl fmt::Display for ArtifactClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Some(format) => write!(f, "{} ({format})", self.kind.label()),
            None => f.write_str(self.kind.label()),
        }
    }
}

/// Media types of artifacts, configs and layers, in lower case. A type that ends in `*` stands for all types with this
/// prefix, so that new versions of a format are recognized. The first match applies.
const MEDIA_TYPES: &[(&str, Kind, &str)] = &[
    // Signatures and attestations: cosign (specs/SIGNATURE_SPEC.md, specs/BUNDLE_SPEC.md), Notary Project, in-toto.
    ("application/vnd.dev.cosign.artifact.sig.*", Kind::Signature, "cosign"),
    ("application/vnd.dev.cosign.simplesigning.*", Kind::Signature, "cosign"),
    ("application/vnd.dev.cosign.artifact.att.*", Kind::Attestation, "cosign"),
    ("application/vnd.dev.cosign.artifact.sbom.*", Kind::Sbom, "cosign"),
    ("application/vnd.dev.sigstore.bundle*", Kind::Signature, "Sigstore bundle"),
    ("application/vnd.cncf.notary.signature*", Kind::Signature, "Notation"),
    ("application/pgp-signature", Kind::Signature, "OpenPGP"),
    ("application/vnd.in-toto*", Kind::Attestation, "in-toto"),
    ("application/vnd.dsse.envelope*", Kind::Attestation, "DSSE"),
    // Bills of materials. VEX documents of CycloneDX have their own type.
    ("application/vnd.cyclonedx.vex*", Kind::VulnerabilityReport, "CycloneDX VEX"),
    ("application/vnd.cyclonedx*", Kind::Sbom, "CycloneDX"),
    ("text/vnd.cyclonedx*", Kind::Sbom, "CycloneDX"),
    ("application/spdx*", Kind::Sbom, "SPDX"),
    ("application/vnd.spdx*", Kind::Sbom, "SPDX"),
    ("text/spdx*", Kind::Sbom, "SPDX"),
    ("application/vnd.syft*", Kind::Sbom, "Syft"),
    // Vulnerabilities.
    ("application/sarif*", Kind::VulnerabilityReport, "SARIF"),
    ("application/vnd.openvex*", Kind::VulnerabilityReport, "OpenVEX"),
    ("application/openvex*", Kind::VulnerabilityReport, "OpenVEX"),
    ("application/vnd.security.vulnerability.report*", Kind::VulnerabilityReport, ""),
    ("application/vnd.aquasec.trivy.report*", Kind::VulnerabilityReport, "Trivy"),
    // Packages.
    ("application/vnd.cncf.helm.*", Kind::HelmChart, ""),
    ("application/vnd.wasm.*", Kind::Wasm, ""),
    ("application/vnd.module.wasm.*", Kind::Wasm, ""),
    ("application/vnd.bytecodealliance.wasm.*", Kind::Wasm, ""),
    ("application/wasm", Kind::Wasm, ""),
    ("application/vnd.cncf.model.*", Kind::Model, "ModelPack"),
    ("application/vnd.docker.ai.model.*", Kind::Model, "Docker"),
    ("application/vnd.kitops.modelkit.*", Kind::Model, "KitOps"),
    ("application/vnd.ollama.*", Kind::Model, "Ollama"),
    ("application/vnd.cncf.openpolicyagent.*", Kind::Policy, "Open Policy Agent"),
    ("application/vnd.cncf.kubewarden.*", Kind::Policy, "Kubewarden"),
    ("application/vnd.cncf.flux.*", Kind::Artifact, "Flux"),
    ("application/vnd.sylabs.sif.*", Kind::Image, "Singularity"),
    ("application/vnd.docker.plugin.*", Kind::Artifact, "Docker plugin"),
    ("application/vnd.docker.compose.project*", Kind::Artifact, "Compose"),
    ("application/vnd.devcontainers*", Kind::Artifact, "Dev Container"),
];

/// Predicate types of statements that a Sigstore bundle contains. `*` is as above.
const PREDICATES: &[(&str, Kind, &str)] = &[
    ("https://sigstore.dev/cosign/sign/*", Kind::Signature, "Sigstore bundle"),
    ("https://spdx.dev/document*", Kind::Sbom, "SPDX"),
    ("https://cyclonedx.org/*", Kind::Sbom, "CycloneDX"),
    ("https://slsa.dev/provenance*", Kind::Attestation, "SLSA provenance"),
    ("https://cosign.sigstore.dev/attestation/vuln/*", Kind::VulnerabilityReport, "cosign"),
    ("https://openvex.dev/*", Kind::VulnerabilityReport, "OpenVEX"),
];

/// The suffixes of the tags that cosign gives to what it attaches without the referrers API.
pub(crate) const COSIGN_TAGS: [(&str, Kind); 3] =
    [(".sig", Kind::Signature), (".att", Kind::Attestation), (".sbom", Kind::Sbom)];

/// The annotation of a Sigstore bundle with the type of its statement.
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// The annotation of an entry in an index that `BuildKit` adds for the attestations of an image.
const BUILDKIT_REFERENCE: &str = "vnd.docker.reference.type";

impl ArtifactClass {
    const fn new(kind: Kind, format: &'static str) -> Self {
        Self { kind, format: if format.is_empty() { None } else { Some(format) } }
    }

    /// Classifies the media type of an artifact, a config or a layer. Returns `None` for an unknown type.
    pub fn of_media_type(media_type: &MediaType) -> Option<Self> {
        find(MEDIA_TYPES, media_type.as_str())
    }

    /// Classifies a manifest by its artifact type, its config and its layers.
    pub fn of_manifest(manifest: &Manifest) -> Self {
        let annotated = manifest.annotations().get(PREDICATE_TYPE).and_then(|text| find(PREDICATES, text));
        if let Some(class) = annotated {
            return class;
        }
        let own = match manifest.view() {
            View::Image(image) => image.artifact_type.as_ref(),
            View::Index(index) => index.artifact_type.as_ref(),
            View::Artifact(artifact) => artifact.artifact_type.as_ref(),
        };
        let config = manifest.config().map(|config| &config.media_type);
        if let Some(class) = own.into_iter().chain(config).find_map(Self::of_media_type) {
            return class;
        }
        // The attestations of `BuildKit` and the signatures of cosign have the config of an image.
        let mut layers = manifest.layers().iter().map(|layer| Self::of_media_type(&layer.media_type));
        if let Some(Some(first)) = layers.next()
            && layers.all(|class| class.is_some_and(|class| class.kind == first.kind))
        {
            return first;
        }
        let has_own = own.is_some_and(|own| !own.as_str().is_empty());
        Self::new(
            match manifest.view() {
                View::Index(_) => Kind::Index,
                View::Image(_) if config.is_some_and(MediaType::is_image_config) && !has_own => Kind::Image,
                _ => Kind::Artifact,
            },
            "",
        )
    }

    /// Classifies a descriptor of a manifest, as a list of referrers or an index contains it, without its manifest.
    pub fn of_descriptor(descriptor: &Descriptor) -> Self {
        let annotation = |key| descriptor.annotations.get(key);
        if let Some(class) = annotation(PREDICATE_TYPE).and_then(|text| find(PREDICATES, text)) {
            return class;
        }
        if annotation(BUILDKIT_REFERENCE).is_some_and(|text| text == "attestation-manifest") {
            return Self::new(Kind::Attestation, "BuildKit");
        }
        let artifact_type = descriptor.artifact_type.as_ref().filter(|text| !text.as_str().is_empty());
        if let Some(class) = artifact_type.and_then(Self::of_media_type) {
            return class;
        }
        let is_image = artifact_type.is_none_or(MediaType::is_image_config);
        Self::new(
            match descriptor.media_type.kind() {
                MediaKind::Index => Kind::Index,
                MediaKind::Manifest if is_image => Kind::Image,
                _ => Kind::Artifact,
            },
            "",
        )
    }

    /// Classifies a tag such as `sha256-<hex>.sig`, by which cosign attaches content without the referrers API.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let (stem, kind) =
            COSIGN_TAGS.iter().find_map(|(suffix, kind)| Some((tag.strip_suffix(suffix)?, *kind)))?;
        is_digest_tag(stem).then_some(Self::new(kind, "cosign"))
    }
}

/// Returns the tags that cosign gives to what it attaches to `digest`.
pub(crate) fn cosign_tags(digest: &Digest) -> impl Iterator<Item = String> {
    let stem = digest.to_string().replace(':', "-");
    COSIGN_TAGS.iter().map(move |(suffix, _)| format!("{stem}{suffix}"))
}

fn find(table: &[(&str, Kind, &'static str)], text: &str) -> Option<ArtifactClass> {
    // Media types have no case (RFC 6838), and no predicate differs from another one only in case.
    let text = text.to_ascii_lowercase();
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => text == pattern,
    };
    let (_, kind, format) = table.iter().find(|(pattern, _, _)| matches(pattern))?;
    Some(ArtifactClass::new(*kind, format))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(media_type: &str) -> Option<String> {
        ArtifactClass::of_media_type(&MediaType::new(media_type)).map(|class| class.to_string())
    }

    fn manifest(text: &str) -> String {
        let bytes = text.to_owned().into_bytes();
        let media_type =
            if text.contains("manifests") { MediaType::IMAGE_INDEX } else { MediaType::IMAGE_MANIFEST };
        ArtifactClass::of_manifest(&Manifest::parse(&media_type, bytes.into()).unwrap()).to_string()
    }

    #[test]
    fn classifies_media_types() {
        for (media_type, expected) in [
            ("application/vnd.dev.sigstore.bundle.v0.3+json", "signature (Sigstore bundle)"),
            ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature (cosign)"),
            ("application/vnd.cncf.notary.signature", "signature (Notation)"),
            ("application/vnd.in-toto+json", "attestation (in-toto)"),
            ("application/spdx+json", "SBOM (SPDX)"),
            ("Application/SPDX+json", "SBOM (SPDX)"),
            ("application/vnd.cyclonedx+xml", "SBOM (CycloneDX)"),
            ("application/vnd.cyclonedx.vex+json", "vulnerability report (CycloneDX VEX)"),
            ("application/vnd.cncf.helm.config.v1+json", "Helm chart"),
            ("application/vnd.wasm.config.v0+json", "WebAssembly"),
        ] {
            assert_eq!(class(media_type).as_deref(), Some(expected), "{media_type}");
        }
        for unknown in ["", "text/plain", "application/vnd.oci.image.config.v1+json", "application/wasm-x"] {
            assert_eq!(class(unknown), None, "{unknown}");
        }
        // Patterns are compared with text in lower case.
        for (pattern, _, _) in MEDIA_TYPES.iter().chain(PREDICATES) {
            assert_eq!(*pattern, pattern.to_ascii_lowercase());
        }
    }

    #[test]
    fn classifies_manifests() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let blob =
            |media_type: &str| format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":2}}"#);
        let image = |more: &str, config: &str, layers: &[&str]| {
            let layers: Vec<_> = layers.iter().map(|layer| blob(layer)).collect();
            manifest(&format!(
                r#"{{"schemaVersion":2,{more}"config":{},"layers":[{}]}}"#,
                blob(config),
                layers.join(",")
            ))
        };
        let (oci, empty) = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.empty.v1+json");
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert_eq!(image("", oci, &[layer]), "image");
        assert_eq!(image(r#""artifactType":"a/b","#, oci, &[layer]), "artifact");
        assert_eq!(image(r#""artifactType":"a/b","#, empty, &[layer]), "artifact");
        assert_eq!(image(r#""artifactType":"text/spdx","#, empty, &[layer]), "SBOM (SPDX)");
        assert_eq!(image("", "application/vnd.cncf.helm.config.v1+json", &[layer]), "Helm chart");
        let in_toto = "application/vnd.in-toto+json";
        assert_eq!(image("", oci, &[in_toto, in_toto]), "attestation (in-toto)");
        assert_eq!(image("", oci, &[in_toto, layer]), "image");
        let signed = "application/vnd.dev.cosign.simplesigning.v1+json";
        assert_eq!(image("", oci, &[signed]), "signature (cosign)");
        let bundle = r#""artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json","annotations":
            {"dev.sigstore.bundle.predicateType":"https://slsa.dev/provenance/v1"},"#;
        assert_eq!(image(bundle, empty, &[layer]), "attestation (SLSA provenance)");
        assert_eq!(manifest(r#"{"schemaVersion":2,"manifests":[]}"#), "index");
    }

    #[test]
    fn classifies_descriptors_and_tags() {
        let mut node = Descriptor::of(MediaType::IMAGE_MANIFEST, b"");
        let shown = |node: &Descriptor| ArtifactClass::of_descriptor(node).to_string();
        assert_eq!(shown(&node), "image");
        node.annotations.insert(BUILDKIT_REFERENCE.into(), "attestation-manifest".into());
        assert_eq!(shown(&node), "attestation (BuildKit)");
        node.annotations.clear();
        node.artifact_type = Some(MediaType::new("a/b"));
        assert_eq!(shown(&node), "artifact");
        node.artifact_type = Some(MediaType::new("application/vnd.dev.sigstore.bundle.v0.3+json"));
        node.annotations.insert(PREDICATE_TYPE.into(), "https://cyclonedx.org/bom".into());
        assert_eq!(shown(&node), "SBOM (CycloneDX)");

        let tags: Vec<_> = cosign_tags(&node.digest).collect();
        let classes: Vec<_> = tags.iter().map(|tag| ArtifactClass::of_tag(tag).unwrap().kind).collect();
        assert_eq!(classes, [Kind::Signature, Kind::Attestation, Kind::Sbom]);
        for other in ["v1.sig", "sha256-00.sig", "sha256-", ""] {
            assert_eq!(ArtifactClass::of_tag(other), None, "{other}");
        }
    }
}
