//! Known limits of public registries, by host. A client starts from them and adjusts them while it runs.

/// How a registry accepts blobs.
///
/// Contains only settings that avoid a rejected request; `docs/registries.md` describes the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Name of the registry.
    pub(crate) name: &'static str,
    /// Size of the largest `PATCH` body.
    pub(crate) max_patch: Option<u64>,
    /// Size of the largest `PUT` body of a blob.
    pub(crate) max_put: Option<u64>,
    /// Whether blobs can be sent in chunks by `PATCH`.
    pub(crate) takes_patch: bool,
    /// Whether a blob can be sent with the `POST` that opens its upload; `None` if the client tests it.
    pub(crate) takes_single_post: Option<bool>,
    /// Whether to try mounting.
    pub(crate) mounts: bool,
    /// Whether the registry answers 403 instead of 404 for missing content.
    pub(crate) forbids_missing: bool,
}

/// The profile of an unlisted registry.
const UNKNOWN: Profile = Profile {
    name: "a registry",
    max_patch: None,
    max_put: None,
    // Optimistic values: the client tests each capability and stops using it after a refusal.
    takes_patch: true,
    takes_single_post: None,
    mounts: true,
    forbids_missing: false,
};

/// The profile of a registry that rejects a blob in the `POST` that opens its upload.
const fn without_single_post(name: &'static str) -> Profile {
    Profile { name, takes_single_post: Some(false), ..UNKNOWN }
}

/// Doesn't accept chunks (rust-oci-client#177).
const GOOGLE: Profile = Profile { takes_patch: false, ..without_single_post("Google Artifact Registry") };

/// The profiles by host name; a name that begins with a dot matches subdomains.
const PROFILES: [(&str, Profile); 12] = [
    // Rejects larger chunks with 416 (rust-oci-client#37), but accepts a `PUT` of any size.
    ("ghcr.io", Profile { max_patch: Some(4 << 20), ..without_single_post("GitHub Container Registry") }),
    (".pkg.dev", GOOGLE),
    ("gcr.io", GOOGLE),
    (".gcr.io", GOOGLE),
    // Truncates streams without a length at about 20 MB (ocync, docs/registries); this client always sends a length.
    (".azurecr.io", without_single_post("Azure Container Registry")),
    // Mounting is a setting of the account (ocync#25), so it is tried.
    (".amazonaws.com", without_single_post("Amazon ECR")),
    ("public.ecr.aws", without_single_post("Amazon ECR Public")),
    // Accepts a `PUT` of up to 20 GB (oras-py#137).
    ("quay.io", Profile { max_put: Some(20_000_000_000), ..without_single_post("Quay") }),
    // Virtual repositories answer 403 for missing content (go-containerregistry#1691).
    (".jfrog.io", Profile { name: "Artifactory", forbids_missing: true, ..UNKNOWN }),
    ("registry.gitlab.com", without_single_post("GitLab")),
    ("docker.io", without_single_post("Docker Hub")),
    ("registry-1.docker.io", without_single_post("Docker Hub")),
];

impl Profile {
    /// Returns the profile of the registry at `host`, with or without a port.
    pub(crate) fn of(host: &str) -> &'static Self {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        // The pattern keeps its leading dot, so `.gcr.io` does not match `evilgcr.io`.
        let is_meant = |pattern: &str| match pattern.strip_prefix('.') {
            Some(_) => name.ends_with(pattern),
            None => name == pattern,
        };
        PROFILES.iter().find(|(pattern, _)| is_meant(pattern)).map_or(&UNKNOWN, |(_, profile)| profile)
    }

    /// Returns the profile of the registry at `host`, if it is listed.
    pub(crate) fn known(host: &str) -> Option<&'static Self> {
        Some(Self::of(host)).filter(|profile| **profile != UNKNOWN)
    }

    /// Describes the limits that the client respects, in short phrases for people.
    pub(crate) fn limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        if let Some(size) = self.max_patch {
            limits.push(format!("chunks of uploads have at most {} MiB", size >> 20));
        }
        if let Some(size) = self.max_put {
            limits.push(format!("blobs have at most {} GB", size / 1_000_000_000));
        }
        if !self.takes_patch {
            limits.push("no uploads in chunks".to_owned());
        }
        if self.takes_single_post == Some(false) {
            limits.push("no uploads in a single request".to_owned());
        }
        if self.forbids_missing {
            limits.push("missing content is answered with 403".to_owned());
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_host_names() {
        for (host, name) in [
            ("ghcr.io", "GitHub Container Registry"),
            ("GHCR.io:443", "GitHub Container Registry"),
            ("europe-docker.pkg.dev", "Google Artifact Registry"),
            ("eu.gcr.io", "Google Artifact Registry"),
            ("123.dkr.ecr.eu-west-1.amazonaws.com", "Amazon ECR"),
            ("team.azurecr.io", "Azure Container Registry"),
            ("registry-1.docker.io", "Docker Hub"),
            ("notghcr.io", "a registry"),
            ("ghcr.io.example.com", "a registry"),
            ("localhost:5000", "a registry"),
        ] {
            assert_eq!(Profile::of(host).name, name, "{host}");
        }
    }
}
