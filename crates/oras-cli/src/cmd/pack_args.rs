//! The arguments that `push` and `attach` share: files, annotations, the exported manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oras::files::{Compression, DirectoryOptions, FileReference, title_of};
use oras::fs::StagedFile;
use oras::fs::output_file;
use oras::spec::{MediaType, annotation};
use oras::store::{Content, ErrorKind};
use oras::{Artifact, FileArgument};

use super::file_io::{check_stdin, read_input};
use crate::args::{ConnectionArgs, flags, values::non_empty};
use crate::env;
use crate::failure::Failure;

flags::flags! {
    /// The flags of commands that pack files.
    struct PackArgs {
        annotation: Vec<String> = flags::list("KEY=VALUE", "Annotation of the manifest").short('a'),
        annotation_file: Option<String> =
            flags::text("PATH", "Annotations as JSON, by file, $config and $manifest"),
        export_manifest: Option<String> = flags::text("PATH", "Also write the manifest to this file"),
        disable_path_validation: bool = flags::switch("Allow absolute paths of files"),
        files_from: Option<String> = flags::text(
            "LIST",
            "Also take the files that this file names, one path[:type] a line; - is standard input",
        ),
        stdin_file: Option<String> =
            flags::text("TITLE[:TYPE]", "Also take standard input as a file of this name"),
        compression: Option<String> =
            flags::text("KIND", "How directories are compressed: gzip, zstd or none [default: gzip]")
                .value_parser(["gzip", "zstd", "none"]),
        compression_level: Option<i32> =
            flags::text("LEVEL", "1 to 12 for gzip, 1 to 22 for zstd [default: 7, 3]")
                .value_parser(clap::value_parser!(i32)),
    }
}

/// What [`read`] returns.
pub(crate) struct PackedFiles {
    pub(crate) contents: PackedContents,
    /// The temporary file with standard input. It is deleted when this is dropped.
    pub(crate) spooled: Option<StagedFile>,
}

/// The files to pack, and the annotations of the manifest and the config.
pub(crate) struct PackedContents {
    pub(crate) files: Vec<FileArgument>,
    pub(crate) annotations: BTreeMap<String, String>,
    config_annotations: BTreeMap<String, String>,
}

/// The file of `--config`.
pub(crate) struct ConfigFile {
    path: PathBuf,
    media_type: Option<MediaType>,
}

/// Annotations by the name of a file, `$manifest` or `$config`.
type AnnotationsByName = BTreeMap<String, BTreeMap<String, String>>;

/// Checks the flags and the file arguments, in the order in which the Go tool checks them.
pub(crate) fn read(
    args: &PackArgs,
    connection: &ConnectionArgs,
    words: &[String],
) -> Result<PackedFiles, Failure> {
    let listed = listed(args, connection)?;
    let references: Vec<FileReference> =
        words.iter().chain(&listed).map(|word| FileReference::parse(word)).collect::<Result<_, _>>()?;
    if !args.disable_path_validation {
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
            ))
            .hint(relative_path_hint(&absolute)));
        }
    }
    // The entries `$manifest` and `$config` are taken out. The remaining names are paths of files.
    let mut by_name = annotations(&args.annotation, args.annotation_file.as_ref())?;
    let annotations = by_name.remove("$manifest").unwrap_or_default();
    let config_annotations = by_name.remove("$config").unwrap_or_default();
    let file = |reference: FileReference| -> FileArgument {
        let annotations = by_name.get(&reference.path).cloned().unwrap_or_default();
        FileArgument {
            title: annotations.get(annotation::TITLE).cloned().unwrap_or_else(|| title_of(&reference.path)),
            path: PathBuf::from(reference.path),
            media_type: reference.media_type.map(MediaType::new),
            annotations,
        }
    };
    // Annotations by file use the path as it was typed, not the title.
    let mut files: Vec<_> = references.into_iter().map(file).collect();
    let spooled = match &args.stdin_file {
        None => None,
        Some(text) => {
            let (reference, spooled) = (FileReference::parse(text)?, spool()?);
            files.push(FileArgument { path: spooled.path().to_owned(), ..file(reference) });
            Some(spooled)
        }
    };
    Ok(PackedFiles { contents: PackedContents { files, annotations, config_annotations }, spooled })
}

