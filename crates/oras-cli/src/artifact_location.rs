//! The location that a reference on the command line names: a repository of a registry, or an OCI layout.

use std::sync::Arc;

use oras::files::FileReference;
use oras::remote::{Mirrored, Repository};
use oras::spec::{MediaType, Reference};
use oras::store::{Error, ErrorKind, MAX_MANIFEST_SIZE, ReadStore, Source, Store};
use oras::{Layout, LayoutOptions};

use crate::args::{LocationArgs, Usage, flags::exclusive, values::non_empty};
use crate::cache;
use crate::env;
use crate::failure::{self, Failure};
use crate::registry_access::RegistryAccess;

/// The advice for an invalid reference.
const REFERENCE_FORM: &str =
    "Please make sure the provided reference is in the form of <registry>/<repo>[:tag|@digest]";

/// The location of an artifact, given by a reference on the command line.
pub(crate) struct ArtifactLocation {
    /// The reference as it was typed.
    pub(crate) raw: String,
    /// `registry/repository`, or the path of the layout.
    pub(crate) path: String,
    /// The tag or digest; empty if there is none.
    pub(crate) reference: String,
    kind: LocationKind,
}

enum LocationKind {
    Registry { reference: Reference, access: Box<RegistryAccess> },
    Layout { by_flag: bool },
}

impl ArtifactLocation {
    /// Parses the reference `raw`. The flags, whose names begin with `prefix`, select a registry or an OCI layout.
    pub(crate) fn new(args: &LocationArgs, prefix: &str, raw: &str) -> Result<Self, Failure> {
        let layout = &args.layout;
        exclusive!(prefix, layout.oci_layout_path, layout.oci_layout)?;
        // With `--oci-layout` the reference contains the path; with `--oci-layout-path` the flag does.
        if layout.oci_layout == Some(true) {
            // A layout receives no requests, so a header would have no effect.
            if !args.registry.connection.header.is_empty() {
                return Err(Failure::new("custom header flags cannot be used on an OCI image layout target"));
            }
            let (path, reference) = split_layout(raw)?;
            let kind = LocationKind::Layout { by_flag: true };
            return Ok(Self { raw: raw.to_owned(), path, reference, kind });
        }
        if let Some(path) = non_empty(layout.oci_layout_path.as_ref()) {
            let kind = LocationKind::Layout { by_flag: false };
            return Ok(Self { raw: raw.to_owned(), path: path.to_owned(), reference: raw.to_owned(), kind });
        }
        let reference: Reference =
            raw.parse().map_err(|error| Failure::new(format!("{raw:?}: {error}")).advise(REFERENCE_FORM))?;
        let access = Box::new(RegistryAccess::new(&args.registry, prefix)?);
        Ok(Self {
            raw: raw.to_owned(),
            path: reference.name(),
            reference: reference.target().unwrap_or_default(),
            kind: LocationKind::Registry { reference, access },
        })
    }

