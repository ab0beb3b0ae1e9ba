//! What is known of registries that do less than the specification says, by their hosts: where to begin. What a
//! registry then turns out to do is learned per host while a client runs; hosts that are not listed are tried.

/// How a registry takes blobs.
///
/// Only what saves a refused request is listed; `docs/registries.md` tells the rest, and how each is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// What the registry is called.
    pub(crate) name: &'static str,
    /// The largest body of one `PATCH`.
    pub(crate) max_patch: Option<u64>,
    /// The largest body of one `PUT` of a blob.
    pub(crate) max_put: Option<u64>,
    /// Whether blobs can come in pieces.
    pub(crate) takes_patch: bool,
    /// Whether a blob can come with the `POST` that begins its upload; `None` when that is to be found out.
    pub(crate) takes_single_post: Option<bool>,
    /// Whether mounting is worth a try.
    pub(crate) mounts: bool,
    /// Whether what is not there is told by 403, as what may not be seen is.
    pub(crate) forbids_missing: bool,
}

/// What is expected of a registry nobody knows.
const UNKNOWN: Profile = Profile {
    name: "a registry",
    max_patch: None,
    max_put: None,
    takes_patch: true,
    takes_single_post: None,
    mounts: true,
    forbids_missing: false,
};

/// The profiles, by the ends of host names: a name that begins with a dot stands for the hosts below it.
const PROFILES: [(&str, Profile); 12] = [
    // Larger pieces are answered with 416 (rust-oci-client#37); a PUT of any size is taken.
    (
        "ghcr.io",
        Profile {
            name: "GitHub Container Registry",
            max_patch: Some(4 << 20),
            takes_single_post: Some(false),
            ..UNKNOWN
        },
    ),
    // No uploads in pieces (rust-oci-client#177).
    (".pkg.dev", GOOGLE),
    ("gcr.io", GOOGLE),
    (".gcr.io", GOOGLE),
    // Streams without a length are cut at about 20 MB (ocync, docs/registries); all of ours have one.
    (".azurecr.io", Profile { name: "Azure Container Registry", takes_single_post: Some(false), ..UNKNOWN }),
    // Mounting is a setting of the account (ocync#25): tried.
    (".amazonaws.com", Profile { name: "Amazon ECR", takes_single_post: Some(false), ..UNKNOWN }),
    ("public.ecr.aws", Profile { name: "Amazon ECR Public", takes_single_post: Some(false), ..UNKNOWN }),
    // A PUT is taken up to 20 GB (oras-py#137).
    (
        "quay.io",
        Profile { name: "Quay", max_put: Some(20_000_000_000), takes_single_post: Some(false), ..UNKNOWN },
    ),
    // Virtual repositories (go-containerregistry#1691).
    (".jfrog.io", Profile { name: "Artifactory", forbids_missing: true, ..UNKNOWN }),
    ("registry.gitlab.com", Profile { name: "GitLab", takes_single_post: Some(false), ..UNKNOWN }),
    ("docker.io", Profile { name: "Docker Hub", takes_single_post: Some(false), ..UNKNOWN }),
    ("registry-1.docker.io", Profile { name: "Docker Hub", takes_single_post: Some(false), ..UNKNOWN }),
];

const GOOGLE: Profile = Profile {
    name: "Google Artifact Registry",
    takes_patch: false,
    takes_single_post: Some(false),
    ..UNKNOWN
};

impl Profile {
    /// What is known of the registry at `host`, with or without a port.
    pub(crate) fn of(host: &str) -> &'static Self {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        let is_meant = |pattern: &str| match pattern.strip_prefix('.') {
            Some(_) => name.ends_with(pattern),
            None => name == pattern,
        };
        PROFILES.iter().find(|(pattern, _)| is_meant(pattern)).map_or(&UNKNOWN, |(_, profile)| profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_their_whole_names() {
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

    #[test]
    fn each_is_described() {
        let page = include_str!("../../../docs/registries.md");
        for (_, profile) in PROFILES {
            assert!(page.contains(&format!("\n## {}\n", profile.name)), "{}", profile.name);
        }
    }
}
