//! A repository that is bundled, and what is selected from it.

use std::fmt;
use std::sync::Arc;

use oras_spec::{MediaType, Platform};
use oras_store::ReadStore;

/// A repository to bundle: its name, its store, and what to take from it. The default takes every tag, with all
/// platforms and all referrers.
#[derive(Clone)]
#[non_exhaustive]
pub struct BundleSource {
    /// The full name, `registry/repository`, under which the bundle lists the content.
    pub name: String,
    /// The repository.
    pub store: Arc<dyn ReadStore>,
    /// The tags and digests to take. Empty means all tags.
    pub references: Vec<String>,
    /// Takes only the images for these platforms from an index. One platform takes the image instead of the index;
    /// several take a new index of these images. Other artifacts are taken as they are. Empty means all.
    pub platforms: Vec<Platform>,
    /// The referrers to take along, at every level.
    pub referrers: ReferrerSelection,
    /// Also takes the manifests with cosign's tags: `sha256-<hex>` and `.sig`, `.att` or `.sbom`.
    pub cosign_tags: bool,
}

/// Which referrers a bundle takes along. It is a field of [`BundleSource`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReferrerSelection {
    /// All referrers.
    #[default]
    All,
    /// Referrers of these artifact types.
    Types(Vec<MediaType>),
    /// No referrers.
    None,
}

impl BundleSource {
    /// Takes all tags of `store`, whose full name is `name`.
    pub fn new(name: impl Into<String>, store: impl ReadStore + 'static) -> Self {
        Self {
            name: name.into(),
            store: Arc::new(store),
            references: Vec::new(),
            platforms: Vec::new(),
            referrers: ReferrerSelection::All,
            cosign_tags: true,
        }
    }

    oras_store::setters! {
        references: impl IntoIterator<Item = impl Into<String>> => references.into_iter().map(Into::into).collect();
        platforms: Vec<Platform>;
        referrers: ReferrerSelection;
        cosign_tags: bool;
    }
}

impl fmt::Debug for BundleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleSource")
            .field("name", &self.name)
            .field("references", &self.references)
            .finish_non_exhaustive()
    }
}

impl ReferrerSelection {
    /// Returns true if referrers of this type are taken.
    pub(super) fn takes(&self, artifact_type: Option<&MediaType>) -> bool {
        match self {
            Self::All => true,
            Self::Types(types) => artifact_type.is_some_and(|artifact_type| types.contains(artifact_type)),
            Self::None => false,
        }
    }
}
