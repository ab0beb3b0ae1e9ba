//! The location that a reference on the command line names: a repository of a registry, or an OCI layout.

use std::sync::Arc;

use oras::files::FileReference;
use oras::remote::{Mirrored, Repository, ResponseError};
use oras::spec::{Digest, MediaType, Reference};
use oras::store::{Error, ErrorKind, MAX_MANIFEST_SIZE, ReadStore, Source, Store};
use oras::{Layout, LayoutOptions};

use crate::args::{LocationArgs, Usage, flags::exclusive, values::non_empty};
use crate::bucket_location;
use crate::cache;
use crate::env;
use crate::failure::{self, Failure};
use crate::hints::{InvalidReference, NameSearch, SearchPlace, Subject};
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
    /// The prefix of the flags: empty, `from-` or `to-`.
    prefix: &'static str,
}

enum LocationKind {
    Registry { reference: Reference, access: Box<RegistryAccess> },
    Layout { by_flag: bool },
}

impl ArtifactLocation {
    /// Parses the reference `raw`. The flags, whose names begin with `prefix`, select a registry or an OCI layout.
    pub(crate) fn new(args: &LocationArgs, prefix: &'static str, raw: &str) -> Result<Self, Failure> {
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
            return Ok(Self { raw: raw.to_owned(), path, reference, kind, prefix });
        }
        if let Some(path) = non_empty(layout.oci_layout_path.as_ref()) {
            let kind = LocationKind::Layout { by_flag: false };
            let (raw, path) = (raw.to_owned(), path.to_owned());
            return Ok(Self { raw: raw.clone(), path, reference: raw, kind, prefix });
        }
        let reference: Reference = raw.parse().map_err(|error| {
            let failure = Failure::new(format!("{raw:?}: {error}")).advise(REFERENCE_FORM);
            failure.hint_for_reference(InvalidReference { raw: raw.to_owned(), prefix, error })
        })?;
        let access = Box::new(RegistryAccess::new(&args.registry, prefix)?);
        Ok(Self {
            raw: raw.to_owned(),
            path: reference.name(),
            reference: reference.target().unwrap_or_default(),
            kind: LocationKind::Registry { reference, access },
            prefix,
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

    /// Returns what an error about this location is about.
    fn subject(&self) -> Subject {
        let subject = Subject { prefix: self.prefix, raw: self.raw.clone(), ..Subject::default() };
        match &self.kind {
            LocationKind::Registry { reference, access } => Subject {
                registry: Some(reference.registry.clone()),
                repository: Some(self.path.clone()),
                plain_http: access.options.plain_http,
                has_credential_flags: access.credential.is_some(),
                ..subject
            },
            LocationKind::Layout { .. } => Subject { layout: Some(self.path.clone()), ..subject },
        }
    }

    /// Returns the search for similar tags if `error` says that the tag of this location does not exist.
    pub(crate) fn name_search(&self, error: &Error) -> Option<NameSearch> {
        let tag = self.reference.as_str();
        if error.kind() != ErrorKind::NotFound || tag.is_empty() || tag.parse::<Digest>().is_ok() {
            return None;
        }
        let (is_about_tag, place) = match &self.kind {
            LocationKind::Registry { reference, .. } => {
                let answer = error.find::<ResponseError>()?;
                let repository = Box::new(self.repository().ok()??);
                let registry = reference.registry.clone();
                let is_about_tag = answer.status == 404 && answer.url.ends_with(&format!("/manifests/{tag}"));
                (is_about_tag, SearchPlace::Registry { repository, registry })
            }
            LocationKind::Layout { .. } => {
                let is_about_tag = error.chain().ends_with(&format!(":{tag}: not found"));
                (is_about_tag, SearchPlace::Layout { path: self.path.clone() })
            }
        };
        is_about_tag.then(|| NameSearch { tag: tag.to_owned(), place })
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
                let client = access.client(&reference.registry).map_err(|error| self.opening(&error))?;
                Ok(Some(Repository::new(&client, reference).map_err(|error| self.opening(&error))?))
            }
            LocationKind::Layout { .. } => Ok(None),
        }
    }

    /// Opens the store for reading. A layout must exist, as a directory or a tar archive.
    pub(crate) async fn source(&self) -> Result<Arc<dyn ReadStore>, Failure> {
        if let Some(repository) = self.repository()? {
            return Mirrored::reader(&repository).map_err(|error| self.opening(&error));
        }
        if bucket_location::is_bucket(&self.path) {
            let store = bucket_location::open(&self.path).map_err(|error| self.opening(&error))?;
            return Ok(store);
        }
        oras::open_layout(&self.path).await.map_err(|error| match error.kind() {
            // The cause of a missing layout is usually a wrong argument, so the message quotes the argument.
            ErrorKind::NotFound => {
                let message = format!("invalid argument {:?}: {}", self.raw, error.chain());
                Failure { message, ..self.opening(&error) }
            }
            _ => self.opening(&error),
        })
    }

    /// Converts the error of opening this location.
    fn opening(&self, error: &Error) -> Failure {
        Failure::about(error, &self.subject())
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
            None if bucket_location::is_bucket(&self.path) => {
                bucket_location::open(&self.path).map_err(|error| self.opening(&error))
            }
            None => match Layout::open_or_create_with(&self.path, options).await {
                Ok(layout) => Ok(Arc::new(layout)),
                Err(error) => Err(self.opening(&error)),
            },
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
        let failure = match &self.kind {
            LocationKind::Layout { .. } => failure::advise_by_kind(self.opening(error), error),
            LocationKind::Registry { access, .. } => {
                failure::of_registry(error, access.store.path(), &self.subject())
            }
        };
        failure.hint_by_search(self.name_search(error))
    }

    /// Converts the error of a result into a failure.
    pub(crate) fn explain<T>(&self, result: oras::store::Result<T>) -> Result<T, Failure> {
        result.map_err(|error| self.failure(&error))
    }

    /// Returns the hint for a tag where only a digest is allowed.
    pub(crate) fn digest_hint(&self) -> Option<String> {
        let tag = &self.reference;
        oras::spec::reference::check_tag(tag).ok()?;
        Some(format!(
            "{tag:?} is a tag, and blobs have digests: \"oras manifest fetch {}\" lists those of the artifact",
            self.raw
        ))
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
        let list = match &self.kind {
            LocationKind::Registry { .. } => format!("oras repo tags {}", self.path),
            LocationKind::Layout { .. } => format!("oras repo tags --oci-layout {}", self.path),
        };
        let host = self.registry().unwrap_or("localhost");
        let hint = match tags {
            // A name without a dot is usually the first part of a repository, as in `library/alpine`.
            _ if !host.contains(['.', ':']) && host != "localhost" => format!(
                "{host:?} is read as the registry, and there is no default registry: write <registry>/{}",
                self.raw
            ),
            true => format!("list the tags: {list}"),
            false => {
                format!("the manifest lists the digests of blobs: oras manifest fetch {}:<tag>", self.path)
            }
        };
        let failure = Failure::new(format!("\"{}\": {message}", self.raw)).usage(usage.line()).advise(advice);
        Err(failure.hint(Some(hint)))
    }
}

/// Splits `path:tag` or `path@digest`.
fn split_layout(raw: &str) -> Result<(String, String), Failure> {
    if bucket_location::is_bucket(raw) {
        return Ok(bucket_location::split(raw));
    }
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
