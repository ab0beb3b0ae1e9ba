//! What a reference on the command line means: a repository of a registry, or an OCI layout.

use std::io::IsTerminal;
use std::sync::Arc;

use clap::ArgMatches;
use oras::Layout;
use oras::files::FileReference;
use oras::remote::{Mirrored, Repository};
use oras::spec::{MediaType, Reference};
use oras::store::{Error, Kind, MAX_MANIFEST_SIZE, ReadStore, Source, Store};

use crate::args::flags::{Matches, exclusive};
use crate::cache;
use crate::env;
use crate::error::{self, Failure};
use crate::output::Printer;
use crate::remote::Remote;

/// Says how a reference should look.
const REFERENCE_FORM: &str =
    "Please make sure the provided reference is in the form of <registry>/<repo>[:tag|@digest]";

/// A reference on the command line.
pub(crate) struct Target {
    /// As it was typed.
    pub(crate) raw: String,
    /// `registry/repository`, or the path of the layout.
    pub(crate) path: String,
    /// The tag or digest; empty if there is none.
    pub(crate) reference: String,
    kind: TargetKind,
}

enum TargetKind {
    Registry { reference: Reference, remote: Box<Remote> },
    Layout { by_flag: bool },
}

impl Target {
    /// Understands `raw` by the flags with `prefix`.
    pub(crate) fn new(
        matches: &ArgMatches,
        prefix: &str,
        raw: &str,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        exclusive(matches, prefix, &["oci-layout-path", "oci-layout"])?;
        if matches.on(&format!("{prefix}oci-layout")) {
            if !matches.list(&format!("{prefix}header")).is_empty() {
                return Err(Failure::new("custom header flags cannot be used on an OCI image layout target"));
            }
            let (path, reference) = split_layout(raw)?;
            return Ok(Self {
                raw: raw.to_owned(),
                path,
                reference,
                kind: TargetKind::Layout { by_flag: true },
            });
        }
        if let Some(path) = matches.text(&format!("{prefix}oci-layout-path")).filter(|path| !path.is_empty())
        {
            let kind = TargetKind::Layout { by_flag: false };
            return Ok(Self { raw: raw.to_owned(), path, reference: raw.to_owned(), kind });
        }
        let reference: Reference =
            raw.parse().map_err(|error| Failure::new(format!("{raw:?}: {error}")).advise(REFERENCE_FORM))?;
        let remote = Box::new(Remote::new(matches, prefix, printer)?);
        Ok(Self {
            raw: raw.to_owned(),
            path: reference.name(),
            reference: reference.target().unwrap_or_default(),
            kind: TargetKind::Registry { reference, remote },
        })
    }

    /// `registry` or `oci-layout`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.kind {
            TargetKind::Registry { .. } => "registry",
            TargetKind::Layout { .. } => "oci-layout",
        }
    }

    /// The host of the registry, if it is in one.
    pub(crate) fn registry(&self) -> Option<&str> {
        match &self.kind {
            TargetKind::Registry { reference, .. } => Some(&reference.registry),
            TargetKind::Layout { .. } => None,
        }
    }

    /// The largest manifest that is read.
    pub(crate) fn max_manifest_size(&self) -> u64 {
        match &self.kind {
            TargetKind::Registry { remote, .. } => remote.options.max_manifest_size,
            TargetKind::Layout { .. } => MAX_MANIFEST_SIZE,
        }
    }

    /// What status lines call it.
    pub(crate) fn display(&self) -> String {
        self.display_as(&self.raw)
    }

    /// What status lines call something else in the same place.
    pub(crate) fn display_as(&self, reference: &str) -> String {
        format!("[{}] {reference}", self.kind())
    }

    /// The repository, if this is one.
    pub(crate) fn repository(&self) -> Result<Option<Repository>, Failure> {
        match &self.kind {
            TargetKind::Registry { reference, remote } => {
                Ok(Some(Repository::new(&remote.client()?, reference)?))
            }
            TargetKind::Layout { .. } => Ok(None),
        }
    }

    /// The store, for reading: a layout must be there, in a directory or a tar archive.
    pub(crate) async fn source(&self) -> Result<Arc<dyn ReadStore>, Failure> {
        if let Some(repository) = self.repository()? {
            return Ok(Mirrored::reader(&repository)?);
        }
        oras::open_layout(&self.path).await.map_err(|error| match error.kind() {
            Kind::NotFound => Failure::new(format!("invalid argument {:?}: {}", self.raw, error.chain()))
                .of_kind(Kind::NotFound),
            _ => Failure::from(error),
        })
    }

    /// The store, for reading, through the cache if there is one; a layout is as near as a cache would be.
    pub(crate) async fn cached_source(&self) -> Result<Arc<dyn Source>, Failure> {
        let source = self.source().await?;
        match env::cache().filter(|_| self.registry().is_some()) {
            Some(path) => cache::through(source, path).await,
            None => Ok(source),
        }
    }

    /// The store, for writing: a layout is made with the first write.
    pub(crate) async fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        match self.repository()? {
            Some(repository) => Ok(Arc::new(repository)),
            None => {
                let layout = Layout::open_or_create(&self.path).await?;
                Ok(Arc::new(if env::links() { layout } else { layout.unshared() }))
            }
        }
    }

    /// The store, to remove something from or to change something in: of a layout all that depends on what is deleted
    /// goes too.
    pub(crate) async fn deleting_store(&self) -> Result<Arc<dyn Store>, Failure> {
        match self.repository()? {
            Some(repository) => Ok(Arc::new(repository)),
            None => Ok(Arc::new(Layout::open_or_create(&self.path).await?.pruning())),
        }
    }

    /// Asks the registry for manifests of these types only; `false` for a layout, which can't be asked.
    pub(crate) fn accept(&mut self, types: Vec<MediaType>) -> bool {
        match &mut self.kind {
            TargetKind::Registry { remote, .. } => {
                remote.options.manifest_types = types;
                true
            }
            TargetKind::Layout { .. } => false,
        }
    }

    /// The target for `tag` in the place of `first`.
    pub(crate) fn sibling(
        matches: &ArgMatches,
        first: &Self,
        tag: &str,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        match first.kind {
            TargetKind::Layout { by_flag: false } => Self::new(matches, "", tag, printer),
            _ => Self::new(matches, "", &format!("{}:{tag}", first.path), printer),
        }
    }

    /// The failure for an error of this target.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        match &self.kind {
            TargetKind::Layout { by_flag: true } | TargetKind::Layout { by_flag: false } => {
                error::advise_by_kind(Failure::new(error.chain()).of_kind(error.kind()), error)
            }
            TargetKind::Registry { remote, .. } => error::of_registry(error, remote.store.path()),
        }
    }

    /// The tag or digest; without one, a failure that shows how it should look.
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