/// Returns the hint for absolute paths: the directory in which they are relative.
fn relative_path_hint(paths: &[&str]) -> Option<String> {
    let [path] = paths else { return None };
    let (parent, name) = (Path::new(path).parent()?, Path::new(path).file_name()?.to_str()?);
    Some(format!(
        "change to the directory and name the file relative to it: cd {} && … {name}",
        parent.display()
    ))
}

/// Adds the files and annotations to an artifact.
pub(crate) fn add(mut artifact: Artifact, contents: PackedContents) -> Artifact {
    for file in contents.files {
        artifact = artifact.file_argument(file);
    }
    for (key, value) in contents.config_annotations {
        artifact = artifact.config_annotation(key, value);
    }
    artifact.annotations(contents.annotations)
}

/// Sets the config of an artifact.
pub(crate) fn with_config(artifact: Artifact, config: Option<ConfigFile>) -> Artifact {
    match config {
        Some(config) => artifact.config_file(config.path, config.media_type),
        None => artifact,
    }
}

/// Returns how directories are packed: the compression, and the latest time of an entry (`SOURCE_DATE_EPOCH`).
pub(crate) fn directories(args: &PackArgs) -> Result<DirectoryOptions, Failure> {
    let kind = args.compression.as_deref().unwrap_or("gzip");
    let latest = env::source_date().map_err(Failure::new)?;
    Ok(DirectoryOptions::default()
        .compression(Compression::new(kind, args.compression_level)?)
        .latest(latest))
}

/// Reads the file arguments in the list of `--files-from`.
fn listed(args: &PackArgs, connection: &ConnectionArgs) -> Result<Vec<String>, Failure> {
    let Some(list) = &args.files_from else { return Ok(Vec::new()) };
    // Standard input can be read only once.
    if list == "-" && args.stdin_file.is_some() {
        return Err(Failure::new("--files-from - and --stdin-file cannot both read standard input"));
    }
    check_stdin(connection, list)?;
    let text = String::from_utf8(read_input(list)?)
        .map_err(|_| Failure::new(format!("{list} is not a list of files: it is not UTF-8")))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect())
}

/// Copies standard input to a temporary file: its digest must be known before the upload.
fn spool() -> Result<StagedFile, Failure> {
    // Only the user may read the file, because the input may be secret.
    let mut spooled = StagedFile::create_with_mode(&std::env::temp_dir(), 0o600)?;
    std::io::copy(&mut std::io::stdin().lock(), spooled.file_mut())
        .map_err(|error| Failure::of_io("failed to keep standard input", &error))?;
    Ok(spooled)
}

/// Reads the annotations of `--annotation`, which are under `$manifest`, or of `--annotation-file`.
pub(crate) fn annotations(flags: &[String], file: Option<&String>) -> Result<AnnotationsByName, Failure> {
    match non_empty(file) {
        Some(_) if !flags.is_empty() => {
            Err(Failure::new("`--annotation` and `--annotation-file` cannot be both specified"))
        }
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| {
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
                    // The message of the Go tool ends with a comma, too.
                    return Err(Failure::new(format!("duplicate annotation key: {key}, ")));
                }
            }
            Ok(AnnotationsByName::from([("$manifest".to_owned(), manifest)]))
        }
    }
}

/// Parses `--config`.
pub(crate) fn config(given: Option<&String>) -> Result<Option<ConfigFile>, Failure> {
    let Some(config) = non_empty(given) else { return Ok(None) };
    let reference = FileReference::parse(config)?;
    let media_type = reference.media_type.map(MediaType::new);
    Ok(Some(ConfigFile { path: PathBuf::from(reference.path), media_type }))
}

/// Returns the path of `--export-manifest`. Checks it before the upload; the Go tool fails afterwards.
pub(crate) fn export_path(args: &PackArgs) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = non_empty(args.export_manifest.as_ref()) else { return Ok(None) };
    let directory = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return Err(Failure::new(format!("open {path}: no such file or directory")).of_kind(ErrorKind::Io));
    }
    if Path::new(path).is_dir() {
        return Err(Failure::new(format!("open {path}: is a directory")).of_kind(ErrorKind::Io));
    }
    Ok(Some(PathBuf::from(path)))
}

/// Writes the manifest to the path of `--export-manifest`.
pub(crate) fn export(path: Option<&Path>, manifest: &Content) -> Result<(), Failure> {
    if let (Some(path), Some(bytes)) = (path, manifest.in_memory()) {
        output_file::put(path, bytes)?;
    }
    Ok(())
}
