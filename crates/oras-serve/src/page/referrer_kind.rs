//! Classifies referrers by their artifact types.

use oras_spec::Descriptor;

/// What a referrer says about its subject. A page shows the kinds in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ReferrerKind {
    Signature,
    Sbom,
    Attestation,
    Other,
}

/// The beginning of the artifact type of a Sigstore bundle, which is a signature or an attestation.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// The annotation of a Sigstore bundle that names its content, and the content of an attestation.
const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";
const ATTESTATION: &str = "dsse-envelope";

/// The beginnings of the artifact types of common tools.
const KNOWN: [(&str, ReferrerKind); 15] = [
    ("application/vnd.cncf.notary.signature", ReferrerKind::Signature),
    ("application/vnd.dev.cosign.artifact.sig.", ReferrerKind::Signature),
    ("application/vnd.dev.cosign.simplesigning.", ReferrerKind::Signature),
    (BUNDLE, ReferrerKind::Signature),
    ("application/spdx+", ReferrerKind::Sbom),
    ("text/spdx", ReferrerKind::Sbom),
    ("application/vnd.cyclonedx", ReferrerKind::Sbom),
    ("application/vnd.syft+", ReferrerKind::Sbom),
    ("application/vnd.dev.cosign.artifact.sbom.", ReferrerKind::Sbom),
    ("application/vnd.in-toto", ReferrerKind::Attestation),
    ("application/vnd.dsse.envelope.", ReferrerKind::Attestation),
    ("application/vnd.dev.cosign.artifact.att.", ReferrerKind::Attestation),
    ("application/vnd.dev.cosign.attestation.", ReferrerKind::Attestation),
    ("application/vnd.slsa.", ReferrerKind::Attestation),
    ("application/sarif+", ReferrerKind::Attestation),
];

impl ReferrerKind {
    /// Classifies a referrer.
    pub(super) fn of(referrer: &Descriptor) -> Self {
        let artifact_type = referrer.artifact_type.as_ref().unwrap_or(&referrer.media_type);
        let artifact_type = artifact_type.as_str().to_ascii_lowercase();
        let content = referrer.annotations.get(BUNDLE_CONTENT).map(String::as_str);
        if artifact_type.starts_with(BUNDLE) && content == Some(ATTESTATION) {
            return Self::Attestation;
        }
        let known = KNOWN.iter().find(|(beginning, _)| artifact_type.starts_with(beginning));
        known.map_or(Self::Other, |(_, kind)| *kind)
    }

    /// Returns the name of one referrer.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Signature => "Signature",
            Self::Sbom => "SBOM",
            Self::Attestation => "Attestation",
            Self::Other => "Referrer",
        }
    }

    /// Returns the heading of all referrers of this kind.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Signature => "Signatures",
            Self::Sbom => "SBOMs",
            Self::Attestation => "Attestations",
            Self::Other => "Other referrers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_spec::MediaType;

    #[test]
    fn classifies_types_of_common_tools() {
        let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
        for (artifact_type, content, kind) in [
            ("application/vnd.cncf.notary.signature", "", ReferrerKind::Signature),
            (bundle, "", ReferrerKind::Signature),
            (bundle, "message-signature", ReferrerKind::Signature),
            (bundle, "dsse-envelope", ReferrerKind::Attestation),
            ("application/spdx+json", "", ReferrerKind::Sbom),
            ("application/vnd.CycloneDX+json", "", ReferrerKind::Sbom),
            ("application/vnd.in-toto+json", "", ReferrerKind::Attestation),
            ("application/vnd.example", "dsse-envelope", ReferrerKind::Other),
            ("", "", ReferrerKind::Other),
        ] {
            let mut referrer = Descriptor::of(MediaType::IMAGE_MANIFEST, b"");
            referrer.artifact_type = Some(MediaType::new(artifact_type));
            referrer.annotations.insert(BUNDLE_CONTENT.into(), content.into());
            assert_eq!(ReferrerKind::of(&referrer), kind, "{artifact_type} {content}");
        }
    }
}
