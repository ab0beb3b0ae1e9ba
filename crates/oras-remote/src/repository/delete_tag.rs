//! A tag removed without its manifest (distribution-spec, "Deleting tags"), also where a registry can only delete
//! manifests.

use std::hash::{BuildHasher, RandomState};

use oras_spec::{Descriptor, ImageManifest, MediaType, Reference, annotation};
use oras_store::{Content, Error, Kind, Result, Target};

use crate::repository::Repository;

impl Repository {
    /// Removes a tag; the manifest that it names is there afterwards, or put back.
    pub(crate) async fn remove_tag(&self, tag: &str) -> Result<()> {
        let reference = self.named(tag)?;
        if reference.digest.is_some() {
            return Err(Error::new(Kind::InvalidInput, format!("{tag} is a digest, not a tag")));
        }
        let tag = reference.tag.as_deref().unwrap_or(tag);
        let (descriptor, bytes) = self.get_manifest(&reference).await?;
        let original = Content::from_bytes(descriptor, bytes)?;
        match self.remove("manifests", tag).await {
            Ok(()) => {}
            Err(error) if !is_refused(&error) => return Err(error),
            Err(_) if !self.names(&reference, &original).await? => {}
            Err(refused) => self.replace_tag(&reference, &original, refused).await?,
        }
        self.keep(&original).await
    }

    /// Moves the tag to a manifest that nothing else can name, and deletes that one by its digest.
    ///
    /// If the registry does not delete by digest either, the tag names the original again.
    async fn replace_tag(&self, reference: &Reference, original: &Content, refused: Error) -> Result<()> {
        let config = Content::of(MediaType::EMPTY_JSON, "{}");
        let throwaway = throwaway(reference, original.descriptor());
        let digest = &throwaway.descriptor().digest;
        if *digest == original.descriptor().digest {
            return Err(Error::new(Kind::Other, "the throw-away manifest is the original"));
        }
        let name = digest.to_string();
        // Nothing has this digest yet: a registry that does not delete says so before anything has changed.
        match self.remove("manifests", &name).await {
            Err(error) if matches!(error.kind(), Kind::Unsupported | Kind::Denied | Kind::Unauthorized) => {
                return Err(refused.context("the registry deletes neither tags nor manifests"));
            }
            _ => {}
        }
        self.push(&config).await?;
        self.put_again(&throwaway, reference).await?;
        // Only the digest computed here, of bytes that nobody else has, is ever deleted.
        let deleted = match self.names(reference, &throwaway).await {
            Ok(true) => self.remove("manifests", &name).await,
            Ok(false) => {
                drop(self.remove("manifests", &name).await);
                let message = format!("{reference} was moved by somebody else");
                return Err(Error::new(Kind::Other, message));
            }
            Err(error) => Err(error),
        };
        let Err(error) = deleted else { return Ok(()) };
        match self.put_again(original, reference).await {
            Ok(()) => Err(error.context(format!("failed to remove {reference}, which is as it was"))),
            Err(failed) => {
                let digest = &original.descriptor().digest;
                Err(failed.context(format!("failed to make {reference} name {digest} again")))
            }
        }
    }

    /// Whether `reference` names `content` now.
    async fn names(&self, reference: &Reference, content: &Content) -> Result<bool> {
        let found = match self.head_manifest(reference).await {
            Ok(Some(found)) => found,
            Ok(None) => self.get_manifest(reference).await?.0,
            Err(error) if error.kind() == Kind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(found.digest == content.descriptor().digest)
    }

    /// Stores the manifest once more if the registry took it away with its tag, and says so.
    async fn keep(&self, original: &Content) -> Result<()> {
        let descriptor = original.descriptor();
        if self.has("manifests", descriptor).await? {
            return Ok(());
        }
        self.put_again(original, &self.named(&descriptor.digest.to_string())?).await?;
        if let Some(warn) = &self.client().options().warnings {
            let digest = &descriptor.digest;
            warn(
                self.name(),
                &format!(
                    "the registry deleted {digest} with its tag; it was stored again, without other tags"
                ),
            );
        }
        Ok(())
    }
}

/// Whether the registry says, one way or another, that it deletes no tags. Some look for a manifest of that name.
fn is_refused(error: &Error) -> bool {
    let answer = error.find::<crate::ResponseError>();
    error.kind() == Kind::NotFound
        || answer
            .is_some_and(|answer| matches!(answer.status, 400 | 405 | 501) || answer.has_code("UNSUPPORTED"))
}

/// A manifest that has never been and will never be anywhere else.
fn throwaway(reference: &Reference, original: &Descriptor) -> Content {
    let mut empty = Descriptor::empty_json();
    empty.data = None;
    let mut manifest = ImageManifest::new(empty.clone(), vec![empty]);
    manifest.artifact_type = Some("application/vnd.oras.untag.v1".into());
    // Keyed by the system's random numbers.
    let unique: Vec<_> =
        (0..4_u8).map(|n| format!("{:016x}", RandomState::new().hash_one((n, &original.digest)))).collect();
    let text = format!("takes the place of {reference}, to be deleted at once; {}", unique.concat());
    manifest.annotations.insert(annotation::DESCRIPTION.to_owned(), text);
    Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes())
}
