//! Deletes a tag without its manifest (distribution-spec, "Deleting tags"), even if the registry only deletes
//! manifests.

use std::hash::{BuildHasher, RandomState};

use oras_spec::{Descriptor, ImageManifest, MediaType, Reference, annotation};
use oras_store::{Content, Error, ErrorKind, Result};

use crate::repository::repository::Repository;

/// The deletion of a tag. The manifest that it names still exists afterwards, or is stored again.
pub(crate) struct TagDeletion<'a> {
    repository: &'a Repository,
    reference: Reference,
    original: Content,
}

impl<'a> TagDeletion<'a> {
    /// Reads the manifest that `tag` names.
    pub(crate) async fn new(repository: &'a Repository, tag: &str) -> Result<Self> {
        let reference = repository.reference_to(tag)?;
        if reference.digest.is_some() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("{tag} is a digest, not a tag")));
        }
        let (descriptor, bytes) = repository.get_manifest(&reference).await?;
        Ok(Self { repository, reference, original: Content::from_bytes(descriptor, bytes)? })
    }

    fn tag(&self) -> &str {
        self.reference.tag.as_deref().unwrap_or_default()
    }

    /// Deletes the tag.
    pub(crate) async fn run(&self) -> Result<()> {
        match self.repository.remove("manifests", self.tag()).await {
            Ok(()) => {}
            Err(error) if !is_refused(&error) => return Err(error),
            // An earlier attempt may have deleted the tag despite the error, so the client checks the tag.
            Err(_) if !self.names(&self.original).await? => {}
            Err(refused) => self.replace_tag(refused).await?,
        }
        self.restore_if_deleted().await
    }

    /// Moves the tag to a unique manifest and deletes that manifest by its digest.
    ///
    /// If the registry does not delete by digest either, the tag is moved back.
    async fn replace_tag(&self, refused: Error) -> Result<()> {
        let Self { repository, reference, original } = self;
        let config = Content::of(MediaType::EMPTY_JSON, "{}");
        let placeholder = placeholder(reference, original.descriptor());
        let digest = &placeholder.descriptor().digest;
        // This should never happen. Deleting this digest would delete the user's manifest.
        if *digest == original.descriptor().digest {
            return Err(Error::new(ErrorKind::Other, "the placeholder manifest is the original"));
        }
        let name = digest.to_string();
        // This digest does not exist yet, so a registry that does not delete manifests rejects the request before the
        // client has changed anything.
        let is_rejected =
            |kind| matches!(kind, ErrorKind::Unsupported | ErrorKind::Denied | ErrorKind::Unauthorized);
        if repository.remove("manifests", &name).await.is_err_and(|error| is_rejected(error.kind())) {
            return Err(refused.context("the registry deletes neither tags nor manifests"));
        }
        repository.upload_blob(&config).await?;
        repository.put_existing_manifest(&placeholder, reference).await?;
        // Deletes only the digest of the placeholder. Its bytes are unique, so no other tag can name it.
        let deleted = match self.names(&placeholder).await {
            Ok(true) => repository.remove("manifests", &name).await,
            // Another client moved the tag in the meantime. Its new value must not be overwritten.
            Ok(false) => {
                drop(repository.remove("manifests", &name).await);
                let message = format!("{reference} was moved by somebody else");
                return Err(Error::new(ErrorKind::Other, message));
            }
            Err(error) => Err(error),
        };
        let Err(error) = deleted else { return Ok(()) };
        match repository.put_existing_manifest(original, reference).await {
            // The tag names the original manifest again, so the failed deletion has changed nothing.
            Ok(()) => Err(error.context(format!("failed to remove {reference}, which is as it was"))),
            Err(failed) => {
                let digest = &original.descriptor().digest;
                Err(failed.context(format!("failed to make {reference} name {digest} again")))
            }
        }
    }

    /// Returns true if the tag names `content` now.
    async fn names(&self, content: &Content) -> Result<bool> {
        let found = match self.repository.resolve(self.tag()).await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(found.digest == content.descriptor().digest)
    }

    /// Stores the manifest again, with a warning, if the registry deleted it with its tag.
    async fn restore_if_deleted(&self) -> Result<()> {
        let Self { repository, original, .. } = self;
        let descriptor = original.descriptor();
        if repository.has("manifests", descriptor).await? {
            return Ok(());
        }
        repository
            .put_existing_manifest(original, &repository.reference_to(&descriptor.digest.to_string())?)
            .await?;
        if let Some(warn) = &repository.client().options().warnings {
            let digest = &descriptor.digest;
            let text = format!(
                "the registry deleted {digest} with its tag; it was stored again, without other tags"
            );
            warn(repository.name(), &text);
        }
        Ok(())
    }
}

/// Returns true if the registry does not delete tags. Some registries answer 404, because they look for a manifest of
/// that name.
fn is_refused(error: &Error) -> bool {
    let answer = error.find::<crate::ResponseError>();
    error.kind() == ErrorKind::NotFound
        || answer
            .is_some_and(|answer| matches!(answer.status, 400 | 405 | 501) || answer.has_code("UNSUPPORTED"))
}

/// Creates a manifest that exists nowhere else.
fn placeholder(reference: &Reference, original: &Descriptor) -> Content {
    let mut empty = Descriptor::empty_json();
    empty.data = None;
    let mut manifest = ImageManifest::new(empty.clone(), vec![empty]);
    manifest.artifact_type = Some(MediaType::new("application/vnd.oras.untag.v1"));
    // `RandomState` is keyed by the system's random numbers.
    let unique: Vec<_> =
        (0..4_u8).map(|n| format!("{:016x}", RandomState::new().hash_one((n, &original.digest)))).collect();
    let text = format!("takes the place of {reference}, to be deleted at once; {}", unique.concat());
    manifest.annotations.insert(annotation::DESCRIPTION.to_owned(), text);
    Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes())
}
