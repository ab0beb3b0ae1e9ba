//! Macros that give a store the methods that programs call first, so that they need no trait in scope.

/// Defines inherent methods that read from a [`ReadStore`](crate::ReadStore) which is `Clone`. Each forwards to the
/// traits or to [`StoredArtifact`](crate::StoredArtifact).
#[doc(hidden)]
#[macro_export]
macro_rules! inherent_read_methods {
    ($store:ty) => {
        impl $store {
            /// Returns the descriptor that `reference`, a tag or a digest, names.
            ///
            /// # Errors
            /// `NotFound` if the store has no such tag or digest.
            pub async fn resolve(&self, reference: &str) -> $crate::Result<$crate::spec::Descriptor> {
                $crate::Source::resolve(self, reference).await
            }

            /// Reads the manifest that `reference`, a tag or a digest, names, and gives access to the config, the
            /// layers and the referrers of the artifact.
            ///
            /// # Errors
            /// Those of [`StoredArtifact::open`]($crate::StoredArtifact::open).
            pub async fn artifact(&self, reference: &str) -> $crate::Result<$crate::StoredArtifact> {
                $crate::StoredArtifact::open(self.clone(), reference).await
            }

            /// Reads the manifest that `reference`, a tag or a digest, names.
            ///
            /// # Errors
            /// Those of [`StoredArtifact::open`]($crate::StoredArtifact::open).
            pub async fn manifest(&self, reference: &str) -> $crate::Result<$crate::spec::Manifest> {
                Ok(self.artifact(reference).await?.manifest().clone())
            }

            /// Returns the content of `descriptor`, which verifies all bytes that are read. Reads nothing yet.
            pub fn content(&self, descriptor: &$crate::spec::Descriptor) -> $crate::Content {
                $crate::Content::from_source(::std::sync::Arc::new(self.clone()), descriptor.clone())
            }

            /// Lists all tags in the order of the store. [`tags_after`]($crate::ReadStore::tags_after) streams them.
            pub async fn tags(&self) -> $crate::Result<::std::vec::Vec<::std::string::String>> {
                $crate::futures::TryStreamExt::try_collect($crate::ReadStore::tags_after(self, None)).await
            }

            /// Lists the manifests whose subject is the manifest that `reference` names, each with its artifact type
            /// and annotations.
            ///
            /// # Errors
            /// `NotFound` if the store has no such tag or digest.
            pub async fn referrers(
                &self,
                reference: &str,
            ) -> $crate::Result<::std::vec::Vec<$crate::spec::Descriptor>> {
                let subject = self.resolve(reference).await?;
                $crate::ReadStore::predecessors(self, &subject, None).await
            }
        }
    };
}

/// Defines inherent methods that write to a [`Target`](crate::Target).
#[doc(hidden)]
#[macro_export]
macro_rules! inherent_write_methods {
    ($store:ty) => {
        impl $store {
            /// Stores a blob, unless the store already has it, and returns its descriptor.
            ///
            /// # Errors
            /// Those of [`Target::push`]($crate::Target::push). After an error, the blob is not stored.
            pub async fn push_blob(
                &self,
                media_type: $crate::spec::MediaType,
                bytes: impl Into<$crate::bytes::Bytes>,
            ) -> $crate::Result<$crate::spec::Descriptor> {
                let content = $crate::Content::of(media_type, bytes);
                $crate::Target::push(self, &content, $crate::PushMode::Untagged).await?;
                Ok(content.descriptor().clone())
            }

            /// Stores a manifest byte for byte, and makes `tag` name it. Its blobs must be stored before.
            ///
            /// # Errors
            /// Those of [`Target::push`]($crate::Target::push). After an error, the tag is not written.
            pub async fn push_manifest(
                &self,
                media_type: $crate::spec::MediaType,
                bytes: impl Into<$crate::bytes::Bytes>,
                tag: Option<&str>,
            ) -> $crate::Result<$crate::spec::Descriptor> {
                let content = $crate::Content::of(media_type, bytes);
                let mode = tag.map_or($crate::PushMode::Untagged, $crate::PushMode::Tagged);
                $crate::Target::push(self, &content, mode).await?;
                Ok(content.descriptor().clone())
            }
        }
    };
}