    /// Returns `registry` or `oci-layout`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.kind {
            LocationKind::Registry { .. } => "registry",
            LocationKind::Layout { .. } => "oci-layout",
        }
    }

    /// Returns the host of the registry, or `None` for a layout.
    pub(crate) fn registry(&self) -> Option<&str> {
        match &self.kind {
            LocationKind::Registry { reference, .. } => Some(&reference.registry),
            LocationKind::Layout { .. } => None,
        }
    }

    /// Returns the size limit of manifests.
    pub(crate) fn max_manifest_size(&self) -> u64 {
        match &self.kind {
            LocationKind::Registry { access, .. } => access.options.max_manifest_size,
            LocationKind::Layout { .. } => MAX_MANIFEST_SIZE,
        }
    }

    /// Returns the name in status lines.
    pub(crate) fn display(&self) -> String {
        self.display_as(&self.raw)
    }

    /// Returns the name of `reference` in status lines, for the same kind of location.
    pub(crate) fn display_as(&self, reference: &str) -> String {
        format!("[{}] {reference}", self.kind())
    }

    /// Returns the repository, or `None` for a layout.
    pub(crate) fn repository(&self) -> Result<Option<Repository>, Failure> {
        match &self.kind {
            LocationKind::Registry { reference, access } => {
                Ok(Some(Repository::new(&access.client(&reference.registry)?, reference)?))
            }
            LocationKind::Layout { .. } => Ok(None),
        }
    }

    /// Opens the store for reading. A layout must exist, as a directory or a tar archive.
    pub(crate) async fn source(&self) -> Result<Arc<dyn ReadStore>, Failure> {
        if let Some(repository) = self.repository()? {
            return Ok(Mirrored::reader(&repository)?);
        }
        oras::open_layout(&self.path).await.map_err(|error| match error.kind() {
            // The cause of a missing layout is usually a wrong argument, so the message quotes the argument.
            ErrorKind::NotFound => {
                Failure::new(format!("invalid argument {:?}: {}", self.raw, error.chain()))
                    .of_kind(ErrorKind::NotFound)
            }
            _ => Failure::from(error),
        })
    }

    /// Opens the store for reading, through the cache of `ORAS_CACHE` if it is a registry.
    pub(crate) async fn cached_source(&self) -> Result<Arc<dyn Source>, Failure> {
        let source = self.source().await?;
        // A layout is as fast as the cache, so it is never cached.
        match env::cache().filter(|_| self.registry().is_some()) {
            Some(path) => cache::through(source, path).await,
            None => Ok(source),
        }
    }

    /// Opens the store for writing. A layout is created by the first write.
    pub(crate) async fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        self.open(LayoutOptions::default().link_blobs(env::links())).await
    }

    /// Opens the store for deleting and replacing manifests. In a layout, deleting a manifest also deletes its
    /// referrers and the content that no other manifest needs.
    pub(crate) async fn deleting_store(&self) -> Result<Arc<dyn Store>, Failure> {
        // A registry collects garbage itself. In a layout the unneeded content would stay, so it is deleted here.
        self.open(LayoutOptions::default().prune_on_delete(true)).await
    }

    /// Opens the store. `options` apply to a layout.
    async fn open(&self, options: LayoutOptions) -> Result<Arc<dyn Store>, Failure> {
        match self.repository()? {
            Some(repository) => Ok(Arc::new(repository)),
            None => Ok(Arc::new(Layout::open_or_create_with(&self.path, options).await?)),
        }
    }

    /// Restricts the manifest types that are requested from the registry. Returns false for a layout, which has one
    /// manifest for each reference.
    pub(crate) fn set_accepted_types(&mut self, types: Vec<MediaType>) -> bool {
        match &mut self.kind {
            LocationKind::Registry { access, .. } => {
                access.options.manifest_types = types;
                true
            }
            LocationKind::Layout { .. } => false,
        }
    }

    /// Returns the location of `tag` in the same repository or layout.
    pub(crate) fn sibling(&self, args: &LocationArgs, tag: &str) -> Result<Self, Failure> {
        match self.kind {
            // With `--oci-layout-path` the reference is only the tag. In all other forms it also contains the location.
            LocationKind::Layout { by_flag: false } => Self::new(args, "", tag),
            _ => Self::new(args, "", &format!("{}:{tag}", self.path)),
        }
    }

    /// Converts an error of this location into a failure.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        match &self.kind {
            LocationKind::Layout { .. } => {
                failure::advise_by_kind(Failure::new(error.chain()).of_kind(error.kind()), error)
            }
            LocationKind::Registry { access, .. } => failure::of_registry(error, access.store.path()),
        }
    }

    /// Converts the error of a result into a failure.
    pub(crate) fn explain<T>(&self, result: oras::store::Result<T>) -> Result<T, Failure> {
        result.map_err(|error| self.failure(&error))
    }

    /// Returns the tag or digest, or a failure that shows the expected form.
    pub(crate) fn require_reference(&self, usage: &Usage, tags: bool) -> Result<&str, Failure> {
        if !self.reference.is_empty() {
            return Ok(&self.reference);
        }
        let (message, form) = if tags {
            ("no tag or digest specified", "\"<name>:<tag>\" or \"<name>@<digest>\"")
        } else {
            ("no digest specified", "\"<name>@<digest>\"")
        };
        let advice = format!(
            "Please specify a reference in the form of {form}. Run \"{} -h\" for more options and examples",
            usage.path
        );
        Err(Failure::new(format!("\"{}\": {message}", self.raw)).usage(usage.line()).advise(advice))
    }
}

/// Splits `path:tag` or `path@digest`.
fn split_layout(raw: &str) -> Result<(String, String), Failure> {
    let empty = || Failure::new(format!("found empty file path in {raw:?}\ninvalid reference"));
    let (path, reference) = match raw.rsplit_once('@') {
        // A digest contains a colon, so the text is split at `@` before it is split at the colon of a tag.
        Some((path, digest)) => (path.to_owned(), digest.to_owned()),
        None => {
            let parsed = FileReference::parse(raw).map_err(|_| empty())?;
            (parsed.path, parsed.media_type.unwrap_or_default())
        }
    };
    if path.is_empty() { Err(empty()) } else { Ok((path, reference)) }
}