fn split_layout(raw: &str) -> Result<(String, String), Failure> {
    let empty = || Failure::new(format!("found empty file path in {raw:?}\ninvalid reference"));
    let (path, reference) = match raw.rsplit_once('@') {
        Some((path, digest)) => (path.to_owned(), digest.to_owned()),
        None => {
            let parsed = FileReference::parse(raw).map_err(|_| empty())?;
            (parsed.path, parsed.media_type.unwrap_or_default())
        }
    };
    if path.is_empty() { Err(empty()) } else { Ok((path, reference)) }
}

/// The usage of a command, as errors quote it.
pub(crate) struct Usage {
    /// `oras push`.
    pub(crate) path: &'static str,
    /// What follows it.
    pub(crate) tail: &'static str,
}

impl Usage {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.path, self.tail)
    }

    /// Checks the number of arguments: `exactly`, or at least that many.
    pub(crate) fn check(
        &self,
        words: &[String],
        count: usize,
        exactly: bool,
        what: &str,
    ) -> Result<(), Failure> {
        if words.len() == count || (!exactly && words.len() > count) {
            return Ok(());
        }
        let number = format!(
            "{} {count} argument{}",
            if exactly { "exactly" } else { "at least" },
            if count == 1 { "" } else { "s" }
        );
        Err(Failure::new(format!("\"{}\" requires {number} but got {}", self.path, words.len()))
            .usage(self.line())
            .advise(format!(
                "Please specify {number} as {what}. Run \"{} -h\" for more options and examples",
                self.path
            )))
    }
}

/// Splits `name:v1,v2` into the reference and the tags beyond the first.
pub(crate) fn split_tags(raw: &str) -> Result<(&str, Vec<String>), Failure> {
    let mut pieces = raw.split(',');
    let first = pieces.next().unwrap_or_default();
    Ok((first, pieces.map(ToOwned::to_owned).collect()))
}

/// Checks tags beyond the first.
pub(crate) fn check_tags(tags: &[String]) -> Result<(), Failure> {
    for tag in tags {
        if tag.is_empty() {
            return Err(Failure::new("empty extra tag"));
        }
        oras::spec::reference::check_tag(tag)
            .map_err(|error| Failure::new(format!("invalid extra tag: {error}")))?;
    }
    Ok(())
}

/// Asks for a line, on the terminal without showing what is typed if it is a secret.
pub(crate) fn prompt(printer: &Printer, question: &str, secret: bool) -> Result<String, Failure> {
    printer.text(question.as_bytes())?;
    let failed = |error: std::io::Error| Failure::of_io("failed to read standard input", &error);
    if secret && std::io::stdin().is_terminal() {
        let answer = rpassword::read_password().map_err(failed)?;
        return Ok(answer);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A digest in a reference, or a failure in the Go tool's words.
pub(crate) fn parse_digest(text: &str) -> Result<oras::spec::Digest, Failure> {
    text.parse().map_err(|error| Failure::from(Error::new(Kind::InvalidInput, format!("{text}: {error}"))))
}
