//! What `push` and `attach` share: files, annotations, the exported manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use oras::files::{Compression, DirectoryOptions, FileReference, title_of};
use oras::spec::{MediaType, annotation};
use oras::store::fsio::Staged;
use oras::store::{Content, Kind, outlet};
use oras::{ConfigArgument, FileArgument};

use crate::args::flags::Matches;
use crate::env;
use crate::error::Failure;

/// Files with their annotations, and those of the manifest and the config.
pub(crate) struct PackArguments {
    pub(crate) files: Vec<FileArgument>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) config_annotations: BTreeMap<String, String>,
    /// Standard input, for as long as it is needed.
    pub(crate) spooled: Option<Staged>,
}

pub(crate) type ByName = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the packing flags and the file arguments, in the order in which the Go tool checks them.
pub(crate) fn read(matches: &ArgMatches, words: &[String]) -> Result<PackArguments, Failure> {
    let listed = listed(matches)?;
    let references: Vec<FileReference> =
        words.iter().chain(&listed).map(|word| FileReference::parse(word)).collect::<Result<_, _>>()?;
    if !matches.on("disable-path-validation") {
        let absolute: Vec<_> = references
            .iter()
            .map(|file| file.path.as_str())
            .filter(|path| Path::new(path).is_absolute())
            .collect();
        if !absolute.is_empty() {
            return Err(Failure::new(format!(
                "absolute file paths are insecure and not recommended. If it's intentional, use \
                 --disable-path-validation flag to skip this check: {}",
                absolute.join(", ")
            )));
        }
    }
    let mut by_name = annotations(matches)?;
    let annotations = by_name.remove("$manifest").unwrap_or_default();
    let config_annotations = by_name.remove("$config").unwrap_or_default();
    let file = |reference: FileReference| -> FileArgument {
        let annotations = by_name.get(&reference.path).cloned().unwrap_or_default();
        FileArgument {
            title: annotations.get(annotation::TITLE).cloned().unwrap_or_else(|| title_of(&reference.path)),
            path: PathBuf::from(reference.path),
            media_type: reference.media_type.map(MediaType::from),
            annotations,
        }
    };
    let mut files: Vec<_> = references.into_iter().map(file).collect();
    let spooled = match matches.text("stdin-file") {
        None => None,
        Some(text) => {
            let (reference, spooled) = (FileReference::parse(&text)?, spool()?);
            files.push(FileArgument { path: spooled.path().to_owned(), ..file(reference) });
            Some(spooled)
        }
    };
    Ok(PackArguments { files, annotations, config_annotations, spooled })
}

/// Reads how directories are packed: the compression, and the time of `SOURCE_DATE_EPOCH` that nothing in them is after.
pub(crate) fn directories(matches: &ArgMatches) -> Result<DirectoryOptions, Failure> {
    let kind = matches.text("compression").unwrap_or_else(|| "gzip".to_owned());
    let level = matches.try_get_one::<i32>("compression-level").ok().flatten().copied();
    let latest = env::source_date().map_err(Failure::new)?;
    Ok(DirectoryOptions { compression: Compression::new(&kind, level)?, latest })
}

/// The files that the list of `--files-from` names.
fn listed(matches: &ArgMatches) -> Result<Vec<String>, Failure> {
    let Some(list) = matches.text("files-from") else { return Ok(Vec::new()) };
    if list == "-" && matches.given("stdin-file") {
        return Err(Failure::new("--files-from - and --stdin-file cannot both read standard input"));
    }
    super::check_stdin(matches, &list)?;
    let text = String::from_utf8(super::read_input(&list)?)
        .map_err(|_| Failure::new(format!("{list} is not a list of files: it is not UTF-8")))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect())
}

/// Standard input in a temporary file: its digest must be known before it is sent.
fn spool() -> Result<Staged, Failure> {
    let mut spooled = Staged::create_with_mode(&std::env::temp_dir(), 0o600)?;
    std::io::copy(&mut std::io::stdin().lock(), spooled.file_mut())
        .map_err(|error| Failure::of_io("failed to keep standard input", &error))?;
    Ok(spooled)
}

/// Reads `--annotation` and `--annotation-file`; those of the flag are under `$manifest`.
pub(crate) fn annotations(matches: &ArgMatches) -> Result<ByName, Failure> {
    let flags = matches.list("annotation");
    let path = matches.text("annotation-file").filter(|path| !path.is_empty());
    match path {
        Some(_) if !flags.is_empty() => {
            Err(Failure::new("`--annotation` and `--annotation-file` cannot be both specified"))
        }
        Some(path) => {
            let bytes = std::fs::read(&path).map_err(|error| {
                Failure::of_io(format!("failed to read the annotation file {path}"), &error)
            })?;
            serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(format!(
                    "invalid annotation json file: failed to load annotations from {path}: {error}"
                ))
                .advise(
                    "Annotation file doesn't match the required format. Please refer to the document at \
                     https://oras.land/docs/how_to_guides/manifest_annotations",
                )
            })
        }
        None => {
            let mut manifest = BTreeMap::new();
            for flag in flags {
                let (key, value) = flag.split_once('=').ok_or_else(|| {
                    Failure::new(format!("annotation value doesn't match the required format: {flag:?}"))
                        .advise("Please use the correct format in the flag: --annotation \"key=value\"")
                })?;
                if manifest.insert(key.to_owned(), value.to_owned()).is_some() {
                    return Err(Failure::new(format!("duplicate annotation key: {key}, ")));
                }
            }
            Ok(ByName::from([("$manifest".to_owned(), manifest)]))
        }
    }
}

/// Reads `--config`.
pub(crate) fn config(matches: &ArgMatches) -> Result<ConfigArgument, Failure> {
    match matches.text("config").filter(|config| !config.is_empty()) {
        None => Ok(ConfigArgument::Empty),
        Some(config) => {
            let reference = FileReference::parse(&config)?;
            Ok(ConfigArgument::File {
                path: PathBuf::from(reference.path),
                media_type: reference.media_type.map(MediaType::from),
            })
        }
    }
}

/// Where the manifest is to be written, checked before anything is sent: the Go tool finds out afterwards.
pub(crate) fn export_path(matches: &ArgMatches) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = matches.text("export-manifest").filter(|path| !path.is_empty()) else { return Ok(None) };
    let directory = Path::new(&path).parent().filter(|parent| !parent.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return Err(Failure::new(format!("open {path}: no such file or directory")).of_kind(Kind::Io));
    }
    if Path::new(&path).is_dir() {
        return Err(Failure::new(format!("open {path}: is a directory")).of_kind(Kind::Io));
    }
    Ok(Some(PathBuf::from(path)))
}

/// Writes the manifest where `--export-manifest` says.
pub(crate) fn export(path: Option<&Path>, manifest: &Content) -> Result<(), Failure> {
    if let (Some(path), Some(bytes)) = (path, manifest.in_memory()) {
        outlet::put(path, bytes)?;
    }
    Ok(())
}
